//! A cloud of a few sites, each with a store of its own. The network between them hands requests
//! on, or loses them; feeds keep copies of what belongs to the admin's project everywhere.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use futures::FutureExt as _;
use http::{Request, Response, StatusCode};
use luc_api::policy::Policy;
use luc_api::value::Secret;
use luc_core::SitePrefix;
use luc_core::entropy::SplitMix64;
use luc_core::id::NodeId;
use luc_services::Services;
use luc_services::compute::host::Heartbeat;
use luc_services::compute::hosts;
use luc_services::compute::{self, Compute};
use luc_services::identity::{self, Founding, HashCost, Identity, SigningKey};
use luc_services::image::Images;
use luc_services::image::blob::DiskBlobs;
use luc_services::ports::Randomness;
use luc_services::ports::sites::{ForwardError, Forwarded, Interest, Room, SiteView, Sites};
use luc_services::testing::{Counted, Deaf, NoHosts, StoppedClock, host_facts};
use luc_services::{http as api, operations, routing};
use luc_state::{MemoryEngine, Store, StoreOptions, feed};
use serde_json::{Value, json};

pub(crate) use crate::answer::{Answer, read};

/// The admin's password.
const PASSWORD: &str = "open sesame";

/// The names of the sites; the first is the founder.
pub(crate) const NAMES: [&str; 3] = ["grenoble", "nancy", "rennes"];

/// What the network does to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None: it arrives, and so does its answer.
    Spared,
    /// It is lost on its way, and nobody knows.
    LostBefore,
    /// It is carried out, and the answer is lost.
    LostAfter,
    /// The other site has been captured: it says that all went well, and nothing that can be read.
    Garbage,
}

#[derive(Default)]
struct Net {
    sites: Mutex<BTreeMap<SitePrefix, (String, Arc<Services>)>>,
    faults: Mutex<VecDeque<Fault>>,
    /// Every request is lost in this way.
    broken: Mutex<Option<Fault>>,
    /// What sites say of their room; those that are not named say nothing.
    rooms: Mutex<BTreeMap<SitePrefix, Room>>,
    /// Sites that nobody reaches.
    cut: Mutex<BTreeSet<SitePrefix>>,
    /// What was handed on: to which site, method and path.
    sent: Mutex<Vec<(String, String)>>,
    /// The feeds, by home and follower.
    feeds: tokio::sync::Mutex<BTreeMap<(SitePrefix, SitePrefix), Feed>>,
}

struct Feed {
    source: feed::Source,
    follower: feed::Follower,
}

impl Net {
    fn is_cut(&self, one: SitePrefix, other: SitePrefix) -> bool {
        let cut = self.cut.lock().expect("nobody panics meanwhile");
        cut.contains(&one) || cut.contains(&other)
    }

    fn store(&self, site: SitePrefix) -> Store {
        self.sites.lock().expect("nobody panics meanwhile")[&site]
            .1
            .store
            .clone()
    }

    /// Brings what can be brought, as far as `wanted` says of home and follower.
    async fn feed(&self, wanted: impl Fn(SitePrefix, SitePrefix) -> bool) {
        let mut feeds = self.feeds.lock().await;
        for ((home, follower), feed) in feeds.iter_mut() {
            if self.is_cut(*home, *follower) || !wanted(*home, *follower) {
                continue;
            }
            let store = self.store(*follower);
            let trusted = feed::Expectations { trusted: true };
            while feed.source.absorb().now_or_never().is_some() {}
            while feed.source.is_behind() {
                let Some(batch) = feed.source.take() else {
                    break;
                };
                let applied = feed.follower.apply(&store, &batch, trusted).await;
                applied.expect("the batch is in turn");
            }
        }
    }
}

struct Link {
    me: SitePrefix,
    net: Arc<Net>,
}

#[async_trait]
impl Sites for Link {
    fn all(&self) -> Vec<SiteView> {
        let sites = self.net.sites.lock().expect("nobody panics meanwhile");
        let rooms = self.net.rooms.lock().expect("nobody panics meanwhile");
        let mut all: Vec<_> = sites
            .iter()
            .map(|(site, (name, _))| {
                let silent = *site != self.me && self.net.is_cut(*site, self.me);
                SiteView {
                    site: *site,
                    name: name.clone(),
                    age: Duration::from_secs(if silent { 42 } else { 0 }),
                    reachable: !silent,
                    trusted: true,
                    room: rooms.get(site).copied(),
                }
            })
            .collect();
        all.sort_by(|left, right| left.name.cmp(&right.name));
        all
    }

