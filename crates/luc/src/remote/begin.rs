//! Which new servers a node has been let begin. Pure.
//!
//! What is new is handed to the agent only once the controller has said yes, so that a controller
//! that hears nothing of a node knows what cannot run there. A wish comes again with each change of
//! its server; it is asked for once.

use std::collections::{BTreeMap, BTreeSet};

use luc_agent::desired::{DesiredServer, Generation, Presence};
use luc_core::id::ServerId;

use super::wire::{Change, Wishes};

/// What this node may begin, by the numbers of the wishes; servers that are made are not in it.
#[derive(Debug, Default)]
pub(super) struct Begun {
    granted: BTreeMap<ServerId, Generation>,
}

impl Begun {
    /// What has to be asked for before `wishes` are handed on, also where a later one among them
    /// takes it back.
    pub(super) fn new_in(&mut self, wishes: &Wishes) -> Vec<(ServerId, Generation)> {
        let mut builds = BTreeMap::new();
        for wish in wishes.snapshot.iter().flatten() {
            self.look(wish, wishes.ask, &mut builds);
        }
        for change in &wishes.changes {
            match change {
                Change::Want(wish) => self.look(wish, wishes.ask, &mut builds),
                Change::Forget(id) => {
                    self.granted.remove(id);
                }
            }
        }
        builds.into_iter().collect()
    }

    fn look(
        &mut self,
        wish: &DesiredServer,
        ask: bool,
        builds: &mut BTreeMap<ServerId, Generation>,
    ) {
        if !is_new(wish) {
            self.granted.remove(&wish.id);
        } else if ask && self.granted.get(&wish.id) != Some(&wish.generation) {
            builds.insert(wish.id.clone(), wish.generation);
        }
    }

    /// Notes that all of `builds` may be begun but those that are `stale`.
    pub(super) fn note(&mut self, builds: Vec<(ServerId, Generation)>, stale: &BTreeSet<ServerId>) {
        let granted = builds.into_iter().filter(|(id, _)| !stale.contains(id));
        self.granted.extend(granted);
    }
}

/// Whether something of the server is to be made that nobody has seen complete.
fn is_new(wish: &DesiredServer) -> bool {
    wish.presence == Presence::Present && !wish.hold && wish.seen_build.is_none()
}

/// Takes what is wanted of new servers that are `stale` out of `wishes`.
pub(super) fn take_out(wishes: &mut Wishes, stale: &BTreeSet<ServerId>) {
    let stays = |wish: &DesiredServer| !(is_new(wish) && stale.contains(&wish.id));
    if let Some(snapshot) = &mut wishes.snapshot {
        snapshot.retain(&stays);
    }
    wishes.changes.retain(|change| match change {
        Change::Want(wish) => stays(wish),
        Change::Forget(_) => true,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use luc_agent::desired::Build;
    use luc_agent::testing::server;

    fn numbered(id: &str, generation: u64) -> DesiredServer {
        DesiredServer {
            generation: Generation(generation),
            seen_build: None,
            ..server(id)
        }
    }

    fn wishes(snapshot: Vec<DesiredServer>, changes: Vec<DesiredServer>) -> Wishes {
        let want = |wish| Change::Want(Box::new(wish));
        Wishes {
            version: super::super::wire::VERSION,
            revision: 1,
            snapshot: Some(snapshot),
            changes: changes.into_iter().map(want).collect(),
            reload: false,
            ask: true,
        }
    }

    fn named(builds: &[(ServerId, Generation)]) -> Vec<(&str, u64)> {
        let named = builds.iter().map(|(id, number)| (id.as_str(), number.0));
        named.collect()
    }

    #[test]
    fn a_new_server_is_asked_for_once_and_again_under_another_number() {
        let mut begun = Begun::default();
        let read = wishes(vec![numbered("s1", 1)], vec![numbered("s2", 1)]);
        let builds = begun.new_in(&read);
        assert_eq!(named(&builds), [("s1", 1), ("s2", 1)]);
        let stale = builds[1..].iter().map(|(id, _)| id.clone()).collect();
        begun.note(builds, &stale);
        let again = begun.new_in(&read);
        assert_eq!(named(&again), [("s2", 1)], "it was not let begin that");
        let other = begun.new_in(&wishes(vec![numbered("s1", 2)], Vec::new()));
        assert_eq!(named(&other), [("s1", 2)]);
    }

    #[test]
    fn what_is_made_or_only_looked_at_or_to_go_is_not_asked_for() {
        let made = DesiredServer {
            seen_build: Some(Build(0)),
            ..numbered("s1", 1)
        };
        let held = DesiredServer {
            hold: true,
            ..numbered("s2", 1)
        };
        let gone = DesiredServer {
            presence: Presence::Deleted,
            ..numbered("s3", 1)
        };
        let mut begun = Begun::default();
        let read = wishes(vec![made, held, gone], Vec::new());
        assert_eq!(named(&begun.new_in(&read)), []);
        let mut older = wishes(vec![numbered("s1", 1)], Vec::new());
        older.ask = false;
        assert_eq!(
            named(&begun.new_in(&older)),
            [],
            "it does not want to be asked"
        );
    }

    #[test]
    fn what_was_taken_back_meanwhile_is_asked_for_too() {
        let held = DesiredServer {
            hold: true,
            ..numbered("s1", 1)
        };
        let mut begun = Begun::default();
        let mut read = wishes(vec![numbered("s1", 1)], vec![held]);
        read.changes.push(Change::Forget(numbered("s2", 1).id));
        assert_eq!(named(&begun.new_in(&read)), [("s1", 1)]);
    }

    #[test]
    fn what_may_not_be_begun_is_not_handed_on() {
        let kept = numbered("s1", 1);
        let lost = numbered("s2", 1);
        let mut read = wishes(vec![kept.clone(), lost.clone()], vec![lost.clone(), kept]);
        read.changes.push(Change::Forget(lost.id.clone()));
        take_out(&mut read, &[lost.id].into());
        let ids = |wishes: &[DesiredServer]| -> Vec<String> {
            wishes.iter().map(|wish| wish.id.to_string()).collect()
        };
        assert_eq!(ids(&read.snapshot.unwrap_or_default()), ["s1"]);
        assert_eq!(read.changes.len(), 2, "the other change and the end of it");
    }
}
