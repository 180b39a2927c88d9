//! What an operator sees and sets of limits that are lent to sites.

use luc::client::{Client, Target};
use reqwest::Method;
use serde_json::{Value, json};

use super::{active_at, create, image, login, servers, start, until};

async fn ask(client: &Client, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let answer = client.ask_node(method, path, body).await;
    let answer = answer.expect("an answer");
    (answer.status.as_u16(), answer.body)
}

/// The row of servers in what the node says of the quota of `admin`.
async fn instances(client: &Client) -> Value {
    let (status, body) = ask(client, Method::GET, "/luc/v1/quotas/admin", None).await;
    assert_eq!(status, 200, "{body}");
    let rows = body["quota"]["limits"].as_array().expect("a list");
    let row = rows.iter().find(|row| row["item"] == "instances");
    row.expect("servers are limited").clone()
}

async fn set_limit(client: &Client, limit: i64) {
    let projects = client.get(Target::Identity, "/auth/projects").await;
    let projects = projects.expect("the caller's projects");
    let id = projects["projects"][0]["id"].as_str().expect("an id");
    let body = json!({"quota_set": {"instances": limit, "force": true}});
    let path = format!("/os-quota-sets/{id}");
    let set = client
        .ask(Method::PUT, Target::Compute, &path, Some(body))
        .await;
    assert_eq!(set.expect("an answer").status.as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_where_a_limit_is_and_keeps_a_part_of_it_for_a_site() {
    let directory = tempfile::tempdir().expect("room for data");
    let cloud = start(directory.path(), &["a", "b"]).await;
    let (a, b) = (login(&cloud, "a").await, login(&cloud, "b").await);
    let image = image(&a).await;
    set_limit(&a, 20).await;
    let made = create(&b, "one", &image, Some("b")).await;
    assert_eq!(made.status, 202, "{}", made.body);
    active_at(&b, "one", "b").await;

    // The same at the home and where the question is handed on.
    let row = instances(&a).await;
    assert_eq!(instances(&b).await, row);
    let lent = row["lent"].as_u64().expect("a number");
    assert!(lent >= 1, "{row}");
    assert_eq!(row["free"], 20 - lent);

    let path = "/luc/v1/quotas/admin/reserves/b";
    let body = json!({"reserve": {"instances": 7}});
    let (status, kept) = ask(&b, Method::PUT, path, Some(body)).await;
    assert_eq!(status, 200, "{kept}");
    assert_eq!(kept["quota"]["sites"][0]["reserve"]["instances"], 7);
    let much = json!({"reserve": {"instances": 21}});
    let (status, said) = ask(&a, Method::PUT, path, Some(much)).await;
    assert_eq!(status, 409, "{said}");
    let odd = json!({"reserve": {"floating_ips": 1}});
    let (status, said) = ask(&a, Method::PUT, path, Some(odd)).await;
    assert_eq!(status, 400, "{said}");
    let (status, _) = ask(&a, Method::GET, "/luc/v1/quotas/nobody", None).await;
    assert_eq!(status, 404);

    // What a site that is cut off still holds of a limit that was lowered is pending.
    cloud.split("b").expect("it is cut off");
    set_limit(&a, 2).await;
    let row = instances(&a).await;
    assert!(row["pending"].as_u64().expect("a number") > 0, "{row}");
    cloud.heal();
    let none = json!({"reserve": {}});
    until("the reserve is given up", async || {
        let (status, _) = ask(&a, Method::PUT, path, Some(none.clone())).await;
        (status == 200).then_some(())
    })
    .await;
    set_limit(&a, 3).await;
    until("the rest comes back", async || {
        set_limit(&a, 2).await;
        (instances(&a).await["pending"] == 0).then_some(())
    })
    .await;
}

/// How many servers are listed.
async fn listed(client: &Client) -> usize {
    servers(client).await.len()
}

/// Asks for servers at a site.
async fn create_all(client: &Client, names: &[&str], (image, zone): (&str, &str)) {
    for name in names {
        let made = create(client, name, image, Some(zone)).await;
        assert_eq!(made.status, 202, "{name}: {}", made.body);
    }
}

/// Waits until each of these lists so many servers.
async fn all_listed(clients: &[&Client], count: usize) {
    for client in clients {
        until("copies of all arrive", async || {
            (listed(client).await == count).then_some(())
        })
        .await;
    }
}

/// Asks for a server too many.
async fn refused(client: &Client, (image, zone): (&str, &str)) {
    let made = create(client, "one-too-many", image, Some(zone)).await;
    assert_eq!(made.status, 403, "at {zone}: {}", made.body);
    assert!(
        made.body.to_string().contains("Quota exceeded"),
        "{}",
        made.body
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_comes_after_none_while_a_site_is_cut_off_counts_what_that_site_uses() {
    let directory = tempfile::tempdir().expect("room for data");
    let cloud = start(directory.path(), &["a", "b", "c"]).await;
    let (a, b, c) = (
        login(&cloud, "a").await,
        login(&cloud, "b").await,
        login(&cloud, "c").await,
    );
    let image = image(&a).await;
    let at = |zone: &'static str| (image.as_str(), zone);
    set_limit(&a, -1).await;
    until("c hears that there is no limit", async || {
        let made = create(&c, "c1", &image, Some("c")).await;
        (made.status == 202).then_some(())
    })
    .await;
    create_all(&c, &["c2", "c3"], at("c")).await;
    create_all(&a, &["a1"], at("a")).await;
    all_listed(&[&a, &c], 4).await;

    cloud.split("c").expect("it is cut off");
    set_limit(&a, 6).await;
    let row = instances(&a).await;
    assert_eq!(
        (&row["here"], &row["lent"]),
        (&json!(1), &json!(3)),
        "{row}"
    );
    assert_eq!(
        (&row["free"], &row["pending"]),
        (&json!(2), &json!(3)),
        "{row}"
    );
    until("b hears of the limit", async || {
        let limits = b.get(Target::Compute, "/limits").await.ok()?;
        (limits["limits"]["absolute"]["maxTotalInstances"] == 6).then_some(())
    })
    .await;
    create_all(&b, &["b1"], at("b")).await;
    create_all(&a, &["a2"], at("a")).await;
    refused(&a, at("a")).await;
    refused(&b, at("b")).await;
    // Where nobody has heard of the limit there is none.
    create_all(&c, &["c4"], at("c")).await;

    // One is beyond the limit then; it stays, and no more are made anywhere.
    cloud.heal();
    all_listed(&[&a, &c], 7).await;
    for (client, zone) in [(&a, "a"), (&c, "c")] {
        refused(client, at(zone)).await;
    }
    until("c has heard", async || {
        set_limit(&a, 6).await;
        let row = instances(&a).await;
        let (lent, pending) = (&row["lent"], &row["pending"]);
        (*lent == 5 && *pending == 1).then_some(())
    })
    .await;
    refused(&b, at("b")).await;
    assert_eq!(listed(&a).await, 7);
    set_limit(&a, 8).await;
    assert_eq!(instances(&a).await["pending"], 0);
    until("c is lent the last", async || {
        let made = create(&c, "c5", &image, Some("c")).await;
        (made.status == 202).then_some(())
    })
    .await;
    refused(&a, at("a")).await;
    cloud.stop().await.expect("everything stops");
}
