//! Gathering members: from the event to the solver's answer.
//!
//! The leader asks the overlay for a group of neighbours, asks all of them at once to join, and
//! asks the solver as soon as all have answered or a short time has passed. What does not suffice
//! grows by a further group, to the cap.

use luc_core::PeerId;
use luc_core::time::Duration;

use super::message::Refusal;
use super::partition::{Asked, Member, Partition, Phase, Question};
use super::protocol::{Role, Star};
use super::turn::Turn;
use super::{Message, Timer};
use crate::ballot::Ballot;
use crate::command::{Candidate, SearchId};
use crate::event::{Cause, Event, PartitionEnd};
use crate::host::{Cpu, Host};

impl Star {
    /// Begins a partition for an event of this host.
    pub(super) fn begin(&mut self, turn: &mut Turn<'_>, cause: Cause) {
        let ballot = Ballot {
            counter: self.seen.max(self.promised.counter) + 1,
            leader: self.me,
        };
        let lease = self.config.lease;
        self.promise(turn, ballot);
        let since = self.event_since.unwrap_or(turn.now);
        let mut partition = Partition::new(ballot, cause, since, turn.now + lease);
        partition.cap = match (&self.config.energy, cause) {
            (Some(energy), Cause::Underload) => energy.group,
            _ => self.retry.cap(&self.config),
        };
        if cause == Cause::Underload {
            partition.farther = self.hosts_to_ask();
            partition.exhausted = true;
        }
        self.role = Role::Leading(Box::new(partition));
        turn.emit(Event::Began { ballot, cause });
        turn.emit(Event::Reserved { ballot, lease });
        if let Some(lost) = self.lost.take() {
            // An event that waits longer than this after the loss has another reason.
            if turn.now.since(lost.at) <= lease && cause == Cause::Overload {
                let from = lost.ballot;
                turn.emit(Event::TookOver { ballot, from });
            }
        }
        turn.schedule(self.config.renew, Timer::Renew { partition: ballot });
        let timer = Timer::Phase {
            partition: ballot,
            phase: 0,
        };
        turn.schedule(self.config.growing_max, timer);
        if cause == Cause::Overload {
            self.ask_waking(turn);
        }
        self.grow(turn);
    }

    /// Looks for the next group, or gives up when there is none or no place for it.
    pub(super) fn grow(&mut self, turn: &mut Turn<'_>) {
        let first = match (&self.config.energy, &self.role) {
            (Some(energy), Role::Leading(partition)) if partition.cause == Cause::Underload => {
                energy.group
            }
            _ => self.config.first_group,
        };
        let first = first.saturating_sub(1);
        let next = self.config.next_group;
        let Role::Leading(partition) = &mut self.role else {
            return;
        };
        let size = partition.size();
        if size >= partition.cap {
            let ballot = partition.id;
            turn.emit(Event::CapReached { ballot });
            return self.give_up(turn, true);
        }
        if !partition.farther.is_empty() {
            if self.comes_back(turn) {
                return;
            }
            let Role::Leading(partition) = &mut self.role else {
                return;
            };
            // One more site at a time, the nearest first.
            let place = usize::from(partition.cap - size);
            let next_site = partition.farther[0].peer.site;
            let mut kept = Vec::new();
            let mut farther = Vec::new();
            for candidate in partition.farther.drain(..) {
                if candidate.peer.site == next_site && farther.len() < place {
                    farther.push(candidate);
                } else {
                    kept.push(candidate);
                }
            }
            partition.farther = kept;
            return self.ask_all(turn, &farther);
        }
        // Who passes by that many full nodes finds more of them, not room.
        if partition.exhausted || partition.skipped.len() >= usize::from(partition.cap) {
            return self.second_chance(turn);
        }
        let group = if partition.search.is_none() {
            first
        } else {
            next
        };
        let count = group.max(1).min(partition.cap - size);
        partition.phase = Phase::Searching;
        if let Some(search) = partition.search {
            return turn.emit(Event::SearchMore { search, count });
        }
        let search = SearchId(self.next_search);
        self.next_search += 1;
        partition.search = Some(search);
        let outside = partition.everyone();
        turn.emit(Event::Search {
            search,
            outside,
            count,
        });
    }

