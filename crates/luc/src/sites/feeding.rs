//! The feeds between sites, plugged into the node: who follows whom, what a follower may hold, and
//! what the services ask of copies.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use luc_core::id::ProjectId;
use luc_core::{PeerId, SitePrefix};
use luc_runtime::fabric::{Channel, Handler, Peer, RecvHalf, Refusal, SendHalf};
use luc_runtime::feeds::{Directory, FeedSite, Feeds, Interest as Wanted, Interests};
use luc_services::Services;
use luc_services::identity::residency::may_live_at;
use luc_services::identity::{admit_follower, admits_project, retain_at};
use luc_services::ports::sites::Interest;
use luc_services::sites::Members;
use luc_state::feed::Filter;

use super::adapter::Copies;
use super::membership::Membership;

/// The other sites, as the feeds need them.
pub struct SiteDirectory {
    membership: Arc<Membership>,
    services: Weak<Services>,
}

impl SiteDirectory {
    /// For the controller with `services`, which it does not keep alive.
    pub fn new(membership: Arc<Membership>, services: &Arc<Services>) -> Self {
        Self {
            membership,
            services: Arc::downgrade(services),
        }
    }
}

#[async_trait]
impl Directory for SiteDirectory {
    fn sites(&self) -> Vec<FeedSite> {
        let others = self.membership.others().into_iter();
        others
            .map(|site| FeedSite {
                site,
                controllers: self.membership.controllers(site),
                trusted: self.membership.trusts(site),
            })
            .collect()
    }

    async fn admit(&self, follower: SitePrefix, filter: &Filter) -> Option<Filter> {
        let services = self.services.upgrade()?;
        let domains: Vec<_> = filter.domains.iter().cloned().collect();
        let admitted = admit_follower(&services, follower, &domains).await;
        if self.membership.trusts(follower) {
            if let Err(error) = admitted {
                tracing::warn!(site = %follower, %error, "a follower was not noted");
            }
            return bounded(&services, follower, filter);
        }
        let domains: BTreeSet<_> = admitted.unwrap_or_default().into_iter().collect();
        let projects = filter.projects.iter();
        let projects = projects.filter(|project| admits_project(&services, follower, project));
        let projects = projects.filter(|id| may_live_at(&services, follower, id.as_str()));
        Some(Filter {
            number: filter.number,
            projects: projects.cloned().collect(),
            domains,
        })
    }

    fn name(&self, home: SitePrefix) -> Option<String> {
        let found = |members: &Members| members.site(home).map(|site| site.name.clone());
        self.membership.with(found)
    }

    fn may_bring(&self, home: SitePrefix, mut wanted: Interests) -> Interests {
        let Some(services) = self.services.upgrade() else {
            return Interests::default();
        };
        let own = services.site;
        let here = |project: &ProjectId| may_live_at(&services, own, project.as_str());
        wanted.projects.retain(here);
        if self.membership.trusts(home) {
            return wanted;
        }
        retain_at(&services, home, &mut wanted.projects, &mut wanted.domains);
        wanted
    }
}

/// What of `filter` a trusted follower may hold, where residency rules keep something from it.
fn bounded(services: &Services, follower: SitePrefix, filter: &Filter) -> Option<Filter> {
    let lives = |project: &&ProjectId| may_live_at(services, follower, project.as_str());
    if filter.projects.iter().all(|project| lives(&project)) {
        return None;
    }
    let projects = filter.projects.iter().filter(lives).cloned().collect();
    Some(Filter {
        projects,
        ..filter.clone()
    })
}

/// Feeds the sites that have opened a stream.
pub struct Feeding {
    feeds: Feeds,
    membership: Arc<Membership>,
}

impl Feeding {
    /// Over `feeds`.
    pub fn new(feeds: Feeds, membership: Arc<Membership>) -> Self {
        Self { feeds, membership }
    }

    /// The feeds.
    pub fn feeds(&self) -> &Feeds {
        &self.feeds
    }
}

#[async_trait]
impl Handler for Feeding {
    async fn request(&self, _: Peer, _: Channel, _: Bytes) -> Result<Bytes, Refusal> {
        Err(Refusal::UnknownChannel)
    }

    fn datagram(&self, _: Peer, _: Channel, _: Bytes) {}

    async fn stream(&self, from: Peer, _: Channel, send: SendHalf, recv: RecvHalf) {
        let Some(peer) = from.id() else { return };
        // Only a site's controllers keep copies.
        if self.membership.controllers(peer.site).contains(&from.key) {
            self.feeds.serve(peer.site, send, recv).await;
        }
    }

    /// A site that was away is back: whoever pauses before its next stream tries now.
    fn connected(&self, peer: Peer) {
        let is_controller = |id: PeerId| self.membership.controllers(id.site).contains(&peer.key);
        if peer.id().is_some_and(is_controller) {
            self.feeds.sites_changed();
        }
    }
}

#[async_trait]
impl Copies for Feeding {
    fn age(&self, site: SitePrefix) -> Option<Duration> {
        self.feeds.age(site)
    }

    async fn caught_up(&self, site: SitePrefix, revision: u64, patience: Duration) -> bool {
        self.feeds.caught_up(site, revision, patience).await
    }

    fn awaited(&self, site: SitePrefix, revision: u64) {
        self.feeds.awaited(site, revision);
    }

    async fn follow(&self, interest: Interest, patience: Duration) -> bool {
        let wanted = match interest {
            Interest::Project(project) => Wanted::Project(project),
            Interest::Domain(domain) => Wanted::Domain(domain),
        };
        self.feeds.ask(wanted.clone());
        self.feeds.followed(&wanted, patience).await
    }
}
