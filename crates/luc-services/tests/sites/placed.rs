//! At which site servers are made, and what is seen of them elsewhere.

use http::StatusCode;
use luc_services::compute::model::flavor::Flavor;
use luc_services::compute::model::server::{Address, Server, USER_NETWORK};
use luc_services::compute::wanted;
use luc_services::ports::sites::Room;
use serde_json::{Value, json};

use crate::world::{Answer, NAMES, World};

const SERVERS: &str = "/compute/v2.1/servers";

/// A world with an image, and hosts at these sites.
pub(crate) async fn world(hosts: &[usize]) -> (World, String) {
    let world = World::new().await;
    for number in hosts {
        world.host(*number).await;
    }
    let body = json!({
        "name": "disk", "disk_format": "raw", "container_format": "bare", "visibility": "public",
    });
    let made = world.ask(0, "POST", "/image/v2/images", body).await;
    let id = made.body["id"].as_str().expect("it has an id").to_owned();
    let path = format!("/image/v2/images/{id}/file");
    let mut request = world.request("PUT", &path, &json!(null));
    let kind = http::HeaderValue::from_static("application/octet-stream");
    request.headers_mut().insert("content-type", kind);
    *request.body_mut() = "data".into();
    let uploaded = world.send(0, request).await;
    assert_eq!(uploaded.status, StatusCode::NO_CONTENT, "{}", uploaded.body);
    world.settle().await;
    world.sent();
    (world, id)
}

/// Asks a site for a server with these members more, and these hints.
pub(crate) async fn make(
    world: &World,
    at: usize,
    image: &str,
    more: Value,
    hints: Value,
) -> Answer {
    let mut server = json!({"name": "vm", "imageRef": image, "flavorRef": "1"});
    if let (Some(server), Value::Object(more)) = (server.as_object_mut(), more) {
        server.extend(more);
    }
    let body = json!({"server": server, "os:scheduler_hints": hints});
    world.ask(at, "POST", SERVERS, body).await
}

/// The id of a server that was made.
fn id_of(made: &Answer) -> String {
    assert_eq!(made.status, StatusCode::ACCEPTED, "{}", made.body);
    made.body["server"]["id"]
        .as_str()
        .expect("it has an id")
        .to_owned()
}

/// The name of the only site that holds a server as its own.
fn home_of(world: &World, id: &str) -> &'static str {
    let homes: Vec<_> = (0..NAMES.len())
        .filter(|number| {
            let services = world.services(*number);
            let held = services.store.snapshot().get::<Server>(id);
            held.is_some_and(|server| server.home() == services.site)
        })
        .collect();
    let [number] = homes[..] else {
        panic!("{id} has the homes {homes:?}");
    };
    NAMES[number]
}

async fn shown(world: &World, at: usize, id: &str, version: &str) -> Value {
    let path = format!("{SERVERS}/{id}");
    let mut request = world.request("GET", &path, &json!(null));
    let version = format!("compute {version}").parse().expect("it is there");
    request
        .headers_mut()
        .insert("openstack-api-version", version);
    let answer = world.send(at, request).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body["server"].clone()
}

#[tokio::test]
async fn a_server_is_made_at_the_site_that_is_asked() {
    let (world, image) = world(&[0, 1, 2]).await;
    let id = id_of(&make(&world, 1, &image, json!({}), json!({})).await);
    assert_eq!(home_of(&world, &id), "nancy");
    assert!(world.sent().is_empty(), "no other site was asked");
}

