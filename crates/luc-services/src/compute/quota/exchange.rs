//! Leases between sites: asking the home of a limit for more, granting, and giving back.
//!
//! [`transact`] runs a transaction that books and, where this site was not lent enough, asks and
//! runs it again. [`serve`] answers the messages of other sites, which arrive at [`PATH`] over the
//! fabric and nowhere else. Nobody is asked as long as the lease suffices, so a split does not
//! block a site that has one.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::future::join_all;
use http::header::CONTENT_TYPE;
use luc_api::ApiError;
use luc_core::SitePrefix;
use luc_core::id::ProjectId;
use luc_state::{TransactError, Tx};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::model::lease::{Claim, Item, LeaseHeld, QuotaLease, Share};
use super::super::write::{WriteError, of_write};
use super::lease::{Books, Heard, Lent, Seat, Shortage, bound};
use super::{Held, protocol};
use crate::Services;
use crate::identity::admits_project;
use crate::identity::model::{Domain, Project};
use crate::ports::sites::{ForwardError, Forwarded, ForwardedBody};
use crate::routing::forward::name_of;
use crate::write::settled;

/// Where sites ask each other about leases.
pub(crate) const PATH: &str = "/luc/v1/leases";

/// How long a request for more may take; longer than its home waits for others.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a home waits for sites to give back.
const RECALL: Duration = Duration::from_secs(2);

/// How often sites are asked to give back for one request of another.
const RECALLS_MAX: u32 = 4;

/// How often more is asked for in one request: others here may use up what was granted.
const ASKED_MAX: usize = 16;

/// The largest answer that is read.
const ANSWER_MAX: usize = 1 << 20;

/// What one site asks of another.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// To the home: this is held, that is wanted in all.
    Ask {
        /// The project.
        project: ProjectId,
        /// What the site holds.
        bound: Claim,
        /// What it wants to hold.
        want: Share,
    },
    /// From the home: give back up to `need` of what was granted.
    GiveBack {
        /// The project.
        project: ProjectId,
        /// What the home has written down.
        granted: Claim,
        /// How much it needs.
        need: Share,
    },
}

/// What the home says to one who asks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Answer {
    /// What it has written down.
    pub(super) granted: Claim,
    /// What the site could have at most.
    pub(super) available: Share,
    /// Whether all that was wanted is granted.
    pub(super) complete: bool,
    /// Sites that hold a part and are silent.
    pub(super) silent: Vec<String>,
}

