//! Whether a host may begin what it has read: it asks before it makes anything of a new server.
//!
//! A yes is remembered in the [`Door`], so that a build of a host that falls silent is known to
//! have begun there or not. Memory only: a build costs its host one question and no commit.

use std::collections::BTreeSet;

use luc_core::SitePrefix;
use luc_core::id::ServerId;
use luc_state::{Snapshot, Store};

use crate::compute::host::{Build, Door};
use crate::compute::model::server::{Goal, Server};

/// A host may begin nothing now; it is to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("servers of this host are being given to others")]
pub struct Shut;

/// Lets `host` of `site` begin `builds`. Returns those that are not wanted of it any more: of these
/// it begins nothing, and reads what is wanted now.
pub fn begin(
    door: &Door,
    store: &Store,
    site: SitePrefix,
    (host, builds): (&str, &[Build]),
) -> Result<BTreeSet<ServerId>, Shut> {
    if !door.grant(host, builds) {
        return Err(Shut);
    }
    // What was ordered elsewhere before the grant is in this snapshot; what is to be after it finds
    // the grant.
    let snapshot = store.snapshot();
    let stale = builds
        .iter()
        .filter(|build| !is_wanted(&snapshot, site, host, build));
    let stale: Vec<&Build> = stale.collect();
    door.withdraw(host, stale.iter().copied());
    Ok(stale.into_iter().map(|(id, _)| id.clone()).collect())
}

fn is_wanted(snapshot: &Snapshot, site: SitePrefix, host: &str, (id, number): &Build) -> bool {
    snapshot.get::<Server>(id).is_some_and(|server| {
        let here = server.home() == site && server.host() == Some(host);
        let left_alone = matches!(server.goal(), Goal::AsIs | Goal::Absent);
        here && server.order.generation == *number && !left_alone
    })
}
