//! A site that tells another time than this one: operators are shown it, the log says so once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use luc_runtime::fabric::{Channel, Handler, Peer, RecvHalf, Refusal, SendHalf};
use luc_services::Services;
use luc_services::sites::Label;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::world::{Lines, World};

/// How long a few signs of life may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The site is of an earlier build, which tells no time.
const UNTOLD: i64 = i64::MIN;

/// Answers signs of life with a clock that is so many microseconds ahead of that of `asking`.
struct Clock {
    ahead: AtomicI64,
    asking: Arc<Services>,
    asked: AtomicI64,
}

#[async_trait]
impl Handler for Clock {
    async fn request(&self, _: Peer, _: Channel, _: Bytes) -> Result<Bytes, Refusal> {
        let mut sign = json!({"room": [1, 1, 1], "revision": 1, "rtts": []});
        let ahead = self.ahead.load(Ordering::Relaxed);
        if ahead != UNTOLD {
            sign["now_micros"] = json!(self.asking.clock.now().unix_micros() + ahead);
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(json!({"sign": sign}).to_string().into())
    }

    fn datagram(&self, _: Peer, _: Channel, _: Bytes) {}

    async fn stream(&self, _: Peer, _: Channel, _: SendHalf, _: RecvHalf) {}
}

/// The captured site as the founder's operators see it.
async fn shown(client: &luc::client::Client) -> Value {
    let all = client.ask_node(http::Method::GET, "/luc/v1/sites", None);
    let all = all.await.expect("an answer").body;
    let mut sites = all["sites"].as_array().expect("a list").iter();
    let found = sites.find(|site| site["here"] == false);
    found.expect("it is listed").clone()
}

async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !look().await {
        assert!(begun.elapsed() < PATIENCE, "{what}: not in time");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_site_with_another_time_is_shown_and_logged_once() {
    let lines = Lines::default();
    let _log = lines.begin();
    let world = World::new().await;
    let site = world.captured_site(Label::Trusted).await;
    let clock = Arc::new(Clock {
        ahead: AtomicI64::new(UNTOLD),
        asking: Arc::clone(world.services()),
        asked: AtomicI64::new(0),
    });
    site.switchboard
        .plug(Channel::SITES, Arc::clone(&clock) as _);
    let admin = world.admin().await;
    let note = async || shown(&admin).await["note"].to_string();

    until("it is heard", async || {
        clock.asked.load(Ordering::Relaxed) >= 2
    })
    .await;
    assert_eq!(shown(&admin).await["clock_ahead_ms"], Value::Null);
    assert!(!note().await.contains("clock"));

    let hour = 3_600_000_000;
    clock.ahead.store(-hour, Ordering::Relaxed);
    until("it is shown", async || {
        note()
            .await
            .contains("its clock is 3600.0 s behind this site's")
    })
    .await;
    let asked = clock.asked.load(Ordering::Relaxed);
    until("more signs", async || {
        clock.asked.load(Ordering::Relaxed) >= asked + 2
    })
    .await;
    assert_eq!(lines.count("a site has another time"), 1);

    clock.ahead.store(0, Ordering::Relaxed);
    until("it is right again", async || {
        !note().await.contains("clock")
    })
    .await;
    let ahead = shown(&admin).await["clock_ahead_ms"].as_i64();
    assert!(ahead.is_some_and(|ahead| ahead.abs() < 2000), "{ahead:?}");
    assert_eq!(lines.count("a site has another time"), 1);
    world.stop().await;
}
