//! The home's end of a feed: the step that a follower lacks, then what the change log tells.
//!
//! Knows no time: its driver decides when to [`Source::take`] what has come together. A follower
//! that takes nothing costs nothing, for the change log is kept once for all; when it has gone on
//! without us, another step is asked of a snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::StreamExt;
use luc_core::SitePrefix;

use super::Filter;
use super::batch::{BATCH_VERSION, Batch, Entry, Hello, Token};
use super::diff::{Since, changes_since, gone, put, sendable};
use super::records::FeedHorizon;
use super::step::Step;
use crate::change::{Change, Watch, WatchEvent};
use crate::kinds::Kind;
use crate::revision::Revision;
use crate::snapshot::Snapshot;
use crate::store::Store;

/// Why a follower cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The follower knows more of this site than the site itself: it was brought back from a copy
    /// and has not gone through recovery, or this controller is behind.
    #[error("the follower has revision {held} of epoch {epoch}, this site is at {here}")]
    Ahead {
        /// The follower's epoch.
        epoch: u32,
        /// The follower's revision.
        held: Revision,
        /// This site's.
        here: Revision,
    },
}

/// What came of waiting for news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absorbed {
    /// The site has gone on.
    News,
    /// The store was closed.
    Closed,
}

/// The feed of one follower.
pub struct Source {
    store: Store,
    watch: Watch,
    epoch: u32,
    /// What the follower has, or will have once the step is through.
    at: Token,
    filter: Filter,
    step: Option<Step>,
    /// What has changed since, the first `before` and the last `after` of each record.
    news: BTreeMap<(Kind, Arc<str>), Change>,
    /// Up to where `news` goes.
    seen: Revision,
    /// The filter that the follower asked for last, if it does not have it yet.
    wanted: Option<Filter>,
    /// Whether the change log went on without us.
    gap: bool,
    /// Whether the next step sends everything, whatever the follower has.
    anew: bool,
}

impl Source {
    /// Begins where the follower is.
    pub fn open(store: &Store, hello: &Hello) -> Result<Self, SourceError> {
        Self::begin(store, hello, false)
    }

    /// Begins with everything that the follower wants, and so takes from it what it has besides:
    /// for those who may not hold all that they ask for.
    pub fn open_anew(store: &Store, hello: &Hello) -> Result<Self, SourceError> {
        Self::begin(store, hello, true)
    }

    fn begin(store: &Store, hello: &Hello, anew: bool) -> Result<Self, SourceError> {
        let snapshot = store.snapshot();
        let (epoch, held) = (horizon(store.site(), &snapshot).epoch, hello.held);
        if held.epoch > epoch || (held.epoch == epoch && held.revision > snapshot.revision()) {
            return Err(SourceError::Ahead {
                epoch: held.epoch,
                held: held.revision,
                here: snapshot.revision(),
            });
        }
        let mut source = Self {
            store: store.clone(),
            watch: store.watch(snapshot.revision()),
            epoch,
            at: held,
            filter: hello.filter.clone(),
            step: None,
            news: BTreeMap::new(),
            seen: snapshot.revision(),
            wanted: None,
            gap: false,
            anew,
        };
        source.leap(&snapshot, hello.wanted.clone());
        Ok(source)
    }

    /// Waits until the site has gone on. May be dropped and called again at any time.
    pub async fn absorb(&mut self) -> Absorbed {
        match self.watch.next().await {
            None => Absorbed::Closed,
            Some(WatchEvent::Gap(snapshot)) => {
                self.seen = snapshot.revision();
                self.news.clear();
                self.gap = true;
                Absorbed::News
            }
            Some(WatchEvent::Commit(commit)) => {
                self.seen = commit.revision;
                for change in &commit.changes {
                    self.learn(change);
                }
                Absorbed::News
            }
        }
    }

    fn learn(&mut self, change: &Change) {
        let sites = [&change.before, &change.after].map(|record| {
            let envelope = record.as_ref().map(|record| record.envelope());
            envelope.is_some_and(|envelope| {
                let own = envelope.home == self.store.site();
                own && self.filter.admits(change.kind, &envelope.scope)
            })
        });
        if self.gap || sites == [false, false] {
            return;
        }
        let place = (change.kind, Arc::clone(&change.id));
        match self.news.get_mut(&place) {
            Some(known) => known.after.clone_from(&change.after),
            None => drop(self.news.insert(place, change.clone())),
        }
    }