    /// Everybody near has been offered: now also those that seemed to be full, but not those that
    /// said they are overloaded themselves.
    fn second_chance(&mut self, turn: &mut Turn<'_>) {
        let Role::Leading(partition) = &mut self.role else {
            return;
        };
        partition.exhausted = true;
        let place = usize::from(partition.cap - partition.size());
        let mut again = std::mem::take(&mut partition.skipped);
        again.retain(|candidate| candidate.room >= FULL);
        again.sort_by_key(|candidate| std::cmp::Reverse(candidate.room));
        again.truncate(place);
        if again.is_empty() {
            if self.comes_back(turn) {
                return;
            }
            return self.give_up(turn, false);
        }
        self.ask_all(turn, &again);
    }

    /// Before the group goes farther, or gives up: who is held by a group that still grows, or has
    /// no sample yet, is soon free. Nobody waits while holding, so the group dissolves and comes
    /// back; a few times at the most.
    fn comes_back(&mut self, turn: &mut Turn<'_>) -> bool {
        let hopeful = matches!(&self.role, Role::Leading(partition)
            if partition.contended && partition.cause != Cause::Underload);
        if !hopeful || !self.retry_soon(turn) {
            return false;
        }
        self.end(turn, PartitionEnd::Contended);
        true
    }

    fn ask_all(&mut self, turn: &mut Turn<'_>, candidates: &[Candidate]) {
        for candidate in candidates {
            self.ask(turn, candidate.peer, candidate.distance, None);
        }
        self.await_answers(turn);
    }

    pub(super) fn on_neighbours(
        &mut self,
        turn: &mut Turn<'_>,
        search: SearchId,
        found: &[Candidate],
    ) {
        if self.looked(turn, search, found) {
            return;
        }
        let least = self.host.as_deref().map_or(Cpu(0), least_demand);
        let capacity = self.host.as_ref().map_or(0, |host| host.capacity.cpu.0);
        let Role::Leading(partition) = &mut self.role else {
            return turn.ignore("neighbours", "leads nothing");
        };
        if partition.search != Some(search) {
            return turn.ignore("neighbours", "of another search");
        }
        // A hint of the own site is a second old, one from afar much older: it decides nothing.
        let site = self.me.site;
        let (mut near, mut unplaced) = (Vec::with_capacity(found.len()), Vec::new());
        for candidate in found {
            let peer = candidate.peer;
            if peer == self.me || partition.is_member(peer) || partition.is_asked(peer) {
                continue;
            }
            if candidate.asleep {
                self.slumber.note_sleeper(peer);
            } else if peer.site != site && candidate.distance.is_zero() {
                unplaced.push(*candidate);
            } else if peer.site != site {
                partition.farther.push(*candidate);
            } else if seems_full(candidate, capacity, least) {
                partition.skipped.push(*candidate);
            } else {
                near.push(*candidate);
            }
        }
        // Where the group reaches beyond the site, the site comes first.
        if near.is_empty() {
            near = unplaced;
        } else {
            partition.farther.extend(unplaced);
        }
        self.ask_all(turn, &near);
    }

    pub(super) fn on_exhausted(&mut self, turn: &mut Turn<'_>, search: SearchId) {
        if self.looked(turn, search, &[]) {
            return;
        }
        let Role::Leading(partition) = &mut self.role else {
            return turn.ignore("exhausted", "leads nothing");
        };
        if partition.search != Some(search) {
            return turn.ignore("exhausted", "of another search");
        }
        partition.search = None;
        partition.exhausted = true;
        self.await_answers(turn);
    }

    /// Asks a node to join.
    pub(super) fn ask(
        &mut self,
        turn: &mut Turn<'_>,
        peer: PeerId,
        distance: Duration,
        taken: Option<Ballot>,
    ) {
        let Role::Leading(partition) = &mut self.role else {
            return;
        };
        partition.asked.push(Asked {
            peer,
            question: Question::Join { taken },
            sent: turn.now,
            distance,
            late: false,
        });
        let message = Message::Reserve {
            ballot: partition.ballot,
            claim: partition.claim(turn.now),
            lease: self.config.lease,
            taken,
        };
        turn.post(peer, message);
    }

