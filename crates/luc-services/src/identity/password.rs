//! Passwords and secrets: hashed by argon2id on threads of their own, a few at a time.
//!
//! A hash costs tens of milliseconds and megabytes on purpose, so it never runs on a thread that
//! serves requests, only as many run at once as there are processors, and when too many wait the
//! next is turned away. Checking against no hash at all costs the same time as checking a wrong
//! password, so that an answer does not tell whether a user exists.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::password_hash::{Output, ParamsString, PasswordHash, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use luc_api::ApiError;
use luc_api::value::Secret;
use tokio::sync::Semaphore;

use super::model::Hashed;

/// How costly a hash is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl HashCost {
    /// OWASP's advice for argon2id (Password Storage Cheat Sheet, 2024): 19 MiB, two passes.
    pub const OWASP: Self = Self {
        memory_kib: 19_456,
        passes: 2,
    };

    /// As little as argon2 allows: for tests, where only the answer matters.
    pub const LEAST: Self = Self {
        memory_kib: 8,
        passes: 1,
    };
}

/// How many may wait for a thread before the next is turned away.
const WAITING_MAX: usize = 256;

/// Hashes and checks.
pub(super) struct Passwords {
    cost: HashCost,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    workspaces: Arc<Workspaces>,
    /// What is checked against where there is nothing to check against.
    nobody: Hashed,
}

impl Passwords {
    /// Hashes at this cost. `salt` is for the hash that belongs to nobody.
    pub(super) fn new(cost: HashCost, salt: [u8; 16]) -> Result<Self, ApiError> {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let workspaces = Arc::new(Workspaces::default());
        Ok(Self {
            cost,
            permits: Arc::new(Semaphore::new(threads)),
            waiting: AtomicUsize::new(0),
            nobody: hash(&workspaces, cost, &Secret::new(""), salt)?,
            workspaces,
        })
    }

    /// The hash of a password.
    pub(super) async fn hash(&self, secret: &Secret, salt: [u8; 16]) -> Result<Hashed, ApiError> {
        let (cost, secret) = (self.cost, secret.clone());
        let workspaces = Arc::clone(&self.workspaces);
        self.on_a_thread(move || hash(&workspaces, cost, &secret, salt))
            .await?
    }

    /// Whether the password is the one of the hash; of no hash, never, but not sooner.
    pub(super) async fn check(
        &self,
        hashed: Option<&Hashed>,
        secret: &Secret,
    ) -> Result<bool, ApiError> {
        let is_somebody = hashed.is_some();
        let hashed = hashed.unwrap_or(&self.nobody).clone();
        let secret = secret.clone();
        let workspaces = Arc::clone(&self.workspaces);
        let fits = self
            .on_a_thread(move || check(&workspaces, &hashed, &secret))
            .await??;
        Ok(fits && is_somebody)
    }

    async fn on_a_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let _place = Place::take(&self.waiting).ok_or(ApiError::TooManyRequests {
            retry_after: Duration::from_secs(1),
        })?;
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| ApiError::internal("the hashing threads are gone"))?;
        if self.cost == HashCost::LEAST {
            // Nobody is kept waiting by so little, and on a paused clock, where a thread comes back
            // whenever it likes, the same seed gives the same run.
            return Ok(work());
        }
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        done.await
            .map_err(|error| ApiError::internal(format!("hashing a password: {error}")))
    }
}

/// A place in the queue, given back when it is dropped.
struct Place<'q>(&'q AtomicUsize);

