//! What is looked after while a controller runs: whose nodes are revoked, and which servers wait
//! for hosts that are down.
//!
//! `luc` makes a [`Keeper`] before the first request, so that a revoked host never counts as up,
//! and runs it until the node stops.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use luc_core::SitePrefix;
use luc_state::{Kind, Revision, Snapshot, WatchEvent, key};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::Services;
use crate::compute::host::Build;
use crate::compute::progress::stranded::{self, Ground};
use crate::sites::NodeInfo;

/// How often servers are looked for that wait for hosts that are down.
const EVERY: Duration = Duration::from_secs(5);

/// Looks after the hosts of a site.
#[derive(Debug)]
pub struct Keeper {
    /// Builds that were ordered before this process began: their hosts may have begun them.
    earlier: BTreeSet<Build>,
    seen: Revision,
}

impl Keeper {
    /// Reads whose nodes are revoked and what waits already.
    pub fn begin(services: &Services) -> Self {
        let snapshot = services.store.snapshot();
        note_revoked(services, &snapshot);
        Self {
            earlier: stranded::waiting(&snapshot, services.site),
            seen: snapshot.revision(),
        }
    }

    /// Looks on until `stopping`.
    pub async fn keep(self, services: Arc<Services>, stopping: CancellationToken) {
        let mut watch = services.store.watch(self.seen);
        let mut again = tokio::time::interval(EVERY);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                event = watch.next() => match event {
                    None => return,
                    Some(WatchEvent::Gap(snapshot)) => note_revoked(&services, &snapshot),
                    Some(WatchEvent::Commit(commit)) => {
                        if commit.changes.iter().any(|change| change.kind == Kind::Node) {
                            note_revoked(&services, &services.store.snapshot());
                        }
                    }
                },
                _ = again.tick() => self.look(&services).await,
            }
        }
    }

    /// Sees to the servers that wait for hosts that are down.
    pub async fn look(&self, services: &Services) {
        let compute = &services.compute;
        let ground = Ground {
            store: &services.store,
            site: services.site,
            liveness: &compute.liveness,
            door: &compute.door,
            now: services.clock.now(),
        };
        if let Err(error) = stranded::rescue(&ground, &self.earlier).await {
            tracing::warn!(%error, "servers still wait for hosts that are down");
        }
    }
}

/// Tells the scheduler and all views which hosts are shut out.
fn note_revoked(services: &Services, snapshot: &Snapshot) {
    let liveness = &services.compute.liveness;
    liveness.set_revoked(revoked(snapshot, services.site));
}

/// The hosts of `site` whose node is revoked. A name that another node got since is not among them.
fn revoked(snapshot: &Snapshot, site: SitePrefix) -> BTreeSet<String> {
    let nodes = snapshot.find(&NodeInfo::BY_SITE, &key(&[&site.to_string()]));
    let own = nodes.filter(|node| node.home() == site);
    let (gone, valid): (Vec<_>, Vec<_>) = own.partition(|node| node.revoked_at.is_some());
    let valid: BTreeSet<&str> = valid.iter().map(|node| node.name.as_str()).collect();
    let gone = gone.iter().map(|node| node.name.as_str());
    let gone = gone.filter(|name| !valid.contains(name));
    gone.map(str::to_owned).collect()
}
