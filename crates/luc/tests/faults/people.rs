//! A cloud of one site that joins the other one and brings its people along as those of a domain,
//! while there is trouble: as `luc join --as-domain` does it, and run again whenever it ended
//! halfway. The site becomes a trusted one, or an edge site, whose domains are called like it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{Method, StatusCode};
use luc_services::http::respond;
use luc_services::sites::{Label, TicketText, bring_people, may_bring};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::broken::Rule;
use crate::deeds::What;
use crate::draw::{Draw, lock};
use crate::invariant::people_come_along_once::{self, People};
use crate::joins::{self, Told};
use crate::site::{Alone, PASSWORD};
use crate::speech::{self, Answer, Ask, Knowledge};
use crate::world::{World, text};

/// What the domain of its people is to be called; of the first the cloud has one already.
const NAMES: [&str; 2] = ["elsewhere", "annex"];

/// The user and the project that it has beside those of every cloud.
const USER: &str = "ada";
const PROJECT: &str = "atelier";
/// The domain of its own that it has beside, at an edge site after the site's name, and the user
/// and the project in that.
const GUILD: &str = "guild";
const SMITH: &str = "smith";
const FORGE: &str = "forge";

/// How long after the heal people can log in everywhere.
const EVERYWHERE: Duration = Duration::from_secs(30);

/// What the domain that the site has beside is called.
fn guild(world: &World, number: usize) -> String {
    if world.edge() == Some(number) {
        return format!("{}.{GUILD}", world.sites[number].name);
    }
    GUILD.to_owned()
}

/// What the domain of its people is called if nobody has taken the name.
fn domain(world: &World, number: usize) -> &str {
    if world.edge() == Some(number) {
        return &world.sites[number].name;
    }
    NAMES[1]
}

/// A login of one of its people, in their own domain.
pub(crate) fn own_login(world: &World, number: usize) -> Ask {
    login(USER, domain(world, number), Some(PROJECT))
}

/// Founds the cloud of the site number `number`, with people.
pub(crate) async fn found(world: &World, number: usize) {
    let site = &world.sites[number];
    let alone = site.open_alone(&world.blob_dir(), true).await;
    let token = ask(&alone, &login("admin", "default", Some("admin")), "").await;
    let token = token.headers["x-subject-token"].to_str();
    let token = token.expect("a token is text").to_owned();
    let make = async |path: &str, body: Value| {
        ask(&alone, &Ask::new(Method::POST, path, body), &token)
            .await
            .body
    };
    let guild = make(
        "/identity/v3/domains",
        json!({"domain": {"name": guild(world, number), "description": "of its own"}}),
    )
    .await;
    let guild = text(&guild["domain"]["id"]);
    for (user, project, domain) in [(USER, PROJECT, "default"), (SMITH, FORGE, &guild)] {
        let body = json!({"user": {"name": user, "domain_id": domain, "password": PASSWORD}});
        let user = make("/identity/v3/users", body).await;
        let body = json!({"project": {"name": project, "domain_id": domain}});
        let project = make("/identity/v3/projects", body).await;
        let roles = Ask::new(Method::GET, "/identity/v3/roles?name=member", Value::Null);
        let role = ask(&alone, &roles, &token).await.body["roles"][0]["id"].take();
        let path = format!(
            "/identity/v3/projects/{}/users/{}/roles/{}",
            text(&project["project"]["id"]),
            text(&user["user"]["id"]),
            text(&role)
        );
        let given = Ask::new(Method::PUT, path, Value::Null);
        ask(&alone, &given, &token).await;
    }
    for what in [What::Keypair, What::Group, What::Image] {
        ask(
            &alone,
            &speech::make(what, "brought", &Knowledge::default()),
            &token,
        )
        .await;
    }
}

/// Asks a site that is alone; what it is asked for it does.
async fn ask(alone: &Alone, ask: &Ask, token: &str) -> Answer {
    let answer = respond(&alone.services, ask.http(token)).await;
    let answer = Answer::read(answer.expect("the path belongs to a service")).await;
    let answer = answer.expect("it does not break off");
    assert!(answer.status.is_success(), "{ask:?}: {answer:?}");
    answer
}

/// A login in a domain of this name, or in the default domain.
fn login(user: &str, domain: &str, project: Option<&str>) -> Ask {
    let domain = if domain == "default" {
        json!({"id": domain})
    } else {
        json!({"name": domain})
    };
    let mut body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {
        "name": user, "domain": domain, "password": PASSWORD,
    }}}}});
    if let Some(project) = project {
        body["auth"]["scope"] = json!({"project": {"name": project, "domain": domain}});
    }
    Ask::new(Method::POST, "/identity/v3/auth/tokens", body)
}