/// Runs `body` as one transaction; where it lacks quota that other sites hold, more is asked for.
pub(in crate::compute) async fn transact<T>(
    services: &Services,
    mut body: impl FnMut(&mut Tx<'_>, &Lent) -> Result<T, WriteError>,
) -> Result<T, ApiError> {
    let mut lent = Lent::new(services.site, services.clock.now());
    for attempt in 1.. {
        let outcome = services.store.transact(|tx| body(tx, &lent)).await;
        let shortage = match outcome {
            Err(TransactError::Refused(WriteError::Lease(shortage))) => shortage,
            other => return settled(other, of_write),
        };
        let mut heard = obtain(services, &shortage).await?;
        heard.again &= attempt < ASKED_MAX;
        lent.hear(heard);
    }
    Err(ApiError::internal("asked for leases for ever"))
}

/// The home of the domain of `project`; none if it is not known here.
pub(super) fn home_of(services: &Services, project: &ProjectId) -> Option<SitePrefix> {
    let snapshot = services.store.snapshot();
    let project = snapshot.get::<Project>(project)?;
    let domain = snapshot.get::<Domain>(&project.domain_id)?;
    Some(domain.home())
}

/// Whether the word of `site` counts for the whole cloud.
fn is_trusted(services: &Services, site: SitePrefix) -> bool {
    let all = services.sites.all();
    all.iter().any(|view| view.site == site && view.trusted)
}

/// Tries to get what is short.
async fn obtain(services: &Services, shortage: &Shortage) -> Result<Heard, ApiError> {
    let own = name_of(services, services.site);
    let home = home_of(services, &shortage.project).unwrap_or(services.site);
    if home == services.site {
        let project = &shortage.project;
        let Recalled { silent, freed } =
            recall(services, project, &shortage.lacking, services.site).await?;
        return Ok(Heard {
            own,
            silent,
            // Others here may have used up what came back.
            again: freed,
            ..Heard::default()
        });
    }
    let asked = ask(services, home, &shortage.project, &shortage.want).await?;
    Ok(match asked {
        Some(answer) => Heard {
            granted: Some(answer.granted),
            available: answer.available,
            again: answer.complete,
            own,
            silent_home: None,
            silent: answer.silent,
        },
        None => Heard {
            own,
            silent_home: Some(name_of(services, home)),
            ..Heard::default()
        },
    })
}

/// Tells `home` what is held here and asks for `want`; `None` if it is silent.
pub(super) async fn ask(
    services: &Services,
    home: SitePrefix,
    project: &ProjectId,
    want: &Share,
) -> Result<Option<Answer>, ApiError> {
    let said = services.store.transact(|tx| {
        let books = Books::within(tx, services.site, project);
        let mut said = bound(tx, services.site, project);
        // What was used before there was a limit is held, too.
        for item in want.0.keys() {
            let used = books.used(item);
            if used > said.share.of(item) {
                said.share.0.insert(item.clone(), used);
            }
        }
        Ok::<_, WriteError>(said)
    });
    let message = Message::Ask {
        project: project.clone(),
        bound: settled(said.await, of_write)?,
        want: want.clone(),
    };
    Ok(send(services, home, &message, PATIENCE).await)
}

/// Sends `message` to `site`; `None` if there is no answer that can be used.
async fn send<T: DeserializeOwned>(
    services: &Services,
    site: SitePrefix,
    message: &Message,
    patience: Duration,
) -> Option<T> {
    let request = http::Request::post(PATH).header(CONTENT_TYPE, "application/json");
    let (parts, ()) = request.body(()).ok()?.into_parts();
    let body = Bytes::from(serde_json::to_vec(message).ok()?);
    let request = Forwarded {
        parts,
        body: ForwardedBody::Whole(body),
        operation: None,
        patience,
    };
    let exchange = async {
        let response = services.sites.forward(site, request).await?;
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), ANSWER_MAX).await;
        Ok::<_, ForwardError>((status, body))
    };
    let (status, body) = tokio::time::timeout(patience, exchange).await.ok()?.ok()?;
    let body = body.ok()?;
    if !status.is_success() {
        tracing::warn!(%site, %status, "a site refused to speak of leases");
        return None;
    }
    serde_json::from_slice(&body).ok()
}

/// Answers the request of the site `from` to [`PATH`].
pub(crate) async fn arrived(
    services: &Services,
    from: SitePrefix,
    request: http::Request<Body>,
) -> http::Response<Body> {
    let answered = match axum::body::to_bytes(request.into_body(), ANSWER_MAX).await {
        Ok(body) => serve(services, from, &body).await,
        Err(_) => Err(ApiError::TooLarge {
            limit: ANSWER_MAX as u64,
        }),
    };
    answered.unwrap_or_else(|error| {
        tracing::warn!(site = %from, %error, "a message about leases was refused");
        let mut response = http::Response::new(Body::from(error.to_string()));
        *response.status_mut() = error.status();
        response
    })
}

/// Answers what the site `from` asks. `from` must be what the fabric says, for a site may speak
/// for itself alone.
async fn serve(
    services: &Services,
    from: SitePrefix,
    body: &[u8],
) -> Result<http::Response<Body>, ApiError> {
    let message: Message = serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("Not a message about leases: {error}")))?;
    let answer = match message {
        Message::Ask {
            project,
            bound,
            want,
        } => {
            // What a site says it holds is written down, so it must have a use for it.
            if !admits_project(services, from, &project) {
                let message = "The project does not live at the site that asks.";
                return Err(ApiError::forbidden(message));
            }
            serde_json::to_vec(&grant(services, from, &project, (&bound, &want)).await?)
        }
        Message::GiveBack {
            project,
            granted,
            need,
        } => {
            let known = home_of(services, &project);
            let home = known.map_or_else(|| is_trusted(services, from), |home| home == from);
            if !home {
                let message = "Only the home of a limit asks for what it has lent.";
                return Err(ApiError::forbidden(message));
            }
            let most = |item: &Item| need.of(item);
            serde_json::to_vec(&give_back(services, &project, Some(&granted), most).await?)
        }
    };
    let answer = answer.map_err(|error| ApiError::internal(error.to_string()))?;
    http::Response::builder()
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(answer))
        .map_err(|error| ApiError::internal(error.to_string()))
}

