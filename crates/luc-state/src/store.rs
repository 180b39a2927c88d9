//! The store: what services hold.
//!
//! Readers take a [`Snapshot`]; writers hand in a closure that is run against the newest state,
//! durable or not, and hear of it when it is durable. How that is serializable, and what several
//! controllers of a site cost, is told in `docs/decisions/0001`.

mod open;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use futures::channel::oneshot;
use futures::task::AtomicWaker;
use luc_core::id::OpId;
use luc_core::{Entropy, SitePrefix};

use crate::broken::Broken;
use crate::change::{Log, Watch};
use crate::driver::Driver;
use crate::engine::{CommitError, Engine, EngineError, Operation, Proposal};
use crate::kinds::Kind;
use crate::ledger::{Admission, Ledger, Verdict};
use crate::load::Repair;
use crate::pace::Pause;
use crate::revision::Revision;
use crate::rider::{Rider, mount};
use crate::schema::Schema;
use crate::snapshot::Snapshot;
use crate::tx::{Tx, TxError};
use open::read_and_repair;
pub use open::{OpenError, StoreOptions};

/// Why there is no snapshot as new as asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The engine did not say how far it is.
    #[error("the engine does not say its newest revision")]
    Engine(#[source] CommitError),
    /// The store was closed before it got there.
    #[error("the store was closed before it reached revision {revision}")]
    Closed {
        /// The revision waited for.
        revision: Revision,
    },
}

/// What a committed transaction gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed<T> {
    /// What the closure returned.
    pub value: T,
    /// The revision at which it is durable; of a transaction that wrote nothing, the one it saw.
    pub revision: Revision,
}

/// Why a transaction did not commit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactError<E> {
    /// The closure refused; nothing was changed. What it saw was durable.
    #[error("the transaction was refused")]
    Refused(#[source] E),
    /// What rides on the handle could not be added; nothing was changed.
    #[error("what belongs to the transaction could not be written with it")]
    Rider(#[source] TxError),
    /// Other controllers were faster each time; nothing was changed.
    #[error("other controllers changed the same records in each of {attempts} attempts")]
    Conflict {
        /// How often it was tried.
        attempts: u32,
    },
    /// The engine could not be reached or could not work; nothing was changed.
    #[error("nothing was changed: {reason}")]
    Unavailable {
        /// What is wrong.
        reason: String,
    },
    /// The engine did not say in time whether it committed. Ask [`Store::outcome`] later.
    #[error("it is not known whether operation {operation} was committed")]
    Unknown {
        /// Under which the engine knows it.
        operation: Operation,
    },
    /// A record cannot be written as JSON; nothing was changed.
    #[error("the {kind} '{id}' cannot be written as JSON: {reason}")]
    Unwritable {
        /// The kind of the record.
        kind: Kind,
        /// Its id.
        id: String,
        /// What JSON cannot express.
        reason: String,
    },
    /// The store was closed; nothing was changed.
    #[error("the store is closed: {reason}")]
    Closed {
        /// Why.
        reason: String,
    },
}

/// The tables of one site (or of what one controller knows of it). Clones share them; when the
/// last clone is gone the store closes.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    rider: Option<Arc<dyn Rider>>,
    _handle: Arc<Handle>,
}

/// Closes the store when the last of its clones is dropped.
struct Handle(Arc<Inner>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

pub(crate) struct Inner {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) shared: bool,
    pub(crate) schema: Arc<Schema>,
    pub(crate) pause: Arc<dyn Pause>,
    /// Wakes the driver.
    pub(crate) work: AtomicWaker,
    site: SitePrefix,
    attempts_max: u32,
    entropy: Mutex<Box<dyn Entropy + Send>>,
    ledger: Mutex<Ledger>,
    published: Arc<ArcSwap<Snapshot>>,
    log: Arc<Log>,
    repairs: Vec<Repair>,
    /// A rule that is not kept; never in production.
    pub(crate) broken: Option<Broken>,
}

impl Inner {
    /// Works on the ledger, then tells those whose wait is over.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Ledger) -> T) -> T {
        // A panic inside a transaction leaves the ledger as it was: it changes only afterwards.
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut ledger);
        let outbox = ledger.take_outbox();
        drop(ledger);
        outbox.deliver();
        result
    }

    /// A new operation of somebody who knows everything up to `base`.
    pub(crate) fn operation(&self, base: Revision) -> Operation {
        let mut entropy = self.entropy.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entropy: &mut dyn Entropy = &mut **entropy;
        Operation {
            id: OpId::born_at(self.site, &mut entropy),
            base,
        }
    }

    fn close(&self) {
        self.with(Ledger::close);
        self.work.wake();
    }
}

