//! The services' port to the other sites, over fabric, pulse and feeds.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use luc_core::SitePrefix;
use luc_runtime::fabric::{Channel, Fabric};
use luc_runtime::http::{self, SendError};
use luc_services::ports::sites::{ForwardError, Forwarded, Interest, SiteView, Sites};
use luc_services::routing::wire;
use luc_services::sites::Label;
use tokio::time::Instant;

use super::membership::Membership;
use super::pulse::{Pulse, SILENT};

/// What the feeds are asked for; they start after the services that this adapter serves.
#[async_trait]
pub trait Copies: Send + Sync + 'static {
    /// How long ago `site`'s feed was heard; `None` if nothing of it is followed yet.
    fn age(&self, site: SitePrefix) -> Option<Duration>;

    /// Waits until what `site` had committed at `revision` is here.
    async fn caught_up(&self, site: SitePrefix, revision: u64, patience: Duration) -> bool;

    /// Lets `site` have what was committed here at `revision` at once.
    fn awaited(&self, site: SitePrefix, revision: u64);

    /// Follows `interest` from now on and waits until it is here.
    async fn follow(&self, interest: Interest, patience: Duration) -> bool;
}

/// What network coordinates say of sites.
pub trait Places: Send + Sync + 'static {
    /// The expected round trip between two sites.
    fn between(&self, a: SitePrefix, b: SitePrefix) -> Option<Duration>;
}

/// The other sites, for the services of one controller.
pub struct CloudSites {
    site: SitePrefix,
    name: String,
    fabric: Arc<dyn Fabric>,
    membership: Arc<Membership>,
    pulse: Arc<Pulse>,
    copies: OnceLock<Arc<dyn Copies>>,
    places: OnceLock<Arc<dyn Places>>,
}

impl CloudSites {
    /// For the controller of `site`, called `name`.
    pub fn new(
        site: SitePrefix,
        name: &str,
        fabric: Arc<dyn Fabric>,
        membership: Arc<Membership>,
        pulse: Arc<Pulse>,
    ) -> Self {
        Self {
            site,
            name: name.to_owned(),
            fabric,
            membership,
            pulse,
            copies: OnceLock::new(),
            places: OnceLock::new(),
        }
    }

    /// Asks `copies` from now on about what is held here.
    pub fn with_copies(&self, copies: Arc<dyn Copies>) {
        // A second one would be a programming error that changes nothing.
        let _ = self.copies.set(copies);
    }

    /// Asks `places` from now on for round trips that nobody has measured.
    pub fn with_places(&self, places: Arc<dyn Places>) {
        let _ = self.places.set(places);
    }

    /// The round trips and signs of life.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Who is of the cloud.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    fn view(&self, site: SitePrefix, name: &str, trusted: bool) -> SiteView {
        let own = site == self.site;
        let copied = self.copies.get().and_then(|copies| copies.age(site));
        // A copy is as old as its feed is silent, even where other signs of life arrive.
        let age = match copied {
            _ if own => Duration::ZERO,
            Some(age) => age.max(self.pulse.age(site)),
            None => self.pulse.age(site),
        };
        SiteView {
            site,
            name: name.to_owned(),
            age,
            reachable: own || (self.pulse.is_reachable(site) && age <= SILENT),
            trusted,
            room: self.pulse.room(site),
        }
    }

    /// The expected round trip between two sites.
    fn between(&self, a: SitePrefix, b: SitePrefix) -> Option<Duration> {
        if a == b {
            return Some(Duration::ZERO);
        }
        let measured = if a == self.site {
            self.pulse.rtt(b)
        } else if b == self.site {
            self.pulse.rtt(a)
        } else {
            self.pulse.rtt_between(a, b)
        };
        measured.or_else(|| self.places.get()?.between(a, b))
    }
}

#[async_trait]
impl Sites for CloudSites {
    fn all(&self) -> Vec<SiteView> {
        let mut views: Vec<SiteView> = self.membership.with(|members| {
            let sites = members.sites.iter();
            sites
                .map(|member| {
                    let trusted = member.label == Label::Trusted;
                    self.view(member.site, &member.name, trusted)
                })
                .collect()
        });
        // A site knows itself before the record of its admission has arrived.
        if !views.iter().any(|view| view.site == self.site) {
            views.push(self.view(self.site, &self.name, false));
            views.sort_by(|left, right| left.name.cmp(&right.name));
        }
        views
    }

