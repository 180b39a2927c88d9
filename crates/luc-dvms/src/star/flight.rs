//! The two ends of a live migration: what a source and a target check before it starts.
//!
//! ```text
//! leader ──Start──▶ source ──Prepare──▶ target        both check ballot and lease
//!                   source ◀─Prepared── target        the target claims room
//!                   Migrate (host)
//! leader ◀─Progressed── source ──Progressed─▶ target  when it ended
//! ```
//!
//! A node with a machine on its way, at either end, lends itself to nobody. Nothing that has
//! started is undone by an expired lease; what has not started is cancelled.

use luc_core::PeerId;
use luc_core::time::Instant;

use super::message::{Cancel, Order, Progress};
use super::protocol::{Arrival, Star};
use super::turn::Turn;
use super::{Message, Timer};
use crate::command::{MigrationEnd, MigrationId};
use crate::event::Event;
use crate::host::{Resources, VmId};

/// At which end of a migration this node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Side {
    /// The machine leaves, and stands so.
    Source(Progress),
    /// The machine is expected.
    Target,
}

/// A step that this node takes part in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    pub(super) order: Order,
    pub(super) side: Side,
    /// The other end.
    other: PeerId,
    /// When the target was asked first, or when it agreed. Asking again does not make an old answer
    /// fresh.
    since: Instant,
    tries: u8,
}

impl Flight {
    fn is_under_way(&self) -> bool {
        match self.side {
            Side::Target | Side::Source(Progress::Flying) => true,
            Side::Source(Progress::Preparing | Progress::Ended(_) | Progress::Cancelled(_)) => {
                false
            }
        }
    }

    /// Whether it takes its share of the link, or is about to.
    pub(super) fn is_open(&self) -> bool {
        self.is_under_way() || self.side == Side::Source(Progress::Preparing)
    }
}

/// How often a source asks a silent target.
const TRIES: u8 = 3;

impl Star {
    /// Whether a machine is on its way in or out.
    pub(super) fn is_migrating(&self) -> bool {
        self.flights.iter().any(Flight::is_under_way)
            || self.host.as_ref().is_some_and(|host| host.migrations > 0)
    }

    /// Whether a step under this leader's ballots is being prepared or under way here.
    pub(super) fn has_steps_under(&self, leader: PeerId) -> bool {
        let mut open = self.flights.iter().filter(|flight| flight.is_open());
        open.any(|flight| flight.order.migration.ballot.leader == leader)
    }

    fn flight(&self, migration: MigrationId) -> Option<usize> {
        self.flights
            .iter()
            .position(|flight| flight.order.migration == migration)
    }

    fn link_is_full(&self) -> bool {
        let open = self.flights.iter().filter(|flight| flight.is_open());
        open.count() >= usize::from(self.config.link_migrations)
    }

    pub(super) fn on_start(&mut self, turn: &mut Turn<'_>, from: PeerId, order: Order) {
        let migration = order.migration;
        if from != migration.ballot.leader {
            return turn.ignore("start", "not from the leader it names");
        }
        self.see(migration.ballot);
        if let Some(place) = self.flight(migration) {
            if let Side::Source(progress) = self.flights[place].side {
                report(turn, from, migration, progress);
            }
            return;
        }
        if let Err(cancel) = self.check_start(turn, &order) {
            return report(turn, from, migration, Progress::Cancelled(cancel));
        }
        self.flights.push(Flight {
            order,
            side: Side::Source(Progress::Preparing),
            other: order.target,
            since: turn.now,
            tries: 1,
        });
        turn.post(order.target, Message::Prepare { order });
        turn.schedule(self.config.prepare_max, Timer::Prepare { migration });
    }

    fn check_start(&mut self, turn: &mut Turn<'_>, order: &Order) -> Result<(), Cancel> {
        self.fence(turn, order.migration.ballot)?;
        if self.link_is_full() {
            return Err(Cancel::LinkBusy);
        }
        let here = self
            .host
            .as_ref()
            .and_then(|host| find(&host.vms, order.vm));
        let vm = here.ok_or(Cancel::Changed)?;
        if vm.memory > order.claim.memory || vm.disk > order.claim.disk {
            return Err(Cancel::Changed);
        }
        Ok(())
    }

    pub(super) fn on_prepare(&mut self, turn: &mut Turn<'_>, from: PeerId, order: Order) {
        let migration = order.migration;
        self.see(migration.ballot);
        if order.target != self.me {
            return turn.ignore("prepare", "for another target");
        }
        if self.flight(migration).is_some() {
            return turn.post(from, Message::Prepared { migration });
        }
        if let Err(cancel) = self.check_prepare(turn, &order) {
            return turn.post(from, Message::Declined { migration, cancel });
        }
        self.flights.push(Flight {
            order,
            side: Side::Target,
            other: from,
            since: turn.now,
            tries: 0,
        });
        turn.emit(Event::Expect {
            migration,
            vm: order.vm,
            source: from,
            claim: order.claim,
        });
        turn.post(from, Message::Prepared { migration });
        turn.schedule(self.config.lease, Timer::Expected { migration });
    }

