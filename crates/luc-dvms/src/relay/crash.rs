//! The crash rule: initiator dead, dissolve; leader or member dead, the detector leads the rest.

use luc_core::PeerId;

use super::protocol::{Relay, Turn};
use super::role::Role;
use crate::event::{Event, PartitionEnd};

impl Relay {
    /// The membership protocol holds a node dead.
    pub(super) fn on_failed(&mut self, turn: &mut Turn<'_>, dead: PeerId) {
        self.give_up_machines_of(turn, dead);
        let Some(seat) = &self.seat else {
            return;
        };
        if seat.partition.contains(dead) {
            self.lead_without(turn, &[dead]);
        }
    }

    /// Members did not answer their leader in time: they count as dead.
    pub(super) fn on_members_silent(&mut self, turn: &mut Turn<'_>) {
        let Some(seat) = &self.seat else {
            return;
        };
        if let Role::Gathering { missing, .. } = &seat.role {
            let silent = missing.clone();
            self.lead_without(turn, &silent);
        }
    }

    fn lead_without(&mut self, turn: &mut Turn<'_>, dead: &[PeerId]) {
        let me = self.me;
        let Some(seat) = self.seat.as_deref_mut() else {
            return;
        };
        if dead.contains(&seat.partition.initiator()) {
            self.dissolve(turn, PartitionEnd::Expired);
            return;
        }
        for dead in dead {
            seat.partition.remove(*dead);
        }
        if matches!(seat.role, Role::Asking { .. }) {
            // Not a member yet; the token it asks about is about to be outdated.
            return;
        }
        if dead.contains(&seat.partition.leader) {
            turn.effects.emit(Event::TookOver {
                ballot: seat.partition.id,
                from: seat.partition.id,
            });
        }
        let held = std::mem::replace(&mut seat.role, Role::Idle);
        seat.partition.leader = me;
        self.lead(turn);
        if let Role::Merging { token, .. } = held {
            self.on_isp(turn, token);
        }
    }
}
