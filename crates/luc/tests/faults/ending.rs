//! How a run ends: everything is healed, every site has caught up, and all that happened is judged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use luc_core::SitePrefix;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::deeds::{Outcome, Thing};
use crate::draw::lock;
use crate::invariant::{
    acknowledged_writes_survive, exactly_once, nothing_resurrected, replicas_are_prefixes,
};
use crate::ledger::{Cell, Ledger};
use crate::world::World;

/// How long after the heal every site has what every other has. The contract says 5 s, to which
/// come the longest pauses of connections and feeds, and what operations that were given up still
/// do.
const CONVERGED: Duration = Duration::from_secs(30);

/// A site and what it holds.
type Held = (SitePrefix, Arc<Cell>);

/// What is there at the end.
#[derive(Default)]
pub(crate) struct Ending {
    /// By kind and name: who holds it, and the record.
    held: BTreeMap<(&'static str, String), Vec<Held>>,
    /// What `luc op show` says of operations whose outcome was unknown.
    pub(crate) resolved: BTreeMap<String, String>,
}

impl Ending {
    fn of(ledger: &Ledger) -> Self {
        let mut ending = Self::default();
        // What a site that is gone holds is nobody's any more.
        let books = ledger.books();
        let captured = books.iter().find(|book| book.captured);
        for book in books.iter().filter(|book| !book.gone) {
            for cell in book.now.values() {
                // Nor is what somebody has forged.
                if captured.is_some_and(|captured| captured.site == cell.home) {
                    continue;
                }
                let named = cell.value()["name"].as_str().map(str::to_owned);
                if let Some(name) = named {
                    let place = ending.held.entry((cell.kind.name(), name)).or_default();
                    place.push((book.site, Arc::clone(cell)));
                }
            }
        }
        ending
    }

    fn all(&self, thing: &Thing) -> &[Held] {
        let place = (thing.what.kind().name(), thing.name.clone());
        self.held.get(&place).map_or(&[], Vec::as_slice)
    }

    /// The records of the thing where they are at home.
    pub(crate) fn homes(&self, thing: &Thing) -> Vec<&Arc<Cell>> {
        let own = self
            .all(thing)
            .iter()
            .filter(|(site, cell)| cell.home == *site);
        own.map(|(_, cell)| cell).collect()
    }

    /// The sites that hold the thing or a copy of it.
    pub(crate) fn holders(&self, thing: &Thing) -> Vec<SitePrefix> {
        self.all(thing).iter().map(|(site, _)| *site).collect()
    }
}

/// Waits until every site holds what it should; how long that took, or what is missing.
pub(crate) async fn converge(world: &World) -> Duration {
    let healed = Instant::now();
    loop {
        let behind = replicas_are_prefixes::behind(&lock(&world.ledger));
        let busy = !behind.is_empty();
        if !busy {
            return healed.elapsed();
        }
        if healed.elapsed() > CONVERGED {
            for violation in behind {
                let seen = format!("not {CONVERGED:?} after the heal: {}", violation.seen);
                lock(&world.ledger).accuse(violation.invariant, seen);
            }
            for site in &world.sites {
                let Some(running) = site.running() else {
                    continue;
                };
                world.say(|| format!("feeds of {}: {:#?}", site.name, running.feeds.status()));
            }
            return healed.elapsed();
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Asks what became of every operation that is in doubt.
async fn resolve(world: &World, things: &[Thing]) -> BTreeMap<String, String> {
    let mut resolved = BTreeMap::new();
    for outcome in things.iter().flat_map(Thing::outcomes) {
        let Outcome::Unknown(Some(operation), site) = outcome else {
            continue;
        };
        let Some(running) = world.sites[*site].running() else {
            continue;
        };
        let asked = Instant::now();
        let said = loop {
            let shown = luc_services::operations::show(&running.services, operation).await;
            let said =
                shown.map_or_else(|error| error.to_string(), |shown| said(&shown["operation"]));
            // What was sent just before the heal is still on its way.
            if said != "under way" || asked.elapsed() > CONVERGED {
                break said;
            }
            sleep(Duration::from_millis(100)).await;
        };
        world.say(|| format!("operation {operation}: {said}"));
        resolved.insert(operation.clone(), said);
    }
    resolved
}

/// The outcome that is shown; `in part` where something was written and the answer is not known to
/// be a success.
fn said(operation: &Value) -> String {
    let outcome = operation["outcome"].as_str().unwrap_or("without outcome");
    let success = operation["status"]
        .as_u64()
        .is_some_and(|s| (200..300).contains(&s));
    match outcome {
        "done" if !success => "in part".to_owned(),
        other => other.to_owned(),
    }
}

/// Judges all that the clients were told by what is there; how many operations that were in doubt
/// are said to be what.
pub(crate) async fn judge(world: &World) -> BTreeMap<String, u64> {
    let things = lock(&world.things).clone();
    let resolved = resolve(world, &things).await;
    let mut ending = Ending::of(&lock(&world.ledger));
    ending.resolved = resolved;
    let mut found = Vec::new();
    for thing in &things {
        found.extend(acknowledged_writes_survive::judge(thing, &ending));
        found.extend(exactly_once::judge(thing, &ending));
        found.extend(nothing_resurrected::judge(thing, &ending));
    }
    for violation in found {
        lock(&world.ledger).accuse(violation.invariant, violation.seen);
    }
    let mut counts = BTreeMap::new();
    for said in ending.resolved.into_values() {
        *counts.entry(said).or_default() += 1;
    }
    counts
}
