//! Drives the feeds between sites: streams over the fabric, time, and what is told of both.
//!
//! What a feed says and what a follower believes is `luc_state::feed`; here is when it is said. One
//! task per other site keeps a stream open to one of its controllers, says what this site holds and
//! wants, applies what comes, and says what it has in writing. The other way round [`Feeds::serve`]
//! feeds a site that has opened a stream to us. Nothing here waits for a slow follower: its stream
//! is given up, and when it comes back it gets a step from a snapshot.
//!
//! ```text
//!   Feeds ── one follow task per site ──▶ Fabric stream ──▶ Feeds::serve at that site
//!     ├── interests: where projects live here ∪ what was asked for ──▶ filters
//!     └── sweep: tombstones that every site has heard of are collected
//! ```
//!
//! Called by `luc`: it starts one [`Feeds`] per controller, hands it the streams of
//! [`Channel::FEED`](crate::fabric::Channel::FEED), and asks it on behalf of the services.
//!
//! **Boundary** who the sites are and which of them is trusted comes from a [`Directory`].

mod follow;
mod interests;
mod latest;
mod manage;
mod serve;
mod status;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use luc_core::SitePrefix;
use luc_state::Store;
use luc_state::feed::Filter;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::fabric::{Fabric, RecvHalf, SendHalf};
use crate::identity::NodeKey;
pub use interests::{Interest, Interests};
use latest::Latest;
pub use status::{FeedStatus, ServedStatus};
use status::{Followed, Progress, Served};

/// Another site as the feeds need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedSite {
    /// Its prefix.
    pub site: SitePrefix,
    /// Its controllers, in the order in which they are tried.
    pub controllers: Vec<NodeKey>,
    /// Whether it may be the home of the `default` domain.
    pub trusted: bool,
}

/// Who the other sites are, and what they may hold.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Every registered site but this one. Asked often; must be quick.
    fn sites(&self) -> Vec<FeedSite>;

    /// Notes that `follower` wants to hold `filter`, before it is sent any of it. `Some` is what it
    /// may hold instead; such a follower is sent everything anew whenever it comes.
    async fn admit(&self, _follower: SitePrefix, _filter: &Filter) -> Option<Filter> {
        None
    }

    /// What `home` is called, if its domains must be called like it while it is not trusted.
    fn name(&self, _home: SitePrefix) -> Option<String> {
        None
    }

    /// What of all that is `wanted` the site `home` may have a part in. Of nothing else is anything
    /// taken from there. Asked again whenever [`Feeds::admissions_changed`] is called.
    fn may_bring(&self, _home: SitePrefix, wanted: Interests) -> Interests {
        wanted
    }
}

/// Times and bounds of the feeds.
#[derive(Clone, Debug)]
pub struct Pacing {
    /// The least time between two steps of a feed: what changes meanwhile goes together.
    pub coalesce: Duration,
    /// The same where somebody waits for what has changed.
    pub awaited: Duration,
    /// With how many changes it does not wait.
    pub coalesce_changes: usize,
    /// How often a home says that it lives.
    pub heartbeat: Duration,
    /// After how long without a word a follower tries another stream, and a site counts as silent.
    pub silence: Duration,
    /// After how long a follower that takes nothing is given up.
    pub stalled: Duration,
    /// How often a follower writes down where it is, and tombstones are collected.
    pub sweep: Duration,
    /// How many tombstones are kept for those who are away.
    pub tombstones: usize,
    /// The first pause after a stream failed; doubled each time.
    pub pause_min: Duration,
    /// The longest.
    pub pause_max: Duration,
    /// The pause after a batch was refused for what it says.
    pub refused: Duration,
    /// How long something that was asked for once is followed.
    pub asked: Duration,
}

