//! What must hold in one scheduler after each input. Debug builds check it every time.

use super::partition::State;
use super::protocol::Relay;
use super::role::Role;

impl Relay {
    /// Panics where the state contradicts itself.
    pub(super) fn assert_invariants(&self) {
        let Some(seat) = &self.seat else {
            return;
        };
        let partition = &seat.partition;
        assert!(partition.contains(self.me), "a member of its partition");
        assert!(
            partition.contains(partition.initiator()),
            "has its initiator"
        );
        assert!(
            partition.members.is_sorted_by(|left, right| left < right),
            "members are a set"
        );
        assert!(
            !partition.taken.contains(&partition.id),
            "took in others only"
        );
        match &seat.role {
            Role::Idle | Role::Asking { .. } => {}
            Role::Gathering {
                reports, missing, ..
            } => {
                assert_eq!(partition.leader, self.me, "only the leader gathers");
                assert!(!missing.contains(&self.me), "does not wait for itself");
                assert!(reports.iter().all(|host| !missing.contains(&host.peer)));
            }
            Role::Applying { .. } => {
                assert_eq!(partition.leader, self.me, "only the leader applies plans");
                assert_eq!(partition.state, State::Finishing);
            }
            Role::Merging { .. } => assert_eq!(partition.state, State::Blocked),
        }
    }
}
