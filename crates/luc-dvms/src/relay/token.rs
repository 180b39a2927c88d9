//! The token of an ISP: joining it, passing it on, and its way back to the initiator.
//!
//! Steps 2 and 3 of the published algorithm and the first half of its deadlock rule.

use luc_core::PeerId;

use super::message::Message;
use super::partition::{Partition, State, Token};
use super::protocol::{Relay, Turn};
use super::role::Role;
use super::timer::Timer;
use crate::ballot::Ballot;
use crate::command::SearchId;
use crate::event::{Event, PartitionEnd};

/// How many tokens a node remembers to have seen.
const TOKENS_SEEN: usize = 16;
/// A token that so many nodes have passed on is outdated: its partition has timed out long since.
const HOPS_MAX: u32 = 10_000;

/// Sends a token one node further.
fn send_on(turn: &mut Turn<'_>, to: PeerId, token: Token) {
    let hops = token.hops + 1;
    turn.effects.send(to, Message::Isp(Token { hops, ..token }));
}

impl Relay {
    /// A token arrived. Tokens that a network doubles would multiply, so a copy stops here.
    pub(super) fn on_token(&mut self, turn: &mut Turn<'_>, token: Token) {
        let seen = (token.partition.id, token.partition.version, token.hops);
        if self.seen.contains(&seen) {
            turn.ignore("isp", "doubled");
            return;
        }
        if self.seen.len() == TOKENS_SEEN {
            self.seen.pop_front();
        }
        self.seen.push_back(seen);
        self.on_isp(turn, token);
    }

    /// A token is to be dealt with, now or again.
    pub(super) fn on_isp(&mut self, turn: &mut Turn<'_>, token: Token) {
        let Some(seat) = &self.seat else {
            self.on_isp_when_free(turn, token);
            return;
        };
        let own = &seat.partition;
        if own.id == token.partition.id {
            self.on_own_isp(turn, token);
        } else if own.taken.contains(&token.partition.id) {
            turn.ignore("isp", "merged");
        } else if self.may_ask_to_merge(&token) {
            self.ask_to_merge(turn, token);
        } else {
            self.pass_on(turn, token);
        }
    }

    /// Step 3: a free node reserves itself and asks whether the event is still valid.
    fn on_isp_when_free(&mut self, turn: &mut Turn<'_>, token: Token) {
        let initiator = token.partition.initiator();
        if initiator == self.me {
            // Its partition has ended here; whoever still holds to it is set free.
            self.release(turn, &token.partition);
            turn.ignore("isp", "ended");
            return;
        }
        if self.is_unable() {
            self.pass_on(turn, token);
            return;
        }
        let epoch = self.next_epoch();
        let mut partition = token.partition;
        let question = Message::IsValid {
            partition: partition.id,
            version: partition.version,
        };
        turn.effects.send(initiator, question);
        turn.effects
            .schedule(self.config.answer, Timer::Answer { epoch });
        partition.insert(self.me);
        self.take_seat(turn, partition, Role::Asking { epoch });
    }

    /// A token came back to its own partition: round once more, or the end.
    fn on_own_isp(&mut self, turn: &mut Turn<'_>, token: Token) {
        let me = self.me;
        let Some(seat) = self.seat.as_deref_mut() else {
            return;
        };
        let initiator = token.partition.initiator();
        if token.partition.version < seat.partition.version {
            turn.ignore("isp", "outdated");
        } else if matches!(seat.role, Role::Asking { .. }) {
            turn.ignore("isp", "asking about it");
        } else if initiator != me {
            // The way round ends at the initiator, whichever member it met first.
            send_on(turn, initiator, token);
        } else if !matches!(seat.role, Role::Idle) {
            turn.ignore("isp", "at work");
        } else {
            seat.partition = token.partition;
            seat.heard = turn.now;
            match seat.partition.state {
                State::Growing => self.block(turn),
                State::Blocked => self.dissolve(turn, PartitionEnd::Unsolved),
                State::Finishing => turn.ignore("isp", "finishing"),
            }
        }
    }

