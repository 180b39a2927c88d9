//! Tokens that have been verified, so that each signature is checked once.
//!
//! The key is the SHA-256 of the whole token: what was tampered with is another token. What is kept
//! is the claims, which never change, and the caller they meant at one revision of the store; at
//! any
//! other revision the caller is made anew. So a revocation is seen by the next request.
//!
//! Bounded by generations: when the young one is full it becomes the old one, and what nobody asked
//! for since then is gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use luc_state::Revision;
use sha2::{Digest as _, Sha256};

use super::token::Claims;
use crate::caller::Caller;

/// How many tokens one generation of one shard keeps: 8 192 tokens in all, about 16 MiB.
const GENERATION_LENGTH: usize = 512;

/// How many locks there are, so that requests seldom meet at one.
const SHARDS: usize = 8;

/// The hash of a token.
pub(super) type Digest = [u8; 32];

/// What is known of a token.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) claims: Arc<Claims>,
    /// The id of the key that signed them; it may be gone by now.
    pub(super) kid: Arc<str>,
    pub(super) caller: Arc<Caller>,
    /// Of the snapshot in which the claims meant that caller.
    pub(super) revision: Revision,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Digest, Known>,
    old: HashMap<Digest, Known>,
}

/// Verified tokens by their hash.
#[derive(Default)]
pub(super) struct TokenCache {
    shards: [Mutex<Generations>; SHARDS],
}

/// The hash of a token.
pub(super) fn digest(token: &str) -> Digest {
    Sha256::digest(token.as_bytes()).into()
}

impl TokenCache {
    /// What is known of the token.
    pub(super) fn get(&self, digest: &Digest) -> Option<Known> {
        let mut shard = self
            .shard(digest)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shard.young.get(digest) {
            return Some(known.clone());
        }
        let known = shard.old.remove(digest)?;
        shard.insert(*digest, known.clone());
        Some(known)
    }

    /// Keeps what is known of the token.
    pub(super) fn put(&self, digest: Digest, known: Known) {
        let mut shard = self
            .shard(&digest)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        shard.insert(digest, known);
    }

    /// Forgets the token.
    pub(super) fn forget(&self, digest: &Digest) {
        let mut shard = self
            .shard(digest)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        shard.young.remove(digest);
        shard.old.remove(digest);
    }

    fn shard(&self, digest: &Digest) -> &Mutex<Generations> {
        &self.shards[usize::from(digest[0]) % SHARDS]
    }
}

impl Generations {
    fn insert(&mut self, digest: Digest, known: Known) {
        if self.young.len() >= GENERATION_LENGTH && !self.young.contains_key(&digest) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, known);
    }
}
