//! A site of the label edge: it may hold the domains that its admission lists, and the list
//! changes. People work there, of a domain that it may hold or of its own, which they had before
//! the site joined; or it is in the wrong hands: then it asks for everything and feeds what it
//! likes.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use luc_core::entropy::SplitMix64;
use luc_core::id::{DomainId, ProjectId};
use luc_core::{SitePrefix, Uuid};
use luc_runtime::feeds::Interest;
use luc_services::identity::settle_permits;
use luc_services::sites::{self, Label, TicketText, node_id};
use luc_state::feed::{BATCH_VERSION, Batch, Entry, Expectations, Follower};
use luc_state::kinds::IdForm;
use luc_state::{Kind, Scope};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::draw::{Draw, lock};
use crate::invariant::edges_stay_inside;
use crate::joins;
use crate::ledger::Cell;
use crate::people;
use crate::site::{PASSWORD, Site};
use crate::speech::Ask;
use crate::world::{Extra, World, text};

/// The user of the second site's domain who works at edge sites.
const WORKER: &str = "worker";

/// How long after the heal an edge site may still hold what it may not.
const SETTLED: Duration = Duration::from_secs(30);

/// Makes the user who works at edge sites: a member of the second workplace's project.
pub(crate) async fn hire(world: &World, token: &str) {
    let work = &world.workplaces[1];
    let body = json!({"user": {"name": WORKER, "domain_id": work.known.domain,
        "password": PASSWORD}});
    let user = Ask::new(Method::POST, "/identity/v3/users", body);
    let user = text(&world.insist(1, &user, token).await.body["user"]["id"]);
    let roles = Ask::new(Method::GET, "/identity/v3/roles?name=member", Value::Null);
    let role = text(&world.insist(0, &roles, token).await.body["roles"][0]["id"]);
    let path = format!(
        "/identity/v3/projects/{}/users/{user}/roles/{role}",
        work.project
    );
    let given = Ask::new(Method::PUT, path, Value::Null);
    world.insist(1, &given, token).await;
}

/// The domains of the workplaces, some of them.
fn listed(world: &World, draw: &mut Draw) -> Vec<DomainId> {
    let domain = |work: usize| DomainId::parse(&world.workplaces[work].known.domain);
    let elsewhere = draw.chance(750).then(|| domain(1));
    let default = draw.chance(200).then(|| domain(0));
    let listed = elsewhere.into_iter().chain(default);
    listed.map(|id| id.expect("an id")).collect()
}

/// The edge site joins and works, or does its worst, until `end`.
pub(crate) async fn come(world: Arc<World>, number: usize, seed: u64, end: Instant) {
    let mut draw = Draw::new(seed, 300);
    sleep(draw.millis(0, 2_000)).await;
    let domains = listed(&world, &mut draw);
    world.say(|| format!("an edge site comes for {domains:?}"));
    let label = (Label::Edge, Some(domains));
    let Some(ticket) = joins::seek(&world, number, label, &mut draw, end).await else {
        return;
    };
    while Instant::now() < end && !enter(&world, number, &ticket, &mut draw).await {
        sleep(draw.millis(200, 2_500)).await;
    }
    match world.extra {
        Some(Extra::Edge { captured: true, .. }) => attack(&world, number, &mut draw, end).await,
        _ => work(&world, number, &mut draw, end).await,
    }
}

/// Knocks once, with the people that the site has; whether it is of the cloud now, and runs.
async fn enter(world: &World, number: usize, ticket: &TicketText, draw: &mut Draw) -> bool {
    if world.brings_people() == Some(number) {
        people::enter(world, number, ticket, draw).await
    } else {
        joins::enter(world, number, ticket).await
    }
}

