//! Three sites with a store each and messages that are lost on either way: a limit holds for all of
//! them together, and after the heal all that is free can be used anywhere.

mod late;
mod storms;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use luc_core::Entropy as _;
use luc_core::entropy::SplitMix64;
use luc_core::id::{DomainId, ServerGroupId, UserId};
use luc_core::time::Timestamp;
use luc_core::units::{MemoryMib, Vcpus};
use luc_state::{MemoryEngine, Store, StoreOptions};

use super::super::super::model::lease::QuotaLease;
use super::super::super::model::quota::{QuotaSet, QuotaUsage, Resource};
use super::super::super::model::server_group::{GroupPolicy, ServerGroup};
use super::super::lease::check_group;
use super::super::upkeep::{pending, set_reserve, settle, tidy};
use super::super::{Delta, release, reserve};
use super::*;
use crate::identity::model::Extra;
use crate::identity::tests::cloud::Cloud;
use crate::ports::sites::{Interest, SiteView, Sites};
use crate::routing::wire;

const LIMIT: i64 = 12;

/// The sites and what is wrong between them.
#[derive(Default)]
struct Net {
    services: Mutex<BTreeMap<SitePrefix, Arc<Services>>>,
    cut: Mutex<BTreeSet<(SitePrefix, SitePrefix)>>,
    /// How many of the next answers are lost.
    deaf: Mutex<u32>,
    /// Draws how long messages take; without it they take no time.
    delay: Mutex<Option<SplitMix64>>,
}

impl Net {
    async fn travel(&self) {
        let drawn = self
            .delay
            .lock()
            .unwrap()
            .as_mut()
            .map(SplitMix64::next_u64);
        if let Some(drawn) = drawn {
            tokio::time::sleep(Duration::from_millis(1 + drawn % 40)).await;
        }
    }
}

/// What one site sees of the net.
struct Port {
    own: SitePrefix,
    net: Arc<Net>,
}

fn prefix(name: &str) -> SitePrefix {
    SitePrefix::of_key(name.as_bytes())
}

#[async_trait]
impl Sites for Port {
    fn all(&self) -> Vec<SiteView> {
        let sites = ["east", "home", "west"];
        let view = |name: &str| SiteView {
            site: prefix(name),
            name: name.to_owned(),
            age: Duration::ZERO,
            reachable: true,
            trusted: true,
            room: None,
        };
        sites.into_iter().map(view).collect()
    }

    fn nearest(&self, _: SitePrefix) -> Vec<(SitePrefix, Option<Duration>)> {
        Vec::new()
    }

    async fn forward(
        &self,
        site: SitePrefix,
        request: Forwarded,
    ) -> Result<http::Response<Body>, ForwardError> {
        let reason = || "cut".to_owned();
        let pair = (self.own.min(site), self.own.max(site));
        if self.net.cut.lock().unwrap().contains(&pair) {
            return Err(ForwardError::NotSent { reason: reason() });
        }
        let services = Arc::clone(&self.net.services.lock().unwrap()[&site]);
        self.net.travel().await;
        let arrived = wire::received(self.own, wire::request(request)).unwrap();
        let answer = crate::http::respond(&services, arrived).await;
        self.net.travel().await;
        let mut deaf = self.net.deaf.lock().unwrap();
        if *deaf > 0 {
            *deaf -= 1;
            return Err(ForwardError::Unknown { reason: reason() });
        }
        Ok(answer.unwrap())
    }

    async fn caught_up(&self, _: SitePrefix, _: u64, _: Duration) -> bool {
        true
    }

    async fn follow(&self, _: Interest, _: Duration) -> bool {
        true
    }
}

fn project() -> ProjectId {
    ProjectId::parse("p1").unwrap()
}

fn item() -> Item {
    Item {
        resource: Resource::Instances,
        user: None,
    }
}

fn share(count: u64) -> Share {
    Share([(item(), count)].into())
}

fn servers(instances: u64) -> Delta {
    Delta {
        instances,
        cores: Vcpus(0),
        ram: MemoryMib(0),
    }
}

