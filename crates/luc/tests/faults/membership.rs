//! How a site says who it is and learns who the others are, as `luc::peering` does it, but with
//! nothing drawn and no file.

use std::sync::Arc;

use futures::StreamExt as _;
use luc::sites::Membership;
use luc_core::SitePrefix;
use luc_runtime::fabric::Fabric;
use luc_runtime::feeds::Feeds;
use luc_services::Services;
use luc_services::sites::{self, Members};
use luc_state::{Kind, Store, WatchEvent};
use tokio_util::sync::CancellationToken;

use crate::goings;
use crate::site::Site;

/// Writes what the site says of itself and of its node; the founder also that it is one.
pub(crate) async fn introduce(site: &Site, services: &Services, cloud: SitePrefix) {
    let of = (cloud, site.prefix);
    let node = goings::wish(of, &site.secret, (&site.name, "controller"));
    let mut written = Ok(());
    // Behind a poor link the node would end and be started again.
    for _ in 0..if site.lossy { 50 } else { 1 } {
        if cloud == site.prefix {
            let key = site.founding.key().to_string();
            written = sites::found(services, &site.name, &key, &node).await;
        }
        if written.is_ok() {
            written = sites::introduce(services, (&site.name, cloud, None), &node).await;
        }
        if written.is_ok() {
            return;
        }
    }
    panic!("{} is not introduced: {written:?}", site.name);
}

/// Keeps the membership as the records are.
pub(crate) struct Records {
    pub(crate) membership: Arc<Membership>,
    pub(crate) fabric: Arc<dyn Fabric>,
    pub(crate) store: Store,
    pub(crate) site: SitePrefix,
    /// Whose key counts no longer is not learned.
    pub(crate) deaf: bool,
}

impl Records {
    fn refresh(&self, feeds: &Feeds) {
        let mut members = Members::of(&self.store.snapshot(), self.site);
        if self.deaf {
            members.revoked.clear();
        }
        if self.membership.learn(members) {
            self.membership.apply(&*self.fabric);
            feeds.sites_changed();
        }
    }

    /// Does so until `gone`.
    pub(crate) async fn follow(self, feeds: Feeds, gone: CancellationToken) {
        let mut watch = self.store.watch(self.store.snapshot().revision());
        self.refresh(&feeds);
        loop {
            let event = tokio::select! {
                biased;
                () = gone.cancelled() => return,
                event = watch.next() => event,
            };
            let about_us = match event {
                None => return,
                Some(WatchEvent::Gap(_)) => {
                    watch = self.store.watch(self.store.snapshot().revision());
                    true
                }
                Some(WatchEvent::Commit(commit)) => commit.changes.iter().any(|change| {
                    matches!(
                        change.kind,
                        Kind::Site | Kind::Node | Kind::Admission | Kind::Removal
                    )
                }),
            };
            if about_us {
                self.refresh(&feeds);
            }
        }
    }
}
