//! Which hosts have asked what is wanted of them since this process began. Memory only.
//!
//! What was told to a host may run there, however silent the host is now. A host that has not
//! asked cannot have begun what was ordered since, so that may be ordered elsewhere; meanwhile
//! the door is shut, and a host that comes just then asks again in a moment. Sound where one
//! controller at a time speaks for a site. Asked by the agents' adapter in `luc` before it reads
//! any wish, shut by the keeper of hosts ([`super::super::hosts::Keeper`]).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has asked.
    Asked,
    /// It has not, and may not now.
    Shut,
}

/// Between hosts and their wishes.
#[derive(Debug, Default)]
pub struct Door {
    hosts: Mutex<BTreeMap<String, State>>,
}

impl Door {
    /// Whether `host` may be told its wishes now. To be asked before they are read.
    #[must_use]
    pub fn admit(&self, host: &str) -> bool {
        let mut hosts = self.lock();
        match hosts.get(host) {
            Some(State::Asked) => true,
            Some(State::Shut) => false,
            None => {
                hosts.insert(host.to_owned(), State::Asked);
                true
            }
        }
    }

    /// Keeps `host` from its wishes until [`Self::open`]; false if it has asked already.
    #[must_use]
    pub fn shut(&self, host: &str) -> bool {
        let mut hosts = self.lock();
        *hosts.entry(host.to_owned()).or_insert(State::Shut) == State::Shut
    }

    /// Lets `host` ask again.
    pub fn open(&self, host: &str) {
        let mut hosts = self.lock();
        if hosts.get(host) == Some(&State::Shut) {
            hosts.remove(host);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_has_asked_is_not_shut_out() {
        let door = Door::default();
        assert!(door.admit("n1"));
        assert!(!door.shut("n1"));
        assert!(door.admit("n1"));
    }

    #[test]
    fn a_host_that_comes_while_the_door_is_shut_asks_again() {
        let door = Door::default();
        assert!(door.shut("n1") && door.shut("n1"));
        assert!(!door.admit("n1") && door.admit("n2"));
        door.open("n1");
        assert!(door.admit("n1"));
        door.open("n1");
        assert!(!door.shut("n1"), "opening does not undo that it has asked");
    }
}
