//! The follower's end of a feed: takes batches in turn and keeps the copies of one home.
//!
//! What must not be lost is in the store ([`FeedCursor`](super::FeedCursor), written with the
//! copies); this only remembers a little more, so a new one made by [`Follower::load`] goes on as
//! well. A batch without entries moves the place in memory alone: it costs no commit.

pub(super) mod aside;
mod plan;

use std::collections::BTreeSet;

use luc_core::SitePrefix;
use luc_core::id::{DomainId, ProjectId};

use super::batch::{BATCH_VERSION, Batch, Hello, Token};
use super::records::{FeedCursor, FeedFilter};
use super::refusal::BatchRefused;
use super::{Filter, SKIPPED_KINDS_MAX, Withheld, incoming};
use crate::driver::describe;
use crate::kinds::Kind;
use crate::revision::Revision;
use crate::store::{Store, TransactError};
use plan::{Halt, Plan};

/// What is held to be true of a site while its batches are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectations {
    /// Whether it may be the home of the `default` domain, and so of what the whole cloud shares.
    pub trusted: bool,
}

/// What applying a batch did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// How many copies were written or removed because the batch says so.
    pub entries: usize,
    /// The state of which copies are held now.
    pub at: Token,
    /// Whether the step is through.
    pub whole: bool,
}

/// Why a batch was not applied. Nothing is changed, unless the store itself does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The batch is wrong: end the feed and say so.
    #[error("the batch was refused")]
    Refused(#[from] BatchRefused),
    /// Another controller of this site follows the same home: load again.
    #[error("somebody else has moved the cursor")]
    Superseded,
    /// The store did not commit: load again.
    #[error("the store did not take the batch: {reason}")]
    Store {
        /// What it said.
        reason: String,
    },
}

/// How far this site follows one other.
#[derive(Clone, Debug)]
pub struct Follower {
    home: SitePrefix,
    at: Token,
    /// What the store has; older than `at` after batches without entries.
    saved: Option<FeedCursor>,
    /// Under which copies are held.
    filter: Filter,
    /// Asked for and not answered yet, the newest last.
    asked: Vec<Filter>,
    running: Option<Running>,
    /// The revision of this store at which nothing that is kept aside could stand.
    settled: Revision,
    /// What the site is called, if its domains must be called like it while it is not trusted.
    called: Option<String>,
}

/// A step of which some parts are applied.
#[derive(Clone, Copy, Debug)]
struct Running {
    to: Token,
    next: u32,
}

impl Follower {
    /// Goes on where the store says that this site is with `home`.
    pub fn load(store: &Store, home: SitePrefix) -> Self {
        let (snapshot, site) = (store.snapshot(), home.to_string());
        let saved = snapshot.get::<FeedCursor>(&site);
        let saved = saved.map(|stored| stored.value().clone());
        let filter = snapshot.get::<FeedFilter>(&site);
        let filter = filter.map_or_else(Filter::default, |stored| stored.filter.clone());
        let mut at = saved.as_ref().map_or_else(Token::default, |saved| saved.at);
        let known = |name: &String| {
            let kind = Kind::named(name);
            kind.is_some_and(|kind| snapshot.state.schema.spec(kind).is_some())
        };
        if saved.as_ref().is_some_and(|s| s.skipped.iter().any(known)) {
            // Records were passed over that this release has tables for.
            at.revision = Revision::ZERO;
        }
        Self {
            home,
            at,
            saved,
            filter,
            asked: Vec::new(),
            running: None,
            settled: Revision::ZERO,
            called: None,
        }
    }

    /// While the site is not trusted its domains must be called as it is itself ([`may_name`]).
    ///
    /// [`may_name`]: super::may_name
    pub fn confine(&mut self, name: String) {
        self.called = Some(name);
    }

    /// The site that is followed.
    pub const fn home(&self) -> SitePrefix {
        self.home
    }