    fn nearest(&self, near: SitePrefix) -> Vec<(SitePrefix, Option<Duration>)> {
        let mut all = vec![(near, Some(Duration::ZERO))];
        let others = self.all().into_iter().filter(|view| view.site != near);
        // In the order of their names, each farther than the one before.
        let far = (1..).map(|step| Some(Duration::from_millis(10 * step)));
        all.extend(others.map(|view| view.site).zip(far));
        all
    }

    async fn forward(
        &self,
        site: SitePrefix,
        request: Forwarded,
    ) -> Result<Response<Body>, ForwardError> {
        assert_ne!(site, self.me, "a site hands a request to itself");
        let lost = || ForwardError::Unknown {
            reason: "lost".to_owned(),
        };
        if self.net.is_cut(site, self.me) {
            let reason = "cut off".to_owned();
            return Err(ForwardError::NotSent { reason });
        }
        let (name, services) =
            self.net.sites.lock().expect("nobody panics meanwhile")[&site].clone();
        let line = format!("{} {}", request.parts.method, request.parts.uri);
        self.net
            .sent
            .lock()
            .expect("nobody panics meanwhile")
            .push((name, line));
        let planned = self
            .net
            .faults
            .lock()
            .expect("nobody panics meanwhile")
            .pop_front();
        let fault = planned.or(*self.net.broken.lock().expect("nobody panics meanwhile"));
        if fault == Some(Fault::LostBefore) {
            return Err(lost());
        }
        if fault == Some(Fault::Garbage) {
            return Ok(Response::new(Body::from("{\"services\": [")));
        }
        let request = routing::wire::request(request);
        let request = routing::wire::received(self.me, request).expect("it is readable");
        let answer = api::respond(&services, request).await;
        if fault == Some(Fault::LostAfter) {
            return Err(lost());
        }
        Ok(answer.expect("the path belongs to a service"))
    }

    async fn caught_up(&self, site: SitePrefix, _: u64, _: Duration) -> bool {
        let me = self.me;
        self.net
            .feed(|home, follower| home == site && follower == me)
            .await;
        true
    }

    async fn follow(&self, _: Interest, _: Duration) -> bool {
        true
    }
}

/// A cloud of three sites; the first is the founder.
pub(crate) struct World {
    net: Arc<Net>,
    clock: Arc<StoppedClock>,
    names: Vec<SitePrefix>,
    blobs: Vec<tempfile::TempDir>,
    /// The admin's token, made at the founder.
    pub(crate) token: String,
}

impl World {
    /// Founds the cloud.
    pub(crate) async fn new() -> Self {
        let mut world = Self {
            net: Arc::default(),
            clock: Arc::default(),
            names: Vec::new(),
            blobs: Vec::new(),
            token: String::new(),
        };
        for name in NAMES {
            world.add(name).await;
        }
        world.token = world.login().await;
        world.follow().await;
        world.settle().await;
        world.sent();
        world
    }

    /// Every site follows every other for the admin's project.
    async fn follow(&self) {
        let own = self
            .ask(0, "GET", "/identity/v3/auth/projects", json!(null))
            .await;
        let id = own.body["projects"][0]["id"].as_str().expect("it has one");
        let project = BTreeSet::from([id.parse().expect("an id")]);
        let domain = BTreeSet::from(["default".parse().expect("an id")]);
        let mut feeds = self.net.feeds.lock().await;
        for home in &self.names {
            for site in self.names.iter().filter(|site| *site != home) {
                let mut follower = feed::Follower::load(&self.net.store(*site), *home);
                follower.want(project.clone(), domain.clone());
                let source = feed::Source::open(&self.net.store(*home), &follower.hello());
                let source = source.expect("it begins");
                feeds.insert((*home, *site), Feed { source, follower });
            }
        }
    }

    /// Lets the feeds bring everything.
    pub(crate) async fn settle(&self) {
        self.net.feed(|_, _| true).await;
    }

    /// Gives a site a host; hosts of different sites have one name.
    pub(crate) async fn host(&self, number: usize) {
        self.host_called(number, "host").await;
    }

    /// Gives a site a host of that name.
    pub(crate) async fn host_called(&self, number: usize, name: &str) {
        let facts = host_facts(name, NodeId::parse("node").expect("an id"));
        let services = self.services(number);
        let known = hosts::register(&services, &facts).await;
        known.expect("the host is registered");
        hosts::heartbeat(&services, name, Heartbeat::default());
    }

