//! What the disks of all sites hold and held: the records by commit, and how far each site says it
//! has followed each other one.
//!
//! Kept beside the code under test, from nothing but what was made durable. At every commit those
//! invariants are looked at that speak of states; what they find is kept until the end of the run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use luc_core::SitePrefix;
use luc_state::engine::Mutation;
use luc_state::feed::{FeedCursor, FeedFilter, Filter};
use luc_state::{Kind, Scope};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::invariant::edges_stay_inside::{self, Listed};
use crate::invariant::joins_are_whole::{self, Asked};
use crate::invariant::quota_never_exceeded::{self, Taken};
use crate::invariant::{one_home, replicas_are_prefixes};
use crate::shares::{Counted, Shares};

/// A record as it was durable.
#[derive(Debug)]
pub(crate) struct Cell {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Kind and id, as the engine has them.
    pub(crate) key: Arc<str>,
    /// The site that it says may write it.
    pub(crate) home: SitePrefix,
    /// Who may hold a copy.
    pub(crate) scope: Scope,
    bytes: Arc<[u8]>,
}

/// What every record has around its value.
#[derive(Deserialize)]
struct Envelope {
    home: SitePrefix,
    scope: Scope,
}

impl Cell {
    fn read(key: &str, bytes: &Arc<[u8]>) -> Option<Self> {
        let (kind, _) = key.strip_prefix("r/")?.split_once('/')?;
        let Envelope { home, scope } = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            kind: Kind::named(kind)?,
            key: key.into(),
            home,
            scope,
            bytes: Arc::clone(bytes),
        })
    }

    /// All that is stored.
    pub(crate) fn stored(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    /// The record itself.
    pub(crate) fn value(&self) -> Value {
        self.stored()["value"].take()
    }

    /// The site that it speaks of.
    fn site(&self) -> Option<SitePrefix> {
        self.value()["site"].as_str()?.parse().ok()
    }

    /// Whether both say the same.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let read = |cell: &Self| serde_json::from_slice::<Value>(&cell.bytes).ok();
        self.bytes == other.bytes || read(self) == read(other)
    }
}

/// Records by their key.
pub(crate) type Cells = BTreeMap<Arc<str>, Arc<Cell>>;

/// What became of one record in one commit: before and after.
pub(crate) struct Step {
    pub(crate) key: Arc<str>,
    pub(crate) before: Option<Arc<Cell>>,
    pub(crate) after: Option<Arc<Cell>>,
}

/// How far a site says that it has followed another, and what that one held then.
#[derive(Default)]
pub(crate) struct Mirror {
    /// The revision of the home that the follower says it has.
    pub(crate) revision: u64,
    /// Under which filter.
    pub(crate) filter: Filter,
    /// Whether no step is half applied.
    pub(crate) whole: bool,
    /// What the home held at that revision.
    pub(crate) held: Cells,
    /// How many of the home's commits that are.
    pub(crate) next: usize,
    /// Whether everything is to be looked at next time.
    pub(crate) unsure: bool,
}

impl Violation {
    /// The keys of records that it speaks of.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let words = self.seen.split([' ', ',', '"']);
        words.filter(|word| word.starts_with("r/"))
    }
}

/// A revision, when it was made durable, and what it changed.
type Commit = (u64, Duration, Vec<Step>);

/// One site's disk.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and any of them may be true with any other"
)]
pub(crate) struct Book {
    /// The site.
    pub(crate) site: SitePrefix,
    /// What it holds.
    pub(crate) now: Cells,
    /// How it follows the others.
    pub(crate) mirrors: BTreeMap<SitePrefix, Mirror>,
    /// Whether it is of the cloud, and follows the others.
    pub(crate) joined: bool,
    /// Whether it was of the cloud and is gone.
    pub(crate) gone: bool,
    /// Whether another site of the cloud has written that it is gone: then it is fed no more.
    pub(crate) removed: bool,
    /// What its admission says, if that is one of an edge site.
    pub(crate) edge: Option<Listed>,
    /// Whether it is in the wrong hands: what it feeds is not what it holds.
    pub(crate) captured: bool,
    commits: Vec<Commit>,
    /// What it wrote before it was of the cloud.
    apart: Vec<(u64, Vec<Mutation>)>,
}

/// Something that must never be, and was.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    /// The invariant, as a sentence.
    pub(crate) invariant: &'static str,
    /// What was seen.
    pub(crate) seen: String,
}

