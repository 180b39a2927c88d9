//! What verifies tokens, and what ends single ones before their time.

use luc_core::time::Timestamp;
use luc_state::{Index, Kind, Record, Scope, key};
use serde::{Deserialize, Serialize};

/// A public key that verifies tokens. The private half never leaves its site's disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// The id, which tokens name as `kid`.
    pub id: String,
    /// The prefix of the site that signs with it, 12 hexadecimal digits.
    pub site: String,
    /// The algorithm as JWS names it; `EdDSA` is the only one so far.
    pub algorithm: String,
    /// The key itself, base64url without padding.
    pub public_key: String,
    /// Until when tokens that it signed are asked about, if it signs no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_until: Option<Timestamp>,
}

impl Record for PublicKey {
    const KIND: Kind = Kind::SigningKey;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Cloud
    }
}

/// That a token counts no longer. Such records are only ever added, and removed when every token
/// that they can mean has ended anyway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The id.
    pub id: String,
    /// The audit id of the token.
    pub audit_id: String,
    /// Whether the tokens that were made from it end with it.
    pub chain: bool,
    /// When the token would have ended by itself.
    pub expires_at: Timestamp,
}

impl Revocation {
    /// Finds the revocations of a token.
    pub const BY_AUDIT_ID: Index<Self> =
        Index::plain("audit_id", |revocation| vec![key(&[&revocation.audit_id])]);
}

impl Record for Revocation {
    const KIND: Kind = Kind::RevocationEvent;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_AUDIT_ID];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Cloud
    }
}
