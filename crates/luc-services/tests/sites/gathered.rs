//! What is put together from all sites.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Answer, Fault, World};

async fn ask(world: &World, path: &str) -> Answer {
    let mut request = world.request("GET", path, &json!(null));
    let version = http::HeaderValue::from_static("compute 2.60");
    request
        .headers_mut()
        .insert("openstack-api-version", version);
    let answer = world.send(0, request).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer
}

fn ids(list: &Value) -> Vec<String> {
    let list = list.as_array().cloned().unwrap_or_default();
    let ids = list.iter().filter_map(|item| item["id"].as_str());
    ids.map(str::to_owned).collect()
}

async fn world() -> World {
    let world = World::new().await;
    for number in 0..3 {
        world.host(number).await;
    }
    world
}

#[tokio::test]
async fn hypervisors_of_all_sites_are_listed_and_each_is_found_by_its_id() {
    let world = world().await;
    let list = ask(&world, "/compute/v2.1/os-hypervisors").await;
    let ids = ids(&list.body["hypervisors"]);
    assert_eq!(ids.len(), 3);
    assert!(!list.headers.contains_key("luc-stale"));
    for id in ids {
        let path = format!("/compute/v2.1/os-hypervisors/{id}");
        let shown = ask(&world, &path).await;
        assert_eq!(shown.body["hypervisor"]["id"], id);
    }
}

#[tokio::test]
async fn pages_are_cut_from_the_whole() {
    let world = world().await;
    let whole = ask(&world, "/compute/v2.1/os-hypervisors").await;
    let whole = ids(&whole.body["hypervisors"]);
    let mut found = Vec::new();
    let mut path = "/compute/v2.1/os-hypervisors?limit=2".to_owned();
    loop {
        let page = ask(&world, &path).await;
        found.extend(ids(&page.body["hypervisors"]));
        let next = page.body["hypervisors_links"][0]["href"].as_str();
        let Some(next) = next else { break };
        let at = next.find("/compute").expect("it is a link to the service");
        next[at..].clone_into(&mut path);
    }
    assert_eq!(found, whole);
}

#[tokio::test]
async fn numbers_of_all_sites_add_up() {
    let world = world().await;
    let sum = ask(&world, "/compute/v2.1/os-hypervisors/statistics").await;
    assert_eq!(sum.body["hypervisor_statistics"]["count"], 3);
    assert_eq!(sum.body["hypervisor_statistics"]["vcpus"], 12);
}

#[tokio::test]
async fn a_site_that_does_not_answer_is_named() {
    let world = world().await;
    world.cut(2);
    let list = ask(&world, "/compute/v2.1/os-services").await;
    assert_eq!(list.body["services"].as_array().map(Vec::len), Some(2));
    assert_eq!(list.headers["luc-stale"], "site=rennes; age=42");
}

#[tokio::test]
async fn a_site_that_answers_garbage_spoils_no_list_of_the_others() {
    let world = world().await;
    world.plan(&[Fault::Garbage]);
    let list = ask(&world, "/compute/v2.1/os-services").await;
    assert_eq!(list.status, StatusCode::OK, "{}", list.body);
    assert_eq!(list.body["services"].as_array().map(Vec::len), Some(2));
    assert!(list.headers.contains_key("luc-stale"), "{:?}", list.headers);
}

#[tokio::test]
async fn zones_of_all_sites_are_listed_and_a_silent_one_is_closed() {
    let world = world().await;
    world.cut(2);
    for path in [
        "/compute/v2.1/os-availability-zone",
        "/compute/v2.1/os-availability-zone/detail",
    ] {
        let list = ask(&world, path).await;
        let zones = list.body["availabilityZoneInfo"].as_array().cloned();
        let mut zones: Vec<_> = zones
            .unwrap_or_default()
            .iter()
            .map(|zone| {
                (
                    zone["zoneName"].clone(),
                    zone["zoneState"]["available"].clone(),
                )
            })
            .map(|(name, open)| format!("{name} {open}"))
            .collect();
        zones.sort();
        let expected = ["\"grenoble\" true", "\"nancy\" true", "\"rennes\" false"];
        assert_eq!(zones, expected, "{path}");
    }
}

#[tokio::test]
async fn what_sites_count_for_themselves_is_told_apart() {
    let world = world().await;
    let path = "/compute/v2.1/os-hypervisors/detail";
    let list = world.ask(0, "GET", path, json!(null)).await;
    let list = list.body["hypervisors"].as_array().cloned();
    let ids: Vec<_> = list
        .unwrap_or_default()
        .iter()
        .filter_map(|item| item["id"].as_u64())
        .collect();
    assert_eq!(ids.len(), 3);
    for id in &ids {
        let path = format!("/compute/v2.1/os-hypervisors/{id}");
        let shown = world.ask(0, "GET", &path, json!(null)).await;
        assert_eq!(shown.body["hypervisor"]["id"], *id, "{}", shown.body);
    }
    let (first, rest) = ids.split_first().expect("there are three");
    assert_eq!(*first, 1, "its own as they are");
    assert!(rest.iter().all(|id| id >> 20 > 0));
}