    /// Deadlock rule: nobody free was met on the way round.
    fn block(&mut self, turn: &mut Turn<'_>) {
        let Some(seat) = self.seat.as_deref_mut() else {
            return;
        };
        seat.partition.state = State::Blocked;
        seat.partition.version += 1;
        let partition = seat.partition.clone();
        self.announce(turn, &partition, false);
        self.send_off(turn, partition);
    }

    /// Sends the token of this version of the own partition off.
    pub(super) fn send_off(&mut self, turn: &mut Turn<'_>, partition: Partition) {
        self.pass_on(turn, Token { partition, hops: 0 });
    }

    /// Step 2: looks for the first node outside this node's own partition.
    pub(super) fn pass_on(&mut self, turn: &mut Turn<'_>, token: Token) {
        let search = SearchId(self.next_epoch());
        let outside = match &self.seat {
            Some(seat) => seat.partition.members.iter().copied().collect(),
            None => [self.me].into(),
        };
        self.passing.push((search, token));
        turn.effects.emit(Event::Search {
            search,
            outside,
            count: 1,
        });
    }

    /// The overlay has found the first node outside, or there is none.
    pub(super) fn on_first_out(
        &mut self,
        turn: &mut Turn<'_>,
        search: SearchId,
        next: Option<PeerId>,
    ) {
        let place = self.passing.iter().position(|(open, _)| *open == search);
        let Some(place) = place else {
            turn.ignore("first out", "not asked for");
            return;
        };
        let (_, token) = self.passing.swap_remove(place);
        let sent = &token.partition;
        let own = self.seat.as_ref().map(|seat| &seat.partition);
        let is_own = own.is_some_and(|own| own.id == sent.id);
        if is_own && own.is_some_and(|own| own.version != sent.version) {
            turn.ignore("first out", "outdated");
        } else if !is_own && sent.leader == self.me {
            turn.ignore("first out", "ended");
        } else if token.hops >= HOPS_MAX {
            turn.ignore("first out", "on the way for too long");
        } else if let Some(next) = next {
            send_on(turn, next, token);
        } else if is_own {
            // Everybody there is has been asked.
            self.dissolve(turn, PartitionEnd::Unsolved);
        } else if sent.initiator() == self.me {
            self.release(turn, sent);
        } else {
            send_on(turn, sent.initiator(), token);
        }
    }

    /// At the initiator: is the event still there, and this the newest version?
    pub(super) fn on_is_valid(
        &mut self,
        turn: &mut Turn<'_>,
        from: PeerId,
        partition: Ballot,
        version: u64,
    ) {
        let here = self.seat.as_ref().map(|seat| &seat.partition);
        let known = here.is_some_and(|own| own.id == partition && own.version <= version);
        let answer = Message::Valid {
            partition,
            version,
            valid: known && self.is_overloaded(),
        };
        turn.effects.send(from, answer);
    }

    /// The initiator's answer: lead, or set everybody free.
    pub(super) fn on_valid(
        &mut self,
        turn: &mut Turn<'_>,
        partition: Ballot,
        version: u64,
        valid: bool,
    ) {
        let Some(seat) = self.seat_in(partition) else {
            turn.ignore("valid", "not asking");
            return;
        };
        let asking = matches!(seat.role, Role::Asking { .. });
        if !asking || seat.partition.version != version {
            turn.ignore("valid", "not asking");
        } else if valid {
            self.lead(turn);
        } else {
            self.dissolve(turn, PartitionEnd::Stale);
        }
    }

    /// Sets the members of a partition free that this node is not in.
    fn release(&self, turn: &mut Turn<'_>, token: &Partition) {
        let message = Message::Dissolve {
            partition: token.id,
            version: token.version,
            end: PartitionEnd::Stale,
        };
        self.tell_members(turn, &token.members, &message);
    }
}
