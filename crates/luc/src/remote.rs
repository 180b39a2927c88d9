//! A compute-only node and its controller: the agent's port, carried over HTTP inside a site.
//!
//! A node that has joined speaks it over streams of the fabric, where both sides have proven their
//! keys ([`Link::Fabric`]); one that was only told a URL shows the site's join secret.
//!
//! The agent's port is a state with a number on either side, so anything may be lost or repeated
//! (`luc_agent::controller`). Here it becomes requests under `/luc/v1/hosts/<host>`, all of
//! them idempotent:
//!
//! | request | meaning |
//! |---|---|
//! | `GET wishes` | everything that is wanted on the host, with the revision it is true for |
//! | `GET wishes?after=R` | waits up to 20 s for changes after R; `reload` if R is too old |
//! | `POST begin` | may the host make these new servers? Not those that are given to others |
//! | `POST reports` | what the agent saw |
//! | `POST heartbeat` | the node lives, what it has, where it is; answered with its host's labels |
//! | `GET images/<id>` | the bytes of an image |
//! | `GET members` | who is of the cloud; for nodes on the fabric |
//!
//! The other way round, the controller asks a node for a console or for measurements at the address
//! that the heartbeat named, or at the key it was heard from. Without the fabric both sides show
//! the site's join secret, and the network must be one that the operator trusts.

mod begin;
mod client;
mod link;
mod node;
mod server;
mod wire;

pub use client::RemoteController;
pub use link::Link;
pub use node::{NodeSide, node_router};
pub use server::{ControllerSide, RemoteHosts, controller_router};

use std::time::Duration;

use http::HeaderMap;
use luc_api::value::Secret;

/// The header that carries the join secret.
pub const SECRET_HEADER: &str = "x-luc-join-secret";

/// Where nodes speak with their controller, which believes that they ask for themselves.
const HOSTS: &str = "/luc/v1/hosts";

/// How long a request for changes waits for one.
pub const WAIT: Duration = Duration::from_secs(20);

/// Whether `headers` show `secret`; takes the same time for every wrong one of the same length.
fn shows(headers: &HeaderMap, secret: &Secret) -> bool {
    let shown = headers
        .get(SECRET_HEADER)
        .map(http::HeaderValue::as_bytes)
        .unwrap_or_default();
    let secret = secret.reveal().as_bytes();
    let differences = shown
        .iter()
        .zip(secret)
        .fold(0u8, |sum, (left, right)| sum | (left ^ right));
    shown.len() == secret.len() && !secret.is_empty() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_secret_opens() {
        let secret = Secret::new("abc");
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(SECRET_HEADER, value.parse().unwrap());
            headers
        };
        assert!(shows(&with("abc"), &secret));
        for wrong in ["", "ab", "abd", "abcd"] {
            assert!(!shows(&with(wrong), &secret), "{wrong:?} opened");
        }
        assert!(!shows(&HeaderMap::new(), &secret));
        assert!(!shows(&with(""), &Secret::new("")));
    }
}
