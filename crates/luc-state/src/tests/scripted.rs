//! An engine that does what a test says, and a store over it on a single-threaded executor.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::channel::oneshot;
use futures::executor::{LocalPool, LocalSpawner};
use futures::future::BoxFuture;
use futures::task::LocalSpawnExt;
use luc_core::SitePrefix;
use luc_core::entropy::SplitMix64;

use crate::engine::{
    CommitError, Engine, EngineError, EngineTraits, Feed, Loaded, Operation, Proposal,
};
use crate::fixture::schema;
use crate::memory::MemoryEngine;
use crate::pace::Pause;
use crate::revision::Revision;
use crate::schema::Schema;
use crate::store::{OpenError, Store, StoreOptions};

/// What the engine does with the next commit it is asked for.
pub(super) enum Script {
    /// Does not do it and says so.
    Refuse(CommitError),
    /// Does it, but the answer is lost.
    DoneButUnknown,
    /// Does not do it, and the answer is lost.
    LostAndUnknown,
}

/// A memory engine whose answers can be held back and changed.
pub(super) struct Scripted {
    engine: MemoryEngine,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    commits: VecDeque<Script>,
    /// How many times the outcome is not told; from `u32::MAX` on, never.
    silent: u32,
    held: bool,
    waiting: Vec<oneshot::Sender<()>>,
    asked: Vec<Proposal>,
}

