//! Whose turn it is to ask for quota: at each site one request per project at a time.
//!
//! Requests that lack quota wait in line, first come first served. The one whose turn it is asks
//! for what all of them lack, so that a crowd costs one exchange and nobody is given what was
//! fetched for another. What is awaited here is not idle: [`Turns::awaited`] keeps it from being
//! given back in the meantime.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use luc_core::SitePrefix;
use luc_core::id::ProjectId;
use tokio::sync::MutexGuard;
use tokio::time::Instant;

use super::super::super::model::lease::Share;

/// The lines of a site, one per project.
#[derive(Debug, Default)]
pub(in crate::compute) struct Turns(Mutex<HashMap<ProjectId, Weak<Line>>>);

#[derive(Debug, Default)]
struct Line {
    turn: tokio::sync::Mutex<Option<InVain>>,
    awaited: Mutex<Share>,
}

/// The last time that sites were asked and gave nothing back.
#[derive(Clone, Debug)]
struct InVain {
    began: Instant,
    /// Who was not asked.
    except: SitePrefix,
    /// The names of those that did not answer.
    silent: Vec<String>,
}

impl Turns {
    /// Joins the line of `project`, needing `needs`.
    pub(super) fn wait(&self, project: &ProjectId, needs: Share) -> Waiting {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.get(project).and_then(Weak::upgrade);
        let line = line.unwrap_or_else(|| {
            lines.retain(|_, line| line.strong_count() > 0);
            let line = Arc::<Line>::default();
            lines.insert(project.clone(), Arc::downgrade(&line));
            line
        });
        line.change(|awaited| awaited.plus(&needs));
        let since = Instant::now();
        Waiting { line, needs, since }
    }

    /// What requests wait for in the line of `project`.
    pub(super) fn awaited(&self, project: &ProjectId) -> Share {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.get(project).and_then(Weak::upgrade);
        line.map(|line| line.awaited()).unwrap_or_default()
    }
}

impl Line {
    fn awaited(&self) -> Share {
        let awaited = self.awaited.lock();
        awaited.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, to: impl FnOnce(&Share) -> Share) {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        *awaited = to(&awaited);
    }
}

/// A place in the line; given up when it is dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    line: Arc<Line>,
    needs: Share,
    since: Instant,
}

impl Waiting {
    /// Waits until all who came before are done.
    pub(super) async fn turn(&self) -> Turn<'_> {
        let last = self.line.turn.lock().await;
        Turn {
            waiting: self,
            last,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.line.change(|awaited| awaited.minus(&self.needs));
    }
}

/// The turn of one request; the next one's when it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'w> {
    waiting: &'w Waiting,
    last: MutexGuard<'w, Option<InVain>>,
}

impl Turn<'_> {
    /// What is needed by this request and by those behind it.
    pub(super) fn all(&self) -> Share {
        self.waiting.line.awaited()
    }

    /// What is needed by those behind it.
    pub(super) fn others(&self) -> Share {
        self.all().minus(&self.waiting.needs)
    }

    /// Whether sites, all but `except`, were asked in vain since this request came; then the names
    /// of those that were silent.
    pub(super) fn asked_in_vain(&self, except: SitePrefix) -> Option<Vec<String>> {
        let last = self.last.as_ref()?;
        let counts = last.began >= self.waiting.since && last.except == except;
        counts.then(|| last.silent.clone())
    }

    /// Notes that sites, all but `except`, gave nothing back when asked at `began`.
    pub(super) fn note_in_vain(&mut self, began: Instant, except: SitePrefix, silent: &[String]) {
        *self.last = Some(InVain {
            began,
            except,
            silent: silent.to_vec(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::model::lease::Item;
    use crate::compute::model::quota::Resource;

    fn share(count: u64) -> Share {
        let resource = Resource::Instances;
        let item = Item {
            resource,
            user: None,
        };
        Share([(item, count)].into())
    }

    #[tokio::test]
    async fn turns_are_taken_in_order_and_know_what_those_behind_need() {
        let turns = Turns::default();
        let project = ProjectId::parse("p").unwrap();
        let (first, second) = (
            turns.wait(&project, share(2)),
            turns.wait(&project, share(3)),
        );
        let turn = first.turn().await;
        assert_eq!((turn.all(), turn.others()), (share(5), share(3)));
        assert!(futures::FutureExt::now_or_never(second.turn()).is_none());
        drop(turn);
        drop(first);
        assert_eq!(turns.awaited(&project), share(3));
        drop(second);
        assert!(turns.awaited(&project).is_empty());
    }

    #[tokio::test]
    async fn what_was_asked_in_vain_counts_for_those_who_waited_then() {
        let turns = Turns::default();
        let project = ProjectId::parse("p").unwrap();
        let (site, other) = (SitePrefix::of_key(b"a"), SitePrefix::of_key(b"b"));
        let (first, second) = (
            turns.wait(&project, share(1)),
            turns.wait(&project, share(1)),
        );
        let mut turn = first.turn().await;
        turn.note_in_vain(Instant::now(), site, &["west".to_owned()]);
        drop(turn);
        let turn = second.turn().await;
        assert_eq!(turn.asked_in_vain(site), Some(vec!["west".to_owned()]));
        assert_eq!(turn.asked_in_vain(other), None, "it left out somebody else");
        drop(turn);
        let late = turns.wait(&project, share(1));
        assert_eq!(late.turn().await.asked_in_vain(site), None, "it came later");
    }
}
