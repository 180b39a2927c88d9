//! The driver: the one task of a store that talks to its engine.
//!
//! It proposes groups one at a time, resolves unknown outcomes, follows the commits of other
//! controllers, and reloads after a gap. It decides nothing: every answer goes to the ledger.
//! Whoever opens a store polls its driver, on any executor, until it ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, poll_fn};
use futures::stream::StreamExt;

use crate::engine::{CommitError, Committed, EngineError, Feed, FeedEvent, Operation, Proposal};
use crate::ledger::{CLOSED, Ledger};
use crate::load;
use crate::pace::back_off;
use crate::revision::Revision;
use crate::store::Inner;

/// How often a group is proposed to an engine that does not answer, before its transactions are
/// told that it is unavailable; with the back-off about 2.5 s.
const PROPOSALS_MAX: u32 = 8;

/// How often the outcome of a group is asked for before its transactions are told that it is
/// unknown; with the back-off about 4.5 s. Asking goes on after that.
const QUESTIONS_MAX: u32 = 10;

/// Does the work of a store. A future that ends when the store is closed and everything queued is
/// done. Dropped earlier, it leaves what was in flight to be found by operation id.
#[must_use = "a store does nothing unless its driver is polled"]
pub struct Driver {
    work: BoxFuture<'static, ()>,
    inner: Arc<Inner>,
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.work.as_mut().poll(cx)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.inner
            .with(|ledger| ledger.abandon("its driver has ended"));
    }
}

impl Driver {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        let run = Run {
            inner: Arc::clone(&inner),
            flight: None,
            news: None,
        };
        Self {
            work: Box::pin(run.run()),
            inner,
        }
    }
}

/// What the engine said about a group in the end.
enum Answer {
    Committed(Revision),
    Conflict(Revision),
    Unavailable(String),
    /// It cannot be known any more.
    Lost(String),
}

/// What came from the engine unasked.
enum News {
    Commit(Feed, Arc<Committed>),
    /// The connection broke.
    Broken,
    /// Commits were missed.
    Gap,
    Loaded(load::Opened, Revision),
    Failed(String),
}

enum Step {
    Work,
    Answer(Answer),
    News(News),
    Finished,
}

struct Run {
    inner: Arc<Inner>,
    flight: Option<BoxFuture<'static, Answer>>,
    news: Option<BoxFuture<'static, News>>,
}

impl Run {
    async fn run(mut self) {
        if self.inner.shared {
            self.connect(false);
        }
        loop {
            match poll_fn(|cx| self.poll_step(cx)).await {
                Step::Work => self.propose(),
                Step::Answer(answer) => self.on_answer(answer),
                Step::News(news) => self.on_news(news),
                Step::Finished => break,
            }
        }
        self.inner.with(|ledger| ledger.abandon(CLOSED));
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        self.inner.work.register(cx.waker());
        if let Some(news) = &mut self.news
            && let Poll::Ready(news) = news.as_mut().poll(cx)
        {
            self.news = None;
            return Poll::Ready(Step::News(news));
        }
        if let Some(flight) = &mut self.flight
            && let Poll::Ready(answer) = flight.as_mut().poll(cx)
        {
            self.flight = None;
            return Poll::Ready(Step::Answer(answer));
        }
        let (finished, work) = self.inner.with(|l| (l.is_finished(), l.has_work()));
        if finished {
            Poll::Ready(Step::Finished)
        } else if work {
            Poll::Ready(Step::Work)
        } else {
            Poll::Pending
        }
    }

    fn propose(&mut self) {
        let inner = Arc::clone(&self.inner);
        let Some((group, operation)) = self.inner.with(|l| l.take_group(|b| inner.operation(b)))
        else {
            return;
        };
        let base = group.base.revision();
        match group.proposal(operation) {
            Err(failure) => self.inner.with(|ledger| ledger.on_unwritable(&failure)),
            // Nothing changed in the end, and nobody else could have changed what was read.
            Ok(proposal) if proposal.batch.is_empty() && !self.inner.shared => {
                self.inner.with(|ledger| ledger.on_committed(base, false));
            }
            Ok(proposal) => {
                self.flight = Some(Box::pin(submit(Arc::clone(&self.inner), proposal, base)));
            }
        }
    }

    fn on_answer(&mut self, answer: Answer) {
        match answer {
            Answer::Committed(revision) => {
                self.inner
                    .with(|ledger| ledger.on_committed(revision, false));
            }
            Answer::Unavailable(reason) => self.inner.with(|l| l.on_unavailable(&reason)),
            Answer::Lost(reason) => self.inner.with(|ledger| ledger.abandon(&reason)),
            Answer::Conflict(revision) => {
                let behind = self.inner.with(|ledger| {
                    ledger.on_conflict(revision);
                    ledger.is_behind()
                });
                // Without a watch nothing else would tell us what has changed.
                if behind && !self.inner.shared {
                    self.news = Some(Box::pin(reload(Arc::clone(&self.inner))));
                }
            }
        }
    }

