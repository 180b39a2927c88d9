//! A member's side of a partition: it is lent to one leader, under a ballot, until a lease ends.
//!
//! The lease is counted by the member's own clock from the arrival of the grant, and the leader
//! counts from its sending: the member is never the first to believe that it is over. A ballot is
//! promised durably before it is answered, so a node that crashed obeys no old leader.

use luc_core::PeerId;
use luc_core::time::{Duration, Instant};

use super::flight::Side;
use super::message::{Cancel, Claim, Progress, Refusal};
use super::protocol::{Lost, Role, Star};
use super::turn::Turn;
use super::{Broken, Durable, Message, Timer};
use crate::ballot::Ballot;
use crate::event::{Cause, Event};
use crate::plan::StepId;

/// What a member knows of the partition that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reservation {
    /// Under which ballot. The leader may raise it.
    pub(super) ballot: Ballot,
    /// When it ends unless it is renewed.
    pub(super) expires: Instant,
    /// How strong the partition's claim was at `since`.
    claim: Claim,
    since: Instant,
    /// Whether no step has been seen yet: then another partition may still absorb it.
    growing: bool,
}

impl Reservation {
    pub(super) fn new(ballot: Ballot, claim: Claim, now: Instant, lease: Duration) -> Self {
        Self {
            ballot,
            expires: now + lease,
            claim,
            since: now,
            growing: true,
        }
    }

    /// Why the partition came to be.
    pub(super) fn cause(&self) -> Cause {
        self.claim.cause
    }

    fn busy(&self, now: Instant) -> Refusal {
        let mut claim = self.claim;
        claim.age += now.since(self.since);
        Refusal::Busy {
            under: self.ballot,
            claim,
            growing: self.growing,
        }
    }
}

/// A request to join a partition, without its envelope.
pub(super) struct Request {
    pub(super) ballot: Ballot,
    pub(super) claim: Claim,
    pub(super) lease: Duration,
    pub(super) taken: Option<Ballot>,
}

impl Request {
    /// Whether the reservation under `held` was handed over to the asker.
    fn takes(&self, held: Ballot) -> bool {
        let taken = self.taken;
        taken.is_some_and(|taken| taken.leader == held.leader && held <= taken)
    }
}

impl Star {
    /// The ballot this node is reserved under, as a member or as the leader itself, and until when.
    pub(super) fn reservation(&self) -> Option<(Ballot, Instant)> {
        match &self.role {
            Role::Free => None,
            Role::Reserved(reservation) => Some((reservation.ballot, reservation.expires)),
            Role::Leading(partition) => Some((partition.ballot, partition.own_expires)),
        }
    }

    /// Whether a rule is switched off for a test of the checkers.
    pub(super) fn is_broken(&self, rule: Broken) -> bool {
        self.config.broken == Some(rule)
    }

    pub(super) fn on_reserve(&mut self, turn: &mut Turn<'_>, from: PeerId, request: &Request) {
        if request.ballot.leader != from || from == self.me {
            return turn.ignore("reserve", "not from the leader it names");
        }
        self.see(request.ballot);
        if let Some(refusal) = self.refuse_reserve(turn.now, request) {
            let yields = matches!(&self.role, Role::Leading(partition)
                if partition.yields_to(turn.now, &request.claim));
            if yields {
                return self.yield_to(turn, request.ballot, request.claim);
            }
            let ballot = request.ballot;
            return turn.post(from, Message::Refused { ballot, refusal });
        }
        let again = self.reservation().map(|(ballot, _)| ballot) == Some(request.ballot);
        if !again {
            self.accept(turn, request);
        }
        if let Some(host) = self.host_now(turn.now) {
            let ballot = request.ballot;
            turn.post(from, Message::Reserved { ballot, host });
        }
    }

    fn refuse_reserve(&self, now: Instant, request: &Request) -> Option<Refusal> {
        let trusting = self.is_broken(Broken::BallotCheckOff);
        match &self.role {
            Role::Reserved(reservation) => {
                let held = reservation.ballot;
                let own = held.leader == request.ballot.leader;
                let handed = request.takes(held);
                if held == request.ballot {
                    return None;
                }
                if !(own && held < request.ballot || handed || trusting) {
                    return Some(reservation.busy(now));
                }
            }
            Role::Leading(partition) => {
                // A broken leader that was absorbed and goes on leading lends itself as well.
                let handed = request.taken.is_some_and(|taken| taken.leader == self.me);
                if !(handed && self.is_broken(Broken::AbsorbRuleOff)) {
                    return Some(partition.busy(now));
                }
            }
            Role::Free => {}
        }
        if self.host.is_none() || now < self.unready_until {
            return Some(Refusal::Unready);
        }
        if self.slumber.is_leaving() {
            return Some(Refusal::Asleep);
        }
        if self.is_migrating() {
            return Some(Refusal::Migrating);
        }
        if self.host.as_ref().is_some_and(|host| host.maintenance) {
            return Some(Refusal::Maintenance);
        }
        let lower = request.ballot <= self.promised && !trusting;
        lower.then_some(Refusal::Promised(self.promised))
    }

    fn accept(&mut self, turn: &mut Turn<'_>, request: &Request) {
        self.promise(turn, request.ballot);
        self.lost = None;
        let lease = request.lease.min(self.config.lease);
        let ballot = request.ballot;
        if matches!(self.role, Role::Leading(_)) {
            // Only a broken leader gets here: it is lent and leads on.
            return turn.emit(Event::Reserved { ballot, lease });
        }
        self.settle_flights(turn);
        if let Role::Reserved(held) = &self.role
            && (held.ballot.leader == ballot.leader || request.takes(held.ballot))
        {
            let ballot = held.ballot;
            turn.emit(Event::Freed { ballot });
        }
        self.role = Role::Reserved(Reservation::new(ballot, request.claim, turn.now, lease));
        turn.emit(Event::Reserved { ballot, lease });
        turn.schedule(lease, Timer::Lease { ballot });
    }