#[tokio::test]
async fn a_zone_names_the_site() {
    let (world, image) = world(&[0, 1, 2]).await;
    let zone = json!({"availability_zone": "rennes"});
    let id = id_of(&make(&world, 1, &image, zone, json!({})).await);
    assert_eq!(home_of(&world, &id), "rennes");
    let server = shown(&world, 1, &id, "2.1").await;
    assert_eq!(server["OS-EXT-AZ:availability_zone"], "rennes");
    world.cut(2);
    let zone = json!({"availability_zone": "rennes:host"});
    let refused = make(&world, 1, &image, zone, json!({})).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    let message = refused.body["serviceUnavailable"]["message"].as_str();
    assert!(
        message.unwrap_or_default().contains("rennes"),
        "{}",
        refused.body
    );
    let zone = json!({"availability_zone": "atlantis"});
    let refused = make(&world, 1, &image, zone, json!({})).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_hint_says_near_what() {
    let (world, image) = world(&[0, 1, 2]).await;
    let hints = json!({"luc:near": "rennes"});
    let first = id_of(&make(&world, 0, &image, json!({}), hints).await);
    assert_eq!(home_of(&world, &first), "rennes");
    let hints = json!({"luc:near": first});
    let second = id_of(&make(&world, 0, &image, json!({}), hints).await);
    assert_eq!(home_of(&world, &second), "rennes");
    // An address, once the server has it.
    let near_address = json!({"luc:near": "198.51.100.7"});
    let refused = make(&world, 0, &image, json!({}), near_address.clone()).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    give_address(&world, 2, &second, "198.51.100.7").await;
    world.settle().await;
    let third = id_of(&make(&world, 0, &image, json!({}), near_address).await);
    assert_eq!(home_of(&world, &third), "rennes");
}

/// The host of a server at site `number` sees `address` on it.
async fn give_address(world: &World, number: usize, id: &str, address: &str) {
    let address = Address {
        network: USER_NETWORK.to_owned(),
        address: address.parse().expect("an address"),
        mac: "fa:16:3e:00:00:07".to_owned(),
    };
    let services = world.services(number);
    let given = services.store.transact(|tx| {
        let server = tx.get::<Server>(id).expect("it is there");
        let mut server = server.value().clone();
        server.addresses.push(address.clone());
        tx.update(server).map(drop)
    });
    given.await.expect("it is written");
}

#[tokio::test]
async fn a_site_that_says_it_has_no_room_is_not_asked() {
    let (world, image) = world(&[1, 2]).await;
    let small = Room {
        vcpus: 1,
        memory_mib: 1 << 20,
        disk_gib: 1 << 10,
    };
    // Nancy is nearer, and says that its hosts have no processors left.
    world.say_room(1, Room { vcpus: 0, ..small });
    world.say_room(2, small);
    let id = id_of(&make(&world, 0, &image, json!({}), json!({})).await);
    assert_eq!(home_of(&world, &id), "rennes");
    let asked: Vec<_> = world.sent().into_iter().map(|(site, _)| site).collect();
    assert_eq!(asked, ["rennes"]);
}

#[tokio::test]
async fn without_room_the_next_sites_are_asked_in_order() {
    let (world, image) = world(&[2]).await;
    let id = id_of(&make(&world, 0, &image, json!({}), json!({})).await);
    assert_eq!(home_of(&world, &id), "rennes");
    let asked: Vec<_> = world.sent().into_iter().map(|(site, _)| site).collect();
    assert_eq!(asked, ["nancy", "rennes"]);
    let servers: usize = (0..3)
        .map(|number| {
            let services = world.services(number);
            let snapshot = services.store.snapshot();
            let own = snapshot.all::<Server>();
            own.filter(|server| server.home() == services.site).count()
        })
        .sum();
    assert_eq!(servers, 1);
}

#[tokio::test]
async fn without_room_anywhere_near_enough_a_server_is_in_error_where_it_was_asked_for() {
    let (world, image) = world(&[2]).await;
    // Nancy is 10 ms away, Rennes 20.
    let hints = json!({"luc:max_rtt_ms": 15});
    let id = id_of(&make(&world, 0, &image, json!({}), hints).await);
    assert_eq!(home_of(&world, &id), "grenoble");
    let server = shown(&world, 0, &id, "2.1").await;
    assert_eq!(server["status"], "ERROR");
    let message = server["fault"]["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("No valid host"), "{message}");
    world.settle().await;
    let zones = [server, shown(&world, 1, &id, "2.1").await];
    let zones = zones.map(|server| server["OS-EXT-AZ:availability_zone"].clone());
    assert_eq!(
        zones,
        ["", ""],
        "no host took it, so it is in no zone, at any site"
    );
}

#[tokio::test]
async fn a_hint_of_ours_that_is_none_is_refused_and_the_short_name_of_one_is_taken() {
    let (world, image) = world(&[2]).await;
    for hints in [json!({"luc:foo": 1}), json!({"max_rtt_ms": -1})] {
        let answer = make(&world, 0, &image, json!({}), hints).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
    // Nancy is 10 ms away, Rennes 20.
    let id = id_of(&make(&world, 0, &image, json!({}), json!({"max_rtt_ms": 15})).await);
    assert_eq!(shown(&world, 0, &id, "2.1").await["status"], "ERROR");
}

#[tokio::test]
async fn hosts_of_one_name_keep_to_the_servers_of_their_site() {
    let (world, image) = world(&[0, 1]).await;
    let first = id_of(&make(&world, 0, &image, json!({}), json!({})).await);
    let second = id_of(&make(&world, 1, &image, json!({}), json!({})).await);
    world.settle().await;
    for (number, id) in [(0, &first), (1, &second)] {
        let services = world.services(number);
        let snapshot = services.store.snapshot();
        assert_eq!(snapshot.count::<Server>(), 2, "both are held");
        let holders = wanted::of_host(&snapshot, services.site, "host");
        let ids: Vec<_> = holders
            .iter()
            .map(|holder| holder.wanted().server.id.as_str().to_owned())
            .collect();
        assert_eq!(ids, [id.as_str()]);
    }
}

#[tokio::test]
async fn a_server_is_listed_and_deleted_at_any_site() {
    let (world, image) = world(&[1]).await;
    let id = id_of(&make(&world, 1, &image, json!({}), json!({})).await);
    world.settle().await;
    let list = world.ask(2, "GET", SERVERS, json!(null)).await;
    assert_eq!(list.body["servers"][0]["id"], id.as_str());
    let all = format!("{SERVERS}?all_tenants=1");
    let list = world.ask(0, "GET", &all, json!(null)).await;
    assert_eq!(
        list.body["servers"].as_array().map(Vec::len),
        Some(1),
        "once"
    );
    world.sent();
    let path = format!("{SERVERS}/{id}");
    let deleted = world.ask(2, "DELETE", &path, json!(null)).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.body);
    assert_eq!(
        world.sent(),
        [("nancy".to_owned(), format!("DELETE {path}"))]
    );
}

#[tokio::test]
async fn a_server_of_a_silent_site_is_shown_as_unknown_from_2_69_on() {
    let (world, image) = world(&[1]).await;
    let id = id_of(&make(&world, 1, &image, json!({}), json!({})).await);
    world.settle().await;
    world.cut(1);
    let before = shown(&world, 0, &id, "2.68").await;
    assert_eq!(before["status"], "BUILD");
    let server = shown(&world, 0, &id, "2.69").await;
    assert_eq!(server["status"], "UNKNOWN");
    assert!(server.get("name").is_none(), "{server}");
    let list = world.ask(0, "GET", SERVERS, json!(null)).await;
    assert_eq!(list.headers["luc-stale"], "site=nancy; age=42");
    let path = format!("{SERVERS}/{id}/action");
    let refused = world.ask(0, "POST", &path, json!({"os-stop": null})).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn what_was_made_here_a_moment_ago_can_be_used_in_another_zone() {
    let (world, image) = world(&[0, 1]).await;
    let body =
        json!({"flavor": {"name": "fresh", "id": "fresh", "ram": 64, "vcpus": 1, "disk": 1}});
    let flavor = world.ask(0, "POST", "/compute/v2.1/flavors", body).await;
    assert_eq!(flavor.status, StatusCode::OK, "{}", flavor.body);
    let nancy = world.services(1);
    // The feeds of this world bring what is waited for, and nothing else.
    let held = |id: &str| nancy.store.snapshot().get::<Flavor>(id).is_some();
    assert!(!held("fresh"));
    let more = json!({"availability_zone": "nancy", "flavorRef": "fresh"});
    let id = id_of(&make(&world, 0, &image, more, json!({})).await);
    assert_eq!(home_of(&world, &id), "nancy");
    let none = json!({"availability_zone": "nancy", "flavorRef": "none"});
    let refused = make(&world, 0, &image, none, json!({})).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.body);
}
