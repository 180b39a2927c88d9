//! What all machines of one driver share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use luc_core::id::ServerId;
use tokio::sync::mpsc;

use super::accel::Proof;
use super::binary::Binaries;
use super::cgroup::Cgroups;
use super::isolation::Account;
use crate::image_cache::ImageCache;

/// The host as machines see it.
pub(crate) struct Host {
    pub(crate) binaries: Binaries,
    pub(crate) proof: Proof,
    pub(crate) cgroups: Cgroups,
    pub(crate) cache: Arc<ImageCache>,
    /// Where the machines' directories are.
    pub(crate) servers: PathBuf,
    /// The program that starts another in a session of its own, where there is one.
    pub(crate) setsid: Option<PathBuf>,
    pub(crate) subscribers: Mutex<Vec<mpsc::UnboundedSender<ServerId>>>,
}

impl Host {
    /// As whom the machine of `id` runs; none means as whoever the agent is.
    pub(crate) fn account(&self, id: &ServerId) -> Option<Account> {
        self.proof
            .unprivileged
            .is_ok()
            .then(|| Account::of(id, self.proof.group))
    }

    /// Tells whoever listens that this server may have changed.
    pub(crate) fn tell(&self, id: &ServerId) {
        let mut subscribers = self
            .subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|subscriber| subscriber.send(id.clone()).is_ok());
    }
}
