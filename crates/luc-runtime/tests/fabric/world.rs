//! Where the suite runs: nodes that can be started, crashed and cut off from each other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use luc_runtime::fabric::memory::Network;
use luc_runtime::fabric::quic::{QuicFabric, QuicSettings, Wan, Way};
use luc_runtime::fabric::{Fabric, Limits, Timing};

use crate::node::{TestNode, key, secret, site};

/// One fabric and the faults that the suite needs.
#[async_trait]
pub(crate) trait World: Send {
    /// Starts a node that can find, and be found by, all that run.
    async fn start(&mut self, number: u8, node: &TestNode) -> Arc<dyn Fabric>;

    /// Starts a node that lets each peer have only so much open.
    async fn start_with(&mut self, number: u8, node: &TestNode, open: u32) -> Arc<dyn Fabric>;

    /// Ends a node without a word to the others.
    async fn crash(&mut self, number: u8);

    /// Lets nothing through between two nodes.
    fn split(&mut self, a: u8, b: u8);

    /// Lets everything through again.
    fn heal(&mut self, a: u8, b: u8);

    /// Makes the round trip between two nodes take so long.
    fn set_rtt(&mut self, a: u8, b: u8, rtt: Duration);

    /// The times of its connections.
    fn timing(&self) -> Timing;
}

/// All in one process.
pub(crate) struct MemoryWorld {
    pub(crate) network: Network,
    open: u32,
}

impl MemoryWorld {
    pub(crate) fn new() -> Self {
        let open = Limits::default().open;
        Self {
            network: Network::new(1),
            open,
        }
    }
}

#[async_trait]
impl World for MemoryWorld {
    async fn start(&mut self, number: u8, node: &TestNode) -> Arc<dyn Fabric> {
        self.network.start(key(number), site(number), node.ends())
    }

    async fn start_with(&mut self, number: u8, node: &TestNode, open: u32) -> Arc<dyn Fabric> {
        if self.open != open {
            self.open = open;
            let limits = Limits {
                open,
                ..Limits::default()
            };
            self.network = Network::with(1, Timing::default(), &limits);
        }
        self.start(number, node).await
    }

    async fn crash(&mut self, number: u8) {
        self.network.crash(key(number));
    }

    fn split(&mut self, a: u8, b: u8) {
        self.network.split(site(a), site(b));
    }

    fn heal(&mut self, a: u8, b: u8) {
        self.network.heal(site(a), site(b));
    }

    fn set_rtt(&mut self, a: u8, b: u8, rtt: Duration) {
        self.network.set_rtt(site(a), site(b), rtt);
    }

    fn timing(&self) -> Timing {
        Timing::default()
    }
}

/// Endpoints on the loopback.
pub(crate) struct QuicWorld {
    pub(crate) listen: SocketAddr,
    nodes: BTreeMap<u8, QuicNode>,
}

struct QuicNode {
    fabric: Arc<QuicFabric>,
    address: SocketAddr,
    wan: Arc<Wan>,
}

impl QuicWorld {
    pub(crate) fn new() -> Self {
        Self::at("127.0.0.1:0")
    }

    pub(crate) fn at(listen: &str) -> Self {
        Self {
            listen: listen.parse().unwrap(),
            nodes: BTreeMap::new(),
        }
    }

    pub(crate) fn address(&self, number: u8) -> SocketAddr {
        self.nodes[&number].address
    }

    fn set_way(&self, from: u8, to: u8, way: Option<Way>) {
        let address = self.nodes[&to].address;
        let wan = &self.nodes[&from].wan;
        match way {
            Some(way) => wan.set(address, way),
            None => wan.clear(address),
        }
    }
}

#[async_trait]
impl World for QuicWorld {
    async fn start(&mut self, number: u8, node: &TestNode) -> Arc<dyn Fabric> {
        self.start_with(number, node, Limits::default().open).await
    }

    async fn start_with(&mut self, number: u8, node: &TestNode, open: u32) -> Arc<dyn Fabric> {
        let wan = Arc::new(Wan::default());
        let settings = QuicSettings {
            timing: self.timing(),
            wan: Some(wan.clone()),
            limits: Limits {
                open,
                ..Limits::default()
            },
            ..QuicSettings::at(self.listen)
        };
        let fabric = QuicFabric::start(&secret(number), settings, node.ends()).unwrap();
        let address = fabric.local_address().unwrap();
        for (other, one) in &self.nodes {
            one.fabric.set_address(key(number), vec![address]);
            fabric.set_address(key(*other), vec![one.address]);
        }
        let node = QuicNode {
            fabric: fabric.clone(),
            address,
            wan,
        };
        self.nodes.insert(number, node);
        fabric
    }

    async fn crash(&mut self, number: u8) {
        for other in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.set_way(number, other, Some(Way::Cut));
        }
        self.nodes[&number].fabric.shut_down().await;
        self.nodes.remove(&number);
    }

    fn split(&mut self, a: u8, b: u8) {
        self.set_way(a, b, Some(Way::Cut));
        self.set_way(b, a, Some(Way::Cut));
    }

    fn heal(&mut self, a: u8, b: u8) {
        self.set_way(a, b, None);
        self.set_way(b, a, None);
    }

    fn set_rtt(&mut self, a: u8, b: u8, rtt: Duration) {
        self.set_way(a, b, Some(Way::Delay(rtt / 2)));
        self.set_way(b, a, Some(Way::Delay(rtt / 2)));
    }

    fn timing(&self) -> Timing {
        Timing {
            connect: Duration::from_millis(500),
            keep_alive: Duration::from_millis(150),
            idle: Duration::from_millis(750),
            pause_min: Duration::from_millis(100),
            pause_max: Duration::from_millis(200),
            rtt_sample: Duration::from_millis(100),
        }
    }
}