/// People work there as soon as they are let in.
async fn work(world: &Arc<World>, number: usize, draw: &mut Draw, end: Instant) {
    let work = &world.workplaces[1];
    let body = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": WORKER, "domain": {"id": work.known.domain}, "password": PASSWORD,
        }}},
        "scope": {"project": {"id": work.project}},
    }});
    let mut login = Ask::new(Method::POST, "/identity/v3/auth/tokens", body);
    if world.brings_people() == Some(number) && draw.chance(700) {
        login = people::own_login(world, number);
    }
    while Instant::now() < end {
        let answer = world.ask(number, &login, "").await;
        if let Some(answer) = answer.filter(|answer| answer.status == StatusCode::CREATED) {
            let token = answer.headers["x-subject-token"].to_str();
            let client = Client {
                world: Arc::clone(world),
                number: 300,
                site: number,
                work: 1,
                token: token.expect("a token is text").to_owned(),
                draw: draw.clone(),
                own: Vec::new(),
            };
            return client.run(end).await;
        }
        sleep(draw.millis(100, 1_000)).await;
    }
}

/// Whoever has taken the site asks for what it may not hold, and says what it may not say.
async fn attack(world: &World, number: usize, draw: &mut Draw, end: Instant) {
    while Instant::now() < end {
        sleep(draw.millis(50, 600)).await;
        let Some(edge) = world.sites[number].running() else {
            continue;
        };
        for work in &world.workplaces {
            let domain = DomainId::parse(&work.known.domain).expect("an id");
            let project = ProjectId::parse(&work.project).expect("an id");
            edge.feeds.ask(Interest::Domain(domain));
            edge.feeds.ask(Interest::Project(project));
        }
        forge(world, number, draw).await;
    }
}

/// Whoever let the edge site in changes the domains that it may hold, until `end`.
pub(crate) async fn change_permits(world: Arc<World>, seed: u64, end: Instant) {
    let Some(number) = world.edge() else { return };
    let mut draw = Draw::new(seed, 301);
    if draw.chance(400) {
        return;
    }
    loop {
        sleep(draw.millis(1_000, 6_000)).await;
        if Instant::now() >= end {
            return;
        }
        allow(&world, number, &mut draw).await;
    }
}

/// Lists other domains, as `luc site allow` does at the site that let the edge site in.
async fn allow(world: &World, number: usize, draw: &mut Draw) {
    let domains = listed(world, draw);
    let ticket = lock(&world.joins).get(&number).map(|it| it.ticket.clone());
    let mut sites = world.sites.iter();
    let by = sites.find(|site| {
        ticket
            .as_ref()
            .is_some_and(|ticket| ticket.site == site.prefix)
    });
    let Some(running) = by.and_then(Site::running) else {
        return;
    };
    let edge = world.sites[number].prefix;
    let allowed = tokio::select! {
        biased;
        () = running.gone.cancelled() => Err("the site went down".to_owned()),
        allowed = async {
            let allowed = sites::allow(&running.services, edge, Some(domains.clone())).await;
            allowed.map_err(|refusal| refusal.to_string())?;
            let settled = settle_permits(&running.services).await;
            settled.map(drop).map_err(|error| error.to_string())
        } => allowed,
    };
    world.say(|| format!("the edge site may hold {domains:?} from now on: {allowed:?}"));
}

/// After the heal: the list changes once more, while the edge site hears of nobody.
pub(crate) async fn cut_off(world: &World, seed: u64) {
    let Some(number) = world.edge() else { return };
    let mut draw = Draw::new(seed, 302);
    if draw.chance(500) {
        return;
    }
    let edge = world.sites[number].prefix;
    for site in world.trusted() {
        world.network.split(edge, world.sites[site].prefix);
    }
    world.say(|| "the edge site is cut off".to_owned());
    sleep(draw.millis(0, 6_000)).await;
    allow(world, number, &mut draw).await;
    sleep(draw.millis(0, 2_000)).await;
    world.network.heal_all();
}

