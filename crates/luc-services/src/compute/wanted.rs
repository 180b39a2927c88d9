//! What a host is to make of its servers, as its agent reads it.
//!
//! A [`Wanted`] is a whole wish with a number, never a command: reading it twice, or a newer one
//! half-way, does no harm. An agent's adapter reads [`of_host`] once, then follows
//! [`luc_state::Store::watch`] and asks [`of_change`] what each change means for its host. Before
//! anything of a new server is made there it asks [`begin`]. What became of a wish comes back
//! through [`super::progress`].

mod begin;

use std::sync::Arc;

use luc_core::SitePrefix;
use luc_core::id::ServerId;
use luc_state::{Change, Snapshot, Stored, key};

use super::model::server::{DeletedServer, FlavorCopy, Goal, Reboot, Server, Task};

pub use begin::{Shut, begin};

/// What a host is to make of one server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted<'a> {
    /// The server, for everything that is no order: name, image, what the guest gets.
    pub server: &'a Server,
    /// The number of this wish; raised with every change that the host must act on.
    pub generation: u64,
    /// What the VM is to be. [`Goal::AsIs`]: look, and touch nothing.
    pub goal: Goal,
    /// Its size.
    pub flavor: &'a FlavorCopy,
    /// Whether to keep what is needed to go back to the size before.
    pub keep_previous: bool,
    /// How often its disks were to be made anew: 0 for the first time.
    pub build: u64,
    /// Which of these are known to have been made; if the host has not got it, data is lost.
    pub built: Option<u64>,
    /// A reboot that is to have happened.
    pub reboot: Option<Reboot>,
}

impl<'a> Wanted<'a> {
    /// What the host of `server` is to make of it.
    pub fn of(server: &'a Server) -> Self {
        let task = server.order.task;
        let reverting = server
            .resizing
            .as_ref()
            .filter(|_| task == Some(Task::RevertResize));
        let undecided = !matches!(task, Some(Task::RevertResize | Task::ConfirmResize));
        Self {
            server,
            generation: server.order.generation,
            goal: server.goal(),
            flavor: reverting.map_or(&server.flavor, |resizing| &resizing.old_flavor),
            keep_previous: server.resizing.is_some() && undecided,
            build: server.rebuilds,
            built: server.built,
            reboot: server.reboot,
        }
    }

    /// What is to be done with what a host may still have of a deleted server.
    pub fn of_deleted(gone: &'a DeletedServer) -> Self {
        Self {
            goal: Goal::Absent,
            ..Self::of(&gone.server)
        }
    }
}

/// A record that holds a wish.
#[derive(Clone, Debug)]
pub enum Holder {
    /// A server of the host.
    Server(Arc<Stored<Server>>),
    /// One that was deleted while the host could not be reached.
    Deleted(Arc<Stored<DeletedServer>>),
}

impl Holder {
    /// The wish in it.
    pub fn wanted(&self) -> Wanted<'_> {
        match self {
            Self::Server(server) => Wanted::of(server),
            Self::Deleted(gone) => Wanted::of_deleted(gone),
        }
    }
}

/// Everything that `host` of `site` is to do. Other sites may have a host of the same name.
pub fn of_host(snapshot: &Snapshot, site: SitePrefix, host: &str) -> Vec<Holder> {
    let servers = snapshot
        .find(&Server::BY_HOST, &key(&[host]))
        .filter(|server| server.home() == site)
        .map(Holder::Server);
    let deleted = snapshot
        .find(&DeletedServer::BY_LEFTOVER_HOST, &key(&[host]))
        .filter(|gone| gone.home() == site);
    servers.chain(deleted.map(Holder::Deleted)).collect()
}

/// What a change in the store means for one host.
#[derive(Clone, Debug)]
pub enum WantedChange {
    /// This is wanted now.
    Want(Holder),
    /// Nothing is known of this server on this host any more.
    Forget(ServerId),
}

/// What `change` means for `host` of `site`; nothing, if it is no concern of it.
pub fn of_change(change: &Change, site: SitePrefix, host: &str) -> Option<WantedChange> {
    if let Some(gone) = change.after::<DeletedServer>() {
        if gone.server.host() != Some(host) || gone.home() != site {
            return None;
        }
        if gone.leftover {
            return Some(WantedChange::Want(Holder::Deleted(gone)));
        }
        let cleaned = change
            .before::<DeletedServer>()
            .is_some_and(|before| before.leftover);
        return cleaned.then(|| WantedChange::Forget(gone.server.id.clone()));
    }
    if let Some(server) = change.after::<Server>()
        && server.host() == Some(host)
        && server.home() == site
    {
        return Some(WantedChange::Want(Holder::Server(server)));
    }
    let before = change.before::<Server>();
    let left = before.filter(|server| server.host() == Some(host) && server.home() == site);
    left.map(|server| WantedChange::Forget(server.id.clone()))
}

#[cfg(test)]
mod tests;
