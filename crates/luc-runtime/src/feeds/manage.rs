//! Which sites are followed, and what is tidied up now and then.

use std::sync::Arc;

use luc_state::Revision;
use luc_state::feed::collect;
use tokio::time::{MissedTickBehavior, interval};

use super::status::Followed;
use super::{Shared, follow, lock, spawn};

/// Follows the sites of the directory, and no others.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut again = interval(shared.pacing.silence);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        adjust(&shared);
        tokio::select! {
            biased;
            () = shared.changed.notified() => {}
            _ = again.tick() => {}
        }
    }
}

/// Starts to follow who is listed and is not followed, and stops to follow who is not listed.
pub(super) fn adjust(shared: &Arc<Shared>) {
    let sites = shared.directory.sites();
    let mut followed = lock(&shared.followed);
    followed.retain(|site, followed| {
        let stays = sites.iter().any(|listed| listed.site == *site);
        if !stays {
            followed.stop.cancel();
        }
        stays
    });
    for listed in sites {
        if followed.contains_key(&listed.site) || listed.site == shared.store.site() {
            continue;
        }
        let stop = shared.stop.child_token();
        let new = Arc::new(Followed::new(listed.site, stop.clone()));
        followed.insert(listed.site, Arc::clone(&new));
        let following = follow::run(Arc::clone(shared), new);
        spawn(&stop, following);
    }
}

/// Collects tombstones that every registered site has heard of.
pub(super) async fn sweep(shared: Arc<Shared>) {
    let mut again = interval(shared.pacing.sweep);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        again.tick().await;
        let heard = heard_by_all(&shared);
        if let Err(error) = collect(&shared.store, heard, shared.pacing.tombstones).await {
            tracing::warn!(%error, "tombstones were not collected");
        }
    }
}

fn heard_by_all(shared: &Shared) -> Revision {
    let (sites, here) = (shared.directory.sites(), shared.store.snapshot().revision());
    let served = lock(&shared.served);
    let others = sites
        .iter()
        .filter(|listed| listed.site != shared.store.site());
    let heard = others.map(|listed| {
        let served = served.get(&listed.site);
        served.map_or(Revision::ZERO, |served| served.durable)
    });
    heard.min().unwrap_or(here)
}