fn limits(limit: i64) -> QuotaSet {
    QuotaSet {
        project: project(),
        domain: DomainId::parse("default").unwrap(),
        limits: [(Resource::Instances, limit)].into(),
        users: BTreeMap::new(),
        closed: BTreeMap::new(),
    }
}

/// An engine in which the site `home` has written the project and its limits.
async fn written_by_home(set: &QuotaSet) -> MemoryEngine {
    let engine = MemoryEngine::new();
    let schema = crate::identity::schema()
        .and(crate::image::Images::tables())
        .and(crate::compute::schema())
        .and(crate::operations::schema());
    let options = StoreOptions::new(prefix("home"), SplitMix64::new(9));
    let (store, driver) = Store::open(Arc::new(engine.clone()), schema, options)
        .await
        .unwrap();
    let driver = tokio::spawn(driver);
    let domain = Domain {
        id: DomainId::parse("default").unwrap(),
        name: "Default".to_owned(),
        description: None,
        enabled: true,
        token_epoch: 0,
        tags: Vec::new(),
        options: Extra::new(),
        extra: Extra::new(),
    };
    let place = Project {
        id: project(),
        domain_id: domain.id.clone(),
        parent: None,
        name: "p1".to_owned(),
        description: None,
        enabled: true,
        token_epoch: 0,
        tags: Vec::new(),
        options: Extra::new(),
        extra: Extra::new(),
    };
    let written = store.transact(|tx| {
        tx.insert(domain.clone())?;
        tx.insert(place.clone())?;
        tx.insert(set.clone()).map(drop)
    });
    written.await.unwrap();
    drop(store);
    driver.await.ok();
    engine
}

struct World {
    net: Arc<Net>,
    clouds: Vec<Cloud>,
}

impl World {
    async fn new() -> Self {
        Self::with(&limits(LIMIT)).await
    }

    async fn with(set: &QuotaSet) -> Self {
        let net = Arc::new(Net::default());
        let mut clouds = Vec::new();
        for name in ["home", "east", "west"] {
            let own = prefix(name);
            let port = Port {
                own,
                net: Arc::clone(&net),
            };
            let engine = written_by_home(set).await;
            let cloud = Cloud::of_engine(own, engine, Arc::new(port)).await;
            let services = Arc::clone(&cloud.services);
            net.services.lock().unwrap().insert(own, services);
            clouds.push(cloud);
        }
        Self { net, clouds }
    }

    async fn take(&self, at: usize, count: u64) -> Result<(), String> {
        let user = UserId::parse("ada").unwrap();
        let taken = transact(&self.clouds[at].services, |tx, lent| {
            reserve(tx, lent, &project(), &user, servers(count))?;
            Ok(())
        });
        taken.await.map_err(|error| error.to_string())
    }

    async fn give(&self, at: usize, count: u64) {
        let user = UserId::parse("ada").unwrap();
        let given = self.clouds[at]
            .services
            .store
            .transact(|tx| release(tx, &project(), &user, servers(count)));
        given.await.unwrap();
    }

    fn used(&self, at: usize) -> u64 {
        let snapshot = self.clouds[at].services.store.snapshot();
        let usage = snapshot.get::<QuotaUsage>(project());
        usage.map_or(0, |usage| usage.used.instances)
    }

    fn used_in_all(&self) -> u64 {
        (0..3).map(|at| self.used(at)).sum()
    }

    fn cut(&self, one: &str, other: &str) {
        let (one, other) = (prefix(one), prefix(other));
        let pair = (one.min(other), one.max(other));
        self.net.cut.lock().unwrap().insert(pair);
    }

    fn heal(&self) {
        self.net.cut.lock().unwrap().clear();
        *self.net.deaf.lock().unwrap() = 0;
    }

    fn lease(&self, name: &str) -> u64 {
        let snapshot = self.clouds[0].services.store.snapshot();
        let lease = snapshot.get::<QuotaLease>(QuotaLease::id_of(&project(), prefix(name)));
        lease.map_or(0, |lease| lease.granted.share.of(&item()))
    }
}

