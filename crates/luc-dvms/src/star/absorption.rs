//! Where two partitions meet: the stronger claim takes the other in, while both still grow.
//!
//! ```text
//! asker ──Reserve──▶ member of another partition
//! asker ◀─Refused Busy── member            (claim and leader of the other partition)
//! asker ──Absorb──▶ its leader             if the asker's claim precedes
//! asker ◀─Yielded── leader                 downgraded; its members are handed over
//! asker ──Reserve(taken)──▶ each           under a ballot above both
//! ```
//!
//! Nobody waits while holding: an asker that gets no answer goes on without, and what was handed
//! over to nobody is free again when its lease ends.

use luc_core::PeerId;
use luc_core::time::Duration;

use super::message::{Claim, Refusal};
use super::partition::{Asked, Question};
use super::protocol::{Role, Star};
use super::reservation::Reservation;
use super::turn::Turn;
use super::{Broken, Message, Timer};
use crate::ballot::Ballot;
use crate::event::{Event, PartitionEnd};

impl Star {
    /// Asks the leader of a partition that was met to hand it over.
    pub(super) fn ask_to_yield(&mut self, turn: &mut Turn<'_>, taken: Ballot, near: Duration) {
        let Role::Leading(partition) = &mut self.role else {
            return;
        };
        let leader = taken.leader;
        if leader == self.me || partition.is_asked(leader) || partition.is_member(leader) {
            return;
        }
        partition.asked.push(Asked {
            peer: leader,
            question: Question::Absorb { taken },
            sent: turn.now,
            distance: near,
            late: false,
        });
        let message = Message::Absorb {
            ballot: partition.ballot,
            claim: partition.claim(turn.now),
            taken,
        };
        turn.post(leader, message);
    }

    pub(super) fn on_absorb(
        &mut self,
        turn: &mut Turn<'_>,
        from: PeerId,
        ballot: Ballot,
        (claim, taken): (Claim, Ballot),
    ) {
        self.see(ballot);
        if claim.leader != from || ballot.leader != from {
            return turn.ignore("absorb", "not from the leader it names");
        }
        let trusting = self.is_broken(Broken::AbsorbRuleOff);
        match &self.role {
            Role::Leading(partition)
                if partition.owns(taken)
                    && (partition.yields_to(turn.now, &claim)
                        || trusting && partition.is_growing()) =>
            {
                self.yield_to(turn, ballot, claim);
            }
            Role::Leading(partition) => {
                let refusal = partition.busy(turn.now);
                turn.post(from, Message::Refused { ballot, refusal });
            }
            Role::Reserved(_) | Role::Free => {
                let refusal = Refusal::Unready;
                turn.post(from, Message::Refused { ballot, refusal });
            }
        }
    }

    /// Hands the partition over and becomes a plain member, reserved under its own last ballot
    /// until the new leader's higher one arrives.
    pub(super) fn yield_to(&mut self, turn: &mut Turn<'_>, ballot: Ballot, claim: Claim) {
        let Role::Leading(partition) = &self.role else {
            return;
        };
        let taken = partition.ballot;
        let asked = partition.asked.iter().filter(|asked| {
            asked.peer != claim.leader && matches!(asked.question, Question::Join { .. })
        });
        let members = std::iter::once(self.me)
            .chain(partition.members.iter().map(|member| member.peer))
            .chain(asked.map(|asked| asked.peer))
            .collect();
        let yielded = Message::Yielded {
            ballot,
            taken,
            members,
        };
        if !self.is_broken(Broken::AbsorbRuleOff) {
            self.downgrade(turn, claim);
        }
        turn.post(claim.leader, yielded);
    }

    fn downgrade(&mut self, turn: &mut Turn<'_>, claim: Claim) {
        self.end_search(turn);
        let lease = self.config.lease;
        let Role::Leading(partition) = &mut self.role else {
            return;
        };
        let ballot = partition.ballot;
        let ended = Event::Ended {
            ballot: partition.id,
            end: PartitionEnd::Absorbed,
            members: partition.everyone(),
        };
        turn.emit(ended);
        self.role = Role::Reserved(Reservation::new(ballot, claim, turn.now, lease));
        turn.emit(Event::Reserved { ballot, lease });
        turn.schedule(lease, Timer::Lease { ballot });
    }

    pub(super) fn on_yielded(
        &mut self,
        turn: &mut Turn<'_>,
        from: PeerId,
        (ballot, taken): (Ballot, Ballot),
        members: &[PeerId],
    ) {
        self.see(taken);
        let seen = self.seen;
        let wanted = match &mut self.role {
            Role::Leading(partition) if partition.owns(ballot) && partition.is_growing() => {
                let asked = partition.answered(from);
                asked.map(|asked| (partition.id, asked.distance))
            }
            Role::Leading(_) | Role::Reserved(_) | Role::Free => None,
        };
        let Some((id, near)) = wanted else {
            // Too late: nobody leads them now, so they are set free at once.
            for member in members {
                turn.post(*member, Message::Release { ballot: taken });
            }
            return turn.ignore("yielded", "not asked any more");
        };
        turn.emit(Event::Absorbed { ballot: id, taken });
        self.raise(turn, seen);
        if let Role::Leading(partition) = &mut self.role {
            partition.taken.push(from);
        }
        for member in members {
            let Role::Leading(partition) = &self.role else {
                return;
            };
            let known = partition.is_member(*member) || partition.is_asked(*member);
            let place = usize::from(partition.size()) + partition.asked.len();
            if known || *member == self.me {
                continue;
            }
            if place < usize::from(partition.cap) {
                self.ask(turn, *member, near, Some(taken));
            } else {
                turn.post(*member, Message::Release { ballot: taken });
            }
        }
        self.await_answers(turn);
    }
}
