//! What always holds at one node between two calls. Checked in debug builds after every call;
//! what holds between nodes is checked by the simulator.

use luc_core::time::Instant;

use super::Broken;
use super::partition::Phase;
use super::protocol::{Role, Star};

impl Star {
    /// Panics if the node's state contradicts itself.
    pub(super) fn assert_invariants(&self, now: Instant) {
        if let Some((ballot, expires)) = self.reservation() {
            assert!(
                ballot <= self.promised,
                "reserved under a ballot not promised"
            );
            let over = expires <= now && !self.is_broken(Broken::LeaseCheckOff);
            assert!(!over, "reserved under a lease that has ended");
        }
        if let Role::Leading(partition) = &self.role {
            assert!(
                partition.id.leader == self.me,
                "leads a stranger's partition"
            );
            assert!(partition.id <= partition.ballot, "a ballot was lowered");
            assert!(!partition.is_member(self.me), "its own member");
            if let Phase::Executing(execution) = &partition.phase {
                assert!(
                    execution.states.len() == execution.plan.steps.len(),
                    "steps without a state"
                );
                assert!(partition.asked.is_empty(), "asks while it executes");
            }
        }
        assert!(self.promised.counter <= self.seen, "a promise was not seen");
    }
}
