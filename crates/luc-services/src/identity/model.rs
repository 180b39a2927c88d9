//! What the identity service stores: one record type per kind, as it stands in the engine.
//!
//! Names are unique as they are written: `Ada` and `ada` are two users, as in upstream's SQLite
//! and PostgreSQL (MySQL, the exception, folds case). Everything a domain owns carries the
//! domain's id, because that is its scope.
//!
//! `token_epoch` counts the events that end every token issued for a user, a project or a domain so
//! far (a new password, being disabled): a token says which epoch it was issued in, so such an end
//! needs no list of ended tokens, no clock, and is seen wherever the record is.

mod app_creds;
mod assignments;
mod catalog;
mod keys;
mod people;
mod places;
mod roles;

use luc_state::Schema;
use serde::{Deserialize, Serialize};

pub use app_creds::{AccessRule, AppCred};
pub use assignments::{Actor, Assignment, Place};
pub use catalog::{CatalogEndpoint, CatalogService, Region};
pub use keys::{PublicKey, Revocation};
pub use people::{Group, Membership, User};
pub use places::{Domain, DomainPresence, Project};
pub use roles::{ImpliedRole, Role};

/// Attributes that the service keeps without knowing them.
pub type Extra = serde_json::Map<String, serde_json::Value>;

/// The id of the domain that every cloud has.
pub const DEFAULT_DOMAIN: &str = "default";

/// The tables of the identity service.
pub fn schema() -> Schema {
    Schema::new()
        .table::<AccessRule>()
        .table::<AppCred>()
        .table::<Assignment>()
        .table::<CatalogEndpoint>()
        .table::<CatalogService>()
        .table::<Domain>()
        .table::<DomainPresence>()
        .table::<Group>()
        .table::<ImpliedRole>()
        .table::<Membership>()
        .table::<Project>()
        .table::<PublicKey>()
        .table::<Region>()
        .table::<Revocation>()
        .table::<Role>()
        .table::<User>()
}

/// A password or secret as it is kept: an argon2id hash in PHC form. Never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hashed(String);

impl Hashed {
    /// Takes a hash in PHC form.
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The hash in PHC form; named so that every use is seen in review.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Hashed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The marker option that protects a domain, project or role from changes.
pub const IMMUTABLE: &str = "immutable";

/// Whether `options` protect their owner from changes.
pub fn is_immutable(options: &Extra) -> bool {
    options
        .get(IMMUTABLE)
        .and_then(serde_json::Value::as_bool)
        .unwrap_or(false)
}

/// Sets the options of `change`; those that are `null` there are removed.
pub fn merge_options(options: &mut Extra, change: Extra) {
    for (name, value) in change {
        if value.is_null() {
            options.remove(&name);
        } else {
            options.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests;
