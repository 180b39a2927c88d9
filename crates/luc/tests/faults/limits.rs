//! Limits that go up and down: while clients work, and once more at the end, when one site is cut
//! off and what became of the limit can be said exactly.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, StatusCode};
use luc_core::SitePrefix;
use luc_core::id::ProjectId;
use luc_services::compute::quota;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::client::Client;
use crate::deeds::What;
use crate::draw::{Draw, lock};
use crate::invariant::lowered_limits_bind;
use crate::shares::{Counted, Shares};
use crate::speech::{self, Ask};
use crate::world::World;

/// How long after a heal a site may still be silent to another.
pub(crate) const RECONNECTED: Duration = Duration::from_secs(6);

/// How often the home looks for what is to come back; in a cloud that runs, each hour.
const LOOKS: u32 = 10;

fn path(project: &str) -> String {
    format!("/compute/v2.1/os-quota-sets/{project}")
}

impl Client {
    /// Sets another limit, higher or lower, or none of its own, or that there is none.
    pub(crate) async fn change_a_limit(&mut self) {
        let project = self.world.workplaces[self.work].project.clone();
        let counted = Counted::ALL[self.draw.place(2)];
        if self.draw.chance(100) {
            let ask = Ask::new(Method::DELETE, path(&project), Value::Null);
            self.tell(&ask).await;
            return;
        }
        if self.world.without_limits && self.draw.chance(300) {
            let body = json!({"quota_set": {counted.resource(): -1}});
            let ask = Ask::new(Method::PUT, path(&project), body);
            self.tell(&ask).await;
            return;
        }
        let (limit, after_none) = {
            let ledger = lock(&self.world.ledger);
            let shares = ledger.shares(&project, counted);
            let of = |shares: Shares| {
                let limit = shares.view.limit;
                (
                    limit.unwrap_or_else(|| shares.used_in_all()),
                    limit.is_none(),
                )
            };
            shares.map_or((10, false), of)
        };
        // As often up as down, and not so far down that nothing can be made any more.
        let limit = (limit + self.draw.below(7)).saturating_sub(3).max(3);
        let mut set = json!({counted.resource(): limit});
        if after_none || self.draw.chance(300) {
            set["force"] = json!(true);
        }
        let body = json!({"quota_set": set});
        self.tell(&Ask::new(Method::PUT, path(&project), body))
            .await;
    }
}

/// The stage of the end: a limit, its home, and a site that is cut off.
pub(crate) struct Scene<'w> {
    pub(crate) world: &'w World,
    project: String,
    counted: Counted,
    home: usize,
    pub(crate) away: Option<usize>,
    tokens: BTreeMap<usize, String>,
}

/// Lowers a limit while a site is cut off, lets that site work, heals, and raises the limit again.
pub(crate) async fn lower_and_raise(world: &World, seed: u64) {
    let mut draw = Draw::new(seed, 5);
    let (mut scene, away) = Scene::drawn(world, &mut draw).await;
    scene.counted = Counted::ALL[draw.place(2)];
    scene.away = draw.chance(800).then_some(away);
    sleep(RECONNECTED).await;
    if scene.shares().view.limit.is_none() {
        scene.set(json!(scene.shares().used_in_all() + 3)).await;
    }
    // Homes hear of what was given back to them while they were silent.
    scene.tidy_up().await;
    scene.cut_off();
    let room = draw.below(3);
    if scene.lower(room).await {
        scene.work_away(&mut draw).await;
        scene.heal().await;
        scene.complete().await;
    }
    scene.heal().await;
    if scene.counted == Counted::Groups {
        scene.raise(away).await;
    }
}

impl<'w> Scene<'w> {
    /// The limit of server groups of a project, and a site that is not its home.
    pub(crate) async fn drawn(world: &'w World, draw: &mut Draw) -> (Self, usize) {
        let home = draw.place(world.workplaces.len());
        let project = world.workplaces[home].project.clone();
        let mut others = world.trusted();
        others.retain(|site| *site != home);
        let away = others[draw.place(others.len())];
        let mut tokens = BTreeMap::new();
        for site in world.trusted() {
            tokens.insert(site, world.login(site, &json!({"id": project})).await);
        }
        let scene = Self {
            world,
            project,
            counted: Counted::Groups,
            home,
            away: None,
            tokens,
        };
        (scene, away)
    }
}