    fn nearest(&self, near: SitePrefix) -> Vec<(SitePrefix, Option<Duration>)> {
        let mut sites: Vec<(SitePrefix, Option<Duration>)> = self
            .all()
            .iter()
            .map(|view| (view.site, self.between(near, view.site)))
            .collect();
        // Those of unknown distance come last.
        sites.sort_by_key(|(site, rtt)| (rtt.unwrap_or(Duration::MAX), *site));
        sites
    }

    async fn forward(
        &self,
        site: SitePrefix,
        request: Forwarded,
    ) -> Result<::http::Response<Body>, ForwardError> {
        let deadline = Instant::now() + request.patience;
        let keys = self.membership.controllers(site);
        let mut reason = "no controller of it is known".to_owned();
        for key in keys {
            match http::open(&*self.fabric, key, Channel::FORWARD, deadline).await {
                Ok(opened) => {
                    let sent = opened.send(wire::request(request), deadline).await;
                    return sent.map_err(|error| match error {
                        SendError::NotSent { reason, .. } => ForwardError::NotSent { reason },
                        SendError::Unknown { reason, .. } => ForwardError::Unknown { reason },
                    });
                }
                Err(error) => reason = error.to_string(),
            }
        }
        Err(ForwardError::NotSent { reason })
    }

    async fn caught_up(&self, site: SitePrefix, revision: u64, patience: Duration) -> bool {
        match self.copies.get() {
            Some(copies) => copies.caught_up(site, revision, patience).await,
            None => false,
        }
    }

    fn awaited(&self, site: SitePrefix, revision: u64) {
        if let Some(copies) = self.copies.get() {
            copies.awaited(site, revision);
        }
    }

    async fn follow(&self, interest: Interest, patience: Duration) -> bool {
        match self.copies.get() {
            Some(copies) => copies.follow(interest, patience).await,
            None => self.membership.others().is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use luc_runtime::NodeSecret;
    use luc_runtime::fabric::Ends;
    use luc_runtime::fabric::memory::Network;
    use luc_services::sites::{Member, Members};

    use crate::sites::Switchboard;

    const NAMES: [&str; 3] = ["a", "b", "c"];

    fn site(name: &str) -> SitePrefix {
        SitePrefix::of_key(name.as_bytes())
    }

    fn members() -> Members {
        let member = |name: &str| Member {
            site: site(name),
            name: name.to_owned(),
            label: Label::Trusted,
            domains: None,
            admitted_by: site("a"),
            api_url: None,
            nodes: Vec::new(),
        };
        Members {
            cloud: site("a"),
            sites: NAMES.map(member).to_vec(),
            revoked: std::collections::BTreeSet::new(),
            removed: std::collections::BTreeSet::new(),
        }
    }

    /// Everything is 5 ms apart, as far as coordinates know.
    struct FiveMillis;

    impl Places for FiveMillis {
        fn between(&self, _: SitePrefix, _: SitePrefix) -> Option<Duration> {
            Some(Duration::from_millis(5))
        }
    }

    #[tokio::test]
    async fn coordinates_say_how_far_a_site_is_until_somebody_has_measured_it() {
        let membership = Arc::new(Membership::new(site("a"), Some(members()), false));
        let ends = Ends {
            admission: Arc::clone(&membership) as _,
            handler: Arc::new(Switchboard::default()),
        };
        let network = Network::new(1);
        let fabric = network.start(NodeSecret::from_seed(&[1; 32]).key(), site("a"), ends);
        let pulse = Arc::new(Pulse::default());
        let sites = CloudSites::new(site("a"), "a", fabric, membership, Arc::clone(&pulse));
        let far = |name: &str| {
            let order = sites.nearest(site("a"));
            let found = order.into_iter().find(|(one, _)| *one == site(name));
            found.and_then(|(_, rtt)| rtt)
        };
        assert_eq!((far("a"), far("b")), (Some(Duration::ZERO), None));

        sites.with_places(Arc::new(FiveMillis));
        pulse.measured(site("c"), Duration::from_millis(2));
        assert_eq!(far("b"), Some(Duration::from_millis(5)));
        assert_eq!(far("c"), Some(Duration::from_millis(2)));
        let order = sites.nearest(site("a"));
        let order: Vec<SitePrefix> = order.into_iter().map(|(site, _)| site).collect();
        assert_eq!(order, [site("a"), site("c"), site("b")]);
    }
}