impl Scripted {
    pub(super) fn new(engine: MemoryEngine) -> Arc<Self> {
        Arc::new(Self {
            engine,
            inner: Mutex::default(),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next commits go like this.
    pub(super) fn script(&self, script: impl IntoIterator<Item = Script>) {
        self.inner().commits.extend(script);
    }

    /// The next `times` questions for an outcome get no answer.
    pub(super) fn be_silent(&self, times: u32) {
        self.inner().silent = times;
    }

    /// Holds commits back before they reach the engine.
    pub(super) fn hold(&self) {
        self.inner().held = true;
    }

    /// Lets commits go on.
    pub(super) fn release(&self) {
        let mut inner = self.inner();
        inner.held = false;
        for waiter in inner.waiting.drain(..) {
            let _ = waiter.send(());
        }
    }

    /// Every proposal that was made, in order.
    pub(super) fn asked(&self) -> Vec<Proposal> {
        self.inner().asked.clone()
    }
}

#[async_trait]
impl Engine for Scripted {
    fn traits(&self) -> EngineTraits {
        self.engine.traits()
    }

    async fn load(&self, prefix: &str) -> Result<Loaded, EngineError> {
        self.engine.load(prefix).await
    }

    async fn commit(&self, proposal: Proposal) -> Result<Revision, CommitError> {
        let gate = {
            let mut inner = self.inner();
            inner.asked.push(proposal.clone());
            let held = inner.held;
            held.then(|| {
                let (sender, receiver) = oneshot::channel();
                inner.waiting.push(sender);
                receiver
            })
        };
        if let Some(gate) = gate {
            let _ = gate.await;
        }
        let unknown = || {
            Err(CommitError::Unknown {
                reason: "no answer".to_owned(),
            })
        };
        let script = self.inner().commits.pop_front();
        match script {
            None => self.engine.commit(proposal).await,
            Some(Script::Refuse(error)) => Err(error),
            Some(Script::LostAndUnknown) => unknown(),
            Some(Script::DoneButUnknown) => {
                self.engine
                    .commit(proposal)
                    .await
                    .expect("the script says that it is done");
                unknown()
            }
        }
    }

    async fn outcome(&self, operation: &Operation) -> Result<Option<Revision>, EngineError> {
        let silent = {
            let mut inner = self.inner();
            let silent = inner.silent > 0;
            if inner.silent < u32::MAX {
                inner.silent = inner.silent.saturating_sub(1);
            }
            silent
        };
        if silent {
            return Err(EngineError::Unavailable {
                reason: "no answer".to_owned(),
            });
        }
        self.engine.outcome(operation).await
    }

    async fn watch(&self, from: Revision) -> Result<Feed, EngineError> {
        self.engine.watch(from).await
    }

    async fn compact(&self, until: Revision) -> Result<(), EngineError> {
        self.engine.compact(until).await
    }
}

pub(super) const fn site() -> SitePrefix {
    SitePrefix::from_bytes([0xab; 6])
}

/// Waiting that ends when a test says so.
#[derive(Clone, Default)]
pub(super) struct Clock(Arc<Mutex<Vec<oneshot::Sender<()>>>>);

impl Clock {
    /// Ends everybody's waiting. False if nobody was.
    pub(super) fn tick(&self) -> bool {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let any = !waiting.is_empty();
        for waiter in waiting {
            let _ = waiter.send(());
        }
        any
    }
}

impl Pause for Clock {
    fn pause(&self, _time: Duration) -> BoxFuture<'static, ()> {
        let (sender, receiver) = oneshot::channel();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(sender);
        Box::pin(receiver.map(drop))
    }
}

/// A single-threaded executor with stores on it.
pub(super) struct Lab {
    pool: LocalPool,
    spawner: LocalSpawner,
    /// What their back-off waits for.
    pub(super) clock: Clock,
    opened: u64,
}

/// Where the result of a task appears.
pub(super) type Slot<T> = Rc<RefCell<Option<T>>>;

impl Lab {
    pub(super) fn new() -> Self {
        let pool = LocalPool::new();
        let spawner = pool.spawner();
        Self {
            pool,
            spawner,
            clock: Clock::default(),
            opened: 0,
        }
    }

    /// Options with operation ids that nobody had before.
    pub(super) fn options(&mut self) -> StoreOptions {
        self.opened += 1;
        StoreOptions::new(site(), SplitMix64::new(self.opened << 32)).pause(self.clock.clone())
    }

    /// A store whose driver runs whenever the lab does.
    pub(super) fn open(&mut self, engine: Arc<dyn Engine>) -> Store {
        self.try_open(engine, schema())
            .expect("the engine can be read")
    }

    /// The same with other tables, if the engine can be read.
    pub(super) fn try_open(
        &mut self,
        engine: Arc<dyn Engine>,
        schema: Schema,
    ) -> Result<Store, OpenError> {
        self.try_open_at(site(), engine, schema)
    }

    /// The same for another site.
    pub(super) fn try_open_at(
        &mut self,
        site: SitePrefix,
        engine: Arc<dyn Engine>,
        schema: Schema,
    ) -> Result<Store, OpenError> {
        self.opened += 1;
        let options = StoreOptions::new(site, SplitMix64::new(self.opened << 32));
        let options = options.pause(self.clock.clone());
        let (store, driver) = self.pool.run_until(Store::open(engine, schema, options))?;
        self.start(driver);
        Ok(store)
    }

    /// Starts a task; its result appears in the slot.
    pub(super) fn start<T: 'static>(&self, work: impl Future<Output = T> + 'static) -> Slot<T> {
        let slot = Slot::default();
        let result = Rc::clone(&slot);
        let task = async move { *result.borrow_mut() = Some(work.await) };
        self.spawner.spawn_local(task).expect("the pool lives");
        slot
    }

    /// Runs everything that can run without waiting.
    pub(super) fn settle(&mut self) {
        self.pool.run_until_stalled();
    }

    /// Lets time pass until nobody waits any more, or `ticks` times.
    pub(super) fn pass(&mut self, ticks: u32) {
        self.settle();
        for _ in 0..ticks {
            if !self.clock.tick() {
                return;
            }
            self.settle();
        }
    }

    /// Runs everything, and lets time pass, until `work` is done.
    pub(super) fn run<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..10_000 {
            if let Poll::Ready(result) = work.as_mut().poll(&mut cx) {
                return result;
            }
            self.settle();
            if let Poll::Ready(result) = work.as_mut().poll(&mut cx) {
                return result;
            }
            self.clock.tick();
        }
        panic!("it will never be done")
    }
}

/// What has appeared in a slot.
pub(super) fn take<T>(slot: &Slot<T>) -> Option<T> {
    slot.borrow_mut().take()
}