    fn check_prepare(&mut self, turn: &mut Turn<'_>, order: &Order) -> Result<(), Cancel> {
        self.fence(turn, order.migration.ballot)?;
        if self.link_is_full() {
            return Err(Cancel::LinkBusy);
        }
        let host = self.host.as_ref().ok_or(Cancel::Changed)?;
        if host.maintenance || find(&host.vms, order.vm).is_some() {
            return Err(Cancel::Changed);
        }
        let mut used = host.incoming;
        for vm in &host.vms {
            add(&mut used, vm.demand, vm.memory, vm.disk);
        }
        let expected = self
            .flights
            .iter()
            .filter(|flight| flight.side == Side::Target);
        let mut claimed = Resources::default();
        for flight in expected {
            let claim = flight.order.claim;
            add(&mut claimed, claim.cpu, claim.memory, claim.disk);
        }
        // What the host already counts as incoming is not counted twice, but never less than once.
        let more = |claimed: u64, incoming: u64| claimed.saturating_sub(incoming);
        let cpu = u64::from(used.cpu.0)
            + more(claimed.cpu.0.into(), host.incoming.cpu.0.into())
            + u64::from(order.claim.cpu.0);
        let memory = used.memory.get()
            + more(claimed.memory.get(), host.incoming.memory.get())
            + order.claim.memory.get();
        let disk = used.disk.get()
            + more(claimed.disk.get(), host.incoming.disk.get())
            + order.claim.disk.get();
        let fits = cpu <= u64::from(host.capacity.cpu.0)
            && memory <= host.capacity.memory.get()
            && disk <= host.capacity.disk.get();
        if fits { Ok(()) } else { Err(Cancel::NoRoom) }
    }

    pub(super) fn on_prepared(
        &mut self,
        turn: &mut Turn<'_>,
        from: PeerId,
        migration: MigrationId,
    ) {
        let Some(place) = self.flight(migration) else {
            // The order is forgotten: whatever it claims is not needed.
            return report(turn, from, migration, Progress::Cancelled(Cancel::Fenced));
        };
        let flight = &self.flights[place];
        let Side::Source(progress) = flight.side else {
            return turn.ignore("prepared", "not the source");
        };
        if flight.other != from {
            return turn.ignore("prepared", "not from the target");
        }
        match progress {
            Progress::Preparing => {}
            Progress::Flying => return,
            Progress::Ended(_) | Progress::Cancelled(_) => {
                return report(turn, from, migration, progress);
            }
        }
        let order = flight.order;
        let late = turn.now.since(flight.since) > self.config.prepare_max * u32::from(TRIES);
        let fenced = self.fence(turn, migration.ballot).is_err();
        let here = self
            .host
            .as_ref()
            .and_then(|host| find(&host.vms, order.vm));
        if late || fenced || here.is_none() {
            let cancel = if fenced {
                Cancel::Fenced
            } else {
                Cancel::Changed
            };
            return self.cancel_flight(turn, place, cancel);
        }
        self.flights[place].side = Side::Source(Progress::Flying);
        turn.emit(Event::Migrate {
            migration,
            vm: order.vm,
            target: order.target,
            reason: order.reason,
        });
    }

    pub(super) fn on_declined(
        &mut self,
        turn: &mut Turn<'_>,
        from: PeerId,
        migration: MigrationId,
        cancel: Cancel,
    ) {
        match self.flight(migration) {
            Some(place)
                if self.flights[place].other == from
                    && self.flights[place].side == Side::Source(Progress::Preparing) =>
            {
                self.cancel_flight(turn, place, cancel);
            }
            Some(_) | None => turn.ignore("declined", "nothing is being prepared"),
        }
    }

    fn cancel_flight(&mut self, turn: &mut Turn<'_>, place: usize, cancel: Cancel) {
        let flight = &mut self.flights[place];
        let progress = Progress::Cancelled(cancel);
        flight.side = Side::Source(progress);
        let migration = flight.order.migration;
        let target = flight.other;
        tell_both(turn, migration, target, progress);
    }

    pub(super) fn on_prepare_timer(&mut self, turn: &mut Turn<'_>, migration: MigrationId) {
        let Some(place) = self.flight(migration) else {
            return turn.ignore("prepare timer", "no such step");
        };
        let flight = &mut self.flights[place];
        if flight.side != Side::Source(Progress::Preparing) {
            return turn.ignore("prepare timer", "the target answered");
        }
        if flight.tries >= TRIES {
            return self.cancel_flight(turn, place, Cancel::Silent);
        }
        flight.tries += 1;
        let order = flight.order;
        turn.post(order.target, Message::Prepare { order });
        turn.schedule(self.config.prepare_max, Timer::Prepare { migration });
    }

