//! The change log: what each commit changed, and streams over it.
//!
//! The log keeps the newest commits within a bound on their changes, once, however many watch.
//! A [`Watch`] is a cursor: it costs the store nothing when it is slow, and when it has fallen
//! behind the log it gets one [`WatchEvent::Gap`] with the snapshot to start again from.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use arc_swap::ArcSwap;
use futures::stream::Stream;
use luc_core::SitePrefix;

use crate::envelope::{Erased, typed};
use crate::kinds::Kind;
use crate::record::{Record, Stored};
use crate::revision::Revision;
use crate::snapshot::Snapshot;

/// One commit as watchers see it.
#[derive(Debug)]
pub struct Commit {
    /// Its revision. Several transactions may share a commit.
    pub revision: Revision,
    /// What it changed, each record once, ordered by kind and id.
    pub changes: Vec<Change>,
}

/// What a commit did to one record.
#[derive(Clone)]
pub struct Change {
    /// The kind of the record.
    pub kind: Kind,
    /// Its id.
    pub id: Arc<str>,
    pub(crate) before: Option<Erased>,
    pub(crate) after: Option<Erased>,
}

impl Change {
    /// The record as it was; `None` if it was not there or is of another type.
    pub fn before<R: Record>(&self) -> Option<Arc<Stored<R>>> {
        self.before.as_ref().and_then(typed)
    }

    /// The record as it is; `None` if it is gone or of another type.
    pub fn after<R: Record>(&self) -> Option<Arc<Stored<R>>> {
        self.after.as_ref().and_then(typed)
    }

    /// The home of the record as it is, or was if it is gone. A copy of what another site owns has
    /// that site's.
    pub fn home(&self) -> Option<SitePrefix> {
        let record = self.after.as_ref().or(self.before.as_ref());
        record.map(|record| record.envelope().home)
    }

    /// Whether the record is new.
    pub const fn is_insert(&self) -> bool {
        self.before.is_none()
    }

    /// Whether the record is gone.
    pub const fn is_delete(&self) -> bool {
        self.after.is_none()
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (&self.before, &self.after) {
            (None, _) => "insert",
            (_, None) => "delete",
            _ => "update",
        };
        write!(f, "{what} {} {}", self.kind, self.id)
    }
}

/// What a watch delivers.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// The next commit.
    Commit(Arc<Commit>),
    /// Commits were missed. Forget what you knew and start from this snapshot; the stream goes on
    /// with the commits after it.
    Gap(Arc<Snapshot>),
}

/// The newest commits of a store and those who wait for the next.
pub(crate) struct Log {
    published: Arc<ArcSwap<Snapshot>>,
    changes_max: usize,
    inner: Mutex<Inner>,
}

struct Inner {
    commits: VecDeque<Arc<Commit>>,
    /// Every commit after this is in `commits`.
    base: Revision,
    changes: usize,
    waiting: BTreeMap<u64, Waker>,
    watches: u64,
    closed: bool,
}

impl Log {
    pub(crate) fn new(published: Arc<ArcSwap<Snapshot>>, changes_max: usize) -> Self {
        let inner = Inner {
            commits: VecDeque::new(),
            base: published.load().revision(),
            changes: 0,
            waiting: BTreeMap::new(),
            watches: 0,
            closed: false,
        };
        Self {
            published,
            changes_max,
            inner: Mutex::new(inner),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, commit: Commit) {
        let mut inner = self.inner();
        inner.changes += weight(&commit);
        inner.commits.push_back(Arc::new(commit));
        while inner.changes > self.changes_max {
            let Some(first) = inner.commits.pop_front() else {
                break;
            };
            inner.changes -= weight(&first);
            inner.base = first.revision;
        }
        wake(inner);
    }

    /// Forgets everything: commits up to `base` happened that this store did not see one by one.
    pub(crate) fn reset(&self, base: Revision) {
        let mut inner = self.inner();
        inner.commits.clear();
        inner.changes = 0;
        inner.base = base;
        wake(inner);
    }

    /// Ends all watches.
    pub(crate) fn close(&self) {
        let mut inner = self.inner();
        inner.closed = true;
        wake(inner);
    }

    pub(crate) fn watch(self: &Arc<Self>, from: Revision) -> Watch {
        let mut inner = self.inner();
        inner.watches += 1;
        // Somebody who has seen more than we ever published has seen another history.
        let stray = from > self.published.load().revision();
        Watch {
            log: Arc::clone(self),
            number: inner.watches,
            seen: from,
            stray,
        }
    }
}

/// A commit counts at least once, so that empty ones are bounded too.
fn weight(commit: &Commit) -> usize {
    commit.changes.len().max(1)
}

fn wake(mut inner: MutexGuard<'_, Inner>) {
    let waiting = std::mem::take(&mut inner.waiting);
    drop(inner);
    waiting.into_values().for_each(Waker::wake);
}

/// A stream of commits, made by [`Store::watch`](crate::Store::watch). Ends when the store closes.
pub struct Watch {
    log: Arc<Log>,
    number: u64,
    seen: Revision,
    stray: bool,
}

impl Watch {
    /// The revision up to which this watch has delivered.
    pub const fn seen(&self) -> Revision {
        self.seen
    }
}

impl Stream for Watch {
    type Item = WatchEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        let log = Arc::clone(&self.log);
        let mut inner = log.inner();
        if self.stray || self.seen < inner.base {
            let snapshot = log.published.load_full();
            self.seen = snapshot.revision();
            self.stray = false;
            return Poll::Ready(Some(WatchEvent::Gap(snapshot)));
        }
        let next = inner
            .commits
            .partition_point(|commit| commit.revision <= self.seen);
        if let Some(commit) = inner.commits.get(next) {
            self.seen = commit.revision;
            return Poll::Ready(Some(WatchEvent::Commit(Arc::clone(commit))));
        }
        if inner.closed {
            return Poll::Ready(None);
        }
        inner.waiting.insert(self.number, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.log.inner().waiting.remove(&self.number);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}
