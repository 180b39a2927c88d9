//! Which roles somebody holds where: assignments, groups, and what roles imply.
//!
//! Read from one snapshot, through indexes only: this runs for every request.

use std::sync::Arc;

use luc_core::id::RoleId;
use luc_state::{Snapshot, Stored, key};

use super::model::{Actor, Assignment, Group, ImpliedRole, Membership, Place, Role};
use super::trust::Trust;

/// The roles that `user` effectively holds at `place`, in order of their ids: assigned to the user
/// or to one of the user's groups, or implied by such a role. Roles of a domain serve only to imply
/// others and are left out, and so is what was said by a site whose word does not go that far.
pub(super) fn effective_roles(
    snapshot: &Snapshot,
    trust: &Trust,
    user: &str,
    place: &Place,
) -> Vec<Arc<Stored<Role>>> {
    let mut held = Held::default();
    held.assigned_to(snapshot, trust, ("user", user), place);
    for membership in snapshot.find(&Membership::BY_USER, &key(&[user])) {
        let group = snapshot.get::<Group>(&membership.group_id);
        if group.is_some_and(|group| group.home() == membership.home()) {
            let group = ("group", membership.group_id.as_str());
            held.assigned_to(snapshot, trust, group, place);
        }
    }
    held.roles(snapshot, trust)
}

/// The roles that somebody was given, with those apart that a site gave which is not trusted.
#[derive(Default)]
struct Held {
    whole: Vec<RoleId>,
    narrowed: Vec<(luc_core::SitePrefix, RoleId)>,
}

impl Held {
    fn assigned_to(
        &mut self,
        snapshot: &Snapshot,
        trust: &Trust,
        actor: (&str, &str),
        place: &Place,
    ) {
        let both = Assignment::actor_and_place(actor, place.parts());
        for assignment in snapshot.find(&Assignment::BY_ACTOR_AND_PLACE, &both) {
            if !trust.counts(snapshot, &assignment) {
                continue;
            }
            let (home, role) = (assignment.home(), assignment.role_id.clone());
            if !trust.is_trusted(home) {
                self.narrowed.push((home, role));
            } else if !self.whole.contains(&role) {
                self.whole.push(role);
            }
        }
    }

    fn roles(self, snapshot: &Snapshot, trust: &Trust) -> Vec<Arc<Stored<Role>>> {
        let mut roles = with_implied(snapshot, self.whole);
        for (home, role) in self.narrowed {
            let given = with_implied(snapshot, vec![role]).into_iter();
            roles.extend(given.filter(|role| trust.grants(home, role)));
        }
        roles.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        roles.dedup_by(|one, other| one.id == other.id);
        roles
    }
}

/// The roles of these ids and those that they imply, in order of their ids, without roles of
/// domains.
pub(super) fn with_implied(snapshot: &Snapshot, mut held: Vec<RoleId>) -> Vec<Arc<Stored<Role>>> {
    let mut at = 0;
    while let Some(role) = held.get(at) {
        let implied = snapshot.find(&ImpliedRole::BY_PRIOR, &key(&[role.as_str()]));
        let implied: Vec<RoleId> = implied.map(|implied| implied.implied.clone()).collect();
        for role in implied {
            if !held.contains(&role) {
                held.push(role);
            }
        }
        at += 1;
    }
    held.sort_unstable();
    held.iter()
        .filter_map(|role| snapshot.get::<Role>(role))
        .filter(|role| role.domain_id.is_none())
        .collect()
}

/// Every place where `user` or one of the user's groups has a role.
pub(super) fn places_of(snapshot: &Snapshot, user: &str) -> Vec<Place> {
    let groups = snapshot.find(&Membership::BY_USER, &key(&[user]));
    let groups = groups.map(|membership| Actor::Group(membership.group_id.clone()));
    let mut places: Vec<Place> = groups
        .map(|group| {
            let (kind, id) = group.parts();
            key(&[kind, id])
        })
        .chain([key(&["user", user])])
        .flat_map(|actor| {
            snapshot
                .find(&Assignment::BY_ACTOR, &actor)
                .collect::<Vec<_>>()
        })
        .map(|assignment| assignment.place.clone())
        .collect();
    places.sort_unstable();
    places.dedup();
    places
}
