//! Who may talk to this node.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use luc_core::PeerId;

use super::Channel;
use crate::identity::NodeKey;

/// What a key may do here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A node of this cloud, under the name that protocols use for it (which says its site).
    Member(PeerId),
    /// Somebody who may speak [`Channel::JOIN`] and nothing else.
    Guest,
    /// Nobody: its connections are refused and closed.
    Refused,
}

impl Standing {
    /// Whether this standing may speak `channel`.
    pub fn may_speak(self, channel: Channel) -> bool {
        match self {
            Self::Member(_) => true,
            Self::Guest => channel == Channel::JOIN,
            Self::Refused => false,
        }
    }
}

/// Decides about keys. Asked at every connection and every message, so it must be quick; what it
/// answers binds at once.
pub trait Admission: Send + Sync + 'static {
    /// What `key` may do here now.
    fn standing(&self, key: &NodeKey) -> Standing;
}

/// The other end of a message, as the admission sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its key, proven in the handshake.
    pub key: NodeKey,
    /// What it may do.
    pub standing: Standing,
}

impl Peer {
    /// The name that protocols use, if it is a member.
    pub fn id(&self) -> Option<PeerId> {
        match self.standing {
            Standing::Member(id) => Some(id),
            Standing::Guest | Standing::Refused => None,
        }
    }
}

/// A list of keys in memory: the simplest [`Admission`].
///
/// After a change call [`super::Fabric::admission_changed`], so that open connections follow.
#[derive(Debug)]
pub struct Members {
    listed: RwLock<BTreeMap<NodeKey, Standing>>,
    others: Standing,
}

impl Members {
    /// An empty list that refuses strangers.
    pub fn strict() -> Self {
        Self {
            listed: RwLock::default(),
            others: Standing::Refused,
        }
    }

    /// An empty list to which strangers are guests: for a node that others join through.
    pub fn hospitable() -> Self {
        Self {
            listed: RwLock::default(),
            others: Standing::Guest,
        }
    }

    /// Puts `key` on the list, or changes what it may do.
    pub fn set(&self, key: NodeKey, standing: Standing) {
        let mut listed = self.listed.write().unwrap_or_else(PoisonError::into_inner);
        listed.insert(key, standing);
    }
}

impl Admission for Members {
    fn standing(&self, key: &NodeKey) -> Standing {
        let listed = self.listed.read().unwrap_or_else(PoisonError::into_inner);
        listed.get(key).copied().unwrap_or(self.others)
    }
}
