//! The key of a site that signs its tokens.
//!
//! The private half lives in a file of mode 0600 in the node's data directory, which `luc` reads
//! and writes; the store holds only the public half ([`super::model::PublicKey`]), so that every
//! site can verify every token. The id of a key follows from its public half: the same seed is the
//! same key, wherever it is read.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ed25519_dalek::{Signer as _, VerifyingKey};
use luc_api::value::Secret;
use luc_core::{Entropy, SitePrefix, Uuid};
use sha2::{Digest as _, Sha256};

use super::model::PublicKey;
use crate::ports::{Drawn, Randomness};

/// The algorithm of our keys, as JWS (RFC 8037) names it.
pub(super) const ALGORITHM: &str = "EdDSA";

/// A site's private key.
pub struct SigningKey {
    id: String,
    site: SitePrefix,
    key: ed25519_dalek::SigningKey,
}

/// A text that holds no private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a signing key: expected 32 bytes in base64url, 43 characters")]
pub struct SigningKeyError;

/// Draws the random part of a key's id from its public half.
struct OfKey([u8; 32], usize);

impl Entropy for OfKey {
    fn next_u64(&mut self) -> u64 {
        let mut word = [0u8; 8];
        word.copy_from_slice(&self.0[self.1..self.1 + 8]);
        self.1 = (self.1 + 8) % 32;
        u64::from_le_bytes(word)
    }
}

impl SigningKey {
    /// A new key of `site`.
    pub fn generate(site: SitePrefix, random: &dyn Randomness) -> Self {
        let mut seed = [0u8; 32];
        Drawn(random).fill(&mut seed);
        Self::of_seed(site, &seed)
    }

    /// The key that [`Self::to_text`] wrote.
    pub fn from_text(site: SitePrefix, text: &str) -> Result<Self, SigningKeyError> {
        let seed = BASE64.decode(text.trim()).map_err(|_| SigningKeyError)?;
        let seed: [u8; 32] = seed.try_into().map_err(|_| SigningKeyError)?;
        Ok(Self::of_seed(site, &seed))
    }

    fn of_seed(site: SitePrefix, seed: &[u8; 32]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let digest = Sha256::digest(key.verifying_key().as_bytes());
        let id = Uuid::born_at(site, &mut OfKey(digest.into(), 0)).simple();
        Self { id, site, key }
    }

    /// What is to stand in the key's file.
    pub fn to_text(&self) -> Secret {
        Secret::new(BASE64.encode(self.key.to_bytes()))
    }

    /// The id, which tokens name as `kid`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The site whose key it is.
    pub fn site(&self) -> SitePrefix {
        self.site
    }

    /// The record that lets others verify what it signs.
    pub fn public(&self) -> PublicKey {
        PublicKey {
            id: self.id.clone(),
            site: self.site.to_string(),
            algorithm: ALGORITHM.to_owned(),
            public_key: BASE64.encode(self.key.verifying_key().as_bytes()),
            retired_until: None,
        }
    }

    /// Signs `message`.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

/// The key of a record, if it is one that we can use.
pub(super) fn verifying_key(record: &PublicKey) -> Option<VerifyingKey> {
    if record.algorithm != ALGORITHM {
        return None;
    }
    let bytes: [u8; 32] = BASE64.decode(&record.public_key).ok()?.try_into().ok()?;
    VerifyingKey::from_bytes(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: SitePrefix = SitePrefix::from_bytes([1, 2, 3, 4, 5, 6]);

    #[test]
    fn a_key_is_the_same_wherever_it_is_read() {
        let key = SigningKey::of_seed(SITE, &[7; 32]);
        let read = SigningKey::from_text(SITE, key.to_text().reveal()).unwrap();
        assert_eq!(read.public(), key.public());
        assert_eq!(read.sign(b"x"), key.sign(b"x"));
        assert_ne!(SigningKey::of_seed(SITE, &[8; 32]).id(), key.id());
        assert!(key.id().starts_with("010203040506"));
    }

    #[test]
    fn the_private_half_is_not_printed() {
        let key = SigningKey::of_seed(SITE, &[7; 32]);
        let printed = format!("{key:?} {:?}", key.to_text());
        assert!(!printed.contains(key.to_text().reveal()), "{printed}");
    }

    #[test]
    fn other_text_is_no_key() {
        for bad in ["", "AAAA", "not base64 at all !", &"A".repeat(44)] {
            assert!(SigningKey::from_text(SITE, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_record_of_another_algorithm_verifies_nothing() {
        let mut record = SigningKey::of_seed(SITE, &[7; 32]).public();
        assert!(verifying_key(&record).is_some());
        record.algorithm = "HS256".to_owned();
        assert!(verifying_key(&record).is_none());
    }
}