    /// The state of which copies are held.
    pub const fn at(&self) -> Token {
        self.at
    }

    /// Whether no step is half applied.
    pub fn is_whole(&self) -> bool {
        self.running.is_none() && self.saved.as_ref().is_none_or(|saved| saved.whole)
    }

    /// Up to where the store has it in writing: what the home may forget for this follower's part.
    pub fn durable(&self) -> Revision {
        let saved = self.saved.as_ref().map(|saved| saved.at.revision);
        saved.unwrap_or_default()
    }

    /// The filter under which copies are held.
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// What is to be said on a new stream, from whose answer on batches are taken.
    pub fn hello(&mut self) -> Hello {
        self.running = None;
        if !self.is_whole() && self.asked.is_empty() {
            // What was begun may have left copies behind that only the end of a step removes.
            let (projects, domains) = (self.filter.projects.clone(), self.filter.domains.clone());
            self.ask(projects, domains);
        }
        let wanted = self.asked.last().unwrap_or(&self.filter).clone();
        Hello {
            version: BATCH_VERSION,
            held: self.at,
            filter: self.filter.clone(),
            wanted,
        }
    }

    /// Asks for copies of these from now on; the filter that is to be sent, if that is news.
    pub fn want(
        &mut self,
        projects: BTreeSet<ProjectId>,
        domains: BTreeSet<DomainId>,
    ) -> Option<Filter> {
        let newest = self.asked.last().unwrap_or(&self.filter);
        if newest.projects == projects && newest.domains == domains {
            return None;
        }
        Some(self.ask(projects, domains))
    }

    fn ask(&mut self, projects: BTreeSet<ProjectId>, domains: BTreeSet<DomainId>) -> Filter {
        let newest = self.asked.last().unwrap_or(&self.filter);
        let filter = Filter {
            number: newest.number + 1,
            projects,
            domains,
        };
        self.asked.push(filter.clone());
        filter
    }

    /// Applies the next batch: its records, what it implies, and the cursor, in one transaction.
    pub async fn apply(
        &mut self,
        store: &Store,
        batch: &Batch,
        expectations: Expectations,
    ) -> Result<Applied, ApplyError> {
        let filter = self.check_place(batch)?;
        let settled = self.running.is_none() && self.is_whole() && self.saved.is_some();
        let moves_only = batch.entries.is_empty() && !batch.more && !batch.reset;
        if settled && moves_only && batch.to.filter == self.at.filter {
            self.at = batch.to;
            self.settle(store).await?;
            return Ok(self.applied(0));
        }
        let schema = &store.snapshot().state.schema;
        let incoming = incoming::read(schema, self.home, &filter, batch)?;
        let entries = incoming.puts.len() + incoming.gone.len();
        let mut cursor = self.cursor(batch, &incoming.skipped);
        if cursor.skipped.len() > SKIPPED_KINDS_MAX {
            return Err(BatchRefused::Kinds.into());
        }
        cursor.edge = !expectations.trusted;
        let refiltered = !batch.more && filter != self.filter;
        let plan = Plan {
            home: self.home,
            saved: self.saved.as_ref(),
            cursor: &cursor,
            filter: refiltered.then_some(&filter),
            forget: batch.reset && batch.part == 0,
            narrow: (!batch.more && (refiltered || !settled)).then_some(&filter),
            incoming: &incoming,
            expectations,
            called: self.called.as_deref(),
        };
        commit(store, &plan).await?;
        self.saved = Some(cursor);
        if batch.more {
            let next = batch.part + 1;
            self.running = Some(Running { to: batch.to, next });
        } else {
            (self.at, self.running) = (batch.to, None);
            self.asked.retain(|asked| asked.number > filter.number);
            self.filter = filter;
        }
        Ok(self.applied(entries))
    }

