//! How an overlay runs: which search it answers with, and how membership is timed.

use std::sync::Arc;

use luc_core::PeerId;
use luc_core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::directory::Directory;
use crate::{search, vivaldi};

/// How an overlay runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The own name.
    pub me: PeerId,
    /// What all randomness of this node derives from.
    pub seed: u64,
    /// How peers are learnt.
    pub membership: Membership,
    /// Which search answers.
    pub search: search::Config,
    /// How the coordinate is learnt.
    pub vivaldi: vivaldi::Config,
}

/// How peers are learnt.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "made once per node; a box would only hide the settings"
)]
pub enum Membership {
    /// From SWIM in two pools: the product.
    Swim(SwimConfig),
    /// From an oracle, without any traffic: for experiments.
    Directory(Arc<Directory>),
}

/// The two pools and what lies between them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwimConfig {
    /// All nodes of one site.
    pub site: Timing,
    /// The delegates of all sites.
    pub cloud: Timing,
    /// How many delegates a site has.
    pub delegates: u8,
    /// How many nodes of other sites a node that is no delegate remembers.
    pub contacts: u8,
    /// How long a site's members must have been quiet before a node changes its role.
    pub settle: Duration,
    /// How often a node measures the way to one of its contacts; zero never.
    pub echo: Duration,
    /// How long a node that left, or ceased to be a delegate, is remembered as such.
    pub forget: Duration,
}

/// How one pool is timed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// How often a node probes one member.
    pub probe: Duration,
    /// How long others may take who are asked to probe a member that did not answer within a
    /// period.
    pub answer: Duration,
    /// How long a suspect may take to speak up before it is held dead.
    pub suspicion: Duration,
    /// How long news wait for others before they are gossiped; an idle pool gossips nothing.
    pub gossip: Duration,
    /// How often a member is asked whom it knows.
    pub announce: Duration,
    /// How often a node held dead is asked whether it is; this heals splits.
    pub revive: Duration,
    /// How often one node repeats one piece of news. With r repeats by everybody a node misses it
    /// with a chance of about e^-r, and then finds out by its own probes.
    pub repeats: u8,
    /// How many members help with a probe, and hear a gossip.
    pub fanout: u8,
    /// The largest packet, in bytes.
    pub packet: u16,
}

impl Timing {
    /// Within a site: the periods of HashiCorp memberlist's `DefaultLANConfig` (probe 1 s, gossip
    /// 0.2 s), with a fixed suspicion of 4 s.
    pub const LAN: Self = Self {
        probe: Duration::from_secs(1),
        answer: Duration::from_millis(250),
        suspicion: Duration::from_secs(4),
        gossip: Duration::from_millis(200),
        announce: Duration::from_secs(60),
        revive: Duration::from_secs(10),
        repeats: 10,
        fanout: 3,
        packet: 1_400,
    };

    /// Between sites: the periods of memberlist's `DefaultWANConfig` (probe 5 s, gossip 0.5 s),
    /// with a fixed suspicion of 15 s.
    pub const WAN: Self = Self {
        probe: Duration::from_secs(5),
        answer: Duration::from_secs(1),
        suspicion: Duration::from_secs(15),
        gossip: Duration::from_millis(500),
        announce: Duration::from_secs(60),
        revive: Duration::from_secs(10),
        repeats: 15,
        fanout: 4,
        packet: 1_400,
    };
}

impl Default for Timing {
    fn default() -> Self {
        Self::LAN
    }
}

impl Default for SwimConfig {
    fn default() -> Self {
        Self {
            site: Timing::LAN,
            cloud: Timing::WAN,
            delegates: 2,
            contacts: 8,
            settle: Duration::from_secs(2),
            echo: Duration::from_secs(10),
            forget: Duration::from_secs(60),
        }
    }
}
