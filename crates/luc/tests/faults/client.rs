//! The load: clients that make, mark, look at and delete things of their own, one request after
//! the other, and write down what they are told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::deeds::{Outcome, Thing, What};
use crate::draw::{Draw, lock};
use crate::invariant::read_your_writes;
use crate::speech::{self, Answer, Ask};
use crate::world::World;

/// A client.
pub(crate) struct Client {
    pub(crate) world: Arc<World>,
    pub(crate) number: usize,
    /// The site that it asks.
    pub(crate) site: usize,
    /// The number of its workplace.
    pub(crate) work: usize,
    pub(crate) token: String,
    pub(crate) draw: Draw,
    /// The places of its things among all.
    pub(crate) own: Vec<usize>,
}

/// What a client knows after a request.
pub(crate) struct Told {
    outcome: Outcome,
    answer: Option<Answer>,
    /// Whether its site says that the write is visible there.
    visible: bool,
}

impl Client {
    /// Works until `end`.
    pub(crate) async fn run(mut self, end: Instant) {
        loop {
            sleep(self.draw.millis(20, 700)).await;
            if Instant::now() >= end {
                return;
            }
            if self.world.sites[self.site].running().is_none() {
                continue;
            }
            let alive = self.pick();
            match (self.draw.below(100), alive) {
                (0..4, _) => self.change_a_limit().await,
                (4..25, Some(thing)) => self.mark(thing).await,
                (25..50, Some(thing)) => self.delete(thing).await,
                _ => self.make().await,
            }
        }
    }

    /// One of the client's things that is there as far as it knows.
    fn pick(&mut self) -> Option<usize> {
        let things = lock(&self.world.things);
        let known = self.own.iter().filter(|place| {
            let thing = &things[**place];
            thing.id.is_some() && !thing.is_gone()
        });
        let known: Vec<usize> = known.copied().collect();
        (!known.is_empty()).then(|| known[self.draw.place(known.len())])
    }

    fn thing(&self, place: usize) -> Thing {
        lock(&self.world.things)[place].clone()
    }

    fn change(&self, place: usize, change: impl FnOnce(&mut Thing)) {
        change(&mut lock(&self.world.things)[place]);
    }

    async fn make(&mut self) {
        let what = What::ALL[self.draw.place(What::ALL.len())];
        let place = {
            let mut things = lock(&self.world.things);
            let place = things.len();
            things.push(Thing {
                what,
                name: format!("c{}-{place}", self.number),
                id: None,
                made: Outcome::Unknown(None, self.site),
                marks: Vec::new(),
                deletions: Vec::new(),
            });
            place
        };
        self.own.push(place);
        let name = self.thing(place).name;
        let ask = speech::make(what, &name, &self.world.workplaces[self.work].known);
        let told = self.tell(&ask).await;
        let id = told
            .answer
            .as_ref()
            .filter(|_| told.outcome == Outcome::Done);
        let id = id.and_then(|answer| speech::id_of(what, &answer.body));
        self.change(place, |thing| {
            thing.made = told.outcome.clone();
            thing.id = id;
        });
        self.probe(place, &told).await;
    }

    async fn mark(&mut self, place: usize) {
        let thing = self.thing(place);
        let Some(id) = thing.id.filter(|_| thing.what.changes()) else {
            return self.delete(place).await;
        };
        let mark = format!("mark-{place}-{}", thing.marks.len());
        let unknown = Outcome::Unknown(None, self.site);
        self.change(place, |thing| thing.marks.push((mark.clone(), unknown)));
        let told = self.tell(&speech::mark(thing.what, &id, &mark)).await;
        self.change(place, |thing| {
            if let Some((_, outcome)) = thing.marks.last_mut() {
                *outcome = told.outcome.clone();
            }
        });
        self.probe(place, &told).await;
    }

