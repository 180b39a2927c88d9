//! Keeps what sites may hold as the records say, and the feeds with it.
//!
//! What is left here of sites that are gone is removed. What of quotas is pending at sites that
//! were out of reach is asked for when they are back.
//!
//! [`follow`] runs at every controller. Whenever the records of sites, domains or projects have
//! changed it lets the domains of this site live where they may ([`settle_permits`]), asks for
//! those that this site may hold itself, and tells the feeds, which serve anew whoever is fed too
//! much or too little.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use luc_runtime::feeds::{Feeds, Interest};
use luc_services::Services;
use luc_services::compute::quota;
use luc_services::identity::settle_permits;
use luc_services::sites::Members;
use luc_state::feed::{forget, remembers};
use luc_state::{Kind, WatchEvent};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// How often it is done without a reason; less than for how long the feeds remember a question.
const AGAIN: Duration = Duration::from_secs(600);

/// How often is looked whether sites are back that were out of reach.
const LOOK: Duration = Duration::from_secs(20);

/// Does so until `stopping`.
pub async fn follow(services: Arc<Services>, feeds: Feeds, stopping: CancellationToken) {
    tokio::select! {
        biased;
        () = follow_records(&services, &feeds, &stopping) => {}
        // Homes wait for silent sites, and permits must not wait for them.
        () = settle_quotas(&services) => {}
    }
}

async fn follow_records(services: &Services, feeds: &Feeds, stopping: &CancellationToken) {
    let store = services.store.clone();
    let mut watch = store.watch(store.snapshot().revision());
    let mut again = tokio::time::interval(AGAIN);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            // At once the first time.
            _ = again.tick() => {}
            event = watch.next() => match event {
                None => return,
                Some(WatchEvent::Gap(_)) => watch = store.watch(store.snapshot().revision()),
                Some(WatchEvent::Commit(commit)) => {
                    if !commit.changes.iter().any(|change| matters(change.kind)) {
                        continue;
                    }
                }
            },
        }
        settle(services, feeds).await;
    }
}

/// Asks for what of quotas is pending whenever a site is back, once more at the next look, for the
/// site may not have caught up at the first, and from time to time. Nobody is asked where nothing
/// is pending: what is lent is looked at here. Never ends.
async fn settle_quotas(services: &Services) {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The upkeep of a start does it once.
    looks.tick().await;
    let (mut reached, mut came, mut done) = (BTreeSet::new(), false, Instant::now());
    loop {
        looks.tick().await;
        let all = services.sites.all().into_iter();
        let now: BTreeSet<_> = all
            .filter(|view| view.reachable)
            .map(|view| view.site)
            .collect();
        let comes = !now.is_subset(&reached);
        reached = now;
        if !std::mem::replace(&mut came, comes) && !comes && done.elapsed() < AGAIN {
            continue;
        }
        if let Err(error) = quota::settle_all(services).await {
            tracing::warn!(%error, "what of quotas is pending could not be asked for");
        }
        done = Instant::now();
    }
}

/// Whether records of this kind say what may be held where.
fn matters(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Admission | Kind::Removal | Kind::Domain | Kind::DomainPresence | Kind::Project
    )
}

async fn settle(services: &Services, feeds: &Feeds) {
    if let Err(error) = settle_permits(services).await {
        tracing::warn!(%error, "where domains live could not be written down");
    }
    if let Err(error) = quota::free_departed(services).await {
        tracing::warn!(%error, "what sites that are gone were lent could not be taken back");
    }
    // What this site may hold it does hold, so that people can log in when it is cut off.
    let members = Members::of(&services.store.snapshot(), services.site);
    let own = members.site(services.site);
    for domain in own
        .and_then(|own| own.domains.as_ref())
        .into_iter()
        .flatten()
    {
        feeds.ask(Interest::Domain(domain.clone()));
    }
    for site in &members.removed {
        if !remembers(&services.store, *site) {
            continue;
        }
        match forget(&services.store, *site).await {
            Ok(copies) => tracing::info!(%site, copies, "a site that is gone is forgotten"),
            Err(error) => tracing::warn!(%site, %error, "a site that is gone is not forgotten"),
        }
    }
    feeds.admissions_changed();
}