/// How one run of a transaction went.
enum Attempt<T, E> {
    /// It ran; the verdict comes later.
    Ran {
        result: Result<T, TransactError<E>>,
        wrote: bool,
        verdict: oneshot::Receiver<Verdict>,
    },
    /// It ran, and nothing has to be waited for.
    Done(Result<T, TransactError<E>>, Revision),
    /// It could not run yet.
    Wait(oneshot::Receiver<Verdict>),
    /// It may not run.
    Refused(Verdict),
}

impl Store {
    /// Reads all tables of `schema` from `engine`. The driver has to be polled for the store to
    /// work.
    pub async fn open(
        engine: Arc<dyn Engine>,
        schema: Schema,
        options: StoreOptions,
    ) -> Result<(Self, Driver), OpenError> {
        let schema = Arc::new(schema);
        let traits = engine.traits();
        let mut entropy = options.entropy;
        let (state, revision, repairs) = read_and_repair(
            &*engine,
            &schema,
            options.site,
            &mut *entropy,
            &*options.pause,
        )
        .await?;
        let published = Arc::new(ArcSwap::from_pointee(Snapshot { state, revision }));
        let log = Arc::new(Log::new(Arc::clone(&published), options.log_changes_max));
        let keys_max = traits.proposal_keys_max;
        let ledger = Ledger::new(
            traits.shared,
            keys_max,
            Arc::clone(&published),
            Arc::clone(&log),
        );
        let inner = Arc::new(Inner {
            engine,
            shared: traits.shared,
            schema,
            pause: options.pause,
            work: AtomicWaker::new(),
            site: options.site,
            attempts_max: options.attempts_max,
            entropy: Mutex::new(entropy),
            ledger: Mutex::new(ledger),
            published,
            log,
            repairs,
            broken: options.broken,
        });
        let handle = Arc::new(Handle(Arc::clone(&inner)));
        Ok((
            Self {
                inner: Arc::clone(&inner),
                rider: None,
                _handle: handle,
            },
            Driver::new(inner),
        ))
    }

