//! Sites and nodes that join while there is trouble: each with a ticket that somebody made, again
//! and again until it is answered, and some of them rivals for one ticket or one name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use luc::sites::Switchboard;
use luc::sites::doorman::{Knock, Opened, Welcome, Who};
use luc_core::SitePrefix;
use luc_core::id::DomainId;
use luc_runtime::NodeSecret;
use luc_runtime::fabric::{Channel, Ends, Fabric as _, Members as Listed, Request};
use luc_services::sites::{
    Invitation, Inviter, Label, Purpose, SiteWish, TicketText, invite, join_message,
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::draw::{Draw, lock};
use crate::goings;
use crate::invariant::joins_are_whole;
use crate::people;
use crate::site::{PASSWORD, Site};
use crate::speech::{Answer, Ask};
use crate::world::World;

/// As long as `luc join` waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long tickets are good: longer than any run.
const GOOD: Duration = Duration::from_secs(86_400);

/// How often somebody who is not answered knocks again after everything is healed.
const AGAIN: u32 = 20;

/// What a join came to, as the one who joins knows it.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// It is of the cloud.
    Welcome(Box<Welcome>),
    /// It is not, and why.
    Refused(String),
    /// Nobody answered.
    Silence(String),
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Welcome(_) => f.write_str("welcome"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Silence(why) => f.write_str(why),
        }
    }
}

/// For what those who come late are rivals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rivalry {
    None,
    Ticket,
    Name,
}

/// Somebody's attempt to join.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    /// The number of the site.
    pub(crate) site: usize,
    pub(crate) ticket: TicketText,
    /// What was answered last.
    pub(crate) told: Option<Told>,
}

/// All attempts, by the number of the site.
pub(crate) type Joins = Mutex<BTreeMap<usize, Join>>;

/// Lets `site` knock at the node that made `ticket`, once.
pub(crate) async fn knock(world: &World, site: &Site, ticket: &TicketText) -> Told {
    let of = (ticket.cloud, site.prefix);
    let node = goings::wish(of, &site.secret, (&site.name, "controller"));
    let message = join_message(ticket.cloud, &ticket.secret, &site.name, &node.key);
    let who = Who::Site(SiteWish {
        name: site.name.clone(),
        founding_key: site.founding.key().to_string(),
        proof: hex::encode(site.founding.sign(&message)),
        node,
    });
    let told = sent(world, (&site.secret, site.prefix), ticket, who).await;
    world.say(|| format!("{} knocks at {}: {told}", site.name, ticket.site_name));
    told
}

/// Lets a node knock at the site that made `ticket`, once.
pub(crate) async fn knock_node(
    world: &World,
    secret: &NodeSecret,
    name: &str,
    ticket: &TicketText,
) -> Told {
    let of = (ticket.cloud, ticket.site);
    let who = Who::Node(goings::wish(of, secret, (name, "compute")));
    let told = sent(world, (secret, ticket.site), ticket, who).await;
    world.say(|| format!("the node {name} knocks at {}: {told}", ticket.site_name));
    told
}

async fn sent(
    world: &World,
    (key, place): (&NodeSecret, SitePrefix),
    ticket: &TicketText,
    who: Who,
) -> Told {
    let ends = Ends {
        admission: Arc::new(Listed::hospitable()),
        handler: Arc::new(Switchboard::default()),
    };
    let fabric = world.network.start(key.key(), place, ends);
    let secret = ticket.secret.clone();
    let body = serde_json::to_vec(&Knock { secret, who }).expect("it is JSON");
    let request = Request::new(Channel::JOIN, body);
    let inviter = ticket.key.parse().expect("a key");
    let answer = fabric.request(inviter, request, Instant::now() + PATIENCE);
    let answer = answer.await;
    fabric.shut_down().await;
    match answer {
        Ok(answer) => match serde_json::from_slice(&answer) {
            Ok(Opened::Welcome(welcome)) => Told::Welcome(Box::new(welcome)),
            Ok(Opened::Refused(why)) => Told::Refused(why),
            Ok(Opened::Parted(parting)) => Told::Refused(parting.reason),
            Err(error) => Told::Silence(error.to_string()),
        },
        Err(error) => Told::Silence(error.to_string()),
    }
}