    /// Waits for those who have been asked, or goes on if there is nobody to wait for.
    pub(super) fn await_answers(&mut self, turn: &mut Turn<'_>) {
        let slack = self.config.answer_slack;
        let unknown = self.config.round_trip_default;
        let Role::Leading(partition) = &mut self.role else {
            return;
        };
        if !partition.is_waiting() {
            return self.decide(turn);
        }
        partition.phase = Phase::Reserving;
        partition.round += 1;
        let waiting = partition.asked.iter().filter(|asked| !asked.late);
        let farthest = waiting
            .map(|asked| {
                if asked.distance.is_zero() {
                    unknown
                } else {
                    asked.distance
                }
            })
            .max()
            .unwrap_or(unknown);
        let timer = Timer::Answers {
            partition: partition.id,
            round: partition.round,
        };
        turn.schedule(farthest.saturating_mul(3) + slack, timer);
    }

    pub(super) fn on_answers_timer(&mut self, turn: &mut Turn<'_>, id: Ballot, round: u32) {
        let Role::Leading(partition) = &mut self.role else {
            return turn.ignore("answers timer", "leads nothing");
        };
        if partition.id != id || partition.round != round || !partition.is_growing() {
            return turn.ignore("answers timer", "of another round");
        }
        for asked in &mut partition.asked {
            asked.late = true;
        }
        self.decide(turn);
    }

    pub(super) fn on_reserved(
        &mut self,
        turn: &mut Turn<'_>,
        from: PeerId,
        ballot: Ballot,
        host: &std::sync::Arc<Host>,
    ) {
        let lease = self.config.lease;
        let Role::Leading(partition) = &mut self.role else {
            turn.post(from, Message::Release { ballot });
            return turn.ignore("reserved", "leads nothing");
        };
        if partition.owns(ballot) && partition.is_member(from) {
            return turn.ignore("reserved", "is a member already");
        }
        let full = partition.size() >= partition.cap;
        let asked = if partition.owns(ballot) && partition.is_growing() && !full {
            partition.answered(from)
        } else {
            None
        };
        let Some(asked) = asked else {
            turn.post(from, Message::Release { ballot });
            return turn.ignore("reserved", "not asked any more");
        };
        self.slumber.forget(from);
        partition.members.push(Member {
            peer: from,
            expires: asked.sent + lease,
            host: host.clone(),
            distance: asked.distance,
        });
        partition.fresh = true;
        self.decide_when_answered(turn);
    }

    pub(super) fn on_refused(
        &mut self,
        turn: &mut Turn<'_>,
        from: PeerId,
        ballot: Ballot,
        refusal: Refusal,
    ) {
        if let Refusal::Promised(promised)
        | Refusal::Busy {
            under: promised, ..
        } = refusal
        {
            self.see(promised);
        }
        let seen = self.seen;
        let Role::Leading(partition) = &mut self.role else {
            return turn.ignore("refused", "leads nothing");
        };
        if !partition.owns(ballot) || !partition.is_growing() {
            return turn.ignore("refused", "of another partition");
        }
        let Some(asked) = partition.answered(from) else {
            return turn.ignore("refused", "not asked");
        };
        partition.contended |= matches!(
            refusal,
            Refusal::Busy { growing: true, .. } | Refusal::Unready
        );
        match (refusal, asked.question) {
            (Refusal::Promised(promised), Question::Join { taken }) => {
                if promised >= partition.ballot {
                    self.raise(turn, seen);
                }
                self.ask(turn, from, asked.distance, taken);
            }
            (
                Refusal::Busy {
                    under,
                    claim,
                    growing: true,
                },
                Question::Join { .. },
            ) if partition.claim(turn.now).precedes(&claim) => {
                self.ask_to_yield(turn, under, asked.distance);
            }
            (
                Refusal::Busy { .. }
                | Refusal::Promised(_)
                | Refusal::Migrating
                | Refusal::Maintenance
                | Refusal::Asleep
                | Refusal::Unready,
                Question::Join { .. } | Question::Absorb { .. },
            ) => {}
        }
        self.decide_when_answered(turn);
    }

