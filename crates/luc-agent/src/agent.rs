//! The agent of one host: follows the controller's wishes and runs one worker for each server.
//!
//! It decides nothing itself. While the controller is away the workers go on with what they know,
//! guests run on, and reports wait. Who calls it: `luc`, once for each compute node; many agents
//! may live in one process.
//!
//! ```text
//! controller ─wishes─▶ follow ─▶ agent ─wish─▶ worker of each server ─steps─▶ driver
//! controller ◀─batches─ outbox ◀──reports──────┘        ▲─────changed ids────────┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use luc_core::id::ServerId;
use luc_core::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::controller::{Change, Controller};
use crate::desired::{DesiredServer, HostPlace};
use crate::driver::{Driver, DriverError, Stats};
use crate::host::{Heartbeat, HostFacts};
use crate::metrics::{Metrics, MetricsSnapshot};
use crate::outbox::Outbox;
use crate::worker::{Wish, Worker};

/// How an agent behaves.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// How long a guest may take to shut down when asked (Nova's default is 60 s).
    pub shutdown_timeout: Duration,
    /// How often it is asked again meanwhile: one that is booting does not hear (Nova: 10 s).
    pub shutdown_repeat: Duration,
    /// How often a step that fails for a reason that may pass is tried before it is a fault.
    pub tries_max: u32,
    /// The wait between such tries.
    pub step_backoff: Backoff,
    /// The wait between tries to reach the controller.
    pub controller_backoff: Backoff,
    /// How often a server is looked at although nothing is known to have changed.
    pub poll_interval: Duration,
    /// How often the controller gets a sign of life.
    pub heartbeat_interval: Duration,
    /// How many guests may boot at once, in place of the driver's own limit.
    pub parallel_starts: Option<usize>,
}

impl Default for AgentConfig {
    fn default() -> Self {
        let step = Duration::from_millis(200);
        Self {
            shutdown_timeout: Duration::from_secs(60),
            shutdown_repeat: Duration::from_secs(5),
            tries_max: 6,
            step_backoff: Backoff {
                first: step,
                longest: Duration::from_secs(30),
            },
            controller_backoff: Backoff {
                first: Duration::from_millis(50),
                longest: Duration::from_secs(5),
            },
            poll_interval: Duration::from_secs(30),
            heartbeat_interval: Duration::from_secs(10),
            parallel_starts: None,
        }
    }
}

/// What all workers of an agent share.
pub(crate) struct Context {
    pub(crate) config: AgentConfig,
    pub(crate) controller: Arc<dyn Controller>,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) outbox: Outbox,
    pub(crate) metrics: Metrics,
    pub(crate) cancel: CancellationToken,
    pub(crate) starts: Option<Arc<Semaphore>>,
    start_hold: Duration,
    orphans: Mutex<BTreeSet<ServerId>>,
    wishes: Mutex<BTreeMap<ServerId, Arc<DesiredServer>>>,
    place: Mutex<HostPlace>,
}

impl Context {
    fn new(config: AgentConfig, controller: Arc<dyn Controller>, driver: Arc<dyn Driver>) -> Self {
        let limit = driver.start_limit();
        let parallel = config.parallel_starts.or(limit.map(|limit| limit.parallel));
        Self {
            outbox: Outbox::new(wall_clock_micros()),
            metrics: Metrics::default(),
            cancel: CancellationToken::new(),
            starts: parallel.map(|places| Arc::new(Semaphore::new(places.max(1)))),
            start_hold: limit.map_or(Duration::ZERO, |limit| limit.hold),
            orphans: Mutex::default(),
            wishes: Mutex::default(),
            place: Mutex::default(),
            config,
            controller,
            driver,
        }
    }

    /// Keeps a booting guest's place while it boots, which nobody can see the end of.
    pub(crate) fn hold_permit(&self, permit: Option<OwnedSemaphorePermit>) {
        let hold = self.start_hold;
        if let Some(permit) = permit.filter(|_| !hold.is_zero()) {
            tokio::spawn(async move {
                tokio::time::sleep(hold).await;
                drop(permit);
            });
        }
    }

    pub(crate) fn set_orphan(&self, id: &ServerId, orphaned: bool) {
        let mut orphans = locked(&self.orphans);
        if !orphaned {
            orphans.remove(id);
        } else if orphans.insert(id.clone()) {
            tracing::warn!(server = %id, "the controller knows nothing of this server; left alone");
        }
    }

