//! One seed from its first draw to its judgement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::broken::Rule;
use crate::client::{clients, working_time};
use crate::closings;
use crate::draw::{Draw, lock};
use crate::edges;
use crate::ending;
use crate::goings;
use crate::joins::{self, Told};
use crate::ledger::Violation;
use crate::limits;
use crate::officers::Officer;
use crate::people;
use crate::trouble::{self, Tally};
use crate::world::World;

/// What came of a seed.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) requests: u64,
    pub(crate) writes: [u64; 3],
    pub(crate) probes: u64,
    pub(crate) answers_lost: u64,
    /// Joins of sites that were let in, and that were not, nodes that came, and sites that went.
    pub(crate) movement: [u64; 4],
    pub(crate) faults: Tally,
    /// Operations in doubt, by what `luc op show` says of them.
    pub(crate) resolved: BTreeMap<String, u64>,
    pub(crate) converged: Duration,
    pub(crate) violations: Vec<Violation>,
    pub(crate) log: Vec<String>,
}

impl Report {
    /// The first thing that is wrong, with how to see it again.
    pub(crate) fn failure(&self) -> Option<String> {
        let first = self.violations.first()?;
        let seen: Vec<_> = self
            .violations
            .iter()
            .map(|violation| format!("  {}: {}", violation.invariant, violation.seen))
            .collect();
        Some(format!(
            "seed {}: not true: {}\n{}\nagain, with its log: \
             LUC_FAULT_SEED={} cargo test -p luc --test faults -- --nocapture replay",
            self.seed,
            first.invariant,
            seen.join("\n"),
            self.seed
        ))
    }
}

/// Runs a seed on a runtime of its own with a paused clock.
pub(crate) fn run(seed: u64, broken: Option<Rule>) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(go(seed, broken))
}

async fn go(seed: u64, broken: Option<Rule>) -> Report {
    let world = Arc::new(World::new(seed, broken).await);
    let officer = Officer::hired(&world, seed).await;
    let (faults, officer) = work(&world, seed, officer).await;
    trouble::heal(&world).await;
    world.say(|| "everything is healed".to_owned());
    joins::settle(&world, seed).await;
    goings::settle(&world, seed).await;
    edges::cut_off(&world, seed).await;
    let converged = ending::converge(&world).await;
    edges::judge(&world).await;
    let people_are_there = people::judge(&world).await;
    let resolved = ending::judge(&world).await;
    joins::judge(&world);
    goings::judge(&world).await;
    if people_are_there {
        if let Some(officer) = officer {
            officer.rest().await;
        }
        limits::lower_and_raise(&world, seed).await;
        closings::open_and_close(&world, seed).await;
    }
    let report = report(&world, (seed, converged), faults, resolved);
    world.shut_down().await;
    report
}

/// Everybody works while there is trouble, until the time is over.
async fn work(world: &Arc<World>, seed: u64, officer: Option<Officer>) -> (Tally, Option<Officer>) {
    let clients = clients(world, seed).await;
    let mut draw = Draw::new(seed, 3);
    let end = Instant::now() + working_time(&mut draw);
    let troubles = {
        let world = Arc::clone(world);
        tokio::spawn(async move { trouble::make(&world, draw, end).await })
    };
    let mut working: Vec<_> = clients
        .into_iter()
        .map(|client| tokio::spawn(client.run(end)))
        .collect();
    working.extend((world.founded..world.sites.len()).map(|number| {
        let world = Arc::clone(world);
        if world.edge() == Some(number) {
            tokio::spawn(edges::come(world, number, seed, end))
        } else if world.people() == Some(number) {
            tokio::spawn(people::come(world, number, seed, end))
        } else {
            tokio::spawn(joins::come_late(world, number, seed, end))
        }
    }));
    let officer = officer.map(|officer| tokio::spawn(officer.run(end)));
    let permits = edges::change_permits(Arc::clone(world), seed, end);
    working.push(tokio::spawn(permits));
    let nodes = goings::nodes(Arc::clone(world), seed, end);
    working.push(tokio::spawn(nodes));
    for working in working {
        working.await.expect("whoever works does not panic");
    }
    let officer = match officer {
        Some(officer) => Some(officer.await.expect("an officer does not panic")),
        None => None,
    };
    let faults = troubles.await.expect("trouble does not panic");
    (faults, officer)
}

/// What came of the seed.
fn report(
    world: &World,
    (seed, converged): (u64, Duration),
    faults: Tally,
    resolved: BTreeMap<String, u64>,
) -> Report {
    let count = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    let counts = &world.counts;
    let lost = world.sites.iter().map(|site| &site.doors.lost).map(count);
    let violations = lock(&world.ledger).violations.clone();
    for key in violations.iter().flat_map(crate::ledger::Violation::keys) {
        for line in lock(&world.ledger).history(key) {
            world.say(|| line);
        }
    }
    Report {
        seed,
        requests: count(&counts.requests),
        writes: [
            count(&counts.done),
            count(&counts.refused),
            count(&counts.unknown),
        ],
        probes: count(&counts.probes),
        answers_lost: lost.sum(),
        movement: movement(world),
        faults,
        resolved,
        converged,
        violations,
        log: world.log(),
    }
}

/// How many sites that came late were let in and were not, how many nodes came and sites went.
fn movement(world: &World) -> [u64; 4] {
    let (mut moved, joins) = ([0; 4], lock(&world.joins));
    for join in joins.values() {
        let welcome = matches!(join.told, Some(Told::Welcome(_)));
        moved[usize::from(!welcome)] += 1;
    }
    let guests = lock(&world.guests);
    moved[2] = guests.iter().filter(|guest| guest.joined).count() as u64;
    moved[3] = lock(&world.going).len() as u64;
    moved
}