impl Default for Pacing {
    fn default() -> Self {
        Self {
            coalesce: Duration::from_millis(50),
            awaited: Duration::from_millis(5),
            coalesce_changes: 256,
            heartbeat: Duration::from_secs(1),
            silence: Duration::from_secs(4),
            stalled: Duration::from_secs(10),
            sweep: Duration::from_secs(60),
            tombstones: 100_000,
            pause_min: Duration::from_millis(100),
            pause_max: Duration::from_secs(5),
            refused: Duration::from_secs(300),
            asked: Duration::from_secs(24 * 3600),
        }
    }
}

/// The feeds of one controller. Clones share them; they end with the last clone, or by
/// [`Feeds::shut_down`]: needed where the fabric's own handler holds a clone.
#[derive(Clone)]
pub struct Feeds {
    shared: Arc<Shared>,
    _end: Arc<DropGuard>,
}

struct Shared {
    store: Store,
    fabric: Arc<dyn Fabric>,
    directory: Arc<dyn Directory>,
    pacing: Pacing,
    seed: u64,
    /// What this site wants copies of.
    wanted: Arc<Latest<Interests>>,
    asked: Mutex<interests::Asked>,
    /// Something was asked for.
    asking: Notify,
    followed: Mutex<BTreeMap<SitePrefix, Arc<Followed>>>,
    served: Mutex<BTreeMap<SitePrefix, Served>>,
    /// Up to which revision of this site somebody waits for copies, by site.
    awaited: Arc<Latest<BTreeMap<SitePrefix, u64>>>,
    /// The directory has changed.
    changed: Notify,
    /// Changes whenever it may have changed what sites may hold.
    admissions: Arc<Latest<()>>,
    /// Ends the pauses before the next stream.
    hurry: Notify,
    stop: CancellationToken,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked had finished its change: each is one assignment or insertion.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Feeds {
    /// Starts to follow the sites of `directory`. `seed` spreads the pauses of nodes that start
    /// together. Needs a tokio runtime.
    pub fn start(
        store: Store,
        fabric: Arc<dyn Fabric>,
        directory: Arc<dyn Directory>,
        pacing: Pacing,
        seed: u64,
    ) -> Self {
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            store,
            fabric,
            directory,
            pacing,
            seed,
            wanted: Arc::default(),
            asked: Mutex::default(),
            asking: Notify::new(),
            followed: Mutex::default(),
            served: Mutex::default(),
            awaited: Arc::default(),
            changed: Notify::new(),
            admissions: Arc::default(),
            hurry: Notify::new(),
            stop: stop.clone(),
        });
        interests::begin(&shared);
        manage::adjust(&shared);
        spawn(&stop, interests::run(Arc::clone(&shared)));
        spawn(&stop, manage::run(Arc::clone(&shared)));
        spawn(&stop, manage::sweep(Arc::clone(&shared)));
        Self {
            shared,
            _end: Arc::new(stop.drop_guard()),
        }
    }

    /// Feeds the site `follower`, which has opened this stream; ends with the stream.
    pub async fn serve(&self, follower: SitePrefix, send: SendHalf, recv: RecvHalf) {
        let serving = serve::serve(&self.shared, follower, send, recv);
        ending(&self.shared.stop, serving).await;
    }

    /// Says that the directory has changed, or that a site which was away may be back: whoever
    /// pauses before its next stream tries now.
    pub fn sites_changed(&self) {
        self.shared.changed.notify_one();
        self.shared.hurry.notify_waiters();
    }

    /// Says that sites may be allowed to hold something else than they were: who is fed too much
    /// or too little is served anew.
    pub fn admissions_changed(&self) {
        self.shared.admissions.modify(|()| true);
    }

    /// Asks that copies of `interest` be held from now on, for as long as
    /// [`Pacing::asked`] and longer if asked again.
    pub fn ask(&self, interest: Interest) {
        let until = Instant::now() + self.shared.pacing.asked;
        if lock(&self.shared.asked).ask(interest.clone(), until) {
            interests::add(&self.shared, interest);
            self.shared.asking.notify_one();
        }
    }

    /// What this site wants copies of.
    pub fn interests(&self) -> Interests {
        self.shared.wanted.read(Interests::clone)
    }

    /// Waits until every site that is not silent has sent its part of `interest`; `false` if that
    /// took longer than `patience`. Does not ask for it.
    pub async fn followed(&self, interest: &Interest, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut wanted = Interests::default();
        match interest.clone() {
            Interest::Project(project) => drop(wanted.projects.insert(project)),
            Interest::Domain(domain) => drop(wanted.domains.insert(domain)),
        }
        for site in self.sites() {
            let asked = self.shared.directory.may_bring(site.site, wanted.clone());
            if asked == Interests::default() {
                continue;
            }
            if !site
                .holds(interest, deadline, self.shared.pacing.silence)
                .await
            {
                return false;
            }
        }
        true
    }

    /// Waits until what `site` had committed at `revision` is visible here; `false` if that took
    /// longer than `patience`, or if the site is not followed.
    pub async fn caught_up(&self, site: SitePrefix, revision: u64, patience: Duration) -> bool {
        let found = lock(&self.shared.followed).get(&site).cloned();
        let Some(site) = found else { return false };
        let there = |progress: &Progress| progress.at.revision.number() >= revision;
        site.reached(Instant::now() + patience, there).await
    }

    /// Somebody at `site` waits for a copy of what this site had committed at `revision`.
    pub fn awaited(&self, site: SitePrefix, revision: u64) {
        self.shared.awaited.modify(|awaited| {
            let known = awaited.entry(site).or_default();
            let is_news = *known < revision;
            *known = revision.max(*known);
            is_news
        });
    }

    /// How far this site follows each other one, ordered by prefix.
    pub fn status(&self) -> Vec<FeedStatus> {
        let silence = self.shared.pacing.silence;
        self.sites()
            .iter()
            .map(|site| site.status(silence))
            .collect()
    }

    /// How long nothing was heard of `site`; `None` if it is not followed.
    pub fn age(&self, site: SitePrefix) -> Option<Duration> {
        let followed = lock(&self.shared.followed);
        followed.get(&site).map(|followed| followed.age())
    }

    /// How far each other site follows this one, ordered by prefix.
    pub fn served(&self) -> Vec<ServedStatus> {
        let served = lock(&self.shared.served);
        served
            .iter()
            .map(|(site, served)| served.status(*site))
            .collect()
    }

    /// Ends everything.
    pub fn shut_down(&self) {
        self.shared.stop.cancel();
    }

    fn sites(&self) -> Vec<Arc<Followed>> {
        lock(&self.shared.followed).values().cloned().collect()
    }
}

