//! What was made through one site is there for the next request, wherever that is asked.

use luc::client::{Client, Target};
use reqwest::Method;
use serde_json::{Value, json};

use super::{active_at, image, login, start};

/// Asks for a server of this image and flavor in this group; its answer.
async fn create(client: &Client, name: &str, (image, flavor, group): (&str, &str, &str)) -> Value {
    let body = json!({
        "server": {"name": name, "imageRef": image, "flavorRef": flavor, "networks": "none"},
        "os:scheduler_hints": {"group": group},
    });
    let asked = client.ask(Method::POST, Target::Compute, "/servers", Some(body));
    let answer = asked.await.expect("an answer");
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.body
}

async fn flavor(client: &Client, name: &str) -> String {
    let body = json!({"flavor": {"name": name, "vcpus": 1, "ram": 64, "disk": 1, "id": name}});
    let made = client.post(Target::Compute, "/flavors", body).await;
    let id = made.expect("a flavor")["flavor"]["id"].clone();
    id.as_str().expect("an id").to_owned()
}

async fn group(client: &Client, name: &str) -> String {
    let body = json!({"server_group": {"name": name, "policy": "soft-anti-affinity"}});
    let made = client
        .post(Target::Compute, "/os-server-groups", body)
        .await;
    let id = made.expect("a group")["server_group"]["id"].clone();
    id.as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_has_at_once_the_image_flavor_and_group_that_other_sites_made() {
    let directory = tempfile::tempdir().expect("room for data");
    let cloud = start(directory.path(), &["a", "b", "c"]).await;
    let (a, b) = (login(&cloud, "a").await, login(&cloud, "b").await);
    let c = login(&cloud, "c").await;
    for number in 0..8 {
        let name = format!("one-{number}");
        // The flavor goes to a, where all of them live; image and group stay at b.
        let flavor = flavor(&b, &name).await;
        let group = group(&b, &name).await;
        let image = image(&b).await;
        create(&c, &name, (&image, &flavor, &group)).await;
        // Members of a group are placed where it lives.
        active_at(&a, &name, "b").await;
    }

    // What there is nowhere is refused as ever.
    let none = json!({"server": {"name": "none", "flavorRef": "one-0", "networks": "none",
        "imageRef": "00000000-0000-4000-8000-000000000000"}});
    let refused = c.ask(Method::POST, Target::Compute, "/servers", Some(none));
    let refused = refused.await.expect("an answer");
    assert_eq!(refused.status, 400, "{}", refused.body);
    cloud.stop().await.expect("everything stops");
}
