//! What has changed since a revision, asked of one snapshot: the step that brings a follower there.

use std::sync::Arc;

use luc_core::SitePrefix;

use super::batch::{Entry, Token};
use super::records::Tombstone;
use super::step::Step;
use super::{Filter, rules};
use crate::envelope::{AnyStored, Erased};
use crate::kinds::{KINDS, Kind};
use crate::revision::Revision;
use crate::snapshot::Snapshot;

/// Rows that are looked at before the snapshot is asked for more.
const ROWS: usize = 256;

/// Where a step begins.
#[derive(Clone, Debug)]
pub struct Since {
    /// The state that the follower has.
    pub token: Token,
    /// The filter under which it has that.
    pub filter: Filter,
    /// Whether that is worth nothing and everything is to be sent.
    pub reset: bool,
}

/// The step from `since` to `snapshot` under `filter`, for copies of the records of `site`, which
/// the snapshot must be of. `epoch` is that of the site.
pub fn changes_since(
    snapshot: &Arc<Snapshot>,
    (site, epoch): (SitePrefix, u32),
    since: Since,
    filter: &Filter,
) -> Step {
    let to = Token {
        epoch,
        revision: snapshot.revision(),
        filter: filter.number,
    };
    let (token, reset) = (since.token, since.reset);
    let question = Arc::new(Question {
        site,
        after: token.revision,
        before: (!reset).then_some(since.filter),
        filter: filter.clone(),
    });
    let gone = Walk::over(snapshot, &[Kind::Tombstone], &question, Question::gone);
    let gone = gone.filter(move |_| !reset);
    let kinds: Vec<_> = KINDS.iter().map(|line| line.kind).collect();
    let puts = Walk::over(snapshot, &kinds, &question, Question::put);
    Step::new(site, (token, to), reset, gone.chain(puts))
}

struct Question {
    site: SitePrefix,
    after: Revision,
    /// The filter under which the follower has what it has; `None` if that counts for nothing.
    before: Option<Filter>,
    filter: Filter,
}

impl Question {
    fn newer(&self, record: &Erased) -> bool {
        let revision = record.stamp().revision();
        revision.is_some_and(|revision| revision > self.after)
    }

    fn put(&self, snapshot: &Snapshot, kind: Kind, record: &Erased) -> Option<Entry> {
        let envelope = record.envelope();
        let wanted = envelope.home == self.site && self.filter.admits(kind, &envelope.scope);
        let had = |before: &Filter| before.admits(kind, &envelope.scope);
        let news = || self.newer(record) || !self.before.as_ref().is_some_and(had);
        (wanted && news() && sendable(snapshot, kind, &**record))
            .then(|| put(kind, &**record))
            .flatten()
    }

    fn gone(&self, snapshot: &Snapshot, _: Kind, record: &Erased) -> Option<Entry> {
        if !self.newer(record) {
            return None;
        }
        let tombstone = crate::envelope::typed::<Tombstone>(record)?;
        let kind = Kind::named(&tombstone.kind)?;
        let admits = |scope: &_| self.filter.admits(kind, scope);
        let seen = tombstone.scopes.iter().any(admits);
        let now = snapshot.state.table(kind).row(&tombstone.record);
        // What another site has there is its own to tell, and no reason to be silent.
        let still = now.is_some_and(|(_, row)| {
            let envelope = row.record.envelope();
            envelope.home == self.site && admits(&envelope.scope)
        });
        (seen && !still).then(|| gone(kind, &tombstone.record))
    }
}

/// Whether a follower would take the record from its home.
pub(super) fn sendable(snapshot: &Snapshot, kind: Kind, record: &dyn AnyStored) -> bool {
    rules::check(kind, record.id(), record.envelope(), |domain| {
        let found = snapshot.state.table(Kind::Domain).row(domain);
        found.map(|(_, row)| row.record.envelope().home)
    })
    .is_ok()
}

pub(super) fn put(kind: Kind, record: &dyn AnyStored) -> Option<Entry> {
    // It was written to the engine in this form, or is about to be.
    Some(Entry::Put {
        kind: kind.name().to_owned(),
        id: record.id().to_owned(),
        record: record.encode().ok()?,
    })
}

pub(super) fn gone(kind: Kind, id: &str) -> Entry {
    let (kind, id) = (kind.name().to_owned(), id.to_owned());
    Entry::Gone { kind, id }
}

type Answer = fn(&Question, &Snapshot, Kind, &Erased) -> Option<Entry>;

/// The entries that an answer finds among the rows of some kinds, a few rows at a time.
struct Walk {
    snapshot: Arc<Snapshot>,
    question: Arc<Question>,
    answer: Answer,
    kinds: std::vec::IntoIter<Kind>,
    kind: Option<Kind>,
    last: Option<Arc<str>>,
    rows: std::vec::IntoIter<Erased>,
}

impl Walk {
    fn over(
        snapshot: &Arc<Snapshot>,
        kinds: &[Kind],
        question: &Arc<Question>,
        answer: Answer,
    ) -> Self {
        let mut kinds: std::vec::IntoIter<Kind> = Vec::from(kinds).into_iter();
        Self {
            snapshot: Arc::clone(snapshot),
            question: Arc::clone(question),
            answer,
            kind: kinds.next(),
            kinds,
            last: None,
            rows: Vec::new().into_iter(),
        }
    }

    /// Looks at more rows; false if there are none.
    fn turn(&mut self) -> bool {
        while let Some(kind) = self.kind {
            let table = self.snapshot.state.table(kind);
            let found: Vec<_> = table.rows_after(self.last.as_deref()).take(ROWS).collect();
            if let Some((id, _)) = found.last() {
                self.last = Some(Arc::clone(id));
                let records = found.iter().map(|(_, row)| Arc::clone(&row.record));
                self.rows = records.collect::<Vec<_>>().into_iter();
                return true;
            }
            (self.kind, self.last) = (self.kinds.next(), None);
        }
        false
    }
}

impl Iterator for Walk {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            let kind = self.kind?;
            for record in self.rows.by_ref() {
                let found = (self.answer)(&self.question, &self.snapshot, kind, &record);
                if found.is_some() {
                    return found;
                }
            }
            if !self.turn() {
                return None;
            }
        }
    }
}
