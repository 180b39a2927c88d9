//! Plans, applied one step after the other, as published; three nodes take part in a step.
//!
//! ```text
//!  leader ──Prepare──▶ target (claims) ──Start──▶ source (has the machine?) ── live migration
//!     ▲                                             │ Running, then Finished
//!     └─────────────────────────────────────────────┘       └──Over──▶ target
//! ```
//!
//! The published protocol has no fencing: an order is obeyed whoever leads. What is never given up
//! is that the source checks that the machine is there and not on the move already.

use luc_core::PeerId;

use super::message::{Message, Order};
use super::protocol::{Relay, Turn};
use super::role::{Coming, Role};
use super::timer::Timer;
use crate::command::{MigrationEnd, MigrationId};
use crate::event::{Event, PartitionEnd};
use crate::host::{Host, Resources, VmId};
use crate::plan::{Plan, Step};

impl Relay {
    /// Turns a plan into orders and gives the first.
    pub(super) fn apply(&mut self, turn: &mut Turn<'_>, plan: &Plan, hosts: &[Host]) {
        let name = self.next_name(turn);
        let epoch = self.next_epoch();
        let me = self.me;
        let Some(seat) = self.seat.as_deref_mut() else {
            return;
        };
        let order = |step: &Step| Order {
            partition: seat.partition.id,
            migration: MigrationId {
                ballot: name,
                step: step.id,
            },
            leader: me,
            vm: step.vm,
            source: step.source,
            target: step.target,
            claim: claim_of(hosts, step.vm),
            reason: step.reason,
        };
        seat.role = Role::Applying {
            epoch,
            orders: plan.steps.iter().rev().map(order).collect(),
            heard: turn.now,
        };
        turn.effects
            .schedule(self.config.snooze, Timer::Snooze { epoch });
        self.next_step(turn);
    }

    /// Gives the next order, or ends the partition when there is none.
    fn next_step(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        let Some(seat) = self.seat.as_deref_mut() else {
            return;
        };
        let Role::Applying { orders, heard, .. } = &mut seat.role else {
            return;
        };
        *heard = now;
        match orders.last().cloned() {
            Some(order) => self.tell(turn, order.target, Message::Prepare(order)),
            None => self.dissolve(turn, PartitionEnd::Solved),
        }
    }

    /// The leader asks after the step under way; without any word it gives up.
    pub(super) fn look_after_step(&mut self, turn: &mut Turn<'_>) {
        let (now, stale) = (turn.now, self.config.stale);
        let Some(seat) = self.seat.as_deref_mut() else {
            return;
        };
        let Role::Applying { orders, heard, .. } = &seat.role else {
            return;
        };
        if now.since(*heard) >= stale {
            self.dissolve(turn, PartitionEnd::Expired);
        } else if let Some(order) = orders.last() {
            let (source, migration) = (order.source, order.migration);
            self.tell(turn, source, Message::Watch { migration });
        }
    }

    /// At the target: claim what the machine needs, and let the source begin.
    pub(super) fn on_prepare(&mut self, turn: &mut Turn<'_>, order: Order) {
        let migration = order.migration;
        let known = self
            .coming
            .iter()
            .any(|one| one.order.migration == migration);
        if known || self.remembered(migration).is_some() {
            turn.ignore("prepare", "known");
            return;
        }
        if self.seat_in(order.partition).is_none() {
            let end = MigrationEnd::Failed;
            self.remember(migration, end);
            self.tell(turn, order.leader, Message::Finished { migration, end });
            return;
        }
        turn.effects.emit(Event::Expect {
            migration,
            vm: order.vm,
            source: order.source,
            claim: order.claim,
        });
        turn.effects
            .schedule(self.config.stale, Timer::Expecting { migration });
        self.coming.push(Coming {
            order: order.clone(),
            asked: false,
        });
        self.tell(turn, order.source, Message::Start(order));
    }

    /// At the source: begin, if the machine is here and stands still.
    pub(super) fn on_start(&mut self, turn: &mut Turn<'_>, order: Order) {
        let migration = order.migration;
        if self.remembered(migration).is_some() || self.is_leaving(migration) {
            turn.ignore("start", "known");
            return;
        }
        let reserved = self.seat_in(order.partition).is_some();
        if !reserved || !self.leaving.is_empty() || !self.has(order.vm) {
            self.end_here(turn, &order, MigrationEnd::Failed);
            return;
        }
        turn.effects.emit(Event::Migrate {
            migration,
            vm: order.vm,
            target: order.target,
            reason: order.reason,
        });
        let leader = order.leader;
        self.leaving.push(order);
        self.tell(turn, leader, Message::Running { migration });
    }

    /// At the source: the host says how a migration ended.
    pub(super) fn on_migration_ended(
        &mut self,
        turn: &mut Turn<'_>,
        migration: MigrationId,
        end: MigrationEnd,
    ) {
        let place = self
            .leaving
            .iter()
            .position(|one| one.migration == migration);
        let Some(place) = place else {
            turn.ignore("migration ended", "not under way");
            return;
        };
        let order = self.leaving.swap_remove(place);
        if end == MigrationEnd::Moved
            && let Some(host) = &mut self.host
        {
            // The next sample says the same; until then it must not be sent again.
            host.vms.retain(|vm| vm.id != order.vm);
        }
        self.end_here(turn, &order, end);
    }

