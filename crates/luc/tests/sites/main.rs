//! A cloud of three sites in one process, asked as clients ask: created anywhere, seen everywhere,
//! cut, used on both sides, healed.

mod edge;
mod going;
mod public;
mod quotas;
mod references;
mod residency;
mod strangers;
mod twice;

use std::path::Path;
use std::time::{Duration, Instant};

use luc::client::{Client, Target};
use luc::many::{Cloud, Plan};
use reqwest::Method;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

fn plan(directory: &Path, names: &[&str]) -> Plan {
    Plan::fake(names, 1, directory)
}

async fn start(directory: &Path, names: &[&str]) -> Cloud {
    let started = Cloud::start(&plan(directory, names)).await;
    started.expect("the sites start and join")
}

async fn login(cloud: &Cloud, site: &str) -> Client {
    let access = &cloud.site(site).expect("a site").access;
    Client::login(access).await.expect("the admin logs in")
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < LIMIT, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn servers(client: &Client) -> Vec<Value> {
    let answer = client.get(Target::Compute, "/servers/detail").await;
    let answer = answer.expect("servers are listed");
    answer["servers"].as_array().expect("a list").clone()
}

fn find<'a>(servers: &'a [Value], name: &str) -> Option<&'a Value> {
    servers.iter().find(|server| server["name"] == name)
}

async fn image(client: &Client) -> String {
    let body = json!({"name": "empty", "disk_format": "raw", "container_format": "bare",
        "visibility": "public"});
    let made = client.post(Target::Image, "/images", body).await;
    let id = made.expect("an image")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), [0u8; 1024]).expect("it is written");
    client
        .upload(&id, file.path())
        .await
        .expect("the data arrive");
    id
}

/// Asks for a server; its answer, whatever it is.
async fn create(
    client: &Client,
    name: &str,
    image: &str,
    zone: Option<&str>,
) -> luc::client::Answer {
    let flavors = client.get(Target::Compute, "/flavors").await;
    let flavors = flavors.expect("flavors are listed");
    let flavor = flavors["flavors"][0]["id"].as_str().expect("a flavor");
    let mut server = json!({"name": name, "imageRef": image, "flavorRef": flavor,
        "networks": "none"});
    if let Some(zone) = zone {
        server["availability_zone"] = json!(zone);
    }
    let body = Some(json!({"server": server}));
    client
        .ask(Method::POST, Target::Compute, "/servers", body)
        .await
        .expect("an answer")
}