    fn heartbeat(&self) -> Heartbeat {
        let orphans = locked(&self.orphans);
        Heartbeat {
            facts: self.driver.host_facts(),
            hypervisor_type: self.driver.hypervisor_type().to_owned(),
            hypervisor_version: self.driver.hypervisor_version(),
            driver_facts: self
                .driver
                .facts()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            orphans: orphans.iter().cloned().collect(),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number that grows over restarts; see [`crate::observed::Observed::sequence`].
fn wall_clock_micros() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_micros()).unwrap_or(u64::MAX >> 1)
        })
}

/// A running agent. Dropping it is a crash: everything stops where it stands.
pub struct Agent {
    context: Arc<Context>,
    root: Option<JoinHandle<()>>,
}

impl Agent {
    /// Starts the agent on the present tokio runtime.
    pub fn start(
        config: AgentConfig,
        controller: Arc<dyn Controller>,
        driver: Arc<dyn Driver>,
    ) -> Self {
        let context = Arc::new(Context::new(config, controller, driver));
        let root = tokio::spawn(Root::new(Arc::clone(&context)).run());
        Self {
            context,
            root: Some(root),
        }
    }

    /// Stops: steps under way are finished, reports get one second. Guests run on.
    pub async fn shut_down(mut self) {
        self.context.cancel.cancel();
        if let Some(root) = self.root.take()
            && let Err(error) = root.await
        {
            tracing::error!(%error, "the agent ended badly");
        }
    }

    /// The driver.
    pub fn driver(&self) -> &Arc<dyn Driver> {
        &self.context.driver
    }

    /// The last `lines` lines of a server's serial console, or all that is kept.
    pub async fn console(
        &self,
        id: &ServerId,
        lines: Option<usize>,
    ) -> Result<String, DriverError> {
        self.context.driver.console(id, lines).await
    }

    /// What a running server uses.
    pub async fn stats(&self, id: &ServerId) -> Result<Stats, DriverError> {
        self.context.driver.stats(id).await
    }

    /// What the host has.
    pub fn host_facts(&self) -> HostFacts {
        self.context.driver.host_facts()
    }

    /// Everything that is wanted on this host, as far as the controller has said since the start.
    pub fn wishes(&self) -> Vec<Arc<DesiredServer>> {
        locked(&self.context.wishes).values().cloned().collect()
    }

    /// What the controller has said last of the host itself; nothing before its first words.
    pub fn place(&self) -> HostPlace {
        locked(&self.context.place).clone()
    }

    /// What the agent did since it was started.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.context.metrics.snapshot()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(root) = &self.root {
            root.abort();
        }
    }
}

/// What the follower tells the root task.
enum News {
    /// Everything wanted, and everything with a trace on this host.
    Snapshot {
        wanted: Vec<Arc<DesiredServer>>,
        present: Vec<ServerId>,
    },
    Change(Change),
}

struct Handle {
    wish: watch::Sender<Wish>,
    changed: Arc<Notify>,
}

/// The agent's main task; it owns all others, so that they end with it.
struct Root {
    context: Arc<Context>,
    workers: BTreeMap<ServerId, Handle>,
    tasks: JoinSet<()>,
    gone_sender: mpsc::UnboundedSender<ServerId>,
    gone: mpsc::UnboundedReceiver<ServerId>,
}

impl Root {
    fn new(context: Arc<Context>) -> Self {
        let (gone_sender, gone) = mpsc::unbounded_channel();
        Self {
            context,
            workers: BTreeMap::new(),
            tasks: JoinSet::new(),
            gone_sender,
            gone,
        }
    }