/// A ticket, made at the site number `at`, if that works.
pub(crate) async fn ticket(world: &World, at: usize, purpose: Purpose) -> Option<TicketText> {
    ticket_for(world, at, purpose, (Label::Trusted, None)).await
}

/// As [`ticket`], for a site of this label that may hold these domains.
pub(crate) async fn ticket_for(
    world: &World,
    at: usize,
    purpose: Purpose,
    (label, domains): (Label, Option<Vec<DomainId>>),
) -> Option<TicketText> {
    let site = &world.sites[at];
    let running = site.running()?;
    let inviter = Inviter {
        cloud: world.cloud(),
        site_name: site.name.clone(),
        key: site.secret.key().to_string(),
        addresses: Vec::new(),
    };
    let invitation = Invitation {
        purpose,
        label,
        domains,
        lifetime: GOOD,
    };
    tokio::select! {
        biased;
        () = running.gone.cancelled() => None,
        made = invite(&running.services, &inviter, &invitation) => made.ok(),
    }
}

/// A ticket for the site number `number`, which is to have this label and may hold these domains,
/// asked for until `end`; the site is about to join with it.
pub(crate) async fn seek(
    world: &World,
    number: usize,
    label: (Label, Option<Vec<DomainId>>),
    draw: &mut Draw,
    end: Instant,
) -> Option<TicketText> {
    let mut ticket = None;
    while ticket.is_none() && Instant::now() < end {
        let at = draw.place(world.founded);
        ticket = ticket_for(world, at, Purpose::Site, label.clone()).await;
        sleep(draw.millis(50, 500)).await;
    }
    ticket.inspect(|ticket| begin(world, number, ticket))
}

/// Notes that the site number `number` is about to join with `ticket`.
fn begin(world: &World, number: usize, ticket: &TicketText) {
    let join = Join {
        site: number,
        ticket: ticket.clone(),
        told: None,
    };
    lock(&world.joins).insert(number, join);
}

/// The site number `number` comes late, joins and lets a client work, until `end`.
pub(crate) async fn come_late(world: Arc<World>, number: usize, seed: u64, end: Instant) {
    let mut draw = Draw::new(seed, 200 + number as u64);
    sleep(draw.millis(500, 6_000)).await;
    let Some(ticket) = invited(&world, &mut draw, end).await else {
        return;
    };
    begin(&world, number, &ticket);
    while Instant::now() < end && !enter(&world, number, &ticket).await {
        sleep(draw.millis(200, 2_500)).await;
    }
    if world.sites[number].running().is_none() {
        return;
    }
    if draw.chance(300) {
        goings::go(&world, number, &mut draw, end).await;
    } else {
        work(&world, number, &mut draw, end).await;
    }
}

/// A ticket from anybody; of rivals for one the same.
async fn invited(world: &World, draw: &mut Draw, end: Instant) -> Option<TicketText> {
    while Instant::now() < end {
        let rivals = |join: &&Join| Some(join.site) != world.extra_site();
        let shared = lock(&world.joins).values().find(rivals).cloned();
        if let Some(shared) = shared.filter(|_| world.rivalry == Rivalry::Ticket) {
            return Some(shared.ticket);
        }
        let at = draw.place(world.founded);
        if let Some(made) = ticket(world, at, Purpose::Site).await {
            return Some(made);
        }
        sleep(draw.millis(100, 1_000)).await;
    }
    None
}

/// Knocks once; whether the site is of the cloud now, and runs.
pub(crate) async fn enter(world: &World, number: usize, ticket: &TicketText) -> bool {
    let site = &world.sites[number];
    let told = knock(world, site, ticket).await;
    if let Some(join) = lock(&world.joins).get_mut(&number) {
        join.told = Some(told.clone());
    }
    let Told::Welcome(welcome) = told else {
        return false;
    };
    *lock(&site.told) = Some(welcome.members);
    world.start(number).await;
    true
}

