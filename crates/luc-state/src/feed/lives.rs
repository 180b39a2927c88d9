//! Where projects live: those of which this site has records of its own. A site follows what other
//! sites have of these, so that a project is whole wherever it lives.

use std::collections::BTreeMap;

use luc_core::SitePrefix;
use luc_core::id::{DomainId, ProjectId};

use crate::change::WatchEvent;
use crate::envelope::Erased;
use crate::kinds::{KINDS, Kind};
use crate::scope::Scope;
use crate::snapshot::Snapshot;
use crate::store::Store;

/// The projects with records of this site's own, counted.
#[derive(Clone, Debug)]
pub struct Lives {
    site: SitePrefix,
    records: BTreeMap<ProjectId, usize>,
}

impl Lives {
    /// Counts what `snapshot`, one of `store`, has.
    pub fn of(store: &Store, snapshot: &Snapshot) -> Self {
        let mut lives = Self {
            site: store.site(),
            records: BTreeMap::new(),
        };
        lives.count(snapshot);
        lives
    }

    fn count(&mut self, snapshot: &Snapshot) {
        self.records.clear();
        for line in KINDS {
            for (_, row) in snapshot.state.table(line.kind).rows() {
                if let Some(project) = self.own(Some(&row.record)) {
                    *self.records.entry(project).or_default() += 1;
                }
            }
        }
    }

    /// Goes on with what a watch from that snapshot tells; true if projects may have come or gone.
    pub fn observe(&mut self, event: &WatchEvent) -> bool {
        let commit = match event {
            WatchEvent::Gap(snapshot) => {
                let before = std::mem::take(&mut self.records);
                self.count(snapshot);
                return !before.keys().eq(self.records.keys());
            }
            WatchEvent::Commit(commit) => commit,
        };
        let mut moved = false;
        for change in &commit.changes {
            if let Some(project) = self.own(change.after.as_ref()) {
                let records = self.records.entry(project).or_default();
                moved |= *records == 0;
                *records += 1;
            }
            if let Some(project) = self.own(change.before.as_ref()) {
                let records = self.records.entry(project).or_default();
                *records = records.saturating_sub(1);
                moved |= *records == 0;
            }
        }
        self.records.retain(|_, records| *records > 0);
        moved
    }

    fn own(&self, record: Option<&Erased>) -> Option<ProjectId> {
        let envelope = record?.envelope();
        match &envelope.scope {
            Scope::Project(project) if envelope.home == self.site => Some(project.clone()),
            _ => None,
        }
    }

    /// The projects, in order.
    pub fn projects(&self) -> impl Iterator<Item = &ProjectId> {
        self.records.keys()
    }
}

/// The domain of a project, if its record is held.
pub fn domain_of(snapshot: &Snapshot, project: &ProjectId) -> Option<DomainId> {
    let (_, row) = snapshot.state.table(Kind::Project).row(project.as_str())?;
    match &row.record.envelope().scope {
        Scope::Domain(domain) => Some(domain.clone()),
        _ => None,
    }
}
