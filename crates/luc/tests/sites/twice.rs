//! Two sites make one thing while they cannot ask each other: after the heal nobody has to mend
//! anything for the cloud to go on.

use luc::client::{Client, Target};
use reqwest::Method;
use serde_json::{Value, json};

use super::{active_at, create, image, login, start, until};

const ID: &str = "8e4a9f6c-0f0e-4b7e-9c55-1f2f3a4b5c6d";

async fn chosen(client: &Client, name: &str) {
    let body = json!({"id": ID, "name": name, "disk_format": "raw",
        "container_format": "bare"});
    let made = client.post(Target::Image, "/images", body).await;
    made.expect("an image");
}

async fn name_of(client: &Client) -> Option<String> {
    let path = format!("/images/{ID}");
    let shown = client.get(Target::Image, &path).await.ok()?;
    Some(shown["name"].as_str()?.to_owned())
}

async fn site(client: &Client, name: &str) -> Option<Value> {
    let path = format!("/luc/v1/sites/{name}");
    let answer = client.ask_node(Method::GET, &path, None).await.ok()?;
    Some(answer.body["site"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_sites_made_in_a_split_stops_nothing_and_is_the_same_at_every_third_site() {
    let directory = tempfile::tempdir().expect("room for data");
    let cloud = start(directory.path(), &["a", "b", "c", "d"]).await;
    let a = login(&cloud, "a").await;
    let shared = image(&a).await;
    // b is lent quota, and has the image.
    assert_eq!(create(&a, "before", &shared, Some("b")).await.status, 202);
    active_at(&a, "before", "b").await;
    until("the image at b", async || {
        let b = login(&cloud, "b").await;
        let path = format!("/images/{shared}");
        b.get(Target::Image, &path).await.ok()
    })
    .await;
    cloud.split("b").expect("it is cut");
    let cut = cloud.site("b").expect("a site");
    until("b notices", async || (!cloud.sees_all(cut)).then_some(())).await;
    let b = login(&cloud, "b").await;
    chosen(&a, "of a").await;
    chosen(&b, "of b").await;
    // Something of b that comes after it on the feed.
    assert_eq!(create(&b, "later", &shared, Some("b")).await.status, 202);
    cloud.heal();

    let least = |one: &'static str, other: &'static str| {
        let prefix = |name| cloud.site(name).expect("a site").prefix;
        if prefix(one) < prefix(other) {
            (one, other)
        } else {
            (other, one)
        }
    };
    let (winner, loser) = least("a", "b");
    for name in ["c", "d"] {
        let client = login(&cloud, name).await;
        until("the feed of b goes on", async || {
            let servers = super::servers(&client).await;
            super::find(&servers, "later").map(drop)
        })
        .await;
        until("both have come", async || {
            let shown = site(&client, loser).await?;
            let conflict = &shown["conflicts"][0];
            (conflict["id"] == ID && conflict["against"]["home"] == winner).then_some(())
        })
        .await;
        assert_eq!(name_of(&client).await, Some(format!("of {winner}")));
        let list = client.ask_node(Method::GET, "/luc/v1/sites", None).await;
        let list = list.expect("an answer").body;
        let sites = list["sites"].as_array().expect("a list");
        let of = sites.iter().find(|site| site["name"] == loser);
        let note = of.expect("it is listed")["note"].to_string();
        assert!(note.contains("1 of its records"), "{note}");
    }

    // The name of the one goes with its home; the other takes its place everywhere.
    let owner = if winner == "a" { &a } else { &b };
    let path = format!("/images/{ID}");
    let gone = owner.ask(Method::DELETE, Target::Image, &path, None).await;
    assert_eq!(gone.expect("an answer").status, 204);
    for name in ["a", "b", "c", "d"] {
        let client = login(&cloud, name).await;
        until("the other one", async || {
            let shown = name_of(&client).await?;
            (shown == format!("of {loser}")).then_some(())
        })
        .await;
        until("nothing is kept aside", async || {
            let left = site(&client, loser).await?;
            (left["conflicts"] == json!([])).then_some(())
        })
        .await;
    }
    cloud.stop().await.expect("everything stops");
}
