//! The other sites of the cloud, as the services see them.
//!
//! Requests are answered from the site's own store, which holds replicas of what other sites own.
//! This port is for the rest: handing a request to the site that must carry it out, waiting until
//! a write made there is visible here, saying which sites are silent and for how long, and asking
//! for copies of a project or domain that somebody here has a use for. `luc` plugs an adapter over
//! fabric, feeds and overlay; [`SingleSite`] is a cloud of one.
//!
//! Rules 3 to 6 of the state contract: age by the follower's own clock, read your writes, exactly
//! once, a split never blocks local work.

use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use luc_core::SitePrefix;
use luc_core::id::{DomainId, OpId, ProjectId};

/// Where the cloud's other sites are reached.
#[async_trait]
pub trait Sites: Send + Sync + 'static {
    /// Every registered site, this one among them, ordered by name.
    fn all(&self) -> Vec<SiteView>;

    /// The sites in the order in which a new server asks them for room when it should be near
    /// `near`: by expected round trip, each with it where it is known.
    fn nearest(&self, near: SitePrefix) -> Vec<(SitePrefix, Option<Duration>)>;

    /// Hands `request` to `site`. Never called with this site.
    async fn forward(
        &self,
        site: SitePrefix,
        request: Forwarded,
    ) -> Result<http::Response<Body>, ForwardError>;

    /// Waits until what `site` had committed at `revision` is visible here; `false` if that took
    /// longer than `patience`, or if nothing of that site is followed.
    async fn caught_up(&self, site: SitePrefix, revision: u64, patience: Duration) -> bool;

    /// Somebody at `site` waits for a copy of what was committed here at `revision`: it need not
    /// wait for more to be sent with it.
    fn awaited(&self, _site: SitePrefix, _revision: u64) {}

    /// Asks that this site hold a copy of what belongs to `interest` from now on, and waits until
    /// every reachable site has sent its part; `false` if that took longer than `patience`. Asked
    /// at every request of a project: what is followed already must cost next to nothing, and be
    /// `true` at once whether or not its homes are silent.
    async fn follow(&self, interest: Interest, patience: Duration) -> bool;
}

/// What is known of a site.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteView {
    /// Its prefix.
    pub site: SitePrefix,
    /// Its name, also that of its availability zone.
    pub name: String,
    /// How long nothing was heard of it, by this site's monotonic clock; zero for this site.
    pub age: Duration,
    /// Whether it counts as reachable.
    pub reachable: bool,
    /// Whether its word counts for system and cloud-admin scope.
    pub trusted: bool,
    /// What it said last of its free capacity; `None` if it has not said anything.
    pub room: Option<Room>,
}

/// How much room a site says it has: the most of each that one of its hosts has free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Virtual processors.
    pub vcpus: u64,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Disk in GiB.
    pub disk_gib: u64,
}

/// A request as it is handed on.
#[derive(Debug)]
pub struct Forwarded {
    /// Method, path with query, and the client's headers (its token among them).
    pub parts: http::request::Parts,
    /// The body.
    pub body: ForwardedBody,
    /// Under which a write happens once; `None` for reads.
    pub operation: Option<OperationSeed>,
    /// How long the whole may take.
    pub patience: Duration,
}

/// The body of a request that is handed on.
#[derive(Debug)]
pub enum ForwardedBody {
    /// Read whole, so that the request can be repeated.
    Whole(Bytes),
    /// Streamed through, once.
    Stream(Body),
}

/// What makes a forwarded write happen once, with the same ids however often it is sent.
#[derive(Clone, PartialEq, Eq)]
pub struct OperationSeed {
    /// Chosen by the site that forwards, never used for anything else.
    pub id: OpId,
    /// From which the home draws every random choice of the request; as secret as the answer.
    pub seed: [u8; 32],
}

impl std::fmt::Debug for OperationSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OperationSeed({})", self.id)
    }
}

/// Why a forwarded request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// It certainly was not seen there.
    #[error("the site cannot be reached: {reason}")]
    NotSent {
        /// What is wrong.
        reason: String,
    },
    /// It may have been carried out.
    #[error("the site did not answer: {reason}")]
    Unknown {
        /// What is wrong.
        reason: String,
    },
}

/// What a site wants a copy of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interest {
    /// Everything of a project.
    Project(ProjectId),
    /// The people, groups, projects and assignments of a domain.
    Domain(DomainId),
}

/// A cloud of one site.
#[derive(Clone, Debug)]
pub struct SingleSite {
    site: SitePrefix,
    name: String,
}

impl SingleSite {
    /// The cloud whose only site is `site`, called `name`.
    pub fn new(site: SitePrefix, name: impl Into<String>) -> Self {
        Self {
            site,
            name: name.into(),
        }
    }
}

#[async_trait]
impl Sites for SingleSite {
    fn all(&self) -> Vec<SiteView> {
        vec![SiteView {
            site: self.site,
            name: self.name.clone(),
            age: Duration::ZERO,
            reachable: true,
            trusted: true,
            room: None,
        }]
    }

    fn nearest(&self, _: SitePrefix) -> Vec<(SitePrefix, Option<Duration>)> {
        vec![(self.site, Some(Duration::ZERO))]
    }

    async fn forward(
        &self,
        _: SitePrefix,
        _: Forwarded,
    ) -> Result<http::Response<Body>, ForwardError> {
        let reason = "this cloud has one site".to_owned();
        Err(ForwardError::NotSent { reason })
    }

    async fn caught_up(&self, _: SitePrefix, _: u64, _: Duration) -> bool {
        false
    }

    async fn follow(&self, _: Interest, _: Duration) -> bool {
        true
    }
}