    /// Writes down where this follower is, if batches without entries have moved it: so that the
    /// home can forget, and a restart has less to catch up with.
    pub async fn save(&mut self, store: &Store) -> Result<(), ApplyError> {
        let behind = self.saved.as_ref().is_some_and(|saved| saved.at != self.at);
        if !behind || !self.is_whole() {
            return Ok(());
        }
        let cursor = FeedCursor {
            at: self.at,
            ..self.saved.clone().unwrap_or_else(|| self.fresh())
        };
        let nothing = incoming::Incoming {
            stamp: crate::revision::Stamp::pending(),
            puts: std::collections::BTreeMap::new(),
            gone: BTreeSet::new(),
            skipped: BTreeSet::new(),
        };
        let plan = Plan {
            home: self.home,
            saved: self.saved.as_ref(),
            cursor: &cursor,
            filter: None,
            forget: false,
            narrow: None,
            incoming: &nothing,
            expectations: Expectations { trusted: false },
            called: None,
        };
        commit(store, &plan).await?;
        self.saved = Some(cursor);
        Ok(())
    }

    /// Lets copies stand for which this site's own records have made room.
    async fn settle(&mut self, store: &Store) -> Result<(), ApplyError> {
        let snapshot = store.snapshot();
        if snapshot.revision() == self.settled || snapshot.count::<Withheld>() == 0 {
            return Ok(());
        }
        let done = store.transact(|tx| {
            aside::settle(tx);
            Ok::<_, std::convert::Infallible>(())
        });
        done.await.map_err(|error| ApplyError::Store {
            reason: describe(&error),
        })?;
        self.settled = snapshot.revision();
        Ok(())
    }

    fn applied(&self, entries: usize) -> Applied {
        let (at, whole) = (self.at, self.is_whole());
        Applied { entries, at, whole }
    }

    fn fresh(&self) -> FeedCursor {
        FeedCursor {
            site: self.home.to_string(),
            at: Token::default(),
            whole: true,
            skipped: BTreeSet::new(),
            edge: false,
        }
    }

    /// The cursor once `batch` is applied.
    fn cursor(&self, batch: &Batch, skipped: &BTreeSet<String>) -> FeedCursor {
        let mut cursor = self.saved.clone().unwrap_or_else(|| self.fresh());
        if batch.reset && batch.part == 0 {
            cursor.skipped.clear();
            cursor.at = Token::default();
        }
        cursor.skipped.extend(skipped.iter().cloned());
        cursor.whole = !batch.more;
        if !batch.more {
            cursor.at = batch.to;
        }
        cursor
    }

    /// Whether the batch is the next, and the filter under which it is.
    fn check_place(&self, batch: &Batch) -> Result<Filter, BatchRefused> {
        if batch.home != self.home {
            return Err(BatchRefused::Site { found: batch.home });
        }
        let part = self.running.map_or(0, |running| running.next);
        let goes_on = self.running.is_none_or(|running| running.to == batch.to);
        if batch.from != self.at || batch.part != part || !goes_on {
            return Err(BatchRefused::OutOfTurn {
                held: self.at,
                from: batch.from,
                part: batch.part,
            });
        }
        let back = (batch.to.epoch, batch.to.revision) < (self.at.epoch, self.at.revision);
        let target = BatchRefused::Target { to: batch.to };
        if back {
            return Err(target);
        }
        let filters = std::iter::once(&self.filter).chain(&self.asked);
        let mut named = filters.filter(|filter| filter.number == batch.to.filter);
        named.next().cloned().ok_or(target)
    }
}

async fn commit(store: &Store, plan: &Plan<'_>) -> Result<(), ApplyError> {
    let done = store.transact(|tx| plan.run(tx)).await;
    done.map(drop).map_err(|error| match error {
        TransactError::Refused(Halt::Refused(refused)) => ApplyError::Refused(refused),
        TransactError::Refused(Halt::Superseded) => ApplyError::Superseded,
        other => ApplyError::Store {
            reason: describe(&other),
        },
    })
}