    /// Everything that is durable, at one revision. Takes no lock and never waits.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.published.load_full()
    }

    /// A handle of this store whose every writing transaction ends with `rider`, in the same
    /// commit; in place of the rider that this handle may have.
    #[must_use]
    pub fn riding(&self, rider: Arc<dyn Rider>) -> Self {
        Self {
            rider: Some(rider),
            ..self.clone()
        }
    }

    /// The site whose records this store may write.
    pub fn site(&self) -> SitePrefix {
        self.inner.site
    }

    /// The claims of unique indexes that had to be put right when the store was opened.
    pub fn repairs(&self) -> &[Repair] {
        &self.inner.repairs
    }

    /// The commits after `from`, then each new one. Start from what a snapshot says of itself:
    /// `store.watch(snapshot.revision())`.
    pub fn watch(&self, from: Revision) -> Watch {
        self.inner.log.watch(from)
    }

    /// The snapshot as soon as it has reached `revision`, which may be another controller's.
    pub async fn reached(&self, revision: Revision) -> Result<Arc<Snapshot>, SnapshotError> {
        let (sender, receiver) = oneshot::channel();
        self.inner
            .with(|ledger| ledger.await_arrival(revision, sender));
        match receiver.await {
            Ok(Verdict::Committed(_)) => Ok(self.snapshot()),
            _ => Err(SnapshotError::Closed { revision }),
        }
    }

    /// A snapshot with everything that any controller of the site had committed when this was
    /// called. Costs nothing if there is one controller, else a round trip to the engine.
    pub async fn newest(&self) -> Result<Arc<Snapshot>, SnapshotError> {
        if !self.inner.shared {
            return Ok(self.snapshot());
        }
        let operation = self.inner.operation(self.snapshot().revision());
        let check = Proposal {
            operation,
            expectations: Vec::new(),
            batch: Vec::new(),
        };
        match self.inner.engine.commit(check).await {
            Ok(revision) => self.reached(revision).await,
            Err(source) => Err(SnapshotError::Engine(source)),
        }
    }

    /// What became of an operation whose outcome was unknown: the revision at which it was
    /// committed, or `None` if it was not and never will be.
    pub async fn outcome(&self, operation: &Operation) -> Result<Option<Revision>, EngineError> {
        self.inner.engine.outcome(operation).await
    }

    /// Refuses new transactions. What has run is still made durable; then the driver ends.
    pub fn close(&self) {
        self.inner.close();
    }

    /// Runs `body` against the newest state and resolves when what it did is durable and visible
    /// in [`Self::snapshot`].
    ///
    /// All transactions are serializable, in one order, also between several controllers of a
    /// site. `body` is run at the first poll, under a lock: it must be quick and must not wait. It
    /// runs again if another controller changed what it saw, so it must have no effect but on
    /// `tx` and on what it returns.
    ///
    /// If `body` returns an error nothing is changed; the error is returned once everything the
    /// closure can have seen is durable. If the future is dropped after it was polled, the
    /// transaction is done completely or not at all.
    pub async fn transact<T, E, F>(&self, mut body: F) -> Result<Committed<T>, TransactError<E>>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E>,
    {
        let mut attempts = 1;
        loop {
            let (result, verdict) = match self.attempt(&mut body) {
                Attempt::Done(result, revision) => return finish(result, revision),
                Attempt::Refused(verdict) => return Err(refusal(verdict)),
                Attempt::Wait(verdict) => (None, verdict.await),
                Attempt::Ran {
                    result,
                    wrote,
                    verdict,
                } => {
                    self.inner.work.wake();
                    (Some((result, wrote)), verdict.await)
                }
            };
            match (result, verdict) {
                (Some((result, _)), Ok(Verdict::Committed(revision))) => {
                    return finish(result, revision);
                }
                (_, Ok(Verdict::Retry { refused })) => {
                    if refused && attempts >= self.inner.attempts_max {
                        return Err(TransactError::Conflict { attempts });
                    }
                    attempts += u32::from(refused);
                }
                // Only what it read is in doubt.
                (Some((_, false)), Ok(Verdict::Unknown(operation))) => {
                    let reason = format!("the engine is silent about operation {operation}");
                    return Err(TransactError::Unavailable { reason });
                }
                (_, Ok(verdict)) => return Err(refusal(verdict)),
                (_, Err(oneshot::Canceled)) => {
                    let reason = "its driver has ended".to_owned();
                    return Err(TransactError::Closed { reason });
                }
            }
        }
    }

    fn attempt<T, E>(&self, body: &mut impl FnMut(&mut Tx<'_>) -> Result<T, E>) -> Attempt<T, E> {
        self.inner.with(|ledger| {
            let (sender, receiver) = oneshot::channel();
            match ledger.admission() {
                Admission::Open => {}
                Admission::Refused(verdict) => return Attempt::Refused(verdict),
                Admission::Wait => {
                    ledger.wait(sender);
                    return Attempt::Wait(receiver);
                }
            }
            let mut tx = Tx::new(ledger.head(), self.inner.site, self.inner.shared);
            tx.broken = self.inner.broken;
            let result = body(&mut tx).map_err(TransactError::Refused);
            let result = match (result, &self.rider) {
                (Ok(value), Some(rider)) => mount(&**rider, &mut tx)
                    .map(|()| value)
                    .map_err(TransactError::Rider),
                (result, _) => result,
            };
            let mut run = tx.finish();
            if result.is_err() {
                run.writes.clear();
                run.touched.clear();
            }
            let wrote = !run.writes.is_empty();
            match ledger.enqueue(run, sender) {
                Some(revision) => Attempt::Done(result, revision),
                None => Attempt::Ran {
                    result,
                    wrote,
                    verdict: receiver,
                },
            }
        })
    }
}

fn finish<T, E>(
    result: Result<T, TransactError<E>>,
    revision: Revision,
) -> Result<Committed<T>, TransactError<E>> {
    result.map(|value| Committed { value, revision })
}

fn refusal<E>(verdict: Verdict) -> TransactError<E> {
    match verdict {
        Verdict::Unknown(operation) => TransactError::Unknown { operation },
        Verdict::Unavailable(reason) => TransactError::Unavailable { reason },
        Verdict::Closed(reason) => TransactError::Closed { reason },
        Verdict::Unwritable { kind, id, reason } => TransactError::Unwritable {
            kind,
            id: id.to_string(),
            reason,
        },
        // Neither is given to a transaction that has not run; both are harmless to repeat.
        Verdict::Committed(_) | Verdict::Retry { .. } => TransactError::Unavailable {
            reason: "the store answered out of turn".to_owned(),
        },
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("site", &self.inner.site)
            .field("revision", &self.snapshot().revision())
            .finish_non_exhaustive()
    }
}
