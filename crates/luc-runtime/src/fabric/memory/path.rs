//! The ways between the places of a network in memory: delay, loss, speed, cuts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use luc_core::{Entropy, SitePrefix};
use tokio::time::Instant;

use crate::identity::NodeKey;

/// One end of a way: all nodes of a site, or one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Every node of the site.
    Site(SitePrefix),
    /// One node.
    Node(NodeKey),
}

impl From<SitePrefix> for Place {
    fn from(site: SitePrefix) -> Self {
        Self::Site(site)
    }
}

impl From<NodeKey> for Place {
    fn from(key: NodeKey) -> Self {
        Self::Node(key)
    }
}

/// How good the way between two sites is, in each direction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quality {
    /// The round-trip time without jitter. Timers have milliseconds, so shorter is rounded up.
    pub rtt: Duration,
    /// The most that is added to each one-way delay, drawn evenly.
    pub jitter: Duration,
    /// The share of datagrams that vanish, 0 to 1.
    pub datagram_loss: f64,
    /// The share of datagrams that later ones may overtake, 0 to 1.
    pub reorder: f64,
    /// The share of answers that vanish after the handler ran, 0 to 1.
    pub answer_loss: f64,
    /// Bytes per second from one node to another; `None` is without limit.
    pub bytes_per_second: Option<u64>,
}

impl Quality {
    /// A good way of this round-trip time.
    pub fn of_rtt(rtt: Duration) -> Self {
        Self {
            rtt,
            ..Self::default()
        }
    }
}

/// A node as the ways see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    pub(super) key: NodeKey,
    pub(super) site: SitePrefix,
}

/// Every way of a network.
#[derive(Debug, Default)]
pub(super) struct Paths {
    qualities: BTreeMap<(SitePrefix, SitePrefix), Quality>,
    everywhere: Quality,
    cuts: BTreeSet<(Place, Place)>,
    busy_until: BTreeMap<(NodeKey, NodeKey), Instant>,
}

impl Paths {
    /// Sets the way between two sites, or inside one, in both directions.
    pub(super) fn set(&mut self, a: SitePrefix, b: SitePrefix, quality: Quality) {
        self.qualities.insert((a.min(b), a.max(b)), quality);
    }

    /// Sets the ways that nobody set one by one.
    pub(super) fn set_everywhere(&mut self, quality: Quality) {
        self.everywhere = quality;
    }

    /// The way between two nodes.
    pub(super) fn quality(&self, a: Stop, b: Stop) -> &Quality {
        let ends = (a.site.min(b.site), a.site.max(b.site));
        self.qualities.get(&ends).unwrap_or(&self.everywhere)
    }

    /// Lets nothing through from `from` to `to`.
    pub(super) fn cut(&mut self, from: Place, to: Place) {
        self.cuts.insert((from, to));
    }

    /// Takes back one cut.
    pub(super) fn heal(&mut self, from: Place, to: Place) {
        self.cuts.remove(&(from, to));
    }

    /// Takes back every cut.
    pub(super) fn heal_all(&mut self) {
        self.cuts.clear();
    }

    /// Whether anything gets from `from` to `to`.
    pub(super) fn is_open(&self, from: Stop, to: Stop) -> bool {
        let places = |stop: Stop| [Place::Site(stop.site), Place::Node(stop.key)];
        !places(from).into_iter().any(|from| {
            places(to)
                .into_iter()
                .any(|to| self.cuts.contains(&(from, to)))
        })
    }

    /// One way, once, without queueing.
    pub(super) fn delay(&self, from: Stop, to: Stop, random: &mut impl Entropy) -> Duration {
        let quality = self.quality(from, to);
        quality.rtt / 2 + drawn(quality.jitter, random)
    }

    /// When `bytes` that leave now arrive, and the line is free again for what leaves later.
    pub(super) fn arrival(
        &mut self,
        from: Stop,
        to: Stop,
        bytes: usize,
        random: &mut impl Entropy,
    ) -> Instant {
        let now = Instant::now();
        let delay = self.delay(from, to, random);
        let Some(speed) = self.quality(from, to).bytes_per_second else {
            return now + delay;
        };
        let line = self.busy_until.entry((from.key, to.key)).or_insert(now);
        let seconds = bytes as f64 / speed.max(1) as f64;
        *line = (*line).max(now) + Duration::from_secs_f64(seconds);
        *line + delay
    }
}

/// A duration below `limit`, drawn evenly.
pub(super) fn drawn(limit: Duration, random: &mut impl Entropy) -> Duration {
    let micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
    if micros == 0 {
        return Duration::ZERO;
    }
    Duration::from_micros(random.next_u64() % micros)
}

/// Whether something of this share happens now.
pub(super) fn happens(share: f64, random: &mut impl Entropy) -> bool {
    // 53 bits: every value of the mantissa, as for an even draw from [0, 1).
    share > 0.0 && ((random.next_u64() >> 11) as f64 / (1u64 << 53) as f64) < share
}