/// Feeds another site a record that is not this one's to write, as a stream of its own would.
async fn forge(world: &World, number: usize, draw: &mut Draw) {
    let (own, at) = (&world.sites[number], draw.place(number));
    let Some(here) = world.sites[at].running() else {
        return;
    };
    let Some((kind, id, record)) = forgery(world, number, draw) else {
        return;
    };
    let mut sites = here.directory.sites().into_iter();
    let Some(listed) = sites.find(|site| site.site == own.prefix) else {
        return;
    };
    let mut held = Follower::load(&here.services.store, own.prefix);
    if let Some(name) = here.directory.name(own.prefix) {
        held.confine(name);
    }
    let entry = format!(r#"{{"put": {{"kind": "{kind}", "id": {id:?}, "record": {record}}}}}"#);
    let entry: Entry = serde_json::from_str(&entry).expect("an entry is JSON");
    let batch = Batch {
        version: BATCH_VERSION,
        home: own.prefix,
        from: held.at(),
        to: held.at(),
        reset: false,
        part: 0,
        more: false,
        entries: vec![entry],
    };
    let trusted = Expectations {
        trusted: listed.trusted,
    };
    let applied = held.apply(&here.services.store, &batch, trusted).await;
    let name = &world.sites[at].name;
    world.say(|| format!("forged for {name}: {kind} {id} {record}: {applied:?}"));
}

/// The kind, the id and the stored form of a record that another site has, as if it were the edge
/// site's: the record itself, one like it, or one that would remove a site or revoke a key.
fn forgery(world: &World, number: usize, draw: &mut Draw) -> Option<(&'static str, String, Value)> {
    let own = world.sites[number].prefix;
    let of = draw.place(number);
    let likely = [Kind::Admission, Kind::Node, Kind::Domain, Kind::Image];
    let kind = likely.get(draw.place(10)).copied();
    let cell = {
        let ledger = lock(&world.ledger);
        let cells = ledger.books()[of].now.values();
        let others = cells.filter(|cell| cell.home != own && cell.scope != Scope::Site);
        let mut cells: Vec<&Arc<Cell>> = others
            .filter(|cell| kind.is_none_or(|kind| kind == cell.kind))
            .collect();
        cells.sort_by(|one, other| one.key.cmp(&other.key));
        Arc::clone(cells.get(draw.place(cells.len()))?)
    };
    let mut record = cell.stored();
    record["home"] = json!(own.to_string());
    let (_, id) = cell.key.strip_prefix("r/")?.split_once('/')?;
    let mut id = id.to_owned();
    let mut name = cell.kind.name();
    match kind {
        Some(Kind::Admission) => {
            let site = world.sites[of].prefix;
            (name, id) = (Kind::Removal.name(), born_at(own, draw).simple());
            record["kind"] = json!(name);
            record["value"] = json!({"id": id, "site": site.to_string(), "reason": "forged",
                "fenced": true, "removed_at": record["value"]["admitted_at"]});
        }
        Some(Kind::Node) => {
            let value = &mut record["value"];
            id = node_id(own, value["key"].as_str()?).to_string();
            value["id"] = json!(id);
            value["site"] = json!(own.to_string());
            value["revoked_at"] = value["joined_at"].clone();
        }
        _ if draw.chance(500) && record["value"]["id"] == id.as_str() => {
            id = match cell.kind.spec().id {
                IdForm::Uuid(luc_core::id::Written::Hyphenated)
                | IdForm::Chosen(luc_core::id::Written::Hyphenated) => {
                    born_at(own, draw).hyphenated()
                }
                IdForm::Uuid(_) | IdForm::Chosen(_) => born_at(own, draw).simple(),
                _ => return None,
            };
            record["value"]["id"] = json!(id);
            if let Some(called) = record["value"]["name"].as_str() {
                record["value"]["name"] = json!(format!("{called}-forged"));
            }
        }
        _ => {}
    }
    Some((name, id, record))
}

fn born_at(site: SitePrefix, draw: &mut Draw) -> Uuid {
    Uuid::born_at(site, &mut SplitMix64::new(draw.seed()))
}

/// Waits until edge sites hold what they may and no more, and says where they do not.
pub(crate) async fn judge(world: &World) {
    let healed = Instant::now();
    loop {
        let seen = edges_stay_inside::settled(lock(&world.ledger).books());
        if seen.is_empty() {
            return;
        }
        if healed.elapsed() > SETTLED {
            for seen in seen {
                lock(&world.ledger).accuse(seen.invariant, seen.seen);
            }
            return;
        }
        sleep(Duration::from_millis(200)).await;
    }
}