    /// Promises to obey nothing lower, durably, before anything that follows.
    pub(super) fn promise(&mut self, turn: &mut Turn<'_>, ballot: Ballot) {
        self.see(ballot);
        if ballot > self.promised {
            self.promised = ballot;
            turn.persist(Durable { promised: ballot });
        }
    }

    /// Remembers the highest counter, so that the next ballot of this node is above it.
    pub(super) fn see(&mut self, ballot: Ballot) {
        self.seen = self.seen.max(ballot.counter);
    }

    /// Whether a command under `ballot` may be obeyed now. The leader of the reservation may have
    /// raised its ballot since; then the raise is promised first.
    pub(super) fn fence(&mut self, turn: &mut Turn<'_>, ballot: Ballot) -> Result<(), Cancel> {
        if self.is_broken(Broken::BallotCheckOff) {
            return Ok(());
        }
        let (held, expires) = self.reservation().ok_or(Cancel::Fenced)?;
        let over = expires <= turn.now && !self.is_broken(Broken::LeaseCheckOff);
        if over || held.leader != ballot.leader || ballot < held {
            return Err(Cancel::Fenced);
        }
        if held < ballot {
            let Role::Reserved(reservation) = &mut self.role else {
                return Err(Cancel::Fenced);
            };
            reservation.ballot = ballot;
            let lease = expires.since(turn.now);
            self.promise(turn, ballot);
            turn.emit(Event::Freed { ballot: held });
            turn.emit(Event::Reserved { ballot, lease });
            turn.schedule(lease, Timer::Lease { ballot });
        }
        if let Role::Reserved(reservation) = &mut self.role {
            reservation.growing = false;
        }
        Ok(())
    }

    pub(super) fn on_renew(
        &mut self,
        turn: &mut Turn<'_>,
        from: PeerId,
        (ballot, round): (Ballot, u32),
        lease: Duration,
    ) {
        if ballot.leader != from {
            return turn.ignore("renew", "not from the leader it names");
        }
        self.see(ballot);
        let steps: Vec<(StepId, Progress)> = self
            .flights
            .iter()
            .filter(|flight| flight.order.migration.ballot.leader == ballot.leader)
            .filter_map(|flight| match flight.side {
                Side::Source(progress) => Some((flight.order.migration.step, progress)),
                Side::Target => None,
            })
            .collect();
        let Role::Reserved(reservation) = &mut self.role else {
            return turn.post(ballot.leader, Message::Parted { ballot });
        };
        if reservation.ballot.leader != ballot.leader || ballot < reservation.ballot {
            return turn.post(ballot.leader, Message::Parted { ballot });
        }
        let lease = lease.min(self.config.lease);
        let held = std::mem::replace(&mut reservation.ballot, ballot);
        reservation.expires = reservation.expires.max(turn.now + lease);
        self.promise(turn, ballot);
        if held != ballot {
            turn.emit(Event::Freed { ballot: held });
        }
        turn.emit(Event::Reserved { ballot, lease });
        turn.schedule(lease, Timer::Lease { ballot });
        turn.post(
            ballot.leader,
            Message::Renewed {
                ballot,
                round,
                steps,
            },
        );
    }

    pub(super) fn on_release(&mut self, turn: &mut Turn<'_>, ballot: Ballot) {
        self.see(ballot);
        match &self.role {
            Role::Reserved(held)
                if held.ballot.leader == ballot.leader && held.ballot <= ballot =>
            {
                self.free(turn);
            }
            Role::Reserved(_) | Role::Leading(_) | Role::Free => {
                turn.ignore("release", "not reserved under it");
            }
        }
    }

    pub(super) fn on_lease_timer(&mut self, turn: &mut Turn<'_>, ballot: Ballot) {
        // An ended lease has been dealt with before this call; another timer is on its way if the
        // lease was renewed.
        match &self.role {
            Role::Reserved(held) if held.ballot == ballot => {}
            Role::Reserved(_) | Role::Leading(_) | Role::Free => {
                turn.ignore("lease timer", "not reserved under it");
            }
        }
    }

    /// Ends what has run out, before an input is looked at.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>) {
        self.outlook.pass(turn.now);
        if self.is_broken(Broken::LeaseCheckOff) {
            return;
        }
        match self.reservation() {
            Some((ballot, expires)) if expires <= turn.now => {
                if self.has_steps_under(ballot.leader) {
                    turn.emit(Event::LeaseExpired { ballot });
                }
                let lost = Lost {
                    ballot,
                    at: turn.now,
                };
                if matches!(self.role, Role::Leading(_)) {
                    self.end_expired(turn);
                } else {
                    self.lost = Some(lost);
                    self.free(turn);
                }
            }
            Some(_) | None => {}
        }
    }

    /// Leaves the partition as its member, and looks whether the own host needs help.
    pub(super) fn free(&mut self, turn: &mut Turn<'_>) {
        if let Role::Reserved(reservation) = std::mem::replace(&mut self.role, Role::Free) {
            self.settle_flights(turn);
            turn.emit(Event::Freed {
                ballot: reservation.ballot,
            });
            self.evaluate(turn);
        }
    }
}