async fn active_at(client: &Client, name: &str, zone: &str) {
    until(&format!("{name} at {zone}"), async || {
        let servers = servers(client).await;
        let server = find(&servers, name)?;
        let zone_of = &server["OS-EXT-AZ:availability_zone"];
        (server["status"] == "ACTIVE" && zone_of == zone).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_sites_are_one_cloud_before_during_and_after_a_split() {
    let directory = tempfile::tempdir().expect("room for data");
    let cloud = start(directory.path(), &["a", "b", "c"]).await;
    let (a, b, c) = (
        login(&cloud, "a").await,
        login(&cloud, "b").await,
        login(&cloud, "c").await,
    );
    let image = image(&a).await;

    // Created at one site, listed at all; a named zone is kept.
    assert_eq!(create(&a, "one", &image, None).await.status, 202);
    for client in [&a, &b, &c] {
        active_at(client, "one", "a").await;
    }
    assert_eq!(create(&b, "two", &image, Some("c")).await.status, 202);
    for client in [&a, &b, &c] {
        active_at(client, "two", "c").await;
    }

    // A user made at B lives where the domain does, and can log in everywhere.
    let body = json!({"user": {"name": "ada", "domain_id": "default", "password": "secret one"}});
    let made = b.post(Target::Identity, "/users", body).await;
    let id = made.expect("a user")["user"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let home = cloud.site("a").expect("a site").prefix.to_string();
    assert!(id.starts_with(&home), "{id} was not born at {home}");
    until("the user at c", async || {
        c.get(Target::Identity, &format!("/users/{id}")).await.ok()
    })
    .await;

    // Cut off, both sides go on.
    cloud.split("c").expect("it is cut");
    let site_c = cloud.site("c").expect("a site");
    until("c notices", async || {
        (!cloud.sees_all(site_c)).then_some(())
    })
    .await;
    let c = login(&cloud, "c").await;
    assert_eq!(create(&c, "alone", &image, Some("c")).await.status, 202);
    active_at(&c, "alone", "c").await;
    assert_eq!(create(&a, "together", &image, Some("b")).await.status, 202);
    active_at(&b, "together", "b").await;

    // What the other side must do is refused by name, and has not happened.
    let body =
        Some(json!({"user": {"name": "bob", "domain_id": "default", "password": "secret two"}}));
    let refused = c
        .ask(Method::POST, Target::Identity, "/users", body)
        .await
        .expect("an answer");
    assert_eq!(refused.status, 503, "{}", refused.body);
    let message = refused.body["error"]["message"].as_str();
    let names_a = message.is_some_and(|text| text.contains("Site a cannot be reached"));
    assert!(names_a, "{}", refused.body);
    let seen = servers(&c).await;
    let hidden = until("the other side is marked", async || {
        let seen = servers(&c).await;
        let one = seen.iter().find(|server| server["status"] == "UNKNOWN");
        one.cloned()
    })
    .await;
    assert!(!seen.is_empty() && hidden["id"].is_string());

    // Healed, everything is everywhere.
    cloud.heal();
    for client in [&a, &b, &c] {
        active_at(client, "alone", "c").await;
        active_at(client, "together", "b").await;
        active_at(client, "one", "a").await;
    }
    cloud.stop().await.expect("everything stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_api_asks_who_you_are_and_a_site_leaves_that_owns_nothing() {
    let directory = tempfile::tempdir().expect("room for data");
    let cloud = start(directory.path(), &["a", "b"]).await;
    let (a, b) = (login(&cloud, "a").await, login(&cloud, "b").await);

    let url = format!("http://{}/luc/v1/sites", cloud.sites[0].node.address);
    let stranger = reqwest::get(&url).await.expect("an answer");
    assert_eq!(stranger.status(), 401);
    let none = a
        .ask_node(Method::DELETE, "/luc/v1/sites/nowhere", None)
        .await;
    assert_eq!(none.expect("an answer").status, 404);
    let own = a.ask_node(Method::DELETE, "/luc/v1/sites/a", None).await;
    assert_eq!(own.expect("an answer").status, 400);
    let body = Some(json!({"purpose": "spaceship"}));
    let odd = a.ask_node(Method::POST, "/luc/v1/tickets", body).await;
    assert_eq!(odd.expect("an answer").status, 400);

    let left = b
        .ask_node(Method::POST, "/luc/v1/sites/leave", Some(json!({})))
        .await
        .expect("an answer");
    assert_eq!(left.status, 200, "{}", left.body);
    until("b is gone at a", async || {
        let answer = a.ask_node(Method::GET, "/luc/v1/sites", None).await.ok()?;
        let sites = answer.body["sites"].as_array()?.len();
        (sites == 1).then_some(())
    })
    .await;
    cloud.stop().await.expect("everything stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sites_that_start_again_find_each_other_and_what_they_had() {
    let directory = tempfile::tempdir().expect("room for data");
    let cloud = start(directory.path(), &["a", "b"]).await;
    let a = login(&cloud, "a").await;
    let image = image(&a).await;
    assert_eq!(create(&a, "one", &image, Some("b")).await.status, 202);
    active_at(&a, "one", "b").await;
    cloud.stop().await.expect("everything stops");

    let cloud = start(directory.path(), &["a", "b"]).await;
    for site in ["a", "b"] {
        active_at(&login(&cloud, site).await, "one", "b").await;
    }
    cloud.stop().await.expect("everything stops");
}
