//! What hosts may have begun since this process began: between a host and its builds. Memory only.
//!
//! ```text
//! host reads its wishes ─▶ "may I begin these?" ─▶ yes, from now on they may run there
//!                                               ─▶ shut: they are being given to others; ask again
//! ```
//!
//! A host begins a build only after the door has said yes, so what it has not been granted cannot
//! run there, however much it has read and however silent it is now: that may be ordered
//! elsewhere. Meanwhile the door is shut. Nodes of older releases begin what they read; of those
//! that have read anything, nothing is certain. Sound where one controller at a time speaks for a
//! site. Asked by the agents' adapter in `luc`, before it reads a wish for a node that does not
//! ask, and through [`super::super::wanted::begin`] for all others; shut by the keeper of hosts
//! ([`super::super::hosts::Keeper`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use luc_core::id::ServerId;

/// A build: the server and the number of its order.
pub type Build = (ServerId, u64);

/// What is known of one host.
#[derive(Clone, Debug, Default)]
struct State {
    /// It has read its wishes, and begins what it reads.
    told: bool,
    /// It may not read or begin anything now.
    shut: bool,
    /// What it may have begun.
    granted: BTreeSet<Build>,
}

/// Between hosts and their wishes.
#[derive(Debug, Default)]
pub struct Door {
    hosts: Mutex<BTreeMap<String, State>>,
}

impl Door {
    /// Whether `host`, which begins what it reads, may be told its wishes now. To be asked before
    /// they are read.
    #[must_use]
    pub fn admit(&self, host: &str) -> bool {
        let mut hosts = self.lock();
        let state = hosts.entry(host.to_owned()).or_default();
        if !state.shut {
            state.told = true;
        }
        !state.shut
    }

    /// Lets `host` begin these; false if it may begin nothing now. Whether they are still wanted
    /// of it is to be looked at afterwards, see [`Self::withdraw`].
    #[must_use]
    pub fn grant(&self, host: &str, builds: &[Build]) -> bool {
        let mut hosts = self.lock();
        let state = hosts.entry(host.to_owned()).or_default();
        if !state.shut {
            state.granted.extend(builds.iter().cloned());
        }
        !state.shut
    }

    /// Takes grants back of which `host` has not heard, or which concern nobody any more.
    pub fn withdraw<'b>(&self, host: &str, builds: impl IntoIterator<Item = &'b Build>) {
        if let Some(state) = self.lock().get_mut(host) {
            for build in builds {
                state.granted.remove(build);
            }
        }
    }

    /// All grants.
    pub fn granted(&self) -> Vec<(String, BTreeSet<Build>)> {
        let hosts = self.lock();
        let given = hosts.iter().filter(|(_, state)| !state.granted.is_empty());
        given
            .map(|(host, state)| (host.clone(), state.granted.clone()))
            .collect()
    }

    /// Lets `host` read and begin nothing until [`Self::open`]; returns what it may have begun, or
    /// nothing if that may be anything, and then the door is not shut.
    #[must_use]
    pub fn shut(&self, host: &str) -> Option<BTreeSet<Build>> {
        let mut hosts = self.lock();
        let state = hosts.entry(host.to_owned()).or_default();
        if state.told {
            return None;
        }
        state.shut = true;
        Some(state.granted.clone())
    }

    /// Whether [`Self::shut`] was the last word to `host`.
    pub fn is_shut(&self, host: &str) -> bool {
        self.lock().get(host).is_some_and(|state| state.shut)
    }

    /// Lets `host` ask again.
    pub fn open(&self, host: &str) {
        if let Some(state) = self.lock().get_mut(host) {
            state.shut = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(number: u64) -> Build {
        let id = format!("66666666-2222-8333-8444-{number:012}");
        (ServerId::parse(&id).unwrap(), number)
    }

    #[test]
    fn a_host_that_begins_what_it_reads_is_not_shut_out_once_it_has_read() {
        let door = Door::default();
        assert!(door.admit("n1"));
        assert_eq!(door.shut("n1"), None);
        assert!(door.admit("n1") && !door.is_shut("n1"));
    }

    #[test]
    fn a_host_that_comes_while_the_door_is_shut_asks_again() {
        let door = Door::default();
        assert_eq!(door.shut("n1"), Some(BTreeSet::new()));
        assert_eq!(door.shut("n1"), Some(BTreeSet::new()));
        assert!(!door.admit("n1") && !door.grant("n1", &[build(1)]));
        assert!(door.admit("n2"));
        door.open("n1");
        assert!(door.admit("n1"));
        door.open("n1");
        assert_eq!(door.shut("n1"), None, "it has read since");
    }

    #[test]
    fn what_was_granted_may_have_begun_until_it_is_withdrawn() {
        let door = Door::default();
        assert!(door.grant("n1", &[build(1), build(2)]));
        let both = BTreeSet::from([build(1), build(2)]);
        assert_eq!(door.granted(), [("n1".to_owned(), both.clone())]);
        assert_eq!(door.shut("n1"), Some(both));
        assert!(!door.grant("n1", &[build(3)]), "and nothing else meanwhile");
        door.withdraw("n1", &[build(2)]);
        assert_eq!(door.shut("n1"), Some([build(1)].into()));
        assert_eq!(door.shut("n2"), Some(BTreeSet::new()));
    }
}
