//! Watches of the embedded engine: the newest commits from memory, older ones from the file.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll, Waker};

use futures::channel::oneshot;
use futures::future::poll_fn;
use futures::stream::{self, StreamExt};
use luc_state::Revision;
use luc_state::engine::{Committed, Feed, FeedEvent};

use super::tables::Past;
use super::writer::Job;

/// How many commits are kept in memory for those who follow closely.
const RECENT_MAX: usize = 256;

/// The newest commits, and those who wait for the next.
#[derive(Default)]
pub(super) struct Recent {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Every commit after `base` is in `commits`.
    commits: VecDeque<Arc<Committed>>,
    base: Revision,
    /// The history in the file has every commit after this.
    oldest: Revision,
    waiting: Vec<Waker>,
    closed: bool,
}

/// What there is for somebody who has seen a revision.
enum Next {
    Commit(Arc<Committed>),
    Gap(Revision),
    /// The file has it.
    Older,
    Closed,
}

impl Recent {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file was opened and stands at `revision`.
    pub(super) fn restart(&self, revision: Revision, oldest: Revision) {
        let mut inner = self.inner();
        inner.commits.clear();
        inner.base = revision;
        inner.oldest = oldest;
        wake(inner);
    }

    /// These commits are durable, and the history begins after `oldest`.
    pub(super) fn push(&self, commits: Vec<Arc<Committed>>, oldest: Revision) {
        let mut inner = self.inner();
        inner.commits.extend(commits);
        while inner.commits.len() > RECENT_MAX {
            inner.base = inner
                .commits
                .pop_front()
                .map_or(inner.base, |first| first.revision);
        }
        inner.oldest = oldest;
        wake(inner);
    }

    /// Ends all watches.
    pub(super) fn close(&self) {
        let mut inner = self.inner();
        inner.closed = true;
        wake(inner);
    }

    fn poll_after(&self, seen: Revision, cx: &Context<'_>) -> Poll<Next> {
        let mut inner = self.inner();
        if inner.closed {
            return Poll::Ready(Next::Closed);
        }
        if seen < inner.oldest {
            return Poll::Ready(Next::Gap(inner.oldest));
        }
        if seen < inner.base {
            return Poll::Ready(Next::Older);
        }
        let next = inner
            .commits
            .partition_point(|commit| commit.revision <= seen);
        if let Some(commit) = inner.commits.get(next) {
            return Poll::Ready(Next::Commit(Arc::clone(commit)));
        }
        if !inner
            .waiting
            .iter()
            .any(|waker| waker.will_wake(cx.waker()))
        {
            inner.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

fn wake(mut inner: MutexGuard<'_, Inner>) {
    let waiting = std::mem::take(&mut inner.waiting);
    drop(inner);
    waiting.into_iter().for_each(Waker::wake);
}

struct Follower {
    jobs: mpsc::Sender<Job>,
    recent: Arc<Recent>,
    seen: Revision,
    older: VecDeque<Arc<Committed>>,
    over: bool,
}

/// Every commit after `from`.
pub(super) fn follow(jobs: mpsc::Sender<Job>, recent: Arc<Recent>, from: Revision) -> Feed {
    let follower = Follower {
        jobs,
        recent,
        seen: from,
        older: VecDeque::new(),
        over: false,
    };
    stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((event, follower))
    })
    .boxed()
}

impl Follower {
    async fn next(&mut self) -> Option<FeedEvent> {
        loop {
            if self.over {
                return None;
            }
            if let Some(commit) = self.older.pop_front() {
                return Some(self.commit(commit));
            }
            let (recent, seen) = (Arc::clone(&self.recent), self.seen);
            match poll_fn(|cx| recent.poll_after(seen, cx)).await {
                Next::Commit(commit) => return Some(self.commit(commit)),
                Next::Gap(oldest) => return Some(self.gap(oldest)),
                Next::Closed => self.over = true,
                Next::Older => {
                    let (sender, receiver) = oneshot::channel();
                    // A thread that is gone drops the sender.
                    let _ = self.jobs.send(Job::History(self.seen, sender));
                    match receiver.await {
                        Ok(Ok(Past::Commits(commits))) => self.older.extend(commits),
                        Ok(Ok(Past::Gap { oldest })) => return Some(self.gap(oldest)),
                        // The watcher comes again.
                        Ok(Err(_)) | Err(oneshot::Canceled) => self.over = true,
                    }
                }
            }
        }
    }

    fn commit(&mut self, commit: Arc<Committed>) -> FeedEvent {
        self.seen = commit.revision;
        FeedEvent::Commit(commit)
    }

    fn gap(&mut self, oldest: Revision) -> FeedEvent {
        self.over = true;
        FeedEvent::Gap { oldest }
    }
}
