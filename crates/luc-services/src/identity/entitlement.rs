//! Which roles somebody holds where: assignments, groups, and what roles imply.
//!
//! Read from one snapshot, through indexes only: this runs for every request.

use std::sync::Arc;

use luc_core::id::RoleId;
use luc_state::{Snapshot, Stored, key};

use super::model::{Actor, Assignment, ImpliedRole, Membership, Place, Role};

/// The roles that `user` effectively holds at `place`, in order of their ids: assigned to the user
/// or to one of the user's groups, or implied by such a role. Roles of a domain serve only to imply
/// others and are left out.
pub(super) fn effective_roles(
    snapshot: &Snapshot,
    user: &str,
    place: &Place,
) -> Vec<Arc<Stored<Role>>> {
    let mut held = Vec::new();
    assigned_to(snapshot, ("user", user), place, &mut held);
    for membership in snapshot.find(&Membership::BY_USER, &key(&[user])) {
        assigned_to(
            snapshot,
            ("group", membership.group_id.as_str()),
            place,
            &mut held,
        );
    }
    with_implied(snapshot, held)
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

fn assigned_to(snapshot: &Snapshot, actor: (&str, &str), place: &Place, held: &mut Vec<RoleId>) {
    let both = Assignment::actor_and_place(actor, place.parts());
    for assignment in snapshot.find(&Assignment::BY_ACTOR_AND_PLACE, &both) {
        if !held.contains(&assignment.role_id) {
            held.push(assignment.role_id.clone());
        }
    }
}
