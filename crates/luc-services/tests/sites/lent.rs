//! One limit for servers at several sites, over real feeds.

use http::StatusCode;
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
    let snapshot = world.services(0).store.snapshot();
    let mut projects = snapshot.all::<Project>();
    let admin = projects.find(|project| project.name == "admin");
    let quotas = format!(
        "/compute/v2.1/os-quota-sets/{}",
        admin.expect("it is there").id
    );
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