    fn on_news(&mut self, news: News) {
        match news {
            News::Commit(feed, committed) => match self.on_commit(&committed) {
                Ok(()) => self.news = Some(Box::pin(listen(feed))),
                Err(error) => {
                    let reason = describe(&error);
                    self.inner.with(|ledger| ledger.abandon(&reason));
                }
            },
            News::Broken => self.connect(true),
            News::Gap => self.news = Some(Box::pin(reload(Arc::clone(&self.inner)))),
            News::Loaded(opened, revision) => {
                let decided = self.inner.with(|ledger| {
                    ledger.on_reload(opened.state, revision);
                    !ledger.has_flight()
                });
                if decided {
                    self.flight = None;
                }
                if self.inner.shared {
                    self.connect(false);
                }
            }
            News::Failed(reason) => self.inner.with(|ledger| ledger.abandon(&reason)),
        }
    }

    fn on_commit(&mut self, committed: &Committed) -> Result<(), load::EntryError> {
        let durable = self.inner.with(|ledger| Arc::clone(ledger.durable()));
        if committed.revision <= durable.revision() {
            return Ok(());
        }
        if self
            .inner
            .with(|ledger| ledger.is_ours(&committed.operation))
        {
            self.inner
                .with(|ledger| ledger.on_committed(committed.revision, true));
        } else {
            let foreign = load::read_commit(&durable.state, committed)?;
            self.inner
                .with(|l| l.on_foreign(foreign.revision, &foreign.writes, &foreign.keys));
        }
        if !self.inner.with(|ledger| ledger.has_flight()) {
            // The watch was faster than the answer.
            self.flight = None;
        }
        Ok(())
    }

    fn connect(&mut self, pause_first: bool) {
        let from = self.inner.with(|ledger| ledger.durable().revision());
        self.news = Some(Box::pin(connect(
            Arc::clone(&self.inner),
            from,
            pause_first,
        )));
    }
}

async fn connect(inner: Arc<Inner>, from: Revision, pause_first: bool) -> News {
    let mut attempt = 0;
    if pause_first {
        inner.pause.pause(back_off(attempt)).await;
    }
    loop {
        match inner.engine.watch(from).await {
            Ok(feed) => return listen(feed).await,
            Err(EngineError::Damaged { reason }) => return News::Failed(reason),
            Err(_) => inner.pause.pause(back_off(attempt)).await,
        }
        attempt += 1;
    }
}

async fn listen(mut feed: Feed) -> News {
    match feed.next().await {
        Some(FeedEvent::Commit(committed)) => News::Commit(feed, committed),
        Some(FeedEvent::Gap { .. }) => News::Gap,
        None => News::Broken,
    }
}

async fn reload(inner: Arc<Inner>) -> News {
    let mut attempt = 0;
    loop {
        match inner.engine.load("").await {
            Ok(loaded) => {
                let revision = loaded.revision;
                return match load::read(&inner.schema, loaded) {
                    Ok(opened) => News::Loaded(opened, revision),
                    Err(error) => News::Failed(describe(&error)),
                };
            }
            Err(EngineError::Damaged { reason }) => return News::Failed(reason),
            Err(_) => inner.pause.pause(back_off(attempt)).await,
        }
        attempt += 1;
    }
}

/// Proposes a group until the engine has given an answer that can be acted on.
async fn submit(inner: Arc<Inner>, mut proposal: Proposal, base: Revision) -> Answer {
    let check = proposal.batch.is_empty();
    // A check makes no revision: what was read holds at the base.
    let committed = |revision| Answer::Committed(if check { base } else { revision });
    let mut attempt = 0;
    loop {
        let reason = match inner.engine.commit(proposal.clone()).await {
            Ok(revision) => return committed(revision),
            Err(CommitError::Conflict { revision, .. }) => return Answer::Conflict(revision),
            Err(CommitError::Unavailable { reason }) => reason,
            // A check that was lost may simply be asked again.
            Err(CommitError::Unknown { reason }) if check => reason,
            Err(CommitError::Unknown { reason }) => {
                match resolve(&inner, &proposal.operation).await {
                    Ok(Some(revision)) => return committed(revision),
                    Err(reason) => return Answer::Lost(reason),
                    Ok(None) if inner.with(|ledger| ledger.is_stalled()) => {
                        // Those who waited were told to ask for this very operation.
                        return Answer::Unavailable(reason);
                    }
                    Ok(None) => {
                        // It never will be committed under this id.
                        proposal.operation = inner.operation(base);
                        let operation = proposal.operation.clone();
                        inner.with(|ledger| ledger.renew(operation));
                        reason
                    }
                }
            }
        };
        attempt += 1;
        if attempt == PROPOSALS_MAX {
            return Answer::Unavailable(reason);
        }
        inner.pause.pause(back_off(attempt)).await;
    }
}

/// Asks what became of an operation until the engine knows.
async fn resolve(inner: &Inner, operation: &Operation) -> Result<Option<Revision>, String> {
    let mut attempt = 0;
    loop {
        match inner.engine.outcome(operation).await {
            Ok(outcome) => return Ok(outcome),
            Err(error @ EngineError::Forgotten { .. }) => return Err(error.to_string()),
            Err(EngineError::Unavailable { .. } | EngineError::Damaged { .. }) => {}
        }
        attempt += 1;
        if attempt == QUESTIONS_MAX {
            inner.with(Ledger::on_stalled);
        }
        inner.pause.pause(back_off(attempt)).await;
    }
}

/// An error with everything that caused it, in one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
