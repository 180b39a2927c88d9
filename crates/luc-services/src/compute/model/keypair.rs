//! The stored key pair: the public half of a user's SSH key, or an X.509 certificate.
//!
//! The private half is never stored.

use luc_core::id::{DomainId, UserId};
use luc_core::time::Timestamp;
use luc_state::{Index, Kind, Record, Scope, key};
use serde::{Deserialize, Serialize};

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeypairType {
    /// A key of SSH.
    Ssh,
    /// A certificate, for guests with WinRM.
    X509,
}

impl KeypairType {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::X509 => "x509",
        }
    }
}

/// A key pair of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keypair {
    /// See [`Keypair::record_id`].
    pub id: String,
    /// The user it belongs to.
    pub user: UserId,
    /// The user's domain.
    pub domain: DomainId,
    /// Its name, unique among the user's.
    pub name: String,
    /// What kind of key it is.
    pub kind: KeypairType,
    /// The public key, as in an `authorized_keys` file, or the certificate in PEM.
    pub public_key: String,
    /// MD5 of the key (SSH) or SHA-1 of the certificate, in hexadecimal with colons.
    pub fingerprint: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Keypair {
    /// Finds the key pairs of a user.
    pub const BY_USER: Index<Self> = Index::plain("user", |pair| vec![key(&[pair.user.as_str()])]);

    /// The id of the record of `user`'s key pair `name`.
    pub fn record_id(user: &UserId, name: &str) -> String {
        key(&[user.as_str(), name]).as_str().to_owned()
    }
}

impl Record for Keypair {
    const KIND: Kind = Kind::Keypair;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_USER];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Domain(self.domain.clone())
    }
}