/// At the home: lends `site` what it wants, if need be after other sites have given back.
async fn grant(
    services: &Services,
    site: SitePrefix,
    project: &ProjectId,
    said: (&Claim, &Share),
) -> Result<Answer, ApiError> {
    let first = grant_once(services, site, project, said, true).await?;
    if first.complete {
        return Ok(first);
    }
    let lacking = said.1.0.iter().map(|(item, count)| {
        let lacks = count.saturating_sub(first.available.of(item));
        (item.clone(), lacks)
    });
    let lacking = Share(lacking.filter(|(_, lacks)| *lacks > 0).collect());
    for again in (0..RECALLS_MAX).rev() {
        let Recalled { silent, freed } = recall(services, project, &lacking, site).await?;
        let second = grant_once(services, site, project, said, false).await?;
        // Others may have been quicker to take what came back.
        if second.complete || !freed || again == 0 {
            return Ok(Answer { silent, ..second });
        }
    }
    Ok(first)
}

async fn grant_once(
    services: &Services,
    site: SitePrefix,
    project: &ProjectId,
    (said, want): (&Claim, &Share),
    whole: bool,
) -> Result<Answer, ApiError> {
    let granted = services.store.transact(|tx| {
        let found = tx.get::<Project>(project);
        let found = found.ok_or_else(|| ApiError::not_found("There is no such project."))?;
        let Seat::Here(others) = Seat::of(tx, services.site, project) else {
            let message = "The limits of this project are another site's to lend.";
            return Err(ApiError::conflict(message).into());
        };
        let others: Vec<_> = others.iter().filter(|lease| lease.site != site).collect();
        let held = Held::within(tx, project.as_str());
        let books = Books::within(tx, services.site, project);
        let kept = tx.get::<QuotaLease>(QuotaLease::id_of(project, services.site));
        let stored = tx.get::<QuotaLease>(QuotaLease::id_of(project, site));
        let mut lease = stored.as_ref().map_or_else(
            || QuotaLease::none(project, &found.domain_id, site),
            |stored| stored.value().clone(),
        );
        protocol::heard(&mut lease.granted, said);
        let room = |item: &Item| {
            let Some(limit) = held.limit(item) else {
                return u64::MAX;
            };
            let reserved = kept.as_ref().map_or(0, |kept| kept.reserve.of(item));
            let here = books.used(item).max(reserved);
            let taken = others.iter().map(|lease| lease.taken(item));
            limit.saturating_sub(taken.fold(here, u64::saturating_add))
        };
        let before = lease.granted.share.clone();
        let free = |item: &Item| room(item).saturating_sub(before.of(item));
        // As much again, or a twentieth of the limit, so that not every server is asked for.
        let extra = |item: &Item| match held.limit(item) {
            Some(limit) => (limit / 20).max(want.of(item).saturating_sub(before.of(item))),
            None => 0,
        };
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
pub(super) struct Recalled {
    /// The names of those that were silent.
    pub(super) silent: Vec<String>,
    /// Whether any gave something back.
    pub(super) freed: bool,
}

/// At the home: asks every site but `except` for up to `need` of what it was lent, all at once, and
/// writes down what they give back.
pub(super) async fn recall(
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
    let asked = leases.iter().map(|lease| async move {
        let message = Message::GiveBack {
            project: project.clone(),
            granted: lease.granted.clone(),
            need: need.clone(),
        };
        let said = send::<Claim>(services, lease.site, &message, RECALL).await;
        (lease.site, said)
    });
    let (mut silent, mut freed) = (Vec::new(), false);
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
pub(super) async fn give_back(
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
        if protocol::shrink(&mut held, &keep, &need) {
            tx.put(LeaseHeld {
                project: project.clone(),
                bound: held.clone(),
                changed_at: now,
            })?;
        }
        Ok::<_, WriteError>(held)
    });
    settled(given.await, of_write)
}

/// What a site cannot give back: what it uses, and what is reserved for it.
pub(super) fn kept(books: &Books, held: &Claim, reserve: &Share) -> Share {
    let kept = held.share.0.keys().map(|item| {
        let count = books.used(item).max(reserve.of(item));
        (item.clone(), count)
    });
    Share(kept.collect())
}

#[cfg(test)]
mod tests;