/// A client works at a site that has joined, as soon as it is let in.
pub(crate) async fn work(world: &Arc<World>, number: usize, draw: &mut Draw, end: Instant) {
    let work = draw.place(world.workplaces.len());
    let body = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": "admin", "domain": {"id": "default"}, "password": PASSWORD,
        }}},
        "scope": {"project": {"id": world.workplaces[work].project}},
    }});
    let login = Ask::new(Method::POST, "/identity/v3/auth/tokens", body);
    let token = |answer: Answer| {
        let token = answer.headers.get("x-subject-token")?;
        Some(token.to_str().expect("a token is text").to_owned())
    };
    while Instant::now() < end {
        if let Some(token) = world.ask(number, &login, "").await.and_then(token) {
            let client = Client {
                world: Arc::clone(world),
                number: 100 + number,
                site: number,
                work,
                token,
                draw: draw.clone(),
                own: Vec::new(),
            };
            return client.run(end).await;
        }
        sleep(draw.millis(100, 500)).await;
    }
}

/// After the heal: who was not answered knocks again, with the ticket that it has. All in turn, for
/// one that is admitted and has not come yet is one whose promise the others lack.
pub(crate) async fn settle(world: &World, seed: u64) {
    let mut draw = Draw::new(seed, 401);
    let mut open: Vec<Join> = lock(&world.joins).values().cloned().collect();
    for _ in 0..AGAIN {
        let mut waiting = Vec::new();
        for join in open {
            if !is_settled(world, &join, &mut draw).await {
                waiting.push(join);
            }
        }
        if waiting.is_empty() {
            return;
        }
        open = waiting;
        sleep(Duration::from_secs(1)).await;
    }
}

/// Lets a site knock once more, if it is not of the cloud; whether it need not knock again.
async fn is_settled(world: &World, join: &Join, draw: &mut Draw) -> bool {
    let gone = lock(&world.ledger).books()[join.site].gone;
    if gone || world.sites[join.site].running().is_some() {
        return true;
    }
    if Some(join.site) == world.brings_people() {
        return people::enter(world, join.site, &join.ticket, draw).await;
    }
    if enter(world, join.site, &join.ticket).await {
        return true;
    }
    let told = lock(&world.joins)[&join.site].told.clone();
    matches!(told, Some(Told::Refused(_))) && !is_passing(told.as_ref())
}

/// Whether a refusal may be otherwise the next time.
fn is_passing(told: Option<&Told>) -> bool {
    matches!(told, Some(Told::Refused(why)) if why.contains("promise") || why.contains("consent"))
}

/// Judges what became of every join.
pub(crate) fn judge(world: &World) {
    let joins = lock(&world.joins).clone();
    let mut ledger = lock(&world.ledger);
    let admitted = joins_are_whole::admitted(ledger.books());
    let rival = |join: &Join| {
        let others = joins.values().filter(|other| other.site != join.site);
        let others = others.filter(|other| Some(other.site) != world.extra_site());
        let mut others = others.map(|other| world.sites[other.site].prefix);
        others.any(|prefix: SitePrefix| admitted.contains(&prefix))
    };
    let mut found = Vec::new();
    for join in joins.values() {
        let site = &world.sites[join.site];
        let rivals = world.rivalry != Rivalry::None && Some(join.site) != world.extra_site();
        let excused = rivals && rival(join);
        let welcome = matches!(join.told, Some(Told::Welcome(_)));
        let words = match &join.told {
            Some(Told::Refused(why) | Told::Silence(why)) => why.as_str(),
            _ => "",
        };
        let seen = joins_are_whole::judge(ledger.books(), site.prefix, welcome, excused);
        found.extend(seen.map(|seen| format!("{}: {seen}: {words}", site.name)));
    }
    for seen in found {
        ledger.accuse(joins_are_whole::JOINS_ARE_WHOLE, seen);
    }
}
