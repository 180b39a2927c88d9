//! Brains on the in-memory fabric, in paused time: they meet, learn where they are, plan an
//! overload away without moving anything, and find again what they had promised.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use luc_core::units::MemoryMib;
use luc_core::{PeerId, SitePrefix, Uuid};
use luc_dvms::event::PartitionEnd;
use luc_dvms::{Cpu, Host, Resources, Vm, VmId};
use luc_node::{Config, Kept};

use super::*;
use crate::fabric::memory::Network;
use crate::fabric::{Ends, Handler, Members, Peer, RecvHalf, Refusal, SendHalf, Standing};
use crate::identity::NodeSecret;

const SITES: [SitePrefix; 2] = [
    SitePrefix::from_bytes([1; 6]),
    SitePrefix::from_bytes([2; 6]),
];

/// Hands datagrams to the brain that is set later.
#[derive(Default)]
struct ToBrain(OnceLock<BrainHandle>);

#[async_trait]
impl Handler for ToBrain {
    async fn request(&self, _: Peer, _: Channel, _: Bytes) -> Result<Bytes, Refusal> {
        Err(Refusal::NotAdmitted)
    }

    fn datagram(&self, from: Peer, _: Channel, body: Bytes) {
        if let Some(brain) = self.0.get() {
            brain.deliver_from(from, body);
        }
    }

    async fn stream(&self, _: Peer, _: Channel, _: SendHalf, _: RecvHalf) {}

    fn rtt(&self, peer: Peer, sample: Duration) {
        if let (Some(brain), Some(peer)) = (self.0.get(), peer.id()) {
            brain.round_trip(peer, sample);
        }
    }
}

#[derive(Default)]
struct Book(BTreeMap<PeerId, NodeKey>);

impl Keys for Book {
    fn key_of(&self, peer: PeerId) -> Option<NodeKey> {
        self.0.get(&peer).copied()
    }
}

#[derive(Default)]
struct Memory(Mutex<Kept>);

impl Keeper for Memory {
    fn keep(&self, kept: &Kept) -> io::Result<()> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = kept.clone();
        Ok(())
    }
}

struct Cloud {
    network: Network,
    keys: Vec<NodeKey>,
    brains: Vec<(PeerId, BrainHandle, Arc<Memory>)>,
}

fn config(me: PeerId) -> Config {
    Config {
        overlay: luc_overlay::Config {
            me,
            seed: me.node,
            membership: luc_overlay::Membership::Swim(luc_overlay::SwimConfig::default()),
            search: luc_overlay::search::Config::default(),
            vivaldi: luc_overlay::vivaldi::Config::default(),
        },
        dvms: luc_dvms::Config::new(me, me.node),
    }
}

/// Two sites of `each` nodes, 20 ms apart.
fn cloud(each: u8) -> Cloud {
    let network = Network::new(7);
    network.set_rtt(SITES[0], SITES[1], Duration::from_millis(20));
    let members = Arc::new(Members::strict());
    let mut nodes = Vec::new();
    let mut book = Book::default();
    for (number, site) in SITES.iter().enumerate() {
        for node in 0..each {
            let key = NodeSecret::from_seed(&[number as u8 * 100 + node + 1; 32]).key();
            let peer = key.peer_id(*site);
            members.set(key, Standing::Member(peer));
            book.0.insert(peer, key);
            nodes.push((peer, key, *site));
        }
    }
    let book = Arc::new(book);
    let first = nodes[0].0;
    let start = |(peer, key, site): (PeerId, NodeKey, SitePrefix)| {
        let handler = Arc::new(ToBrain::default());
        let ends = Ends {
            admission: Arc::clone(&members) as _,
            handler: Arc::clone(&handler) as _,
        };
        let memory = Arc::new(Memory::default());
        let (brain, _) = super::start(Setup {
            config: config(peer),
            kept: Kept::default(),
            fabric: network.start(key, site, ends),
            keys: Arc::clone(&book) as _,
            keeper: Arc::clone(&memory) as _,
            contacts: if peer == first {
                Vec::new()
            } else {
                vec![first]
            },
        });
        assert!(handler.0.set(brain.clone()).is_ok(), "it is set once");
        (peer, brain, memory)
    };
    let keys = nodes.iter().map(|(_, key, _)| *key).collect();
    let brains = nodes.into_iter().map(start).collect();
    Cloud {
        network,
        keys,
        brains,
    }
}