    /// How many changes wait to be taken; everything if they could not be counted.
    pub fn waiting(&self) -> usize {
        if self.step.is_some() || self.gap || self.wanted.is_some() {
            usize::MAX
        } else {
            self.news.len()
        }
    }

    /// Whether there is anything to take, be it only that the site has gone on.
    pub fn is_behind(&self) -> bool {
        self.waiting() > 0 || self.seen > self.at.revision
    }

    /// Up to where this site's changes have been heard of.
    pub const fn seen(&self) -> Revision {
        self.seen
    }

    /// Gives the follower another filter.
    pub fn refilter(&mut self, filter: Filter) {
        if filter.number > self.filter.number {
            self.wanted = Some(filter);
        }
    }

    /// The state that the follower has once it has taken everything that was taken here.
    pub const fn at(&self) -> Token {
        self.at
    }

    /// The next batch, if the follower lacks anything.
    pub fn take(&mut self) -> Option<Batch> {
        if self.step.is_none() {
            self.prepare();
        }
        let batch = self.step.as_mut().and_then(Iterator::next);
        if let Some(batch) = batch.as_ref().filter(|batch| !batch.more) {
            (self.at, self.step) = (batch.to, None);
        }
        batch
    }

    /// A batch that says no more than that this site lives. Only between steps.
    pub fn heartbeat(&self) -> Option<Batch> {
        self.step.is_none().then(|| Batch {
            version: BATCH_VERSION,
            home: self.store.site(),
            from: self.at,
            to: self.at,
            reset: false,
            part: 0,
            more: false,
            entries: Vec::new(),
        })
    }

    fn prepare(&mut self) {
        let wanted = self.wanted.take();
        if self.gap || wanted.is_some() {
            let snapshot = self.store.snapshot();
            self.watch = self.store.watch(snapshot.revision());
            let filter = wanted.unwrap_or_else(|| self.filter.clone());
            self.leap(&snapshot, filter);
        } else if self.seen > self.at.revision {
            let to = Token {
                revision: self.seen,
                ..self.at
            };
            let (news, filter) = (std::mem::take(&mut self.news), self.filter.clone());
            let (site, snapshot) = (self.store.site(), self.store.snapshot());
            let entries = news.into_iter().filter_map(move |((kind, id), change)| {
                told(&snapshot, (site, &filter), (kind, &id), &change)
            });
            self.step = Some(Step::new(site, (self.at, to), false, entries));
        }
    }

    /// Goes to `snapshot` and `filter` in one step, whatever lies between.
    fn leap(&mut self, snapshot: &Arc<Snapshot>, filter: Filter) {
        (self.seen, self.gap) = (snapshot.revision(), false);
        self.news.clear();
        let horizon = horizon(self.store.site(), snapshot);
        let reset = std::mem::take(&mut self.anew)
            || self.at.revision == Revision::ZERO
            || self.at.epoch < horizon.epoch
            || self.at.revision < horizon.revision;
        let here = (self.at.revision, self.at.filter, self.at.epoch);
        if here == (snapshot.revision(), filter.number, self.epoch) && !reset {
            self.filter = filter;
            return;
        }
        let since = Since {
            token: self.at,
            filter: std::mem::replace(&mut self.filter, filter),
            reset,
        };
        let site = (self.store.site(), self.epoch);
        self.step = Some(changes_since(snapshot, site, since, &self.filter));
    }
}

/// What a follower is told of a change.
fn told(
    snapshot: &Snapshot,
    (site, filter): (SitePrefix, &Filter),
    (kind, id): (Kind, &str),
    change: &Change,
) -> Option<Entry> {
    let seen = |record: &&crate::envelope::Erased| {
        let envelope = record.envelope();
        envelope.home == site && filter.admits(kind, &envelope.scope)
    };
    match change.after.as_ref().filter(seen) {
        Some(record) if sendable(snapshot, kind, &**record) => put(kind, &**record),
        Some(_) => None,
        None => Some(gone(kind, id)),
    }
}

fn horizon(site: SitePrefix, snapshot: &Snapshot) -> FeedHorizon {
    let found = snapshot.get::<FeedHorizon>(site.to_string());
    found.map_or_else(|| FeedHorizon::first(site), |stored| stored.value().clone())
}
