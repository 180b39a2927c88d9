//! Leases between sites: asking the home of a limit for more, and the messages of both sides.
//!
//! [`transact`] runs a transaction that books and, where this site was not lent enough, asks and
//! runs it again. [`serve`] answers the messages of other sites, which arrive at [`PATH`] over the
//! fabric and nowhere else; [`lend`] decides what they get. Nobody is asked as long as the lease
//! suffices, so a split does not block a site that has one.

mod lend;
mod tell;
mod turn;

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use luc_api::ApiError;
use luc_core::SitePrefix;
use luc_core::id::ProjectId;
use luc_state::{TransactError, Tx};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::model::lease::{Claim, Item, Share};
use super::super::write::{WriteError, of_write};
use super::lease::{self, Heard, Lent, Shortage, covered};
use crate::Services;
use crate::identity::admits_project;
use crate::identity::model::{Domain, Project};
use crate::ports::sites::{ForwardError, Forwarded, ForwardedBody};
use crate::routing::forward::name_of;
use crate::write::settled;
use lend::{Ask, recall_once};
use tell::{Notice, hear};
use turn::Turn;

pub(super) use lend::{give_back, recall};
pub(super) use tell::tell;
pub(in crate::compute) use turn::Turns;

/// Where sites ask each other about leases.
pub(crate) const PATH: &str = "/luc/v1/leases";

/// How long a request for more may take; longer than its home waits for others.
const PATIENCE: Duration = Duration::from_secs(5);

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
        /// What it would like to have beyond that, for requests that wait.
        #[serde(default, skip_serializing_if = "Share::is_empty")]
        more: Share,
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
    /// From the home: there is a limit now where there was none.
    Closed(Notice),
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
    let shortage = match services.store.transact(|tx| body(tx, &lent)).await {
        Err(TransactError::Refused(WriteError::Lease(shortage))) => shortage,
        other => return settled(other, of_write),
    };
    let turns = &services.compute.turns;
    let waiting = turns.wait(&shortage.project, shortage.more);
    let mut turn = waiting.turn().await;
    for asked in 0..=ASKED_MAX {
        // Who was before may have brought enough for all.
        let shortage = match services.store.transact(|tx| body(tx, &lent)).await {
            Err(TransactError::Refused(WriteError::Lease(shortage))) => shortage,
            other => return settled(other, of_write),
        };
        let mut heard = obtain(services, &shortage, &mut turn).await?;
        heard.again &= asked + 1 < ASKED_MAX;
        lent.hear(heard);
    }
    Err(ApiError::internal("asked for leases for ever"))
}

/// Where the limits of `project` are decided; none if that is not known here.
pub(super) fn home_of(services: &Services, project: &ProjectId) -> Option<SitePrefix> {
    let snapshot = services.store.snapshot();
    let found = snapshot.get::<Project>(project);
    let domain = found.and_then(|found| snapshot.get::<Domain>(&found.domain_id));
    lease::home(domain.map(|domain| domain.home()), project)
}

/// Whether the word of `site` counts for the whole cloud.
fn is_trusted(services: &Services, site: SitePrefix) -> bool {
    let all = services.sites.all();
    all.iter().any(|view| view.site == site && view.trusted)
}

/// Tries to get what is short.
async fn obtain(
    services: &Services,
    shortage: &Shortage,
    turn: &mut Turn<'_>,
) -> Result<Heard, ApiError> {
    let own = name_of(services, services.site);
    let project = &shortage.project;
    let home = home_of(services, project).unwrap_or(services.site);
    if home == services.site {
        let recalled = recall_once(services, project, turn, services.site).await?;
        return Ok(Heard {
            own,
            silent: recalled.silent,
            // Others here may have used up what came back.
            again: recalled.freed,
            ..Heard::default()
        });
    }
    let asked = ask(services, home, project, (&shortage.want, turn.others())).await?;
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

/// Tells `home` what is held here and asks for `want` and, as far as it is free, for `more`;
/// `None` if it is silent.
pub(super) async fn ask(
    services: &Services,
    home: SitePrefix,
    project: &ProjectId,
    (want, more): (&Share, Share),
) -> Result<Option<Answer>, ApiError> {
    let said = services
        .store
        .transact(|tx| Ok::<_, WriteError>(covered(tx, services.site, project, want.0.keys())));
    let message = Message::Ask {
        project: project.clone(),
        bound: settled(said.await, of_write)?,
        want: want.clone(),
        more,
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
        tracing::debug!(site = %from, %error, "a message about leases was refused");
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
            more,
        } => {
            // What a site says it holds is written down, so it must have a use for it.
            if !admits_project(services, from, &project) {
                let message = "The project does not live at the site that asks.";
                return Err(ApiError::forbidden(message));
            }
            let ask = Ask { bound, want, more };
            serde_json::to_vec(&lend::grant(services, from, &project, &ask).await?)
        }
        Message::GiveBack {
            project,
            granted,
            need,
        } => {
            only_home(services, &project, from)?;
            let most = |item: &Item| need.of(item);
            serde_json::to_vec(&give_back(services, &project, Some(&granted), most).await?)
        }
        Message::Closed(notice) => {
            only_home(services, &notice.project, from)?;
            serde_json::to_vec(&hear(services, from, &notice).await?)
        }
    };
    let answer = answer.map_err(|error| ApiError::internal(error.to_string()))?;
    http::Response::builder()
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(answer))
        .map_err(|error| ApiError::internal(error.to_string()))
}

/// Refuses what only the home of the limits of `project` may say.
fn only_home(services: &Services, project: &ProjectId, from: SitePrefix) -> Result<(), ApiError> {
    let known = home_of(services, project);
    if known.map_or_else(|| is_trusted(services, from), |home| home == from) {
        return Ok(());
    }
    let message = "Only the home of a limit asks for what it has lent.";
    Err(ApiError::forbidden(message))
}

#[cfg(test)]
mod tests;