    /// Raises the ballot above everything seen. Members learn it with the next command.
    pub(super) fn raise(&mut self, turn: &mut Turn<'_>, seen: u64) {
        let lease = self.config.lease;
        let Role::Leading(partition) = &mut self.role else {
            return;
        };
        let ballot = Ballot {
            counter: seen.max(partition.ballot.counter) + 1,
            leader: self.me,
        };
        let held = std::mem::replace(&mut partition.ballot, ballot);
        let left = partition.own_expires.since(turn.now).min(lease);
        self.promise(turn, ballot);
        turn.emit(Event::Freed { ballot: held });
        turn.emit(Event::Reserved {
            ballot,
            lease: left,
        });
    }

    pub(super) fn decide_when_answered(&mut self, turn: &mut Turn<'_>) {
        if let Role::Leading(partition) = &self.role
            && partition.phase == Phase::Reserving
        {
            if partition.is_waiting() {
                return;
            }
            self.decide(turn);
        }
    }

    pub(super) fn on_phase_timer(&mut self, turn: &mut Turn<'_>, id: Ballot, phase: u32) {
        let Role::Leading(partition) = &self.role else {
            return turn.ignore("phase timer", "leads nothing");
        };
        if partition.id != id {
            return turn.ignore("phase timer", "of another partition");
        }
        match &partition.phase {
            Phase::Searching | Phase::Reserving => self.give_up(turn, false),
            Phase::Executing(_) if phase == partition.round => self.end_expired(turn),
            Phase::Executing(_) => turn.ignore("phase timer", "of an earlier phase"),
        }
    }

    /// Closes the search, if one is open.
    pub(super) fn end_search(&mut self, turn: &mut Turn<'_>) {
        if let Role::Leading(partition) = &mut self.role
            && let Some(search) = partition.search.take()
        {
            turn.emit(Event::SearchEnd { search });
        }
    }

    /// Ends the partition: everybody is free.
    pub(super) fn end(&mut self, turn: &mut Turn<'_>, end: PartitionEnd) {
        self.end_search(turn);
        let Role::Leading(partition) = std::mem::replace(&mut self.role, Role::Free) else {
            return;
        };
        let ballot = partition.ballot;
        let members = partition.everyone();
        let asked = partition.asked.iter().map(|asked| asked.peer);
        for peer in partition
            .members
            .iter()
            .map(|member| member.peer)
            .chain(asked)
        {
            turn.post(peer, Message::Release { ballot });
        }
        self.settle_flights(turn);
        turn.emit(Event::Ended {
            ballot: partition.id,
            end,
            members,
        });
        turn.emit(Event::Freed { ballot });
        self.evaluate(turn);
    }

    /// Ends a partition that lasted too long, or whose leader slept over its own lease.
    pub(super) fn end_expired(&mut self, turn: &mut Turn<'_>) {
        self.try_soon(turn);
        self.end(turn, PartitionEnd::Expired);
    }
}

/// The least that moving one machine away would bring.
fn least_demand(host: &Host) -> Cpu {
    let movable = host.vms.iter().filter(|vm| vm.cool_down.is_zero());
    let demands = movable
        .map(|vm| vm.demand)
        .filter(|demand| *demand > Cpu(0));
    demands.min().unwrap_or(Cpu(0))
}

/// What a full host advertises: zero would say that nothing is known.
pub(super) const FULL: i8 = -1;

/// Whether a candidate's advertised room lets nothing in. Zero also means that nothing is known;
/// hosts without room advertise less.
fn seems_full(candidate: &Candidate, capacity: u32, least: Cpu) -> bool {
    let room = i64::from(candidate.room);
    room < 0 || room > 0 && (room + 1) * i64::from(capacity) < i64::from(least.0) * 100
}
