//! One limit for servers at several sites, over real feeds.

use http::StatusCode;
use luc_services::compute::quota::{IDLE, report, tidy};
use luc_services::identity::model::Project;
use serde_json::json;

use crate::placed::{make, world};
use crate::world::{Answer, NAMES, World};

async fn at(world: &World, number: usize, image: &str) -> Answer {
    let zone = json!({"availability_zone": NAMES[number]});
    make(world, number, image, zone, json!({})).await
}

fn message(refused: &Answer) -> String {
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
    refused.body["forbidden"]["message"].to_string()
}

#[tokio::test]
async fn sites_share_one_limit_and_one_that_is_cut_off_uses_what_it_was_lent() {
    let (world, image) = world(&[0, 1, 2]).await;
    let quotas = quotas(&world);
    let limit = json!({"quota_set": {"instances": 4}});
    let set = world.ask(0, "PUT", &quotas, limit).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.body);
    world.settle().await;
    let made = at(&world, 1, &image).await;
    assert_eq!(made.status, StatusCode::ACCEPTED, "{}", made.body);
    world.settle().await;

    world.cut(0);
    let made = at(&world, 1, &image).await;
    assert_eq!(made.status, StatusCode::ACCEPTED, "it was lent two");
    let refused = message(&at(&world, 1, &image).await);
    assert!(
        refused.contains("lease of site nancy") && refused.contains("2 instances, all used"),
        "{refused}"
    );
    assert!(
        refused.contains("home grenoble cannot be reached"),
        "{refused}"
    );

    world.heal();
    for number in [0, 2] {
        let made = at(&world, number, &image).await;
        assert_eq!(made.status, StatusCode::ACCEPTED, "{}", made.body);
    }
    world.settle().await;
    for number in 0..NAMES.len() {
        let refused = message(&at(&world, number, &image).await);
        assert!(
            refused.contains("already used 4 of 4 instances"),
            "{refused}"
        );
        let detail = world
            .ask(number, "GET", &format!("{quotas}/detail"), json!(null))
            .await;
        let shown = &detail.body["quota_set"]["instances"];
        assert_eq!((&shown["in_use"], &shown["limit"]), (&json!(4), &json!(4)));
    }
}

/// The path of the quotas of `admin`.
fn quotas(world: &World) -> String {
    let snapshot = world.services(0).store.snapshot();
    let mut projects = snapshot.all::<Project>();
    let admin = projects.find(|project| project.name == "admin");
    let admin = admin.expect("it is there");
    format!("/compute/v2.1/os-quota-sets/{}", admin.id)
}

/// Limits the servers of `admin`, and lets the feeds bring that where they reach.
async fn limit(world: &World, count: i64) {
    let body = json!({"quota_set": {"instances": count, "cores": -1, "ram": -1, "force": true}});
    let set = world.ask(0, "PUT", &quotas(world), body).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.body);
    world.settle().await;
}

/// What the home says of servers: used at it, lent, free, pending.
fn shown(world: &World) -> (u64, u64, Option<u64>, u64) {
    let report = report(&world.services(0), "admin").expect("it is the home");
    let mut rows = report.limits.iter();
    let row = rows.find(|row| row.item.to_string() == "instances");
    let row = row.expect("servers are counted");
    (row.here, row.lent, row.free, row.pending)
}

async fn make_all(world: &World, number: usize, count: usize, image: &str) {
    for _ in 0..count {
        let made = at(world, number, image).await;
        assert_eq!(made.status, StatusCode::ACCEPTED, "{}", made.body);
    }
    world.settle().await;
}

#[tokio::test]
async fn a_limit_after_none_counts_what_every_site_uses() {
    let (world, image) = world(&[0, 1, 2]).await;
    limit(&world, -1).await;
    for (number, count) in [(0, 2), (1, 3), (2, 1)] {
        make_all(&world, number, count, &image).await;
    }
    limit(&world, 8).await;
    // The second time nothing is new.
    limit(&world, 8).await;
    assert_eq!(shown(&world), (2, 4, Some(2), 0));
    make_all(&world, 0, 1, &image).await;
    make_all(&world, 1, 1, &image).await;
    for number in 0..NAMES.len() {
        let refused = message(&at(&world, number, &image).await);
        assert!(refused.contains("already used 8 of 8"), "{refused}");
    }
    // Up, back, and below what is used.
    limit(&world, -1).await;
    make_all(&world, 2, 2, &image).await;
    limit(&world, 9).await;
    limit(&world, 9).await;
    assert_eq!(shown(&world), (3, 7, Some(0), 1));
    for number in 0..NAMES.len() {
        let refused = at(&world, number, &image).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
    }
}

#[tokio::test]
async fn of_a_silent_site_a_limit_after_none_counts_what_copies_show_and_then_what_it_uses() {
    let (world, image) = world(&[0, 1, 2]).await;
    limit(&world, -1).await;
    make_all(&world, 0, 1, &image).await;
    make_all(&world, 1, 3, &image).await;

    world.cut(1);
    limit(&world, 6).await;
    assert_eq!(shown(&world), (1, 3, Some(2), 3), "what it has is pending");
    make_all(&world, 2, 1, &image).await;
    make_all(&world, 0, 1, &image).await;
    for number in [0, 2] {
        let refused = at(&world, number, &image).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
    }
    // It has not heard, and goes on.
    make_all(&world, 1, 2, &image).await;
    assert_eq!(shown(&world), (2, 4, Some(0), 3));

    // Its servers count as soon as they are known, and it is bound as soon as it knows.
    world.heal();
    world.settle().await;
    assert_eq!(shown(&world), (2, 6, Some(0), 5));
    for number in 0..NAMES.len() {
        let refused = at(&world, number, &image).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
    }
    for _ in 0..2 {
        tidy(&world.services(0), IDLE).await.expect("it is tidied");
        world.settle().await;
    }
    assert_eq!(
        shown(&world),
        (2, 6, Some(0), 2),
        "two are beyond the limit"
    );
    limit(&world, 9).await;
    assert_eq!(shown(&world), (2, 6, Some(1), 0));
    make_all(&world, 1, 1, &image).await;
    let refused = at(&world, 0, &image).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
}

#[tokio::test]
async fn a_limit_of_all_projects_after_none_counts_what_every_site_uses() {
    let (world, image) = world(&[0, 1, 2]).await;
    let class = async |count: i64| {
        let path = "/compute/v2.1/os-quota-class-sets/default";
        let body = json!({"quota_class_set": {"instances": count, "cores": -1, "ram": -1}});
        let set = world.ask(0, "PUT", path, body).await;
        assert_eq!(set.status, StatusCode::OK, "{}", set.body);
        world.settle().await;
    };
    class(-1).await;
    make_all(&world, 1, 3, &image).await;
    make_all(&world, 2, 2, &image).await;
    world.cut(2);
    class(6).await;
    assert_eq!(shown(&world), (0, 5, Some(1), 2));
    make_all(&world, 0, 1, &image).await;
    for number in [0, 1] {
        let refused = at(&world, number, &image).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
    }
    world.heal();
    world.settle().await;
    let refused = at(&world, 2, &image).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
    class(6).await;
    assert_eq!(shown(&world), (1, 5, Some(0), 0));
    let reset = world.ask(0, "DELETE", &quotas(&world), json!(null)).await;
    assert!(reset.status.is_success(), "{}", reset.body);
    assert_eq!(shown(&world), (1, 5, Some(0), 0));
}
