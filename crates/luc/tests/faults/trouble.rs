//! The faults: splits in one direction and both, crashes and restarts, answers that are lost or
//! late, slow links, clocks that jump, batches of a feed that come late.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use luc_runtime::fabric::memory::Quality;
use luc_services::compute::quota;
use luc_state::feed::{Expectations, Follower, Source};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::draw::Draw;
use crate::world::{World, quality};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    Split,
    OneWay,
    Crash,
    CrashAtCommit,
    AnswerLost,
    RequestAnswerLost,
    AnswerLate,
    SlowLink,
    ClockJump,
    LateBatch,
    /// No fault, but it moves what is lent: a site looks after its leases.
    Tidying,
}

/// How often each of them comes, out of the sum.
const WEIGHTS: [(Fault, u64); 11] = [
    (Fault::Split, 18),
    (Fault::OneWay, 10),
    (Fault::Crash, 10),
    (Fault::CrashAtCommit, 12),
    (Fault::AnswerLost, 18),
    (Fault::RequestAnswerLost, 4),
    (Fault::AnswerLate, 10),
    (Fault::SlowLink, 8),
    (Fault::ClockJump, 6),
    (Fault::LateBatch, 12),
    (Fault::Tidying, 6),
];

/// How often each fault came.
pub(crate) type Tally = BTreeMap<Fault, u64>;

/// Makes trouble until `end`; then waits until what it broke for a time is whole again.
pub(crate) async fn make(world: &Arc<World>, mut draw: Draw, end: Instant) -> Tally {
    let mut tally = Tally::new();
    let mut under_way = JoinSet::new();
    loop {
        sleep(draw.millis(100, 1_500)).await;
        if Instant::now() >= end {
            break;
        }
        let fault = draw_fault(&mut draw);
        *tally.entry(fault).or_default() += 1;
        let seed = draw.seed();
        let world = Arc::clone(world);
        under_way.spawn(async move { happen(&world, fault, Draw::new(seed, 0)).await });
    }
    while under_way.join_next().await.is_some() {}
    world.network.heal_all();
    tally
}

fn draw_fault(draw: &mut Draw) -> Fault {
    let sum: u64 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
    let mut left = draw.below(sum);
    for (fault, weight) in WEIGHTS {
        if left < weight {
            return fault;
        }
        left -= weight;
    }
    Fault::Split
}

async fn happen(world: &World, fault: Fault, mut draw: Draw) {
    let (one, other) = draw.pair(world.sites.len());
    let (a, b) = (&world.sites[one], &world.sites[other]);
    let network = &world.network;
    world.say(|| format!("{fault:?} at {}, {}", a.name, b.name));
    match fault {
        Fault::Split => {
            network.split(a.prefix, b.prefix);
            sleep(draw.millis(100, 8_000)).await;
            network.heal(a.prefix, b.prefix);
        }
        Fault::OneWay => {
            network.cut(a.prefix, b.prefix);
            sleep(draw.millis(100, 8_000)).await;
            network.heal(a.prefix, b.prefix);
        }
        Fault::Crash => crash(world, one, &mut draw).await,
        Fault::CrashAtCommit => crash_at_commit(world, one, &mut draw).await,
        Fault::AnswerLost => {
            a.doors
                .vanish
                .fetch_add(1 + draw.below(4), Ordering::Relaxed);
        }
        Fault::RequestAnswerLost => {
            network.drop_next_response(a.secret.key(), b.secret.key());
        }
        Fault::AnswerLate => a.doors.late_ms.store(draw.below(7_000), Ordering::Relaxed),
        Fault::SlowLink => {
            let slow = Quality {
                rtt: draw.millis(200, 1_800),
                jitter: draw.millis(0, 300),
                bytes_per_second: Some(2_000 + draw.below(60_000)),
                ..quality(&mut draw)
            };
            network.set_quality(a.prefix, b.prefix, slow);
            sleep(draw.millis(500, 5_000)).await;
            network.set_quality(a.prefix, b.prefix, quality(&mut draw));
        }
        Fault::ClockJump => a.clock.jump(&mut draw),
        Fault::LateBatch => late_batch(world, one, other, &mut draw).await,
        Fault::Tidying => tidy(world, one, &mut draw).await,
    }
    world.say(|| format!("{fault:?} at {}, {} is over", a.name, b.name));
}

