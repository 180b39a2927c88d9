//! The token of an ISP: joining it, passing it on, and its way back to the initiator.
//!
//! Steps 2 and 3 of the published algorithm and the first half of its deadlock rule.

use luc_core::PeerId;

use super::message::Message;
use super::partition::{Partition, State};
use super::protocol::{Relay, Turn};
use super::role::Role;
use super::timer::Timer;
use crate::ballot::Ballot;
use crate::command::SearchId;
use crate::event::{Event, PartitionEnd};

impl Relay {
    /// A token arrived, or is to be dealt with again.
    pub(super) fn on_isp(&mut self, turn: &mut Turn<'_>, token: Partition) {
        let Some(seat) = &self.seat else {
            self.on_isp_when_free(turn, token);
            return;
        };
        let own = &seat.partition;
        if own.id == token.id {
            self.on_own_isp(turn, token);
        } else if own.taken.contains(&token.id) {
            turn.ignore("isp", "merged");
        } else if self.may_ask_to_merge(&token) {
            self.ask_to_merge(turn, token);
        } else {
            self.pass_on(turn, token);
        }
    }

    /// Step 3: a free node reserves itself and asks whether the event is still valid.
    fn on_isp_when_free(&mut self, turn: &mut Turn<'_>, token: Partition) {
        if token.initiator() == self.me {
            // Its partition has ended here; whoever still holds to it is set free.
            self.release(turn, &token);
            turn.ignore("isp", "ended");
            return;
        }
        if self.is_unable() {
            self.pass_on(turn, token);
            return;
        }
        let epoch = self.next_epoch();
        let question = Message::IsValid {
            partition: token.id,
            version: token.version,
        };
        turn.effects.send(token.initiator(), question);
        turn.effects
            .schedule(self.config.answer, Timer::Answer { epoch });
        let mut partition = token;
        partition.insert(self.me);
        self.take_seat(turn, partition, Role::Asking { epoch });
    }

    /// A token came back to its own partition: round once more, or the end.
    fn on_own_isp(&mut self, turn: &mut Turn<'_>, token: Partition) {
        let me = self.me;
        let Some(seat) = self.seat.as_deref_mut() else {
            return;
        };
        if token.version < seat.partition.version {
            turn.ignore("isp", "outdated");
        } else if matches!(seat.role, Role::Asking { .. }) {
            turn.ignore("isp", "asking about it");
        } else if token.initiator() != me {
            // The way round ends at the initiator, whichever member it met first.
            turn.effects.send(token.initiator(), Message::Isp(token));
        } else if !matches!(seat.role, Role::Idle) {
            turn.ignore("isp", "at work");
        } else {
            seat.partition = token;
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
        self.pass_on(turn, partition);
    }

    /// Step 2: looks for the first node outside this node's own partition.
    pub(super) fn pass_on(&mut self, turn: &mut Turn<'_>, token: Partition) {
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
        let own = self.seat.as_ref().map(|seat| &seat.partition);
        let is_own = own.is_some_and(|own| own.id == token.id);
        if is_own && own.is_some_and(|own| own.version != token.version) {
            turn.ignore("first out", "outdated");
        } else if !is_own && token.leader == self.me {
            turn.ignore("first out", "ended");
        } else if let Some(next) = next {
            turn.effects.send(next, Message::Isp(token));
        } else if is_own {
            // Everybody there is has been asked.
            self.dissolve(turn, PartitionEnd::Unsolved);
        } else {
            self.tell(turn, token.initiator(), Message::Isp(token));
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