fn host(peer: PeerId, demands: &[u32]) -> Host {
    let vm = |(number, demand): (usize, &u32)| Vm {
        id: VmId(Uuid::from_bytes([number as u8 + 1; 16])),
        demand: Cpu(*demand),
        usual: Cpu(*demand),
        memory: MemoryMib(1024),
        disk: MemoryMib(0),
        dirty_permille: 10,
        cool_down: Duration::ZERO,
        rules: None,
    };
    Host {
        peer,
        capacity: Resources {
            cpu: Cpu(400),
            memory: MemoryMib(32_768),
            disk: MemoryMib(0),
        },
        vms: demands.iter().enumerate().map(vm).collect(),
        incoming: Resources::default(),
        migrations: 0,
        bandwidth_mbps: 1000,
        maintenance: false,
        vigil: true,
        asleep: false,
        labels: Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn brains_meet_and_learn_how_far_they_are() {
    let cloud = cloud(3);
    tokio::time::sleep(Duration::from_secs(120)).await;
    for (peer, brain, _) in &cloud.brains {
        let status = brain.status().await.expect("it runs");
        let own = status
            .members
            .iter()
            .filter(|member| member.peer.site == peer.site);
        assert_eq!(
            own.count(),
            2,
            "{peer} knows its site: {:?}",
            status.members
        );
        for far in status
            .members
            .iter()
            .filter(|member| member.peer.site != peer.site)
        {
            let distance = far.distance.expect("a delegate tells where it is");
            assert!((0.015..0.026).contains(&distance), "{peer}: {distance}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_is_missed_and_met_again() {
    let cloud = cloud(3);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let (gone, _, _) = cloud.brains[1];
    let knows = async || {
        let status = cloud.brains[0].1.status().await.expect("it runs");
        status.members.iter().any(|member| member.peer == gone)
    };
    assert!(knows().await);
    let gone_key = cloud.keys[1];
    for site in SITES {
        cloud.network.split(gone_key, site);
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(!knows().await, "it is held dead");
    cloud.network.heal_all();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(knows().await, "it is there again");
}

#[tokio::test(start_paused = true)]
async fn an_overload_is_planned_away_and_nothing_is_moved() {
    let cloud = cloud(3);
    tokio::time::sleep(Duration::from_secs(30)).await;
    for _ in 0..30 {
        for (number, (peer, brain, _)) in cloud.brains.iter().enumerate() {
            let demands: &[u32] = if number == 1 { &[200, 200, 100] } else { &[] };
            brain.sample(host(*peer, demands));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let (peer, brain, memory) = &cloud.brains[1];
    let status = brain.status().await.expect("it runs");
    assert_eq!(
        status.load.map(|load| (load.demand, load.capacity)),
        Some((500, 400))
    );
    let story = status.stories.iter().find(|story| !story.moves.is_empty());
    let story = story.unwrap_or_else(|| panic!("no plan in {:?}", status.stories));
    assert_eq!(
        story.end,
        Some(PartitionEnd::Unsolved),
        "nothing moved: {story:?}"
    );
    let one = &story.moves[0];
    assert_eq!(
        (one.source, one.source.site),
        (*peer, one.target.site),
        "to its own site first"
    );
    assert!(
        one.ordered && one.why.contains("5.0 cores and has 4.0"),
        "{one:?}"
    );
    let kept = memory
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    assert!(
        kept.dvms.is_some(),
        "its reservation was kept before anybody heard of it"
    );
}

#[test]
fn other_versions_and_noise_are_no_messages() {
    assert!(matches!(wire::decode(&[]), Err(wire::WireError::Empty)));
    assert!(matches!(
        wire::decode(&[9, 1]),
        Err(wire::WireError::Version { found: 9 })
    ));
    let mut entropy = luc_core::entropy::SplitMix64::new(3);
    for length in 0..200usize {
        let mut bytes = vec![0u8; length];
        luc_core::Entropy::fill(&mut entropy, &mut bytes);
        if let Some(first) = bytes.first_mut() {
            *first = wire::VERSION;
        }
        // Whatever it is, it is an answer and not a panic.
        let _ = wire::decode(&bytes).is_ok();
    }
}
