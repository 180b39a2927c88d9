//! Tombstones go when every follower has heard of them, or when there are too many.

use luc_core::SitePrefix;

use super::records::{FeedHorizon, Tombstone};
use crate::driver::describe;
use crate::revision::Revision;
use crate::store::Store;
use crate::tx::Tx;

/// The most tombstones that one commit removes.
const AT_ONCE: usize = 1000;

/// Why tombstones were not collected; try again later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store did not remove tombstones: {reason}")]
pub struct CollectError {
    /// What it said.
    pub reason: String,
}

/// Removes the tombstones up to `heard`, the revision that every registered follower has in
/// writing, and of the rest the oldest that are more than `keep`; how many. A follower that comes
/// back from before one of them starts again.
pub async fn collect(store: &Store, heard: Revision, keep: usize) -> Result<usize, CollectError> {
    let (mut removed, site) = (0, store.site());
    loop {
        let found = oldest(store, heard, keep);
        let Some(last) = found.iter().map(|(revision, _)| *revision).max() else {
            return Ok(removed);
        };
        let done =
            store.transact(|tx| Ok::<_, std::convert::Infallible>(remove(tx, site, &found, last)));
        match done.await {
            Ok(done) => removed += done.value,
            Err(error) => {
                let reason = describe(&error);
                return Err(CollectError { reason });
            }
        }
    }
}

fn oldest(store: &Store, heard: Revision, keep: usize) -> Vec<(Revision, std::sync::Arc<str>)> {
    let snapshot = store.snapshot();
    let all = snapshot.all::<Tombstone>();
    let mut found: Vec<_> = all
        .filter_map(|stone| Some((stone.revision()?, stone.id.as_str().into())))
        .collect();
    found.sort_unstable();
    let heard = found.partition_point(|(revision, _)| *revision <= heard);
    found.truncate(heard.max(found.len().saturating_sub(keep)).min(AT_ONCE));
    found
}

fn remove(
    tx: &mut Tx<'_>,
    site: SitePrefix,
    found: &[(Revision, std::sync::Arc<str>)],
    last: Revision,
) -> usize {
    let mut removed = 0;
    for (revision, id) in found {
        // One that was made again since is as new as that.
        let same = tx.get::<Tombstone>(id).and_then(|stone| stone.revision());
        if same == Some(*revision) {
            tx.set(crate::kinds::Kind::Tombstone, id, None);
            removed += 1;
        }
    }
    let horizon = tx.get::<FeedHorizon>(site.to_string());
    let horizon = horizon.map_or_else(|| FeedHorizon::first(site), |held| held.value().clone());
    let revision = horizon.revision.max(last);
    tx.note(FeedHorizon {
        revision,
        ..horizon
    });
    removed
}