    async fn add(&mut self, name: &str) {
        let site = SitePrefix::of_key(name.as_bytes());
        let schema = identity::schema()
            .and(Images::tables())
            .and(compute::schema())
            .and(operations::schema())
            .and(luc_services::sites::schema())
            .and(feed::schema());
        let seed = 1_000_000 * (self.names.len() as u64 + 1);
        let options = StoreOptions::new(site, SplitMix64::new(seed));
        let (store, driver) = Store::open(Arc::new(MemoryEngine::sole()), schema, options)
            .await
            .expect("it opens");
        tokio::spawn(driver);
        let random: Arc<dyn Randomness> = Arc::new(Counted::from(seed));
        let key = SigningKey::generate(site, &*random);
        let lifetime = Duration::from_secs(3 * 86_400);
        let identity = Identity::new(key, lifetime, HashCost::LEAST, &*random).expect("it is made");
        let blobs = tempfile::tempdir().expect("room for blobs");
        let disk = DiskBlobs::open(blobs.path()).expect("blobs open");
        let services = Arc::new(Services {
            store,
            site,
            policy: Arc::new(Policy::with_defaults()),
            routes: Arc::new(api::Routes::from_table()),
            sites: Arc::new(Link {
                me: site,
                net: Arc::clone(&self.net),
            }),
            operations: Arc::default(),
            clock: Arc::clone(&self.clock) as _,
            random,
            observer: Arc::new(Deaf),
            identity: Arc::new(identity),
            image: Arc::new(Images::new(Arc::new(disk))),
            compute: Arc::new(Compute::new(Arc::new(NoHosts), name.to_owned())),
        });
        if self.names.is_empty() {
            let founding = Founding {
                password: Secret::new(PASSWORD),
                region: "RegionOne".to_owned(),
            };
            let founded = identity::bootstrap(&services, &founding).await;
            founded.expect("the cloud is founded");
            let made = compute::bootstrap(&services).await;
            made.expect("the flavors are made");
        }
        let known = (name.to_owned(), services);
        self.net
            .sites
            .lock()
            .expect("nobody panics meanwhile")
            .insert(site, known);
        self.names.push(site);
        self.blobs.push(blobs);
    }

    /// The services of a site by its number; 0 is the founder.
    pub(crate) fn services(&self, number: usize) -> Arc<Services> {
        Arc::clone(&self.net.sites.lock().expect("nobody panics meanwhile")[&self.names[number]].1)
    }

    /// The next requests between sites meet these faults, in this order.
    pub(crate) fn plan(&self, faults: &[Fault]) {
        self.net
            .faults
            .lock()
            .expect("nobody panics meanwhile")
            .extend(faults);
    }

    /// All requests between sites meet this fault, or none.
    pub(crate) fn break_all(&self, fault: Option<Fault>) {
        *self.net.broken.lock().expect("nobody panics meanwhile") = fault;
    }

    /// The site says from now on that it has this room.
    pub(crate) fn say_room(&self, number: usize, room: Room) {
        let mut rooms = self.net.rooms.lock().expect("nobody panics meanwhile");
        rooms.insert(self.names[number], room);
    }

    /// Nobody reaches the site any more.
    pub(crate) fn cut(&self, number: usize) {
        self.net
            .cut
            .lock()
            .expect("nobody panics meanwhile")
            .insert(self.names[number]);
    }

    /// Everybody reaches everybody.
    pub(crate) fn heal(&self) {
        self.net
            .cut
            .lock()
            .expect("nobody panics meanwhile")
            .clear();
    }

    /// What clients asked and sites handed on since this was asked last.
    pub(crate) fn sent(&self) -> Vec<(String, String)> {
        let mut sent = std::mem::take(&mut *self.net.sent.lock().expect("nobody panics meanwhile"));
        // Sites speak of more than that with each other.
        sent.retain(|(_, line)| !line.contains(" /luc/"));
        sent
    }

    /// Lets time pass.
    pub(crate) fn tick(&self, seconds: i64) {
        self.clock.pass(seconds);
    }

    async fn login(&self) -> String {
        let domain = json!({"id": "default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": "admin", "domain": domain, "password": PASSWORD,
            }}},
            "scope": {"project": {"name": "admin", "domain": domain}},
        }});
        let answer = self.ask(0, "POST", "/identity/v3/auth/tokens", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        let token = answer.headers["x-subject-token"].to_str();
        token.expect("a token is text").to_owned()
    }

    /// A request of the admin.
    pub(crate) fn request(&self, method: &str, path: &str, body: &Value) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path);
        if !self.token.is_empty() {
            request = request.header("x-auth-token", &self.token);
        }
        let body = match body {
            Value::Null => Body::empty(),
            body => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
        };
        request.body(body).expect("the request is well-formed")
    }

    /// The answer of a site.
    pub(crate) async fn ask(&self, at: usize, method: &str, path: &str, body: Value) -> Answer {
        self.send(at, self.request(method, path, &body)).await
    }

    /// The answer of a site to a request of a client.
    pub(crate) async fn send(&self, at: usize, request: Request<Body>) -> Answer {
        let answer = api::respond(&self.services(at), request).await;
        read(answer.expect("the path belongs to a service")).await
    }
}
