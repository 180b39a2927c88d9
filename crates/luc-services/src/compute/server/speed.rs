//! How fast the two hot paths are: a long list with details, and many creations.
//!
//! The bounds are wide enough for an unoptimized build on a busy machine; they catch work that
//! grows with the square, not a slow day. Figures of an optimized build:
//! `cargo test --release -p luc-services --lib speed -- --nocapture`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use luc_api::Microversion;
use luc_core::SitePrefix;
use luc_core::entropy::SplitMix64;
use luc_core::id::{DomainId, ProjectId};
use luc_state::{MemoryEngine, Store, StoreOptions};

use super::fixture::{NOON, active, host, planned, resources, server_id};
use super::history::Origin;
use super::plan::Plan;
use super::view::{Frame, Occasion, ServerView, Shown};
use crate::compute::host::{Heartbeat, Liveness};
use crate::compute::model;
use crate::compute::model::quota::{QuotaSet, Resource};
use crate::compute::quota::Lent;
use crate::compute::server::create::{Place, Seed, build};

#[test]
fn five_hundred_servers_are_shown_quickly() {
    let servers: Vec<_> = (0..500).map(active).collect();
    let frame = Frame::plain(Microversion::new(2, 79), Occasion::List, true);
    let view = |server| ServerView {
        shown: Shown::live(server),
        frame: &frame,
        admin_pass: None,
    };
    let started = Instant::now();
    let views: Vec<_> = servers.iter().map(view).collect();
    let text = serde_json::to_vec(&views).unwrap();
    let took = started.elapsed();
    println!("500 servers with details, {} bytes: {took:?}", text.len());
    assert!(took < Duration::from_millis(250), "{took:?}");
}

#[tokio::test]
async fn five_hundred_creations_are_quick() {
    let options = StoreOptions::new(SitePrefix::of_key(b"site"), SplitMix64::new(1));
    let engine = Arc::new(MemoryEngine::sole());
    let (store, driver) = Store::open(engine, model::schema(), options).await.unwrap();
    tokio::spawn(driver);
    let liveness = Liveness::default();
    for name in ["n1", "n2", "n3", "n4", "n5", "n6"] {
        let mut host = host(name);
        host.capacity = resources(1000, 1_000_000, 10_000);
        store
            .transact(|tx| tx.insert(host.clone()).map(drop))
            .await
            .unwrap();
        liveness.note(name, NOON, Heartbeat::default());
    }
    let limits = [Resource::Instances, Resource::Cores, Resource::Ram];
    let quota = QuotaSet {
        project: ProjectId::parse("p1").unwrap(),
        domain: DomainId::parse("default").unwrap(),
        limits: limits.map(|resource| (resource, -1)).into(),
        users: BTreeMap::new(),
        closed: BTreeMap::new(),
    };
    store
        .transact(|tx| tx.insert(quota.clone()).map(drop))
        .await
        .unwrap();
    let lent = Lent::new(SitePrefix::of_key(b"site"), NOON);
    let place = Place {
        site: "site",
        liveness: &liveness,
        next: None,
    };
    let started = Instant::now();
    for number in 0..500 {
        let plan = plan();
        let seeds = [seed(number)];
        let built = store
            .transact(|tx| build(tx, &lent, &plan, &seeds, &place, NOON))
            .await;
        assert!(built.unwrap().value.placement.is_some());
    }
    let took = started.elapsed();
    println!(
        "500 creations, one after the other: {took:?}, {:?} each",
        took / 500
    );
    assert!(took < Duration::from_secs(5), "{took:?}");
}

fn plan() -> Plan {
    Plan {
        template: planned(0),
        least: 1,
        most: 1,
        admin_pass: String::new(),
        security_groups: Vec::new(),
        only_reservation: false,
    }
}

fn seed(number: u32) -> Seed {
    let origin = Origin {
        id: format!("action-{number}"),
        request_id: "req-1".to_owned(),
        user: None,
        project: None,
    };
    Seed {
        id: server_id(number),
        origin,
    }
}
