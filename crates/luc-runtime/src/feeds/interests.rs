//! What this site wants copies of: the projects that live here with their domains, the `default`
//! domain, and whatever was asked for lately.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt;
use luc_core::id::{DomainId, ProjectId};
use luc_state::feed::{Lives, domain_of};
use luc_state::kinds::DEFAULT_DOMAIN;
use luc_state::{Kind, Snapshot, WatchEvent};
use tokio::time::Instant;

use super::{Shared, lock};

/// What a site wants a copy of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interest {
    /// Everything of a project.
    Project(ProjectId),
    /// The people, groups, projects and assignments of a domain.
    Domain(DomainId),
}

/// All that a site wants copies of, beside what every site has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interests {
    /// Everything of these projects.
    pub projects: BTreeSet<ProjectId>,
    /// The content of these domains.
    pub domains: BTreeSet<DomainId>,
}

/// What was asked for, and until when it counts.
#[derive(Debug, Default)]
pub(super) struct Asked(BTreeMap<Interest, Instant>);

impl Asked {
    /// Notes the question; true if it is a new one.
    pub(super) fn ask(&mut self, interest: Interest, until: Instant) -> bool {
        self.0.insert(interest, until).is_none()
    }
}

/// Says what is wanted before anything is known to have been asked for.
pub(super) fn begin(shared: &Shared) {
    let snapshot = shared.store.snapshot();
    refresh(shared, &snapshot, &Lives::of(&shared.store, &snapshot));
}

/// Adds to what is wanted what was just asked for.
pub(super) fn add(shared: &Shared, interest: Interest) {
    let domain = match &interest {
        Interest::Project(project) => domain_of(&shared.store.snapshot(), project),
        Interest::Domain(_) => None,
    };
    shared.wanted.modify(|wanted| {
        let new = match interest {
            Interest::Project(project) => wanted.projects.insert(project),
            Interest::Domain(domain) => wanted.domains.insert(domain),
        };
        domain.is_some_and(|domain| wanted.domains.insert(domain)) || new
    });
}

/// Says anew what is wanted.
fn refresh(shared: &Shared, snapshot: &Snapshot, lives: &Lives) {
    // Under one lock with the questions: what is asked for meanwhile is added afterwards.
    let mut asked = lock(&shared.asked);
    let wanted = wanted(snapshot, lives, &mut asked);
    shared.wanted.modify(|held| {
        let news = *held != wanted;
        *held = wanted;
        news
    });
}

fn wanted(snapshot: &Snapshot, lives: &Lives, asked: &mut Asked) -> Interests {
    let now = Instant::now();
    asked.0.retain(|_, until| *until > now);
    let mut wanted = Interests {
        projects: lives.projects().cloned().collect(),
        domains: DomainId::parse(DEFAULT_DOMAIN).into_iter().collect(),
    };
    for interest in asked.0.keys() {
        match interest {
            Interest::Project(project) => drop(wanted.projects.insert(project.clone())),
            Interest::Domain(domain) => drop(wanted.domains.insert(domain.clone())),
        }
    }
    let domains = wanted
        .projects
        .iter()
        .filter_map(|p| domain_of(snapshot, p));
    wanted.domains.extend(domains);
    wanted
}

/// Keeps the interests right as records come and go.
pub(super) async fn run(shared: Arc<Shared>) {
    let snapshot = shared.store.snapshot();
    let mut lives = Lives::of(&shared.store, &snapshot);
    let mut watch = shared.store.watch(snapshot.revision());
    let mut sweep = tokio::time::interval(shared.pacing.sweep);
    drop(snapshot);
    loop {
        tokio::select! {
            biased;
            () = shared.asking.notified() => {}
            _ = sweep.tick() => {}
            event = watch.next() => {
                let Some(event) = event else { return };
                if !lives.observe(&event) && !names_projects(&event) {
                    continue;
                }
            }
        }
        refresh(&shared, &shared.store.snapshot(), &lives);
    }
}

/// Whether it may now be known to which domain a project belongs.
fn names_projects(event: &WatchEvent) -> bool {
    match event {
        WatchEvent::Gap(_) => true,
        WatchEvent::Commit(commit) => commit.changes.iter().any(|c| c.kind == Kind::Project),
    }
}
