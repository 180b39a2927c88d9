//! Whether a controller can take work: what `/readyz` says.
//!
//! A controller whose store takes no writes (the disk is full, or cannot sync) still answers reads,
//! so it lives (`/healthz`); but whoever spreads requests over controllers should pass it by until
//! there is space again. Two things are looked at: how much room the disk has, each time, and
//! whether the store can still write, which is tried only if nothing was committed lately.
//!
//! Called by [`crate::server`] alone. The store's own recovery is `luc-engines`' matter.

use std::path::{Path, PathBuf};
use std::time::Duration;

use luc_core::id::OpId;
use luc_state::engine::Operation;
use luc_state::{Revision, Store};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::host::KernelEntropy;

/// With less room than this a controller is not ready: a commit needs some pages, an image more.
const ROOM_BYTES_MIN: u64 = 16 << 20;

/// For how long it is believed that the store can write without trying again.
const BELIEVED: Duration = Duration::from_secs(10);

/// The same of a store that could not.
const DOUBTED: Duration = Duration::from_secs(1);

/// How long a write may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of a controller's store and its disk.
pub struct Readiness {
    store: Store,
    directory: PathBuf,
    tried: Mutex<Tried>,
    reason: std::sync::Mutex<Option<String>>,
}

/// How the last try ended.
struct Tried {
    /// When that was; never yet.
    at: Option<Instant>,
    /// The store's revision then.
    revision: Revision,
    trouble: Option<String>,
}

impl Tried {
    /// Whether what came of it is still believed.
    fn stands(&self) -> bool {
        let believed = match &self.trouble {
            None => BELIEVED,
            Some(_) => DOUBTED,
        };
        self.at.is_some_and(|at| at.elapsed() < believed)
    }
}

impl Readiness {
    /// Of the controller with `store`, whose data are in `directory`.
    pub fn new(store: Store, directory: &Path) -> Self {
        let tried = Tried {
            at: None,
            revision: store.snapshot().revision(),
            trouble: None,
        };
        Self {
            store,
            directory: directory.to_owned(),
            tried: Mutex::new(tried),
            reason: std::sync::Mutex::default(),
        }
    }

    /// Why the controller is not ready, if it is not. Quick and cheap to ask often.
    pub async fn trouble(&self) -> Option<String> {
        let trouble = match self.no_room() {
            Some(reason) => Some(reason),
            None => self.no_writes().await,
        };
        self.note(trouble.as_deref());
        trouble
    }

    fn no_room(&self) -> Option<String> {
        let stat = rustix::fs::statvfs(&self.directory).ok()?;
        // What is reserved for root counts for root.
        let blocks = if rustix::process::geteuid().is_root() {
            stat.f_bfree
        } else {
            stat.f_bavail
        };
        let room = blocks.saturating_mul(stat.f_frsize);
        (room < ROOM_BYTES_MIN).then(|| {
            let (room, directory) = (room >> 10, self.directory.display());
            format!("the disk of {directory} is full: {room} KiB are left")
        })
    }

    /// Why the store does not write, if it does not.
    async fn no_writes(&self) -> Option<String> {
        // Whoever asks meanwhile waits for the one try.
        let mut tried = self.tried.lock().await;
        let revision = self.store.snapshot().revision();
        let written = revision > tried.revision;
        if written || !tried.stands() {
            let trouble = if written {
                None
            } else {
                self.try_to_write(revision).await
            };
            let at = Some(Instant::now());
            *tried = Tried {
                at,
                revision,
                trouble,
            };
        }
        tried.trouble.clone()
    }

    /// Has the engine seal an operation that never was: a write as small as there is one.
    async fn try_to_write(&self, revision: Revision) -> Option<String> {
        let never = Operation {
            id: OpId::born_at(self.store.site(), &mut KernelEntropy),
            base: revision,
        };
        match timeout(PATIENCE, self.store.outcome(&never)).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(format!("the store takes no writes: {error}")),
            Err(_) => Some(format!("the store did not answer within {PATIENCE:?}")),
        }
    }

    /// Logs a change, once.
    fn note(&self, trouble: Option<&str>) {
        let held = self.reason.lock();
        let mut held = held.unwrap_or_else(std::sync::PoisonError::into_inner);
        match (held.is_some(), trouble) {
            (false, Some(reason)) => tracing::warn!(reason, "the controller is not ready"),
            (true, None) => tracing::info!("the controller is ready again"),
            _ => {}
        }
        *held = trouble.map(str::to_owned);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use luc_core::SitePrefix;
    use luc_state::engine::{
        CommitError, Engine, EngineError, EngineTraits, Feed, Loaded, Proposal,
    };
    use luc_state::{MemoryEngine, Schema, StoreOptions};
    use tokio::time::advance;

    use super::*;

    /// An engine whose disk is full while `full` is not zero; counts the tries to write.
    struct Disk {
        engine: MemoryEngine,
        full: AtomicU32,
        tries: AtomicU32,
    }

    #[async_trait]
    impl Engine for Disk {
        fn traits(&self) -> EngineTraits {
            self.engine.traits()
        }

        async fn load(&self, prefix: &str) -> Result<Loaded, EngineError> {
            self.engine.load(prefix).await
        }

        async fn commit(&self, proposal: Proposal) -> Result<Revision, CommitError> {
            self.engine.commit(proposal).await
        }

        async fn outcome(&self, operation: &Operation) -> Result<Option<Revision>, EngineError> {
            self.tries.fetch_add(1, Ordering::Relaxed);
            if self.full.load(Ordering::Relaxed) > 0 {
                let reason = "no space left on device".to_owned();
                return Err(EngineError::Unavailable { reason });
            }
            self.engine.outcome(operation).await
        }

        async fn watch(&self, from: Revision) -> Result<Feed, EngineError> {
            self.engine.watch(from).await
        }

        async fn compact(&self, until: Revision) -> Result<(), EngineError> {
            self.engine.compact(until).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_controller_is_not_ready_while_its_store_takes_no_writes() {
        let disk = Arc::new(Disk {
            engine: MemoryEngine::sole(),
            full: AtomicU32::new(0),
            tries: AtomicU32::new(0),
        });
        let site = SitePrefix::from_bytes([7; 6]);
        let opened = Store::open(
            Arc::clone(&disk) as _,
            Schema::new(),
            StoreOptions::new(site, KernelEntropy),
        );
        let (store, driver) = opened.await.expect("memory can be read");
        tokio::spawn(driver);
        let here = tempfile::tempdir().expect("room for data");
        let readiness = Readiness::new(store, here.path());
        assert_eq!(readiness.trouble().await, None);
        disk.full.store(1, Ordering::Relaxed);
        advance(BELIEVED).await;
        for _ in 0..100 {
            let reason = readiness.trouble().await.expect("it is full");
            assert!(reason.contains("no space left on device"), "{reason}");
        }
        assert_eq!(
            disk.tries.load(Ordering::Relaxed),
            2,
            "it is not asked more often"
        );
        disk.full.store(0, Ordering::Relaxed);
        assert!(readiness.trouble().await.is_some());
        advance(DOUBTED).await;
        assert_eq!(readiness.trouble().await, None);
    }
}
