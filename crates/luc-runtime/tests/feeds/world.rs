//! Sites of one controller each: a store over an engine in memory, a node, and its feeds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use luc_core::SitePrefix;
use luc_core::entropy::SplitMix64;
use luc_core::id::ProjectId;
use luc_runtime::fabric::memory::Network;
use luc_runtime::fabric::{Channel, Ends, Fabric, Handler, Members, Peer, RecvHalf, Refusal};
use luc_runtime::fabric::{SendHalf, Standing};
use luc_runtime::feeds::{Directory, FeedSite, FeedStatus, Feeds, Interest, Interests, Pacing};
use luc_runtime::{NodeKey, NodeSecret};
use luc_state::{Index, Kind, MemoryEngine, Record, Revision, Schema, Scope, Store, StoreOptions};
use luc_state::{Tx, TxError, feed};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) const RTT: Duration = Duration::from_millis(30);

/// A record of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) id: String,
    pub(crate) project: ProjectId,
    #[serde(flatten)]
    pub(crate) rest: serde_json::Map<String, Value>,
}

impl Record for Machine {
    const KIND: Kind = Kind::Server;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Project(self.project.clone())
    }
}

/// What happened to one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Happening {
    pub(crate) id: String,
    pub(crate) project: ProjectId,
    #[serde(flatten)]
    pub(crate) rest: serde_json::Map<String, Value>,
}

impl Record for Happening {
    const KIND: Kind = Kind::InstanceAction;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Project(self.project.clone())
    }
}

pub(crate) fn project(name: &str) -> ProjectId {
    ProjectId::parse(name).expect("an id")
}

pub(crate) fn machine(id: &str, of: &str) -> Machine {
    Machine {
        id: id.to_owned(),
        project: project(of),
        rest: serde_json::Map::new(),
    }
}

pub(crate) fn prefix(number: u8) -> SitePrefix {
    SitePrefix::from_bytes([number; 6])
}

pub(crate) fn key(number: u8) -> NodeKey {
    NodeSecret::from_seed(&[number; 32]).key()
}

#[derive(Default)]
struct Sites(Mutex<Vec<FeedSite>>);

impl Directory for Sites {
    fn sites(&self) -> Vec<FeedSite> {
        self.0.lock().expect("nobody panics").clone()
    }

    /// The site number 9 is an edge site where the project `edge` lives and no other.
    fn may_bring(&self, home: SitePrefix, mut wanted: Interests) -> Interests {
        if home == prefix(9) {
            wanted.projects.retain(|one| *one == project("edge"));
            wanted.domains.clear();
        }
        wanted
    }
}

/// Hands streams of the feed to the feeds.
#[derive(Default)]
struct Streams(Mutex<Option<Feeds>>);

#[async_trait]
impl Handler for Streams {
    async fn request(&self, _: Peer, _: Channel, _: Bytes) -> Result<Bytes, Refusal> {
        Err(Refusal::UnknownChannel)
    }

    fn datagram(&self, _: Peer, _: Channel, _: Bytes) {}

    async fn stream(&self, from: Peer, channel: Channel, send: SendHalf, recv: RecvHalf) {
        let feeds = self.0.lock().expect("nobody panics").clone();
        if let (Channel::FEED, Some(feeds), Some(id)) = (channel, feeds, from.id()) {
            feeds.serve(id.site, send, recv).await;
        }
    }
}

/// A site as the tests hold it.
pub(crate) struct Site {
    pub(crate) number: u8,
    pub(crate) store: Store,
    pub(crate) feeds: Feeds,
    engine: MemoryEngine,
}

/// Sites that know each other.
pub(crate) struct World {
    pub(crate) network: Network,
    pub(crate) sites: BTreeMap<u8, Site>,
    pacing: Pacing,
    numbers: Vec<u8>,
    started: u64,
}

impl World {
    pub(crate) async fn new(numbers: &[u8]) -> Self {
        Self::with(numbers, Pacing::default(), 65_536).await
    }

    pub(crate) async fn with(numbers: &[u8], pacing: Pacing, log: usize) -> Self {
        let network = Network::new(1);
        let mut world = Self {
            network,
            sites: BTreeMap::new(),
            pacing,
            numbers: numbers.to_vec(),
            started: 0,
        };
        for a in numbers {
            for b in numbers.iter().filter(|b| *b > a) {
                world.network.set_rtt(prefix(*a), prefix(*b), RTT);
            }
        }
        for number in numbers {
            world.start(*number, MemoryEngine::sole(), log).await;
        }
        world
    }

