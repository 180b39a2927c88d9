//! What a brain has seen of others: when each was heard last, and who is gone.
//!
//! Membership itself is the overlay's; this is for those who look on, people and the services of
//! the same node.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use luc_core::PeerId;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// How many departures are remembered.
const GONE_MAX: usize = 64;

/// What was seen of another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sight {
    /// It is there.
    Joined(PeerId),
    /// It has said goodbye.
    Left(PeerId),
    /// It does not answer any more.
    Failed(PeerId),
}

/// A node that is not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gone {
    /// Who.
    pub peer: PeerId,
    /// Whether it failed; else it has said goodbye.
    pub failed: bool,
    /// When, in seconds on the node's monotonic clock.
    pub at: f64,
}

/// The sights of one brain, and who follows them.
#[derive(Debug, Default)]
pub(super) struct Sights {
    heard: BTreeMap<PeerId, Duration>,
    gone: VecDeque<Gone>,
    followers: Vec<mpsc::UnboundedSender<Sight>>,
}

impl Sights {
    /// A message of `peer` came in.
    pub(super) fn hear(&mut self, now: Duration, peer: PeerId) {
        self.heard.insert(peer, now);
    }

    /// Tells `follower` of everything from now on.
    pub(super) fn follow(&mut self, follower: mpsc::UnboundedSender<Sight>) {
        self.followers.push(follower);
    }

    /// Takes in what the overlay says.
    pub(super) fn see(&mut self, now: Duration, sight: Sight) {
        self.followers.retain(|one| one.send(sight).is_ok());
        let (peer, failed) = match sight {
            Sight::Joined(peer) => return self.gone.retain(|gone| gone.peer != peer),
            Sight::Left(peer) => (peer, false),
            Sight::Failed(peer) => (peer, true),
        };
        self.gone.retain(|gone| gone.peer != peer);
        if self.gone.len() == GONE_MAX {
            self.gone.pop_front();
        }
        let at = now.as_secs_f64();
        self.gone.push_back(Gone { peer, failed, at });
    }

    /// When a message of `peer` came in last, in seconds.
    pub(super) fn heard(&self, peer: PeerId) -> Option<f64> {
        self.heard.get(&peer).map(Duration::as_secs_f64)
    }

    /// Who is gone, the newest last.
    pub(super) fn gone(&self) -> Vec<Gone> {
        self.gone.iter().copied().collect()
    }

    /// Forgets when those were heard of whom nothing is said any more.
    pub(super) fn forget_but(&mut self, known: impl Fn(PeerId) -> bool) {
        self.heard.retain(|peer, _| known(*peer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use luc_core::SitePrefix;

    #[test]
    fn who_comes_back_is_not_gone_any_more() {
        let peer = PeerId::new(SitePrefix::of_key(b"a"), 7);
        let mut sights = Sights::default();
        let (follower, mut heard) = mpsc::unbounded_channel();
        sights.follow(follower);
        sights.see(Duration::from_secs(3), Sight::Failed(peer));
        let gone = Gone {
            peer,
            failed: true,
            at: 3.0,
        };
        assert_eq!(sights.gone(), [gone]);
        sights.see(Duration::from_secs(4), Sight::Joined(peer));
        assert_eq!(sights.gone(), []);
        assert_eq!(heard.try_recv(), Ok(Sight::Failed(peer)));
        assert_eq!(heard.try_recv(), Ok(Sight::Joined(peer)));
    }

    #[test]
    fn only_the_newest_departures_are_remembered() {
        let mut sights = Sights::default();
        for node in 0..GONE_MAX as u64 + 5 {
            let peer = PeerId::new(SitePrefix::of_key(b"a"), node);
            sights.see(Duration::ZERO, Sight::Left(peer));
        }
        let gone = sights.gone();
        assert_eq!((gone.len(), gone[0].peer.node), (GONE_MAX, 5));
    }
}
