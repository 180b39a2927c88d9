//! What the home of a limit lends and calls back, and what a site gives back.
//!
//! Requests for the same project are served one after the other ([`super::turn`]); only what is
//! used at the home itself is taken beside them.

use std::time::Duration;

use futures::future::join_all;
use luc_api::ApiError;
use luc_core::SitePrefix;
use luc_core::id::ProjectId;
use tokio::time::Instant;

use super::super::super::model::lease::{Claim, Item, LeaseHeld, QuotaLease, Share};
use super::super::super::write::{WriteError, of_write};
use super::super::lease::{Books, Seat, bound, with_used};
use super::super::{Held, protocol};
use super::turn::Turn;
use super::{Answer, Message, send, tell};
use crate::Services;
use crate::identity::model::Project;
use crate::routing::forward::name_of;
use crate::write::settled;

/// How long a home waits for sites to give back.
const RECALL: Duration = Duration::from_secs(2);

/// How often sites are asked to give back for one request of another.
const RECALLS_MAX: u32 = 4;

/// What a site says when it asks for more.
pub(super) struct Ask {
    /// What it holds.
    pub(super) bound: Claim,
    /// What it wants to hold in all.
    pub(super) want: Share,
    /// What it would like beyond that.
    pub(super) more: Share,
}

/// How freely is lent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hand {
    /// As much again, so that not every server is asked for; all that is wanted, or nothing.
    Open,
    /// All that is wanted, or nothing: others are waiting.
    Exact,
    /// What there is.
    Last,
}

/// At the home: lends `site` what it asks for, if need be after other sites have given back.
pub(super) async fn grant(
    services: &Services,
    site: SitePrefix,
    project: &ProjectId,
    ask: &Ask,
) -> Result<Answer, ApiError> {
    let needs = ask.want.minus(&ask.bound.share).plus(&ask.more);
    let waiting = services.compute.turns.wait(project, needs);
    let mut turn = waiting.turn().await;
    let hand = if turn.others().is_empty() {
        Hand::Open
    } else {
        Hand::Exact
    };
    let mut answer = grant_once(services, site, project, ask, hand).await?;
    for _ in 0..RECALLS_MAX {
        if answer.complete {
            break;
        }
        let recalled = recall_once(services, project, &mut turn, site).await?;
        answer = grant_once(services, site, project, ask, Hand::Last).await?;
        answer.silent = recalled.silent;
        // Servers that are created here may have taken what came back.
        if !recalled.freed {
            break;
        }
    }
    Ok(answer)
}

async fn grant_once(
    services: &Services,
    site: SitePrefix,
    project: &ProjectId,
    Ask { bound, want, more }: &Ask,
    hand: Hand,
) -> Result<Answer, ApiError> {
    let granted = services.store.transact(|tx| {
        let found = tx.get::<Project>(project);
        let found = found.ok_or_else(|| ApiError::not_found("There is no such project."))?;
        let Seat::Here(others) = Seat::of(tx, services.site, project) else {
            let message = "The limits of this project are another site's to lend.";
            return Err(ApiError::conflict(message).into());
        };
        let held = Held::within(tx, project.as_str());
        let books = Books::within(tx, services.site, project);
        let kept = tx.get::<QuotaLease>(QuotaLease::id_of(project, services.site));
        let stored = tx.get::<QuotaLease>(QuotaLease::id_of(project, site));
        let mut lease = stored.as_ref().map_or_else(
            || QuotaLease::none(project, &found.domain_id, site),
            |stored| stored.value().clone(),
        );
        protocol::heard(&mut lease.granted, bound);
        let room = |item: &Item| {
            let Some(limit) = held.limit(item) else {
                return u64::MAX;
            };
            let reserved = kept.as_ref().map_or(0, |kept| kept.reserve.of(item));
            let here = books.used(item).max(reserved);
            limit.saturating_sub(others.taken(item, Some(site)).saturating_add(here))
        };
        let before = lease.granted.share.clone();
        let free = |item: &Item| room(item).saturating_sub(before.of(item));
        let extra = |item: &Item| {
            let lacks = want.of(item).saturating_sub(before.of(item));
            let asked = more.of(item);
            // As much again or a twentieth of the limit, but no more than half of the rest.
            let spare = match held.limit(item) {
                Some(limit) if hand == Hand::Open => {
                    let rest = free(item).saturating_sub(lacks.saturating_add(asked));
                    (limit / 20).max(lacks).min(rest / 2)
                }
                _ => 0,
            };
            asked.saturating_add(spare)
        };
        let whole = hand != Hand::Last;
        let complete = protocol::grow(&mut lease.granted, want, extra, free, whole);
        let available = want
            .0
            .keys()
            .map(|item| (item.clone(), room(item).max(lease.granted.share.of(item))));
        let available = Share(available.collect());
        let granted = lease.granted.clone();
        if stored.is_none_or(|stored| *stored.value() != lease) {
            tx.put(lease)?;
        }
        Ok::<_, WriteError>(Answer {
            granted,
            available,
            complete,
            silent: Vec::new(),
        })
    });
    settled(granted.await, of_write)
}

