//! What an operator sees and sets of limits that are lent to sites.

use luc::client::{Client, Target};
use reqwest::Method;
use serde_json::{Value, json};

use super::{active_at, create, image, login, start, until};

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
