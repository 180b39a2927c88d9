//! The deadlock rule's second half: a Blocked token meets a Blocked partition.
//!
//! Only a token whose initiator has the higher name asks; so no two partitions ever wait for each
//! other. The union keeps the name of the partition that was met, is Growing again and computes.

use luc_core::PeerId;
use luc_core::time::Instant;

use super::message::{MergeAnswer, Message};
use super::partition::{Partition, State, Token};
use super::protocol::{Relay, Turn};
use super::role::Role;
use super::timer::Timer;
use crate::ballot::Ballot;
use crate::event::Event;

impl Relay {
    /// Whether the partition of `token` may be merged into the one this node is in.
    pub(super) fn may_ask_to_merge(&self, token: &Token) -> bool {
        self.seat.as_ref().is_some_and(|seat| {
            seat.partition.state == State::Blocked
                && token.partition.state == State::Blocked
                && token.partition.initiator() > seat.partition.initiator()
                && token.partition.leader != self.me
                && seat.role == Role::Idle
        })
    }

    /// Keeps the token and asks its leader.
    pub(super) fn ask_to_merge(&mut self, turn: &mut Turn<'_>, token: Token) {
        let epoch = self.next_epoch();
        let now = turn.now;
        let Some(seat) = self.seat.as_deref_mut() else {
            return;
        };
        if seat.locked > now {
            self.pass_on(turn, token);
            return;
        }
        let question = Message::MayMerge {
            taken: token.partition.id,
            version: token.partition.version,
            taker: seat.partition.id,
        };
        turn.effects.send(token.partition.leader, question);
        turn.effects
            .schedule(self.config.answer, Timer::Answer { epoch });
        seat.role = Role::Merging { epoch, token };
    }

    /// At the leader of the token's partition: agree once, then refuse for a second.
    pub(super) fn on_may_merge(
        &mut self,
        turn: &mut Turn<'_>,
        from: PeerId,
        taken: Ballot,
        version: u64,
    ) {
        let (now, lock, me) = (turn.now, self.config.lock, self.me);
        let answer = match self.seat_in(taken) {
            Some(seat) if is_blocked(&seat.partition, version, me) => match seat.role {
                Role::Idle if seat.locked <= now => {
                    seat.locked = now + lock;
                    MergeAnswer::Granted
                }
                _ => MergeAnswer::Locked,
            },
            _ => MergeAnswer::Outdated,
        };
        turn.effects
            .send(from, Message::MergeAnswer { taken, answer });
    }

    /// The answer to the question whether to merge.
    pub(super) fn on_merge_answer(
        &mut self,
        turn: &mut Turn<'_>,
        taken: Ballot,
        answer: MergeAnswer,
    ) {
        let role = self.seat.as_ref().map(|seat| &seat.role);
        let asked =
            matches!(role, Some(Role::Merging { token, .. }) if token.partition.id == taken);
        if !asked {
            turn.ignore("merge answer", "not asked for");
            return;
        }
        match answer {
            MergeAnswer::Granted => self.merge(turn),
            MergeAnswer::Locked => self.give_up_merge(turn, true),
            MergeAnswer::Outdated => self.give_up_merge(turn, false),
        }
    }

    /// The union of both, led by this node.
    fn merge(&mut self, turn: &mut Turn<'_>) {
        let me = self.me;
        let Some(seat) = self.seat.as_deref_mut() else {
            return;
        };
        if let Role::Merging { token, .. } = std::mem::replace(&mut seat.role, Role::Idle) {
            turn.effects.emit(Event::Absorbed {
                ballot: seat.partition.id,
                taken: token.partition.id,
            });
            seat.partition = seat.partition.clone().merged(&token.partition, me);
            seat.locked = Instant::ORIGIN;
            self.lead(turn);
        }
    }

    /// No merge: the token goes on, unless its partition is not Blocked any more.
    pub(super) fn give_up_merge(&mut self, turn: &mut Turn<'_>, go_on: bool) {
        let Some(seat) = self.seat.as_deref_mut() else {
            return;
        };
        if let Role::Merging { token, .. } = std::mem::replace(&mut seat.role, Role::Idle)
            && go_on
        {
            self.pass_on(turn, token);
        }
    }
}

fn is_blocked(partition: &Partition, version: u64, leader: PeerId) -> bool {
    partition.state == State::Blocked && partition.version == version && partition.leader == leader
}