/// The site comes, joins with its people, and lets a client work, until `end`.
pub(crate) async fn come(world: Arc<World>, number: usize, seed: u64, end: Instant) {
    let mut draw = Draw::new(seed, 400);
    sleep(draw.millis(200, 4_000)).await;
    let label = (Label::Trusted, None);
    let Some(ticket) = joins::seek(&world, number, label, &mut draw, end).await else {
        return;
    };
    while Instant::now() < end && !enter(&world, number, &ticket, &mut draw).await {
        sleep(draw.millis(200, 2_000)).await;
    }
    if world.sites[number].running().is_some() {
        joins::work(&world, number, &mut draw, end).await;
    }
}

/// Runs `luc join` once, which may end at any commit; whether the site is of the cloud now, and
/// runs.
pub(crate) async fn enter(
    world: &World,
    number: usize,
    ticket: &TicketText,
    draw: &mut Draw,
) -> bool {
    let site = &world.sites[number];
    let name = match domain(world, number) {
        name if name == NAMES[1] => NAMES[usize::from(!draw.chance(300))],
        name => name,
    };
    let struck = draw.chance(300).then(|| 1 + draw.below(3));
    site.fatal
        .commit
        .store(struck.unwrap_or_default(), Ordering::Relaxed);
    let joined = tokio::select! {
        biased;
        () = site.fatal.struck.notified() => false,
        joined = join(world, number, ticket, name) => joined,
    };
    site.fatal.commit.store(0, Ordering::Relaxed);
    if joined {
        world.start(number).await;
    }
    joined
}

async fn join(world: &World, number: usize, ticket: &TicketText, name: &str) -> bool {
    let site = &world.sites[number];
    let alone = site.open_alone(&world.blob_dir(), false).await;
    if let Err(refusal) = may_bring(&alone.services) {
        world.say(|| format!("{} may not join: {refusal}", site.name));
        return false;
    }
    let told = joins::knock(world, site, ticket).await;
    if let Some(join) = lock(&world.joins).get_mut(&number) {
        join.told = Some(told.clone());
    }
    let Told::Welcome(welcome) = told else {
        return false;
    };
    if site.broken != Some(Rule::PeopleLeftBehind) {
        let brought = bring_people(&alone.services, name, &welcome.common).await;
        world.say(|| format!("{} brings its people as {name}: {brought:?}", site.name));
        if brought.is_err() {
            return false;
        }
    }
    *lock(&site.told) = Some(welcome.members);
    true
}

/// Judges what became of the people, and whether they can log in everywhere; `true` if all is well,
/// so that one can work at the site.
pub(crate) async fn judge(world: &World) -> bool {
    let Some(number) = world.brings_people() else {
        return true;
    };
    let joined = world.sites[number].running().is_some();
    let (domain, guild) = (domain(world, number), guild(world, number));
    let people = People {
        domain,
        of_domain: &[("user", "admin"), ("user", USER), ("project", PROJECT)],
        own: &[("domain", &guild), ("user", SMITH), ("project", FORGE)],
        of_project: &[("server_group", "brought"), ("image", "brought")],
    };
    let site = world.sites[number].prefix;
    let mut found = {
        let ledger = lock(&world.ledger);
        people_come_along_once::judge(ledger.books(), site, joined.then_some(&people))
    };
    if joined && found.is_empty() {
        // Nobody's people but its own can log in at an edge site.
        let mut places = world.trusted();
        places.extend(world.edge());
        for (user, domain, project) in [(USER, domain, PROJECT), (SMITH, &*guild, FORGE)] {
            for at in places.iter().copied() {
                let seen = logs_in(world, at, &login(user, domain, Some(project))).await;
                found
                    .extend(seen.map(|seen| format!("{user} at {}: {seen}", world.sites[at].name)));
            }
        }
    }
    let well = found.is_empty();
    for seen in found {
        lock(&world.ledger).accuse(people_come_along_once::PEOPLE_COME_ALONG_ONCE, seen);
    }
    well
}

/// What is wrong if nobody can log in so.
async fn logs_in(world: &World, at: usize, login: &Ask) -> Option<String> {
    let asked = Instant::now();
    loop {
        let answer = world.ask(at, login, "").await;
        let status = answer.as_ref().map(|answer| answer.status);
        if status == Some(StatusCode::CREATED) {
            return None;
        }
        if asked.elapsed() > EVERYWHERE {
            return Some(format!("cannot log in: {answer:?}"));
        }
        sleep(Duration::from_millis(500)).await;
    }
}