impl fmt::Debug for Feeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feeds")
            .field("followed", &self.status())
            .finish_non_exhaustive()
    }
}

/// A task that does `work` until it ends or `stop` is called for.
fn spawn(stop: &CancellationToken, work: impl Future<Output = ()> + Send + 'static) {
    let stop = stop.clone();
    tokio::spawn(async move { ending(&stop, work).await });
}

/// Does `work` until it ends or `stop` is called for.
async fn ending(stop: &CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = work => {}
    }
}

impl Followed {
    /// Waits until `there` is true of how far this site is followed.
    async fn reached(&self, deadline: Instant, there: impl FnMut(&Progress) -> bool) -> bool {
        self.progress.seen().reaches(deadline, there).await
    }

    /// Waits until the site has sent its part of `interest`, or has been silent for `silence`.
    async fn holds(&self, interest: &Interest, deadline: Instant, silence: Duration) -> bool {
        let mut progress = self.progress.seen();
        loop {
            let (connected, holds) = progress.read(|now| (now.connected, now.holds(interest)));
            let left = silence.saturating_sub(self.age());
            if holds || (!connected && left.is_zero()) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            let until = if connected {
                deadline
            } else {
                deadline.min(Instant::now() + left)
            };
            // Over time as well: then the site may have become silent.
            let _ = timeout_at(until, progress.changed()).await;
        }
    }
}