async fn crash(world: &World, number: usize, draw: &mut Draw) {
    if world.sites[number].crash(&world.network) {
        sleep(draw.millis(50, 6_000)).await;
        world.start(number).await;
    }
}

/// The controller ends when a commit is durable and nobody has heard of it.
async fn crash_at_commit(world: &World, number: usize, draw: &mut Draw) {
    // One that is starting would never end.
    if world.sites[number].running().is_none() {
        return;
    }
    let fatal = &world.sites[number].fatal;
    fatal.commit.store(1 + draw.below(6), Ordering::Relaxed);
    let struck = tokio::time::timeout(Duration::from_secs(6), fatal.struck.notified());
    let struck = struck.await.is_ok();
    fatal.commit.store(0, Ordering::Relaxed);
    if struck && world.sites[number].crash(&world.network) {
        sleep(draw.millis(20, 3_000)).await;
        world.start(number).await;
    }
}

/// Gives back what is idle, for an hour or for no time.
async fn tidy(world: &World, number: usize, draw: &mut Draw) {
    let Some(running) = world.sites[number].running() else {
        return;
    };
    let idle = if draw.chance(500) {
        quota::IDLE
    } else {
        Duration::ZERO
    };
    tokio::select! {
        biased;
        () = running.gone.cancelled() => {}
        tidied = quota::tidy(&running.services, idle) => {
            world.say(|| format!("tidied at {}: {tidied:?}", world.sites[number].name));
        }
    }
}

/// A second controller of a site follows the same home, and applies late what it was sent: it must
/// find that the cursor has moved.
async fn late_batch(world: &World, follower: usize, home: usize, draw: &mut Draw) {
    let (site, home) = (&world.sites[follower], &world.sites[home]);
    let (Some(here), Some(there)) = (site.running(), home.running()) else {
        return;
    };
    let mut held = Follower::load(&here.services.store, home.prefix);
    if !held.is_whole() {
        return;
    }
    let mut hello = held.hello();
    let admitted = there.directory.admit(site.prefix, &hello.wanted).await;
    let store = &there.services.store;
    let opened = if let Some(narrowed) = admitted {
        hello.wanted = narrowed;
        Source::open_anew(store, &hello)
    } else {
        Source::open(store, &hello)
    };
    let Ok(mut source) = opened else { return };
    sleep(draw.millis(0, 400)).await;
    let patience = Duration::from_millis(1);
    let _ = tokio::time::timeout(patience, source.absorb()).await;
    let Some(batch) = source.take() else { return };
    sleep(draw.millis(0, 4_000)).await;
    let Some(here) = site.running() else { return };
    let mut listed = here.directory.sites().into_iter();
    let Some(listed) = listed.find(|site| site.site == home.prefix) else {
        // Whoever is gone is followed no more.
        return;
    };
    let trusted = Expectations {
        trusted: listed.trusted,
    };
    if let Some(name) = here.directory.name(home.prefix) {
        held.confine(name);
    }
    let applied = held.apply(&here.services.store, &batch, trusted).await;
    world.say(|| {
        format!(
            "the late batch of {} at {}: {applied:?}",
            home.name, site.name
        )
    });
}

/// Nothing is wrong any more.
pub(crate) async fn heal(world: &World) {
    world.network.heal_all();
    for site in &world.sites {
        site.fatal.commit.store(0, Ordering::Relaxed);
        site.doors.vanish.store(0, Ordering::Relaxed);
        site.doors.late_ms.store(0, Ordering::Relaxed);
    }
    for number in 0..world.sites.len() {
        if world.sites[number].running().is_none() && world.is_member(number) {
            world.start(number).await;
        }
    }
}
