//! Aggregates: made at any site, they go to the site of their first host.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Answer, Fault, World};

const ALL: &str = "/compute/v2.1/os-aggregates";

/// A world in which each site has a host named after it; only the second and third.
async fn world() -> World {
    let world = World::new().await;
    world.host_called(1, "in-nancy").await;
    world.host_called(2, "in-rennes").await;
    world
}

/// Makes an aggregate at the first site; its number there.
async fn made(world: &World) -> u64 {
    let body = json!({"aggregate": {"name": "fast", "availability_zone": "z"}});
    let made = world.ask(0, "POST", ALL, body).await;
    let number = made.body["aggregate"]["id"].as_u64().expect("a number");
    let body = json!({"set_metadata": {"metadata": {"disk": "ssd"}}});
    let set = act(world, 0, number, body).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.body);
    number
}

async fn act(world: &World, site: usize, number: u64, body: Value) -> Answer {
    let path = format!("{ALL}/{number}/action");
    world.ask(site, "POST", &path, body).await
}

async fn add(world: &World, number: u64, host: &str) -> Answer {
    act(world, 0, number, json!({"add_host": {"host": host}})).await
}

/// The aggregates as a site lists them.
async fn listed(world: &World, site: usize) -> Vec<Value> {
    let list = world.ask(site, "GET", ALL, json!(null)).await;
    list.body["aggregates"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

#[tokio::test]
async fn an_aggregate_goes_to_the_site_of_its_first_host_and_keeps_what_it_has() {
    let world = world().await;
    let number = made(&world).await;
    let added = add(&world, number, "in-nancy").await;
    assert_eq!(added.status, StatusCode::OK, "{}", added.body);
    let expected = json!({"disk": "ssd", "availability_zone": "z"});
    for site in 0..3 {
        let all = listed(&world, site).await;
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(all[0]["hosts"], json!(["in-nancy"]));
        assert_eq!(all[0]["metadata"], expected);
    }
    let zones = world
        .ask(1, "GET", "/compute/v2.1/os-availability-zone", json!(null))
        .await;
    assert!(zones.body.to_string().contains("\"z\""), "{}", zones.body);
    assert_eq!(
        listed(&world, 0).await[0]["id"],
        added.body["aggregate"]["id"]
    );
}

#[tokio::test]
async fn both_numbers_of_an_aggregate_that_has_moved_lead_to_it_from_every_site() {
    let world = world().await;
    let number = made(&world).await;
    let added = add(&world, number, "in-nancy").await;
    let new = added.body["aggregate"]["id"].as_u64().expect("a number");
    assert!(new != number);
    let at_third = listed(&world, 2).await[0]["id"].as_u64();
    assert_eq!(at_third, Some(new));
    for (site, number) in [(0, number), (0, new), (1, new), (2, new)] {
        let path = format!("{ALL}/{number}");
        let shown = world.ask(site, "GET", &path, json!(null)).await;
        let name = &shown.body["aggregate"]["name"];
        assert_eq!(name, "fast", "{number} at {site}: {}", shown.body);
    }
    let body = json!({"remove_host": {"host": "in-nancy"}});
    let removed = act(&world, 0, number, body).await;
    assert_eq!(removed.body["aggregate"]["hosts"], json!([]));
    // Empty again, it goes on to another site.
    let on = add(&world, number, "in-rennes").await;
    assert_eq!(on.status, StatusCode::OK, "{}", on.body);
    let body = json!({"remove_host": {"host": "in-rennes"}});
    act(&world, 0, number, body).await;
    let path = format!("{ALL}/{number}");
    let gone = world.ask(0, "DELETE", &path, json!(null)).await;
    assert_eq!(gone.status, StatusCode::OK, "{}", gone.body);
    let shown = world.ask(0, "GET", &path, json!(null)).await;
    assert_eq!(shown.status, StatusCode::NOT_FOUND);
    assert!(listed(&world, 1).await.is_empty());
}

#[tokio::test]
async fn the_hosts_of_an_aggregate_are_of_one_site() {
    let world = world().await;
    let number = made(&world).await;
    add(&world, number, "in-nancy").await;
    let other = add(&world, number, "in-rennes").await;
    assert_eq!(other.status, StatusCode::CONFLICT);
    assert!(other.body.to_string().contains("of site rennes"));
    let nowhere = add(&world, number, "in-paris").await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_host_that_only_a_silent_site_can_have_is_not_said_to_be_missing() {
    let world = world().await;
    let number = made(&world).await;
    world.cut(1);
    let asked = add(&world, number, "in-nancy").await;
    assert_eq!(asked.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(asked.body.to_string().contains("nancy"), "{}", asked.body);
    assert_eq!(listed(&world, 0).await[0]["hosts"], json!([]));
}

#[tokio::test]
async fn a_name_that_two_sites_give_to_a_host_is_refused() {
    let world = world().await;
    world.host_called(2, "in-nancy").await;
    let number = made(&world).await;
    let asked = add(&world, number, "in-nancy").await;
    assert_eq!(asked.status, StatusCode::CONFLICT);
    let text = asked.body.to_string();
    assert!(text.contains("nancy, rennes"), "{text}");
}

#[tokio::test]
async fn a_lost_answer_moves_an_aggregate_once() {
    let world = world().await;
    let number = made(&world).await;
    // Both sites are asked whether they have the host; then one is to make the aggregate.
    world.plan(&[Fault::Spared, Fault::Spared, Fault::LostAfter]);
    world.sent();
    let asked = add(&world, number, "in-rennes").await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.body);
    let sent = world.sent();
    let posts = sent.iter().filter(|(_, line)| line.starts_with("POST"));
    assert_eq!(posts.count(), 2, "{sent:?}");
    let all = listed(&world, 0).await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0]["hosts"], json!(["in-rennes"]));
}