    /// At a target: a machine that is not on its way by now never comes.
    pub(super) fn on_expected_timer(&mut self, turn: &mut Turn<'_>, migration: MigrationId) {
        let Some(place) = self.flight(migration) else {
            return turn.ignore("expected timer", "no such step");
        };
        if self.flights[place].side != Side::Target {
            return turn.ignore("expected timer", "not the target");
        }
        if self.host.as_ref().is_some_and(|host| host.migrations > 0) {
            return turn.schedule(self.config.lease, Timer::Expected { migration });
        }
        self.unexpect(turn, place);
        self.evaluate(turn);
    }

    fn unexpect(&mut self, turn: &mut Turn<'_>, place: usize) {
        let flight = self.flights.swap_remove(place);
        let migration = flight.order.migration;
        turn.emit(Event::Unexpect { migration });
    }

    pub(super) fn on_migration_ended(
        &mut self,
        turn: &mut Turn<'_>,
        migration: MigrationId,
        end: MigrationEnd,
    ) {
        let Some(place) = self.flight(migration) else {
            return turn.ignore("migration ended", "not known here");
        };
        if self.flights[place].side != Side::Source(Progress::Flying) {
            return turn.ignore("migration ended", "not under way");
        }
        let progress = Progress::Ended(end);
        let flight = &mut self.flights[place];
        flight.side = Side::Source(progress);
        let vm = flight.order.vm;
        let target = flight.other;
        if end == MigrationEnd::Moved {
            self.forget_vm(vm);
        }
        tell_both(turn, migration, target, progress);
        if self.reservation().map(|(ballot, _)| ballot.leader) != Some(migration.ballot.leader) {
            self.settle_flights(turn);
        }
        self.evaluate(turn);
    }

    /// At the target: how a step stands at its source. Whether it was meant for this side.
    pub(super) fn target_progressed(
        &mut self,
        turn: &mut Turn<'_>,
        from: PeerId,
        migration: MigrationId,
        progress: Progress,
    ) -> bool {
        let Some(place) = self.flight(migration) else {
            return false;
        };
        let flight = &self.flights[place];
        if flight.side != Side::Target || flight.other != from {
            return false;
        }
        match progress {
            // The next sample shows the machine; until then the claim stands for it.
            Progress::Preparing | Progress::Flying | Progress::Ended(MigrationEnd::Moved) => {}
            Progress::Ended(MigrationEnd::Failed) | Progress::Cancelled(_) => {
                self.unexpect(turn, place);
                self.evaluate(turn);
            }
        }
        true
    }

    /// Removes what has ended from the list of steps, and cancels what had not started, because
    /// the reservation it was ordered under is over.
    pub(super) fn settle_flights(&mut self, turn: &mut Turn<'_>) {
        for place in 0..self.flights.len() {
            if self.flights[place].side == Side::Source(Progress::Preparing) {
                self.cancel_flight(turn, place, Cancel::Fenced);
            }
        }
        self.flights.retain(Flight::is_under_way);
    }

    /// A fresh sample shows which expected machines have arrived.
    pub(super) fn note_arrivals(&mut self, now: Instant) {
        let Some(host) = &self.host else { return };
        let until = now + self.config.cool_down;
        self.arrivals.retain(|arrival| arrival.until > now);
        let arrivals = &mut self.arrivals;
        self.flights.retain(|flight| {
            let arrived = flight.side == Side::Target && find(&host.vms, flight.order.vm).is_some();
            if arrived {
                arrivals.push(Arrival {
                    vm: flight.order.vm,
                    until,
                });
            }
            !arrived
        });
    }
}

fn find(vms: &[crate::host::Vm], id: VmId) -> Option<&crate::host::Vm> {
    vms.iter().find(|vm| vm.id == id)
}

fn add(
    sum: &mut Resources,
    cpu: crate::host::Cpu,
    memory: luc_core::units::MemoryMib,
    disk: luc_core::units::MemoryMib,
) {
    sum.cpu = sum.cpu.plus(cpu);
    sum.memory = sum.memory.plus(memory);
    sum.disk = sum.disk.plus(disk);
}

fn report(turn: &mut Turn<'_>, to: PeerId, migration: MigrationId, progress: Progress) {
    let message = Message::Progressed {
        migration,
        progress,
    };
    turn.post(to, message);
}

/// Tells leader and target, who may be one node.
fn tell_both(turn: &mut Turn<'_>, migration: MigrationId, target: PeerId, progress: Progress) {
    report(turn, migration.ballot.leader, migration, progress);
    if target != migration.ballot.leader {
        report(turn, target, migration, progress);
    }
}
