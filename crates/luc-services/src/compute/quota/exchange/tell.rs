//! Telling sites of limits that came after there was none, and asking what they use.
//!
//! The home says which limits there are now; a site answers what it holds, which is at least what
//! it uses ([`super::super::lease::covered`]), and which of them it has heard of. From then on it
//! is bound by its lease. For a site that is silent the home writes down what copies show, and asks
//! again with the next upkeep.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use luc_api::ApiError;
use luc_core::SitePrefix;
use luc_core::id::ProjectId;
use luc_state::Tx;
use serde::{Deserialize, Serialize};

use super::super::super::model::lease::{Claim, Closings, Item, QuotaLease};
use super::super::super::write::{WriteError, of_write};
use super::super::closing::{Elsewhere, is_open};
use super::super::lease::covered;
use super::super::{Held, protocol};
use super::{Message, home_of, send};
use crate::Services;
use crate::identity::admits_project;
use crate::identity::model::Project;
use crate::write::settled;

/// How long a home waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a site waits for what its home says is there; less than for how long that waits.
const CATCH_UP: Duration = Duration::from_secs(1);

/// What the home says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::compute::quota) struct Notice {
    /// The project.
    pub(in crate::compute::quota) project: ProjectId,
    /// What is limited now.
    items: Vec<Item>,
    /// The home's revision at which it was.
    revision: u64,
}

/// What a site answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Heard {
    /// What it holds.
    bound: Claim,
    /// What is limited as far as it knows.
    limits: BTreeMap<Item, Closings>,
    /// Whether nothing is made there, for the project was not known at the home's revision.
    #[serde(default)]
    stranger: bool,
}

/// At the home: tells the sites of limits of `project` that came after there was none. Whether a
/// site has heard that had not.
pub(in crate::compute::quota) async fn tell(
    services: &Services,
    project: &ProjectId,
) -> Result<bool, ApiError> {
    let snapshot = services.store.snapshot();
    let here = home_of(services, project).is_none_or(|home| home == services.site);
    if !here || !is_open(&snapshot, services.site, project) {
        return Ok(false);
    }
    let elsewhere = Elsewhere::of(&snapshot, services.site, project);
    let all = services.sites.all();
    let fenced = crate::sites::fenced(&snapshot, services.site);
    let mut concerned: BTreeSet<SitePrefix> = all
        .iter()
        .map(|view| view.site)
        .filter(|site| admits_project(services, *site, project))
        .chain(elsewhere.sites())
        .collect();
    concerned.retain(|site| *site != services.site && !fenced.contains(site));
    let notice = Message::Closed(Notice {
        project: project.clone(),
        items: elsewhere.open().cloned().collect(),
        revision: snapshot.revision().number(),
    });
    let waits = |site: &&SitePrefix| {
        let reachable = all.iter().any(|view| view.site == **site && view.reachable);
        reachable
            && elsewhere
                .open()
                .any(|item| elsewhere.is_unheard(**site, item))
    };
    let asked = concerned.iter().filter(waits).map(async |site| {
        let said = send::<Heard>(services, *site, &notice, PATIENCE).await;
        said.map(|said| (*site, said))
    });
    let answers: BTreeMap<_, _> = join_all(asked).await.into_iter().flatten().collect();
    let written = services.store.transact(|tx| {
        let told = Told {
            site: services.site,
            project,
            concerned: &concerned,
            answers: &answers,
        };
        told.write(tx)
    });
    settled(written.await, of_write)
}

/// What came of telling.
struct Told<'t> {
    site: SitePrefix,
    project: &'t ProjectId,
    concerned: &'t BTreeSet<SitePrefix>,
    answers: &'t BTreeMap<SitePrefix, Heard>,
}

impl Told<'_> {
    /// Writes it down. Whether a site has heard that had not.
    fn write(&self, tx: &mut Tx<'_>) -> Result<bool, WriteError> {
        let Some(found) = tx.get::<Project>(self.project) else {
            return Ok(false);
        };
        let elsewhere = Elsewhere::within(tx, self.site, self.project);
        let (mut news, mut all) = (false, elsewhere.open().cloned().collect::<BTreeSet<_>>());
        for site in self.concerned {
            let before = QuotaLease::within(tx, self.project, &found.domain_id, *site);
            let mut lease = before.clone();
            let said = self.answers.get(site);
            if let Some(said) = said {
                protocol::heard(&mut lease.granted, &said.bound);
            }
            for item in elsewhere.open() {
                if !elsewhere.is_unheard(*site, item) {
                    continue;
                }
                if said.is_some_and(|said| said.knows(elsewhere.held(), item)) {
                    let now = elsewhere.held().closings(item);
                    lease.heard.insert(item.clone(), now);
                    news = true;
                    continue;
                }
                all.remove(item);
                let seen = elsewhere.seen(*site, item);
                if said.is_none() && seen > lease.granted.share.of(item) {
                    lease.granted.share.0.insert(item.clone(), seen);
                }
            }
            if lease != before {
                tx.put(lease)?;
            }
        }
        if !all.is_empty() {
            // Of these every site has heard.
            let mut own = QuotaLease::within(tx, self.project, &found.domain_id, self.site);
            let held = elsewhere.held();
            let heard = all.into_iter().map(|item| {
                let now = held.closings(&item);
                (item, now)
            });
            own.heard.extend(heard);
            tx.put(own)?;
        }
        Ok(news)
    }
}

impl Heard {
    /// Whether who said this knows that `item` is limited, `held` being the limits.
    fn knows(&self, held: &Held, item: &Item) -> bool {
        let heard = self.limits.get(item);
        self.stranger || heard.is_some_and(|heard| held.is_heard(item, *heard))
    }
}

/// At a site: says what is held and heard here when `home` tells of limits.
pub(super) async fn hear(
    services: &Services,
    home: SitePrefix,
    notice: &Notice,
) -> Result<Heard, ApiError> {
    let (site, project) = (services.site, &notice.project);
    let caught_up = services.sites.caught_up(home, notice.revision, CATCH_UP);
    let caught_up = caught_up.await;
    let heard = services.store.transact(|tx| {
        // It may use that again once the home has written it down, which it sees by its feed: else
        // it would use what is gone here by then, and what the home has lent to somebody else.
        let said = covered(tx, site, project, &notice.items);
        let known = tx.get::<Project>(project).is_some();
        let held = Held::within(tx, project.as_str());
        let limited = held.limited().into_iter();
        let limits = limited.map(|item| (item.clone(), held.closings(&item)));
        Ok::<_, WriteError>(Heard {
            bound: said,
            limits: limits.filter(|_| known).collect(),
            stranger: !known && caught_up,
        })
    });
    settled(heard.await, of_write)
}