#[tokio::test]
async fn one_limit_holds_for_all_sites_together() {
    let world = World::new().await;
    world.take(0, 5).await.unwrap();
    world.take(1, 4).await.unwrap();
    world.take(2, 3).await.unwrap();
    for at in 0..3 {
        let refused = world.take(at, 1).await.unwrap_err();
        let nova = "Quota exceeded for instances: Requested 1, but already used 12 of 12 instances";
        assert_eq!(refused, nova, "at site {at}");
    }
    world.give(0, 1).await;
    world.take(1, 1).await.unwrap();
    assert_eq!(world.used_in_all(), 12);
}

#[tokio::test]
async fn a_site_that_has_lost_its_copy_of_a_project_is_not_its_home() {
    let world = World::new().await;
    let id = luc_core::Uuid::born_at(prefix("home"), &mut SplitMix64::new(7));
    let project = ProjectId::parse(&id.simple()).unwrap();
    let user = UserId::parse("ada").unwrap();
    let taken = |at: usize| {
        let (services, project, user) = (&world.clouds[at].services, &project, &user);
        transact(services, move |tx, lent| {
            reserve(tx, lent, project, user, servers(1))?;
            Ok(())
        })
    };
    let refused = taken(1).await.unwrap_err().to_string();
    assert!(refused.contains("lease of site east"), "{refused}");
    taken(0).await.unwrap();
}

#[tokio::test]
async fn server_groups_are_lent_as_well() {
    let world = World::new().await;
    let user = UserId::parse("ada").unwrap();
    let group = |at: usize, number: u32| ServerGroup {
        id: ServerGroupId::parse(&format!("g{at}-{number}")).unwrap(),
        name: "g".to_owned(),
        project: project(),
        user: user.clone(),
        policy: GroupPolicy::Affinity,
        max_per_host: None,
        members: Vec::new(),
        created_at: Timestamp::default(),
    };
    let mut made = 0;
    for number in 0..7 {
        for at in 0..3 {
            let group = group(at, number);
            let services = &world.clouds[at].services;
            let stored = transact(services, |tx, lent| {
                check_group(tx, lent, &project(), &user)?;
                tx.insert(group.clone())?;
                Ok(())
            });
            made += u32::from(stored.await.is_ok());
        }
    }
    assert_eq!(made, 10, "the limit of server groups is Nova's");
}

#[tokio::test]
async fn what_is_idle_elsewhere_is_asked_back() {
    let world = World::new().await;
    world.take(1, 4).await.unwrap();
    world.give(1, 4).await;
    assert!(world.lease("east") >= 4);
    world.take(2, 6).await.unwrap();
    world.take(0, 6).await.unwrap();
    assert_eq!(world.used_in_all(), 12);
}

#[tokio::test]
async fn a_site_that_is_cut_off_works_on_within_its_lease_and_says_what_it_lacks() {
    let world = World::new().await;
    world.take(1, 2).await.unwrap();
    world.cut("home", "east");
    world.take(1, 2).await.unwrap();
    let refused = world.take(1, 1).await.unwrap_err();
    let expected = "Quota exceeded: lease of site east for project p1: 4 instances, all used; its \
                    home home cannot be reached";
    assert_eq!(refused, expected);
    world.take(0, 8).await.unwrap();
    let refused = world.take(0, 1).await.unwrap_err();
    assert!(
        refused.ends_with(
            "already used 12 of 12 instances; the leases of east, which cannot \
                               be reached, count as used"
        ),
        "{refused}"
    );
    world.heal();
    world.give(0, 3).await;
    world.take(1, 3).await.unwrap();
    assert_eq!(world.used_in_all(), 12);
}

#[tokio::test]
async fn a_grant_whose_answer_was_lost_is_granted_once() {
    let world = World::new().await;
    *world.net.deaf.lock().unwrap() = 1;
    assert!(world.take(1, 6).await.is_err());
    assert_eq!((world.lease("east"), world.used(1)), (9, 0));
    world.take(1, 6).await.unwrap();
    assert_eq!(world.lease("east"), 9);
    world.take(2, 6).await.unwrap();
    assert_eq!(world.used_in_all(), 12);
}