    async fn delete(&mut self, place: usize) {
        let thing = self.thing(place);
        let Some(id) = thing.id else { return };
        if thing.what == What::Server && self.world.any_host() {
            return;
        }
        let unknown = Outcome::Unknown(None, self.site);
        self.change(place, |thing| thing.deletions.push(unknown));
        let told = self.tell(&speech::delete(thing.what, &id)).await;
        self.change(place, |thing| {
            if let Some(outcome) = thing.deletions.last_mut() {
                *outcome = told.outcome.clone();
            }
        });
        self.probe(place, &told).await;
    }

    /// Sends a request and says what is known afterwards.
    pub(crate) async fn tell(&mut self, ask: &Ask) -> Told {
        let in_vain = || self.world.sites[self.site].in_vain.load(Ordering::Relaxed);
        let before = in_vain();
        let answer = self.world.ask(self.site, ask, &self.token).await;
        let visible = in_vain() == before;
        let outcome = self.outcome(answer.as_ref());
        let counts = &self.world.counts;
        let count = match &outcome {
            Outcome::Done => &counts.done,
            Outcome::Refused(..) => &counts.refused,
            Outcome::Unknown(..) => &counts.unknown,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.world.say(|| {
            let site = &self.world.sites[self.site].name;
            let (method, path, body) = (&ask.method, &ask.path, &ask.body);
            format!(
                "client {} at {site}: {method} {path} {body} → {outcome}",
                self.number
            )
        });
        Told {
            outcome,
            answer,
            visible,
        }
    }

    fn outcome(&self, answer: Option<&Answer>) -> Outcome {
        let Some(answer) = answer else {
            return Outcome::Unknown(None, self.site);
        };
        let status = answer.status;
        if status.is_success() {
            return Outcome::Done;
        }
        if status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE {
            return Outcome::Refused(status, answer.message());
        }
        if status == StatusCode::INTERNAL_SERVER_ERROR && !self.world.any_lossy() {
            let seen = format!("client {}: {}", self.number, answer.body);
            lock(&self.world.ledger).accuse("no request fails by a fault of ours", seen);
        }
        Outcome::Unknown(answer.operation(), self.site)
    }

    /// Looks, often, whether what was just written is seen at the site that was asked.
    async fn probe(&mut self, place: usize, told: &Told) {
        if told.outcome != Outcome::Done || !told.visible || self.draw.chance(400) {
            return;
        }
        let thing = self.thing(place);
        let Some(id) = &thing.id else { return };
        let ask = speech::show(thing.what, id);
        let Some(answer) = self.world.ask(self.site, &ask, &self.token).await else {
            return;
        };
        self.world.counts.probes.fetch_add(1, Ordering::Relaxed);
        if let Some(seen) = read_your_writes::look(&thing, &answer) {
            let site = &self.world.sites[self.site].name;
            let seen = format!("client {} at {site}: {seen}", self.number);
            self.world.say(|| seen.clone());
            lock(&self.world.ledger).accuse(read_your_writes::READ_YOUR_WRITES, seen);
        }
    }
}

/// Draws the clients of a world, each logged in at its site.
pub(crate) async fn clients(world: &Arc<World>, seed: u64) -> Vec<Client> {
    let mut draw = Draw::new(seed, 2);
    let count = 3 + draw.place(4);
    let mut clients = Vec::new();
    for number in 0..count {
        // Each site has somebody to hear from, as far as there are enough.
        let site = if number < world.founded {
            number
        } else {
            draw.place(world.founded)
        };
        let work = draw.place(world.workplaces.len());
        let project = json!({"id": world.workplaces[work].project});
        clients.push(Client {
            token: world.login(site, &project).await,
            world: Arc::clone(world),
            number,
            site,
            work,
            draw: Draw::new(seed, 1000 + number as u64),
            own: Vec::new(),
        });
    }
    clients
}

/// How long clients work.
pub(crate) fn working_time(draw: &mut Draw) -> Duration {
    draw.millis(6_000, 16_000)
}
