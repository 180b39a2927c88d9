//! What the services and feeds of a site need from outside, as a seed decides it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use http::Response;
use luc::sites::CloudSites;
use luc::sites::feeding::SiteDirectory;
use luc_core::SitePrefix;
use luc_core::time::Timestamp;
use luc_runtime::feeds::{Directory, FeedSite, Interests};
use luc_services::ports::Clock;
use luc_services::ports::sites::{ForwardError, Forwarded, Interest, SiteView, Sites};
use luc_services::testing::BEGINNING;
use luc_state::feed::Filter;
use tokio::time::Instant;

use crate::broken::Rule;
use crate::draw::Draw;

/// The wall clock of a site, which is not that of the others.
#[derive(Debug)]
pub(crate) struct Skewed {
    started: Instant,
    ahead_micros: AtomicI64,
}

impl Skewed {
    /// A clock that is some seconds off.
    pub(crate) fn drawn(draw: &mut Draw) -> Self {
        let clock = Self {
            started: Instant::now(),
            ahead_micros: AtomicI64::default(),
        };
        clock.jump(draw);
        clock
    }

    /// Sets it anew: mostly a little off, seldom by minutes.
    pub(crate) fn jump(&self, draw: &mut Draw) {
        let most = if draw.chance(100) { 600_000 } else { 1_500 };
        let ahead = i64::try_from(draw.below(2 * most)).unwrap_or_default();
        let ahead = ahead - i64::try_from(most).unwrap_or_default();
        self.ahead_micros.store(ahead * 1000, Ordering::Relaxed);
    }
}

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        let ahead = self.ahead_micros.load(Ordering::Relaxed);
        Timestamp::from_unix_micros(BEGINNING * 1_000_000 + passed + ahead)
    }
}

/// The other sites, and how often a site stopped waiting for a copy of what was written elsewhere.
pub(crate) struct Watched {
    pub(crate) sites: Arc<CloudSites>,
    /// Those who ask are told that the copy is here, without waiting.
    pub(crate) impatient: bool,
    /// How often the whole patience was waited in vain.
    pub(crate) in_vain: Arc<AtomicU64>,
}

#[async_trait]
impl Sites for Watched {
    fn all(&self) -> Vec<SiteView> {
        self.sites.all()
    }

    fn nearest(&self, near: SitePrefix) -> Vec<(SitePrefix, Option<Duration>)> {
        self.sites.nearest(near)
    }

    async fn forward(
        &self,
        site: SitePrefix,
        request: Forwarded,
    ) -> Result<Response<Body>, ForwardError> {
        self.sites.forward(site, request).await
    }

    async fn caught_up(&self, site: SitePrefix, revision: u64, patience: Duration) -> bool {
        if self.impatient {
            return true;
        }
        let asked = Instant::now();
        let seen = self.sites.caught_up(site, revision, patience).await;
        if !seen && asked.elapsed() >= patience {
            self.in_vain.fetch_add(1, Ordering::Relaxed);
        }
        seen
    }

    async fn follow(&self, interest: Interest, patience: Duration) -> bool {
        self.sites.follow(interest, patience).await
    }
}

/// Who the other sites are and what they may hold, as the feeds ask.
pub(crate) struct Listings {
    pub(crate) directory: SiteDirectory,
    /// What is not kept here.
    pub(crate) broken: Option<Rule>,
}

#[async_trait]
impl Directory for Listings {
    fn sites(&self) -> Vec<FeedSite> {
        let mut sites = self.directory.sites();
        for site in &mut sites {
            site.trusted |= self.broken == Some(Rule::EdgesTrusted);
        }
        sites
    }

    async fn admit(&self, follower: SitePrefix, filter: &Filter) -> Option<Filter> {
        let admitted = self.directory.admit(follower, filter).await;
        admitted.filter(|_| self.broken != Some(Rule::FollowersFedAll))
    }

    fn name(&self, home: SitePrefix) -> Option<String> {
        let name = self.directory.name(home);
        name.filter(|_| self.broken != Some(Rule::EdgesTrusted))
    }

    fn may_bring(&self, home: SitePrefix, wanted: Interests) -> Interests {
        if self.broken == Some(Rule::EdgesTrusted) {
            return wanted;
        }
        self.directory.may_bring(home, wanted)
    }
}
