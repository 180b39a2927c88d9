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

use luc_state::Snapshot;

pub(super) use login::issue;
pub(super) use own::{list_domains, list_projects, projects_of, show_catalog, show_system};
pub(super) use tokens::{EXPIRED_WINDOW, forget_expired, revoke, validate};

use super::model::PublicKey;
use super::signing::verifying_key;
use super::token::{Claims, TokenError};

/// What a token says that a known key of any site has signed, and the `kid` of that key.
pub(super) fn read(snapshot: &Snapshot, token: &str) -> Result<(Claims, String), TokenError> {
    let mut signer = String::new();
    let claims = Claims::verify(token, |kid| {
        kid.clone_into(&mut signer);
        let record = snapshot.get::<PublicKey>(kid)?;
        verifying_key(record.value())
    })?;
    Ok((claims, signer))
}