    async fn start(&mut self, number: u8, engine: MemoryEngine, log: usize) {
        self.started += 1;
        let options = StoreOptions::new(prefix(number), SplitMix64::new(self.started << 32));
        let schema = Schema::new().table::<Machine>().table::<Happening>();
        let schema = schema.and(feed::schema());
        let options = options.log_changes_max(log);
        let opened = Store::open(Arc::new(engine.clone()), schema, options).await;
        let (store, driver) = opened.expect("memory can be read");
        tokio::spawn(driver);
        let members = Arc::new(Members::strict());
        for other in &self.numbers {
            let id = key(*other).peer_id(prefix(*other));
            members.set(key(*other), Standing::Member(id));
        }
        let streams = Arc::new(Streams::default());
        let ends = Ends {
            admission: members,
            handler: Arc::clone(&streams) as Arc<dyn Handler>,
        };
        let fabric = self.network.start(key(number), prefix(number), ends);
        let listed = |other: &u8| FeedSite {
            site: prefix(*other),
            controllers: vec![key(*other)],
            trusted: true,
        };
        let others = self.numbers.iter().filter(|other| **other != number);
        let directory = Sites(Mutex::new(others.map(listed).collect()));
        let seed = u64::from(number);
        let (directory, pacing) = (Arc::new(directory), self.pacing.clone());
        let feeds = Feeds::start(store.clone(), fabric, directory, pacing, seed);
        *streams.0.lock().expect("nobody panics") = Some(feeds.clone());
        let site = Site {
            number,
            store,
            feeds,
            engine,
        };
        self.sites.insert(number, site);
    }

    /// Ends a site as a power cut would.
    pub(crate) fn crash(&mut self, number: u8) -> MemoryEngine {
        let site = self.sites.remove(&number).expect("it runs");
        site.feeds.shut_down();
        site.store.close();
        self.network.crash(key(number));
        site.engine
    }

    pub(crate) async fn restart(&mut self, number: u8) {
        let engine = self.crash(number);
        self.start(number, engine, 65_536).await;
    }

    pub(crate) async fn start_again(&mut self, number: u8, engine: MemoryEngine) {
        self.start(number, engine, 65_536).await;
    }

    /// A node of a site without feeds.
    pub(crate) fn bare(&self, number: u8) -> Arc<dyn Fabric> {
        self.captured(number, Arc::new(Streams::default()))
    }

    /// A node with the key of a site, which `handler` speaks for.
    pub(crate) fn captured(&self, number: u8, handler: Arc<dyn Handler>) -> Arc<dyn Fabric> {
        let members = Arc::new(Members::strict());
        for other in &self.numbers {
            let id = key(*other).peer_id(prefix(*other));
            members.set(key(*other), Standing::Member(id));
        }
        let ends = Ends {
            admission: members,
            handler,
        };
        self.network.start(key(number), prefix(number), ends)
    }

    pub(crate) fn site(&self, number: u8) -> &Site {
        &self.sites[&number]
    }
}

impl Site {
    pub(crate) async fn write(
        &self,
        body: impl FnMut(&mut Tx<'_>) -> Result<(), TxError>,
    ) -> Revision {
        let done = self.store.transact(body).await;
        done.expect("nothing is in the way").revision
    }

    pub(crate) async fn put(&self, id: &str, of: &str) -> Revision {
        let machine = machine(id, of);
        self.write(|tx| tx.put(machine.clone()).map(drop)).await
    }

    /// Asks for a project as services do, and waits for it.
    pub(crate) async fn follow(&self, of: &str) -> bool {
        let interest = Interest::Project(project(of));
        self.feeds.ask(interest.clone());
        self.feeds
            .followed(&interest, Duration::from_secs(10))
            .await
    }

    pub(crate) async fn caught_up(&self, home: u8, revision: Revision, patience: u64) -> bool {
        let patience = Duration::from_millis(patience);
        let number = revision.number();
        self.feeds.caught_up(prefix(home), number, patience).await
    }

    /// The machines that are held of a site.
    pub(crate) fn held(&self, home: u8) -> Vec<String> {
        let snapshot = self.store.snapshot();
        let of = snapshot
            .all::<Machine>()
            .filter(|m| m.home() == prefix(home));
        of.map(|machine| machine.id.clone()).collect()
    }

    pub(crate) fn status(&self, home: u8) -> FeedStatus {
        let all = self.feeds.status();
        let found = all.into_iter().find(|status| status.site == prefix(home));
        found.expect("it is followed")
    }

    /// Waits until it holds of each other site what that has, or fails.
    pub(crate) async fn level_with(&self, home: &Self) {
        let revision = home.store.snapshot().revision();
        let there = self.caught_up(home.number, revision, 60_000).await;
        assert!(there, "{:?}", self.status(home.number));
    }
}
