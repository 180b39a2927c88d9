//! A node as SWIM names it: the peer and the incarnation it lives in.
//!
//! A higher incarnation of the same peer replaces a lower one, whatever was said about the lower.
//! Incarnations rise when a node restarts, wakes, rejoins a pool or finds itself held dead; the
//! counter that refutes a mere suspicion is another, kept by `foca` in its headers.

use luc_core::PeerId;

/// A peer in one incarnation.
#[derive(Clone, Copy, Debug, Eq)]
pub struct Identity {
    /// Who.
    pub peer: PeerId,
    /// Which of its lives.
    pub incarnation: u32,
}

impl Identity {
    /// How a node is addressed whose incarnation is not known: announcements reach it all the same.
    pub(crate) const fn unheard(peer: PeerId) -> Self {
        Self {
            peer,
            incarnation: 0,
        }
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        Name(self.peer) == Name(other.peer) && self.incarnation == other.incarnation
    }
}

/// A peer's name as `foca` compares it, with every member of a pool for every packet: the part
/// that differs comes first.
#[derive(Clone, Copy, Debug, Eq)]
pub struct Name(PeerId);

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.node == other.0.node && self.0.site == other.0.site
    }
}

impl foca::Identity for Identity {
    type Addr = Name;

    fn renew(&self) -> Option<Self> {
        let incarnation = self.incarnation.checked_add(1)?;
        Some(Self {
            peer: self.peer,
            incarnation,
        })
    }

    fn addr(&self) -> Name {
        Name(self.peer)
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.incarnation > adversary.incarnation
    }
}
