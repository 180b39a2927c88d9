//! Plain timings of the state: `cargo run --release -p luc-engines --example timing`.
//!
//! Not a benchmark with a gate (that is `cargo xtask bench`): it shows at a glance what a
//! transaction, a read and a listing cost, and how many transactions share a sync.

#![allow(clippy::print_stdout, reason = "a program whose output is its result")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::executor::block_on;
use futures::future::{join, join_all};
use luc_core::SitePrefix;
use luc_core::entropy::SplitMix64;
use luc_core::id::ProjectId;
use luc_engines::{EmbeddedEngine, EmbeddedOptions};
use luc_state::{
    Engine, Index, Kind, MemoryEngine, Record, Schema, Scope, Store, StoreOptions, TxError, key,
};
use serde::{Deserialize, Serialize};

/// About as large as the stored form of a real server.
#[derive(Clone, Serialize, Deserialize)]
struct Server {
    id: String,
    project: ProjectId,
    user: String,
    name: String,
    host: Option<String>,
    status: String,
    power: u8,
    flavor: BTreeMap<String, String>,
    image: Option<String>,
    metadata: BTreeMap<String, String>,
    addresses: Vec<String>,
    created: u64,
    updated: u64,
}

const BY_PROJECT: Index<Server> =
    Index::plain("project", |server| vec![key(&[server.project.as_str()])]);
const BY_HOST: Index<Server> = Index::plain("host", |server| {
    server.host.iter().map(|host| key(&[host])).collect()
});
const BY_NAME: Index<Server> = Index::plain("name", |server| vec![key(&[&server.name])]);

impl Record for Server {
    const KIND: Kind = Kind::Server;
    const INDEXES: &'static [Index<Self>] = &[BY_PROJECT, BY_HOST, BY_NAME];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Project(self.project.clone())
    }
}

/// What every creation touches.
#[derive(Clone, Serialize, Deserialize)]
struct Host {
    name: String,
    used: u64,
}

impl Record for Host {
    const KIND: Kind = Kind::Host;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        &self.name
    }

    fn scope(&self) -> Scope {
        Scope::Site
    }
}

fn server(number: usize) -> Server {
    let pairs = |count: usize| (0..count).map(|n| (format!("key-{n}"), format!("value-{n}")));
    Server {
        id: format!("0191a2b3-c4d5-8e6f-8a0b-{number:012}"),
        project: ProjectId::parse(&format!("project-{}", number / 500)).expect("an id"),
        user: "0191a2b3c4d58e6f8a0b1c2d3e4f5061".to_owned(),
        name: format!("server-{number}"),
        host: Some(format!("compute-{}", number % 6)),
        status: "BUILD".to_owned(),
        power: 0,
        flavor: pairs(6).collect(),
        image: Some("0191a2b3-c4d5-8e6f-8a0b-1c2d3e4f5061".to_owned()),
        metadata: pairs(3).collect(),
        addresses: vec!["10.0.2.15".to_owned()],
        created: 0,
        updated: 0,
    }
}

async fn open(engine: Arc<dyn Engine>) -> (Store, luc_state::Driver) {
    let options = StoreOptions::new(SitePrefix::of_key(b"timing"), SplitMix64::new(1));
    let schema = Schema::new().table::<Server>().table::<Host>();
    Store::open(engine, schema, options)
        .await
        .expect("a fresh engine")
}

async fn create(store: &Store, number: usize) {
    let created = store.transact(|tx| -> Result<(), TxError> {
        let name = format!("compute-{}", number % 6);
        let used = tx.get::<Host>(&name).map_or(0, |host| host.used);
        tx.put(Host {
            name,
            used: used + 1,
        })?;
        tx.insert(server(number)).map(drop)
    });
    created.await.expect("ids differ");
}

/// Creates `count` servers, `width` at a time.
async fn creations(store: &Store, count: usize, width: usize) -> Duration {
    let begin = Instant::now();
    for first in (0..count).step_by(width) {
        join_all((first..count.min(first + width)).map(|number| create(store, number))).await;
    }
    begin.elapsed()
}

fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Runs transactions of a store whose driver stands still: what they cost by themselves.
async fn closures() {
    let (store, _driver) = open(Arc::new(MemoryEngine::sole())).await;
    let count = 20_000;
    let begin = Instant::now();
    let futures: Vec<_> = (0..count)
        .map(|number| {
            let mut creation = Box::pin(create(&store, number));
            assert!(
                creation.as_mut().now_or_never().is_none(),
                "nothing is durable"
            );
            creation
        })
        .collect();
    let time = begin.elapsed();
    drop(futures);
    println!(
        "creations without engine and JSON: {:.0}/s",
        per_second(count, time)
    );
}

async fn memory(count: usize) {
    let (store, driver) = open(Arc::new(MemoryEngine::sole())).await;
    let work = async move {
        let time = creations(&store, count, 500).await;
        let rate = per_second(count, time);
        println!("memory: {count} creations, 500 at a time: {rate:.0}/s");
        let ids: Vec<String> = (0..count).map(|number| server(number).id).collect();
        let begin = Instant::now();
        let store_ref = &store;
        let updates = ids.iter().map(|id| async move {
            let updated = store_ref.transact(|tx| -> Result<(), TxError> {
                let mut server = tx.get::<Server>(id).expect("created").value().clone();
                server.power = 1;
                tx.update(server).map(drop)
            });
            updated.await.expect("it is there");
        });
        join_all(updates).await;
        println!(
            "memory: {count} updates: {:.0}/s",
            per_second(count, begin.elapsed())
        );
        let begin = Instant::now();
        let refused = (0..count).map(|_| async {
            let refused: Result<_, luc_state::TransactError<()>> = store
                .transact(|tx| {
                    black_box(tx.get::<Host>("compute-1"));
                    Err::<(), ()>(())
                })
                .await;
            black_box(refused.is_err());
        });
        join_all(refused).await;
        println!(
            "memory: {count} refusals: {:.0}/s",
            per_second(count, begin.elapsed())
        );
        reads(&store, count);
    };
    join(driver, work).await;
}

fn reads(store: &Store, count: usize) {
    let ids: Vec<String> = (0..count)
        .map(|number| server(number * 7919 % count).id)
        .collect();
    let begin = Instant::now();
    for id in &ids {
        black_box(store.snapshot().get::<Server>(id));
    }
    let each = begin.elapsed() / count as u32;
    println!("snapshot and one record of {count}: {each:?}");
    let rounds = 200;
    let begin = Instant::now();
    for round in 0..rounds {
        let project = format!("project-{}", round as usize % (count / 500));
        let names = store.snapshot();
        let names = names
            .find(&BY_PROJECT, &key(&[&project]))
            .map(|server| server.name.len());
        assert!(black_box(names.sum::<usize>()) > 0);
    }
    println!("500 records by index: {:?}", begin.elapsed() / rounds);
}

async fn embedded(width: usize, count: usize) {
    let directory = tempfile::tempdir().expect("a directory for the file");
    let path = directory.path().join("state.redb");
    let engine = EmbeddedEngine::open(&path, EmbeddedOptions::default()).expect("a new file");
    let (store, driver) = open(Arc::new(engine)).await;
    let work = async move {
        let time = creations(&store, count, width).await;
        let commits = store.snapshot().revision();
        let rate = per_second(count, time);
        println!("embedded: {count} creations, {width} at a time: {rate:.0}/s, {commits} commits");
    };
    join(driver, work).await;
    let bytes = std::fs::metadata(&path).expect("it is there").len();
    let begin = Instant::now();
    let engine = EmbeddedEngine::open(&path, EmbeddedOptions::default()).expect("closed cleanly");
    let (store, _driver) = open(Arc::new(engine)).await;
    let servers = store.snapshot().count::<Server>();
    println!(
        "embedded: opened {servers} servers, {} KiB, in {:?}",
        bytes / 1024,
        begin.elapsed()
    );
}

fn main() {
    block_on(async {
        closures().await;
        memory(5_000).await;
        memory(50_000).await;
        embedded(1, 500).await;
        embedded(500, 500).await;
        embedded(500, 20_000).await;
    });
}