#[tokio::test]
async fn a_lowered_limit_binds_where_it_can_and_shows_what_is_pending() {
    let world = World::new().await;
    world.take(1, 4).await.unwrap();
    world.give(1, 2).await;
    let home = &world.clouds[0].services;
    let lowered = home.store.transact(|tx| tx.put(limits(1)).map(drop));
    lowered.await.unwrap();
    world.cut("home", "east");
    let left = settle(home, &project()).await.unwrap();
    assert_eq!(left.of(&item()), 7, "a lease of 8 against a limit of 1");
    world.heal();
    let left = settle(home, &project()).await.unwrap();
    assert_eq!(left.of(&item()), 1, "two servers are there");
    world.give(1, 2).await;
    tidy(home, Duration::from_secs(3600)).await.unwrap();
    assert!(pending(&home.store.snapshot(), home.site, &project()).is_empty());
}

#[tokio::test]
async fn idle_leases_go_back_by_themselves() {
    let world = World::new().await;
    world.take(1, 3).await.unwrap();
    world.give(1, 2).await;
    let east = &world.clouds[1];
    tidy(&east.services, Duration::from_secs(3600))
        .await
        .unwrap();
    assert_eq!(world.lease("east"), 6, "it is not idle long enough");
    east.tick(3601);
    world.cut("home", "east");
    tidy(&east.services, Duration::from_secs(3600))
        .await
        .unwrap();
    world.heal();
    tidy(&east.services, Duration::from_secs(3600))
        .await
        .unwrap();
    assert_eq!(world.lease("east"), 1);
}

#[tokio::test]
async fn a_reserve_is_nobody_elses() {
    let world = World::new().await;
    let home = &world.clouds[0].services;
    set_reserve(home, &project(), prefix("west"), &share(5))
        .await
        .unwrap();
    assert!(world.take(0, 8).await.is_err());
    world.take(0, 7).await.unwrap();
    assert!(world.take(1, 1).await.is_err());
    world.take(2, 5).await.unwrap();
    let more = set_reserve(home, &project(), prefix("west"), &share(6)).await;
    assert!(more.unwrap_err().to_string().contains("5 are free"));
    let east = &world.clouds[1].services;
    let away = set_reserve(east, &project(), prefix("west"), &share(1)).await;
    assert!(matches!(away, Err(ApiError::Elsewhere { .. })));
}

#[tokio::test]
async fn only_the_home_of_a_limit_calls_back_what_was_lent() {
    let world = World::new().await;
    world.take(1, 3).await.unwrap();
    let message = Message::GiveBack {
        project: project(),
        granted: Claim::default(),
        need: share(9),
    };
    let body = serde_json::to_vec(&message).unwrap();
    let refused = serve(&world.clouds[1].services, prefix("west"), &body).await;
    assert!(matches!(refused, Err(ApiError::Forbidden { .. })));
    let garbage = serve(&world.clouds[0].services, prefix("west"), b"{}").await;
    assert!(matches!(garbage, Err(ApiError::BadRequest { .. })));
    // Who is not a site does not even find the place.
    let request = http::Request::post(PATH).body(Body::from(body)).unwrap();
    let services = &world.clouds[0].services;
    assert!(crate::http::respond(services, request).await.is_none());
}

#[tokio::test]
async fn a_site_where_a_project_does_not_live_gets_none_of_its_limits() {
    let world = World::new().await;
    let home = &world.clouds[0].services;
    let before = home.store.snapshot().revision();
    let claim = Claim {
        epoch: 9,
        share: share(1_000),
    };
    let ask = Message::Ask {
        project: project(),
        bound: claim.clone(),
        want: share(1_000),
        more: Share::default(),
    };
    let unknown = Message::GiveBack {
        project: ProjectId::parse("p2").unwrap(),
        granted: claim,
        need: share(1),
    };
    for message in [ask, unknown] {
        let body = serde_json::to_vec(&message).unwrap();
        let refused = serve(home, prefix("captured"), &body).await;
        assert!(matches!(refused, Err(ApiError::Forbidden { .. })));
    }
    assert_eq!(home.store.snapshot().revision(), before);
}
