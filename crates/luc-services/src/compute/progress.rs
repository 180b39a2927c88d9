//! What hosts say of their servers, turned into what users see.
//!
//! ```text
//! report ─▶ of this order?  ── no ──▶ ignored
//!           settled ─▶ outcome::done      ─▶ claims, quota, instance action
//!           failed ──▶ outcome::failed    ─▶   "
//!                      build: abandon here ─▶ gone ─▶ another host, or error
//!           gone ────▶ server ─▶ deleted server, claims and quota released
//! ```
//!
//! A report is a whole state with the number of the wish it answers, so it may be lost, doubled or
//! late: what changes nothing writes nothing. All reports handed over together are one transaction.
//! Called by the agents' adapter in `luc`.

mod apply;
pub(in crate::compute) mod stranded;

use std::net::IpAddr;

use luc_api::ApiError;
use luc_core::Uuid;
use luc_core::id::ServerId;

use super::server::outcome::Stage;
use super::server::state::PowerState;
use super::write::{WriteError, transact};
use crate::Services;
use crate::ports::Drawn;

/// How far a host is with a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It works on it.
    Working(Stage),
    /// The wish is fulfilled, or the host only looks.
    Settled,
    /// The wish was fulfilled, but the guest has since left that state by itself.
    Drifted,
    /// The wish cannot be fulfilled here.
    Failed {
        /// One sentence for its owner.
        message: String,
        /// The causes, for administrators.
        details: Option<String>,
    },
    /// Nothing of the server is on the host.
    Gone,
}

/// What a host says of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The host.
    pub host: String,
    /// The server.
    pub server: ServerId,
    /// The number of the wish that it answers.
    pub generation: u64,
    /// How far the host is with it.
    pub phase: Phase,
    /// What the VM is.
    pub power: PowerState,
    /// The addresses of the guest.
    pub addresses: Vec<IpAddr>,
    /// Its hardware address.
    pub mac: Option<String>,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It changed the server.
    Applied,
    /// It said what was known.
    Known,
    /// It answers an older wish, or comes from another host, or the server is not known.
    Ignored,
}

/// Takes reports of hosts, in the order in which they were written. Resolves when what they say is
/// durable; taking them again after an error is safe.
pub async fn observed(services: &Services, reports: &[Report]) -> Result<Vec<Received>, ApiError> {
    let scene = apply::Scene {
        now: services.clock.now(),
        liveness: &services.compute.liveness,
        ids: draw_ids(services, reports.len()),
    };
    transact(&services.store, |tx| -> Result<_, WriteError> {
        reports
            .iter()
            .zip(&scene.ids)
            .map(|(report, id)| apply::report(tx, &scene, report, id))
            .collect()
    })
    .await
}

/// Ids for the instance actions of servers that changed by themselves. Drawn before the
/// transaction, which may run more than once.
fn draw_ids(services: &Services, count: usize) -> Vec<String> {
    let mut drawn = Drawn(&*services.random);
    (0..count)
        .map(|_| Uuid::born_at(services.site, &mut drawn).hyphenated())
        .collect()
}

#[cfg(test)]
mod tests;