/// What became of asking sites to give back.
pub(in crate::compute::quota) struct Recalled {
    /// The names of those that were silent.
    pub(in crate::compute::quota) silent: Vec<String>,
    /// Whether any gave something back.
    pub(in crate::compute::quota) freed: bool,
}

/// At the home: asks every site but `except` to give back what is needed by the request whose turn
/// it is and by those behind it, unless that was done in vain since it came.
pub(super) async fn recall_once(
    services: &Services,
    project: &ProjectId,
    turn: &mut Turn<'_>,
    except: SitePrefix,
) -> Result<Recalled, ApiError> {
    if let Some(silent) = turn.asked_in_vain(except) {
        let freed = false;
        return Ok(Recalled { silent, freed });
    }
    let began = Instant::now();
    let need = turn.all();
    let recalled = recall(services, project, &need, except);
    let (told, mut recalled) = futures::try_join!(tell(services, project), recalled)?;
    recalled.freed |= told;
    if !recalled.freed {
        turn.note_in_vain(began, except, &recalled.silent);
    }
    Ok(recalled)
}

/// At the home: asks every site but `except` for up to `need` of what it was lent, all at once, and
/// writes down what they give back. Sites that are known to be out of reach are not asked.
pub(in crate::compute::quota) async fn recall(
    services: &Services,
    project: &ProjectId,
    need: &Share,
    except: SitePrefix,
) -> Result<Recalled, ApiError> {
    let leases: Vec<_> = {
        let snapshot = services.store.snapshot();
        let of_project = luc_state::key(&[project.as_str()]);
        let leases = snapshot.find(&QuotaLease::BY_PROJECT, &of_project);
        leases
            .filter(|lease| lease.site != except && lease.site != services.site)
            .filter(|lease| {
                let lends = |item: &Item| lease.granted.share.of(item) > lease.reserve.of(item);
                need.0.iter().any(|(item, lacks)| *lacks > 0 && lends(item))
            })
            .collect()
    };
    let all = services.sites.all();
    let is_silent = |site| all.iter().any(|view| view.site == site && !view.reachable);
    let (out_of_reach, leases): (Vec<_>, Vec<_>) =
        leases.into_iter().partition(|lease| is_silent(lease.site));
    let asked = leases.iter().map(|lease| async move {
        let message = Message::GiveBack {
            project: project.clone(),
            granted: lease.granted.clone(),
            need: need.clone(),
        };
        let said = send::<Claim>(services, lease.site, &message, RECALL).await;
        (lease.site, said)
    });
    let names = out_of_reach
        .iter()
        .map(|lease| name_of(services, lease.site));
    let (mut silent, mut freed) = (names.collect::<Vec<_>>(), false);
    for (site, said) in join_all(asked).await {
        let Some(said) = said else {
            silent.push(name_of(services, site));
            continue;
        };
        let heard = services.store.transact(|tx| {
            let lease = tx.get::<QuotaLease>(QuotaLease::id_of(project, site));
            let Some(mut lease) = lease.map(|lease| lease.value().clone()) else {
                return Ok(false);
            };
            let is_news = protocol::heard(&mut lease.granted, &said);
            if is_news {
                tx.update(lease)?;
            }
            Ok::<_, WriteError>(is_news)
        });
        freed |= settled(heard.await, of_write)?;
    }
    Ok(Recalled { silent, freed })
}

/// At a site that was lent something: gives back up to `need` of each item that is idle, and says
/// what is held after that is durable.
pub(in crate::compute::quota) async fn give_back(
    services: &Services,
    project: &ProjectId,
    granted: Option<&Claim>,
    need: impl Fn(&Item) -> u64,
) -> Result<Claim, ApiError> {
    let site = services.site;
    let now = services.clock.now();
    let given = services.store.transact(|tx| {
        let books = Books::within(tx, site, project);
        let mut held = bound(tx, site, project);
        if let Some(granted) = granted {
            protocol::accept(&mut held, granted);
        }
        let lease = tx.get::<QuotaLease>(QuotaLease::id_of(project, site));
        let reserve = lease.map(|lease| lease.reserve.clone());
        let keep = kept(&books, &held, &reserve.unwrap_or_default());
        let keep = keep.plus(&services.compute.turns.awaited(project));
        if protocol::shrink(&mut held, &keep, &need) {
            tx.put(LeaseHeld {
                project: project.clone(),
                bound: held.clone(),
                changed_at: now,
            })?;
        }
        // What it had without a limit is said, and held once the home has written it down.
        Ok::<_, WriteError>(with_used(tx, held, &books, []))
    });
    settled(given.await, of_write)
}

/// What a site cannot give back: what it uses, and what is reserved for it.
fn kept(books: &Books, held: &Claim, reserve: &Share) -> Share {
    let kept = held.share.0.keys().map(|item| {
        let count = books.used(item).max(reserve.of(item));
        (item.clone(), count)
    });
    Share(kept.collect())
}