    /// The source tells both others.
    fn end_here(&mut self, turn: &mut Turn<'_>, order: &Order, end: MigrationEnd) {
        let migration = order.migration;
        self.remember(migration, end);
        self.tell(turn, order.target, Message::Over { migration, end });
        self.tell(turn, order.leader, Message::Finished { migration, end });
    }

    /// At the target: nothing is to come any more.
    pub(super) fn on_over(
        &mut self,
        turn: &mut Turn<'_>,
        migration: MigrationId,
        end: MigrationEnd,
    ) {
        let before = self.coming.len();
        self.coming.retain(|one| one.order.migration != migration);
        if self.coming.len() == before {
            turn.ignore("over", "not expected");
            return;
        }
        self.remember(migration, end);
        if end == MigrationEnd::Failed {
            turn.effects.emit(Event::Unexpect { migration });
        }
    }

    /// At the source: somebody wants to know. What is not known here will never begin.
    pub(super) fn on_watch(&mut self, turn: &mut Turn<'_>, from: PeerId, migration: MigrationId) {
        if self.is_leaving(migration) {
            self.tell(turn, from, Message::Running { migration });
            return;
        }
        let end = self.remembered(migration).unwrap_or_else(|| {
            self.remember(migration, MigrationEnd::Failed);
            MigrationEnd::Failed
        });
        self.tell(turn, from, Message::Over { migration, end });
        self.tell(turn, from, Message::Finished { migration, end });
    }

    /// The source says that the step is under way.
    pub(super) fn on_running(&mut self, turn: &mut Turn<'_>, migration: MigrationId) {
        let now = turn.now;
        for one in &mut self.coming {
            one.asked &= one.order.migration != migration;
        }
        if let Some(seat) = self.seat.as_deref_mut()
            && let Role::Applying { orders, heard, .. } = &mut seat.role
            && orders
                .last()
                .is_some_and(|order| order.migration == migration)
        {
            *heard = now;
        }
    }

    /// At the leader: a step has ended; the next, or the end of the plan.
    pub(super) fn on_finished(
        &mut self,
        turn: &mut Turn<'_>,
        migration: MigrationId,
        end: MigrationEnd,
    ) {
        let Some(seat) = self.seat.as_deref_mut() else {
            turn.ignore("finished", "free");
            return;
        };
        let Role::Applying { orders, .. } = &mut seat.role else {
            turn.ignore("finished", "not applying");
            return;
        };
        if orders
            .last()
            .is_none_or(|order| order.migration != migration)
        {
            turn.ignore("finished", "another step");
            return;
        }
        match end {
            MigrationEnd::Moved => {
                orders.pop();
                self.next_step(turn);
            }
            MigrationEnd::Failed => self.dissolve(turn, PartitionEnd::Unsolved),
        }
    }

    /// At the target: the machine should have come; the source knows. A source that is silent
    /// while nothing is on its way here will not send it.
    pub(super) fn on_expecting(&mut self, turn: &mut Turn<'_>, migration: MigrationId) {
        let still = self.host.as_ref().is_some_and(|host| host.migrations == 0);
        let mut coming = self.coming.iter_mut();
        let Some(one) = coming.find(|one| one.order.migration == migration) else {
            return;
        };
        if one.asked && still {
            self.on_over(turn, migration, MigrationEnd::Failed);
            return;
        }
        one.asked = true;
        let source = one.order.source;
        turn.effects
            .schedule(self.config.answer, Timer::Expecting { migration });
        self.tell(turn, source, Message::Watch { migration });
    }

    /// A source that is dead sends nothing any more.
    pub(super) fn give_up_machines_of(&mut self, turn: &mut Turn<'_>, dead: PeerId) {
        let gone = self.coming.extract_if(.., |one| one.order.source == dead);
        for Coming { order, .. } in gone.collect::<Vec<_>>() {
            self.remember(order.migration, MigrationEnd::Failed);
            turn.effects.emit(Event::Unexpect {
                migration: order.migration,
            });
        }
    }

    fn is_leaving(&self, migration: MigrationId) -> bool {
        self.leaving.iter().any(|one| one.migration == migration)
    }

    /// Whether the machine runs here.
    fn has(&self, vm: VmId) -> bool {
        let host = self.host.as_ref();
        host.is_some_and(|host| host.vms.iter().any(|one| one.id == vm))
    }
}

fn claim_of(hosts: &[Host], vm: VmId) -> Resources {
    let vms = hosts.iter().flat_map(|host| &host.vms);
    let found = vms.clone().find(|one| one.id == vm);
    found.map_or_else(Resources::default, |vm| Resources {
        cpu: vm.demand,
        memory: vm.memory,
        disk: vm.disk,
    })
}