    async fn run(mut self) {
        let (changed_sender, mut changed) = mpsc::unbounded_channel();
        self.context.driver.subscribe(changed_sender);
        // A slow start of workers holds the follower back instead of filling memory.
        let (news_sender, mut news) = mpsc::channel(64);
        let mut service = JoinSet::new();
        service.spawn(follow(Arc::clone(&self.context), news_sender));
        service.spawn(deliver(Arc::clone(&self.context)));
        service.spawn(beat(Arc::clone(&self.context)));
        loop {
            tokio::select! {
                Some(item) = news.recv() => self.on_news(item),
                Some(id) = changed.recv() => {
                    if let Some(worker) = self.workers.get(&id) {
                        worker.changed.notify_one();
                    }
                }
                Some(id) = self.gone.recv() => self.on_gone(&id),
                Some(ended) = self.tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a server's worker ended badly");
                    }
                }
                () = self.context.cancel.cancelled() => break,
            }
        }
        while self.tasks.join_next().await.is_some() {}
        let flushed = async {
            while !self.context.outbox.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(1), flushed)
            .await
            .is_err()
        {
            tracing::warn!("stopped with reports that the controller did not take");
        }
    }

    fn on_news(&mut self, news: News) {
        match news {
            News::Snapshot { wanted, present } => {
                let mut others: BTreeSet<ServerId> = present.into_iter().collect();
                others.extend(self.workers.keys().cloned());
                for server in wanted {
                    others.remove(&server.id);
                    self.set_wish(&server.id.clone(), Some(server));
                }
                for id in others {
                    self.set_wish(&id, None);
                }
                self.context.outbox.post_all_again();
            }
            News::Change(Change::Want(server)) => {
                self.set_wish(&server.id.clone(), Some(server));
            }
            News::Change(Change::Forget(id)) => {
                if self.workers.contains_key(&id) {
                    self.set_wish(&id, None);
                }
            }
            // The follower handles it.
            News::Change(Change::Reload) => {}
        }
    }

    fn set_wish(&mut self, id: &ServerId, wish: Wish) {
        match wish.clone() {
            Some(wish) => locked(&self.context.wishes).insert(id.clone(), wish),
            None => locked(&self.context.wishes).remove(id),
        };
        // A closed channel is that of a worker that panicked; a new one takes its place.
        if let Some(handle) = self
            .workers
            .get(id)
            .filter(|handle| !handle.wish.is_closed())
        {
            handle.wish.send_if_modified(|present| {
                let modified = *present != wish;
                *present = wish;
                modified
            });
            return;
        }
        let (sender, receiver) = watch::channel(wish);
        let changed = Arc::new(Notify::new());
        let worker = Worker {
            id: id.clone(),
            context: Arc::clone(&self.context),
            wish: receiver,
            changed: Arc::clone(&changed),
            gone: self.gone_sender.clone(),
        };
        self.tasks.spawn(worker.run());
        self.workers.insert(
            id.clone(),
            Handle {
                wish: sender,
                changed,
            },
        );
    }

    /// Nothing is left of the server on this host; lets the worker go unless it is wanted again.
    fn on_gone(&mut self, id: &ServerId) {
        let unwanted = self
            .workers
            .get(id)
            .is_some_and(|handle| handle.wish.borrow().is_none());
        if unwanted {
            self.workers.remove(id);
            self.context.outbox.forget(id);
        }
    }
}

/// Follows the controller's wishes for ever.
async fn follow(context: Arc<Context>, news: mpsc::Sender<News>) {
    let mut failures = 0;
    loop {
        match follow_once(&context, &news).await {
            Ok(()) => failures = 0,
            Err(reason) => {
                failures += 1;
                if failures == 1 {
                    tracing::warn!(reason, "cannot follow the controller, trying again");
                }
                tokio::time::sleep(context.config.controller_backoff.after(failures)).await;
            }
        }
        if news.is_closed() {
            return;
        }
    }
}

/// Follows one subscription to its end.
async fn follow_once(context: &Context, news: &mpsc::Sender<News>) -> Result<(), String> {
    let wishes = context
        .controller
        .wishes()
        .await
        .map_err(|error| error.to_string())?;
    let present = context
        .driver
        .list()
        .await
        .map_err(|error| error.details())?;
    let mut changes = wishes.changes;
    let mut item = News::Snapshot {
        wanted: wishes.snapshot,
        present,
    };
    loop {
        if news.send(item).await.is_err() {
            return Ok(());
        }
        match changes.next().await {
            None | Some(Change::Reload) => break,
            Some(change) => item = News::Change(change),
        }
    }
    // A controller that ends each subscription at once must not be asked in a tight loop.
    tokio::time::sleep(context.config.controller_backoff.first).await;
    Ok(())
}

async fn deliver(context: Arc<Context>) {
    let backoff = context.config.controller_backoff;
    context
        .outbox
        .deliver(&*context.controller, backoff, &context.metrics)
        .await;
}

async fn beat(context: Arc<Context>) {
    let mut failing = false;
    loop {
        match context.controller.heartbeat(context.heartbeat()).await {
            Ok(place) => {
                *locked(&context.place) = place;
                failing = false;
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "the controller did not take the heartbeat");
                }
                failing = true;
            }
        }
        tokio::time::sleep(context.config.heartbeat_interval).await;
    }
}
