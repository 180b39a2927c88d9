//! Authentication and tokens: `/v3/auth`.
//!
//! A login is read in steps: its form (400), the proofs of identity ([`methods`], 401), the scope
//! ([`scoping`], 401), and then the token is made and at once held against the records as any other
//! token is. Which of them failed is told to nobody but the log.

mod login;
mod methods;
mod own;
mod scoping;
mod tokens;

use ed25519_dalek::VerifyingKey;
use luc_state::Snapshot;

pub(super) use login::issue;
pub(super) use own::{list_domains, list_projects, projects_of, show_catalog, show_system};
pub(super) use tokens::{revoke, validate};

use super::model::PublicKey;
use super::signing::verifying_key;

/// The key that tokens name by `kid`.
pub(super) fn key_of(snapshot: &Snapshot, kid: &str) -> Option<VerifyingKey> {
    snapshot
        .get::<PublicKey>(kid)
        .and_then(|record| verifying_key(record.value()))
}