impl<'q> Place<'q> {
    fn take(waiting: &'q AtomicUsize) -> Option<Self> {
        if waiting.fetch_add(1, Ordering::Relaxed) < WAITING_MAX {
            return Some(Self(waiting));
        }
        waiting.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The megabytes that hashes work in, kept from one to the next: an allocator that is given such
/// pieces back by changing threads would keep many times as much.
#[derive(Default)]
struct Workspaces(Mutex<Vec<Vec<Block>>>);

impl Workspaces {
    fn with<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut workspace = kept.unwrap_or_default();
        if workspace.len() < blocks {
            workspace.resize(blocks, Block::default());
        }
        let result = work(&mut workspace[..blocks]);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(workspace);
        result
    }
}

/// The raw argon2id of a secret.
fn derive(
    workspaces: &Workspaces,
    params: Params,
    secret: &Secret,
    salt: &[u8],
) -> Result<Output, ApiError> {
    let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let blocks = params.block_count();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Output::init_with(length, |out| {
        workspaces.with(blocks, |memory| {
            let secret = secret.reveal().as_bytes();
            Ok(argon2.hash_password_into_with_memory(secret, salt, out, memory)?)
        })
    })
    .map_err(|error| ApiError::internal(format!("hashing a password: {error}")))
}

fn hash(
    workspaces: &Workspaces,
    cost: HashCost,
    secret: &Secret,
    salt: [u8; 16],
) -> Result<Hashed, ApiError> {
    let fault =
        |what: &dyn std::fmt::Display| ApiError::internal(format!("hashing a password: {what}"));
    let params = Params::new(cost.memory_kib, cost.passes, 1, None);
    let params = params.map_err(|error| fault(&error))?;
    let encoded = SaltString::encode_b64(&salt).map_err(|error| fault(&error))?;
    let output = derive(workspaces, params.clone(), secret, &salt)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(|error| fault(&error))?,
        salt: Some(encoded.as_salt()),
        hash: Some(output),
    };
    Ok(Hashed::new(hash.to_string()))
}

/// Checks with the cost that stands in the hash, in a time that does not tell how much fits.
fn check(workspaces: &Workspaces, hashed: &Hashed, secret: &Secret) -> Result<bool, ApiError> {
    let fault = |what: &dyn std::fmt::Display| {
        ApiError::internal(format!("reading a stored password: {what}"))
    };
    let parsed = PasswordHash::new(hashed.reveal()).map_err(|error| fault(&error))?;
    let params = Params::try_from(&parsed).map_err(|error| fault(&error))?;
    let (Some(salt), Some(expected)) = (parsed.salt, parsed.hash) else {
        return Err(fault(&"it has no salt or no hash"));
    };
    let mut bytes = [0u8; 64];
    let salt = salt.decode_b64(&mut bytes).map_err(|error| fault(&error))?;
    // `Output` compares in constant time.
    Ok(derive(workspaces, params, secret, salt)? == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Passwords {
        Passwords::new(HashCost::LEAST, [1; 16]).unwrap()
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = cheap();
        let hashed = passwords
            .hash(&Secret::new("open sesame"), [2; 16])
            .await
            .unwrap();
        assert!(
            passwords
                .check(Some(&hashed), &Secret::new("open sesame"))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .check(Some(&hashed), &Secret::new("Open sesame"))
                .await
                .unwrap()
        );
        assert!(hashed.reveal().starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        assert_eq!(format!("{hashed:?}"), "***");
    }

    #[tokio::test]
    async fn nobody_has_no_password() {
        let passwords = cheap();
        for guess in ["", "anything"] {
            assert!(!passwords.check(None, &Secret::new(guess)).await.unwrap());
        }
    }

    #[tokio::test]
    async fn the_cost_of_a_stored_hash_counts_not_the_one_in_force() {
        let costly = Passwords::new(
            HashCost {
                memory_kib: 64,
                passes: 2,
            },
            [1; 16],
        )
        .unwrap();
        let hashed = costly.hash(&Secret::new("x"), [2; 16]).await.unwrap();
        assert!(
            cheap()
                .check(Some(&hashed), &Secret::new("x"))
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn a_crowd_is_turned_away() {
        let passwords = cheap();
        passwords.waiting.store(WAITING_MAX, Ordering::Relaxed);
        let refused = passwords.check(None, &Secret::new("x")).await;
        assert!(matches!(refused, Err(ApiError::TooManyRequests { .. })));
        assert_eq!(passwords.waiting.load(Ordering::Relaxed), WAITING_MAX);
    }
}