impl Scene<'_> {
    /// How the limit is shared now.
    pub(crate) fn shares(&self) -> Shares {
        let shares = lock(&self.world.ledger).shares(&self.project, self.counted);
        shares.expect("the project has a home")
    }

    fn prefix(&self, site: usize) -> SitePrefix {
        self.world.sites[site].prefix
    }

    fn accuse(&self, seen: Option<String>) {
        self.accuse_of(lowered_limits_bind::LOWERED_LIMITS_BIND, seen);
    }

    /// Notes what is wrong, if anything is.
    pub(crate) fn accuse_of(&self, invariant: &'static str, seen: Option<String>) {
        if let Some(seen) = seen {
            let (counted, project) = (self.counted, &self.project);
            let seen = format!("{counted:?} of {project}: {seen}");
            self.world.say(|| seen.clone());
            lock(&self.world.ledger).accuse(invariant, seen);
        }
    }

    /// Cuts the site off that is to be.
    pub(crate) fn cut_off(&self) {
        let Some(away) = self.away else { return };
        for site in self.world.up().into_iter().filter(|site| *site != away) {
            self.world
                .network
                .split(self.prefix(away), self.prefix(site));
        }
        self.world
            .say(|| format!("{} is cut off", self.world.sites[away].name));
    }

    /// Mends it, and waits until sites hear of each other.
    pub(crate) async fn heal(&self) {
        self.world.network.heal_all();
        sleep(RECONNECTED).await;
    }

    /// Sets the limit, whatever is used already; -1 for none.
    pub(crate) async fn set(&self, limit: Value) -> StatusCode {
        let set = json!({self.counted.resource(): limit, "force": true});
        let body = json!({"quota_set": set});
        let ask = Ask::new(Method::PUT, path(&self.project), body);
        let token = &self.tokens[&self.home];
        let answer = self.world.insist(self.home, &ask, token).await;
        self.world
            .say(|| format!("{:?} limited to {limit}: {}", self.counted, answer.status));
        answer.status
    }

    /// Makes a server group at a site.
    pub(crate) async fn make(&self, site: usize) -> Option<StatusCode> {
        let name = format!("late-{site}");
        let ask = speech::make(What::Group, &name, &self.world.workplaces[self.home].known);
        let answer = self.world.ask(site, &ask, &self.tokens[&site]).await?;
        let name = &self.world.sites[site].name;
        self.world
            .say(|| format!("a group at {name}: {} {}", answer.status, answer.message()));
        Some(answer.status)
    }

    /// Lowers the limit to what is used and `room`; whether that was lower.
    async fn lower(&self, room: u64) -> bool {
        let before = self.shares();
        let limit = before.used_in_all() + room;
        if limit >= before.taken() {
            return false;
        }
        // Behind a poor link an answer of the engine may be lost, and a site counts as silent.
        let tries = if self.world.any_lossy() { 20 } else { 1 };
        let mut seen = None;
        for _ in 0..tries {
            self.set(json!(limit)).await;
            let reachable: Vec<_> = self
                .world
                .up()
                .into_iter()
                .filter(|site| Some(*site) != self.away)
                .map(|site| self.prefix(site))
                .collect();
            seen = lowered_limits_bind::at_once(&self.shares(), &reachable);
            if seen.is_none() {
                break;
            }
        }
        self.accuse(seen);
        if let Some(told) = self.pending() {
            self.accuse(lowered_limits_bind::pending(&self.shares(), told));
        }
        true
    }

    /// What the home says is pending; nothing if it does not run.
    pub(crate) fn pending(&self) -> Option<u64> {
        let home = self.world.sites[self.home].running()?;
        let project = ProjectId::parse(&self.project).expect("an id");
        let snapshot = home.services.store.snapshot();
        let pending = quota::pending(&snapshot, self.prefix(self.home), &project);
        let pending = serde_json::to_value(pending).unwrap_or_default();
        Some(pending[self.counted.resource()].as_u64().unwrap_or(0))
    }

    /// The site that is cut off uses up what it was lent, and no more.
    async fn work_away(&self, draw: &mut Draw) {
        let Some(away) = self.away.filter(|_| self.counted == Counted::Groups) else {
            return;
        };
        let all = draw.chance(500);
        let idle = self.shares().idle(self.prefix(away));
        let wanted = if all { idle + 1 } else { idle.min(2) };
        for number in 0..wanted {
            let status = self.make(away).await;
            let shares = self.shares();
            let seen = lowered_limits_bind::away(number < idle, status, &shares);
            self.accuse(seen.filter(|_| !self.world.any_lossy()));
        }
    }

    /// The upkeep, until every site has heard of every limit.
    pub(crate) async fn tidy_up(&self) {
        for _ in 0..LOOKS {
            self.tidy().await;
            if self.shares().unheard.is_empty() {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// What every site does once an hour.
    async fn tidy(&self) {
        for site in &self.world.sites {
            let Some(running) = site.running() else {
                continue;
            };
            let tidied = quota::tidy(&running.services, quota::IDLE).await;
            assert!(tidied.is_ok() || self.world.any_lossy(), "{tidied:?}");
        }
    }

    /// After the heal what is idle comes back.
    async fn complete(&self) {
        let mut seen = None;
        for _ in 0..LOOKS {
            self.tidy().await;
            seen = lowered_limits_bind::complete(&self.shares());
            if seen.is_none() {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
        self.accuse(seen);
    }

    /// Two more are allowed: one is made where something was cut off, one at the home, and no more.
    async fn raise(&self, there: usize) {
        let limit = self.shares().used_in_all() + 2;
        self.set(json!(limit)).await;
        for site in [there, self.home] {
            let mut status = None;
            for _ in 0..20 {
                status = self.make(site).await;
                if status.is_some_and(|status| status.is_success()) {
                    break;
                }
                sleep(Duration::from_millis(500)).await;
            }
            // Who is not told may have made one.
            if self.shares().used_in_all() < limit {
                self.accuse(lowered_limits_bind::usable(status, &self.shares()));
            }
        }
        for site in self.world.trusted() {
            let status = self.make(site).await;
            let made = status.is_some_and(|status| status.is_success());
            let full = self.shares().used_in_all() >= limit;
            self.accuse((made && !full).then(|| format!("{site} made one too many")));
        }
    }
}