/// The disks of all sites.
pub(crate) struct Ledger {
    began: Instant,
    books: Vec<Book>,
    /// What was found.
    pub(crate) violations: Vec<Violation>,
    /// How much of limits was taken, by project and resource.
    taken: Taken,
    asked: Asked,
}

impl Ledger {
    /// Of no site yet.
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            books: Vec::new(),
            violations: Vec::new(),
            taken: Taken::default(),
            asked: Asked::new(),
        }
    }

    /// Begins the book of the next site.
    pub(crate) fn begin(&mut self, site: SitePrefix) {
        self.books.push(Book {
            site,
            now: Cells::new(),
            mirrors: BTreeMap::new(),
            joined: false,
            gone: false,
            removed: false,
            edge: None,
            captured: false,
            commits: Vec::new(),
            apart: Vec::new(),
        });
    }

    /// The site is of the cloud from now on, with all that it has.
    pub(crate) fn join(&mut self, site: usize) {
        let book = &mut self.books[site];
        book.joined = true;
        let apart = std::mem::take(&mut book.apart);
        let mut whole = BTreeMap::new();
        let mut last = 0;
        for (revision, batch) in apart {
            last = revision;
            for mutation in batch {
                whole.insert(mutation.key().to_owned(), mutation);
            }
        }
        if last > 0 {
            self.committed(site, last, &whole.into_values().collect::<Vec<_>>());
        }
    }

    /// The site is gone for good.
    pub(crate) fn leave(&mut self, site: usize) {
        let book = &mut self.books[site];
        (book.joined, book.gone) = (false, true);
    }

    /// The site is in the wrong hands.
    pub(crate) fn capture(&mut self, site: usize) {
        self.books[site].captured = true;
    }

    /// The books of all sites.
    pub(crate) fn books(&self) -> &[Book] {
        &self.books
    }

    /// How a limit of a project is shared now.
    pub(crate) fn shares(&self, project: &str, counted: Counted) -> Option<Shares> {
        Shares::of(&self.books, project, counted)
    }

    /// Notes that something was seen that must not be.
    pub(crate) fn accuse(&mut self, invariant: &'static str, seen: impl std::fmt::Display) {
        let seen = format!("{seen} [{:.3}]", self.began.elapsed().as_secs_f64());
        let same = self.violations.iter();
        if same.filter(|it| it.invariant == invariant).count() < 10 {
            self.violations.push(Violation { invariant, seen });
        }
    }

    /// A site has made this durable.
    pub(crate) fn committed(&mut self, site: usize, revision: u64, batch: &[Mutation]) {
        let at = self.began.elapsed();
        let book = &mut self.books[site];
        if !book.joined && !book.gone {
            book.apart.push((revision, batch.to_vec()));
            return;
        }
        if book
            .commits
            .last()
            .is_some_and(|(last, _, _)| *last >= revision)
        {
            // An answer that was asked for again.
            return;
        }
        let mut steps = Vec::new();
        for mutation in batch.iter().filter(|m| m.key().starts_with("r/")) {
            let after = match mutation {
                Mutation::Put { key, value } => Cell::read(key, value).map(Arc::new),
                Mutation::Delete { .. } => None,
            };
            let key: Arc<str> = mutation.key().into();
            let before = match &after {
                Some(cell) => book.now.insert(Arc::clone(&key), Arc::clone(cell)),
                None => book.now.remove(&key),
            };
            steps.push(Step { key, before, after });
        }
        let written: Vec<_> = steps.iter().filter_map(|step| step.after.clone()).collect();
        book.commits.push((revision, at, steps));
        edges_stay_inside::note(&mut self.books, site, &written);
        self.note_removals(site, &written);
        let moved = self.follow(site);
        let book = &self.books[site];
        let (_, _, steps) = &book.commits[book.commits.len() - 1];
        let mut found = one_home::look(&self.books, site, steps);
        found.extend(replicas_are_prefixes::look(
            (&self.books, book),
            steps,
            &moved,
        ));
        found.extend(edges_stay_inside::look(&self.books, site, steps));
        found.extend(joins_are_whole::look(
            &self.books,
            &mut self.asked,
            site,
            steps,
        ));
        found.extend(quota_never_exceeded::look(
            &self.books,
            &mut self.taken,
            (site, at),
            steps,
        ));
        found.extend(quota_never_exceeded::look_at_users(
            &self.books,
            site,
            steps,
        ));
        for mirror in self.books[site].mirrors.values_mut() {
            mirror.unsure &= !mirror.whole;
        }
        for violation in found {
            self.accuse(violation.invariant, violation.seen);
        }
    }

    fn note_removals(&mut self, by: usize, written: &[Arc<Cell>]) {
        let own = self.books[by].site;
        let removals = written.iter().filter(|cell| cell.kind == Kind::Removal);
        for cell in removals.filter(|cell| cell.home == own) {
            let gone = cell.site();
            let mut books = self.books.iter_mut();
            if let Some(book) = books.find(|book| Some(book.site) == gone) {
                book.removed = true;
            }
        }
    }

    /// Who wrote and removed the record with this key, and when: for whoever reads about a failure.
    pub(crate) fn history(&self, key: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for book in &self.books {
            for (revision, at, steps) in &book.commits {
                for step in steps.iter().filter(|step| &*step.key == key) {
                    let done = if step.after.is_some() {
                        "written"
                    } else {
                        "removed"
                    };
                    let at = at.as_secs_f64();
                    lines.push(format!(
                        "{at:9.3} {key} {done} by {} at {revision}",
                        book.site
                    ));
                }
            }
        }
        lines.sort();
        lines
    }

    /// Takes over what the last commit of a site says of how far it follows; the records of each
    /// home that are different there now.
    fn follow(&mut self, site: usize) -> BTreeMap<SitePrefix, Vec<Arc<str>>> {
        let mut moved = BTreeMap::new();
        let mut mirrors = std::mem::take(&mut self.books[site].mirrors);
        let (_, _, steps) = &self.books[site].commits[self.books[site].commits.len() - 1];
        for step in steps {
            let Some(cell) = step.after.as_ref() else {
                // A home that is gone is followed no more.
                let dropped = step.before.as_ref();
                let dropped = dropped.filter(|cell| cell.kind == Kind::FeedCursor);
                if let Some(home) = dropped.and_then(|cell| cell.site()) {
                    mirrors.remove(&home);
                }
                continue;
            };
            match cell.kind {
                Kind::FeedFilter => {
                    let Ok(said) = serde_json::from_value::<FeedFilter>(cell.value()) else {
                        continue;
                    };
                    if let Ok(home) = said.site.parse() {
                        let mirror: &mut Mirror = mirrors.entry(home).or_default();
                        mirror.filter = said.filter;
                        mirror.unsure = true;
                    }
                }
                Kind::FeedCursor => {
                    let Ok(said) = serde_json::from_value::<FeedCursor>(cell.value()) else {
                        continue;
                    };
                    let Ok(home) = said.site.parse::<SitePrefix>() else {
                        continue;
                    };
                    let mirror = mirrors.entry(home).or_default();
                    mirror.whole = said.whole;
                    mirror.unsure |= !said.whole;
                    mirror.revision = said.at.revision.number();
                    if let Some(book) = self.books.iter().find(|book| book.site == home) {
                        moved.insert(home, mirror.catch_up(&book.commits));
                    }
                }
                _ => {}
            }
        }
        self.books[site].mirrors = mirrors;
        moved
    }
}

impl Mirror {
    /// Moves what the home held to the revision that the follower has; the records that differ.
    fn catch_up(&mut self, commits: &[Commit]) -> Vec<Arc<str>> {
        let end = commits.partition_point(|(revision, _, _)| *revision <= self.revision);
        let mut touched = Vec::new();
        for (_, _, steps) in commits.get(self.next..end).unwrap_or_default() {
            for step in steps {
                set(&mut self.held, &step.key, step.after.as_ref());
                touched.push(Arc::clone(&step.key));
            }
        }
        for (_, _, steps) in commits.get(end..self.next).unwrap_or_default().iter().rev() {
            for step in steps.iter().rev() {
                set(&mut self.held, &step.key, step.before.as_ref());
                touched.push(Arc::clone(&step.key));
            }
        }
        self.next = end;
        touched
    }
}

fn set(cells: &mut Cells, key: &Arc<str>, cell: Option<&Arc<Cell>>) {
    match cell {
        Some(cell) => cells.insert(Arc::clone(key), Arc::clone(cell)),
        None => cells.remove(key),
    };
}
