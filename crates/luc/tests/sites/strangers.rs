//! Users of a domain of which a site holds nothing yet: their first word there makes it hold the
//! domain.

use luc::client::{Client, Target};
use luc::many::Cloud;
use luc_services::identity::model::{Domain, User};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{login, start, until};

const PASSWORD: &str = "a secret of its own";

fn id_of(of: &Value) -> String {
    of["id"].as_str().expect("an id").to_owned()
}

/// A domain whose home is where `admin` is asked, with a user who has a role on it.
async fn domain(admin: &Client, name: &str) -> (String, String) {
    let body = json!({"domain": {"name": name}});
    let made = admin.post(Target::Identity, "/domains", body).await;
    let domain = id_of(&made.expect("a domain")["domain"]);
    let body = json!({"user": {"name": "ada", "domain_id": domain, "password": PASSWORD}});
    let made = admin.post(Target::Identity, "/users", body).await;
    let user = id_of(&made.expect("a user")["user"]);
    let roles = admin.get(Target::Identity, "/roles?name=member").await;
    let role = id_of(&roles.expect("roles")["roles"][0]);
    let path = format!("/domains/{domain}/users/{user}/roles/{role}");
    let given = admin.ask(Method::PUT, Target::Identity, &path, None).await;
    assert_eq!(given.expect("an answer").status, 204);
    (domain, user)
}

fn url(cloud: &Cloud, site: &str) -> String {
    let site = cloud.site(site).expect("a site");
    format!("http://{}/identity/v3/auth/tokens", site.node.address)
}

/// Logs in at `site`; the status and the token.
async fn enter(cloud: &Cloud, site: &str, auth: Value) -> (StatusCode, String) {
    let request = reqwest::Client::new().post(url(cloud, site));
    let answer = request.json(&json!({"auth": auth})).send().await;
    let answer = answer.expect("an answer");
    let token = answer.headers().get("x-subject-token");
    let token = token.map(|token| token.to_str().expect("a text").to_owned());
    (answer.status(), token.unwrap_or_default())
}

fn by_password(user: &Value, domain: &str) -> Value {
    json!({
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"domain": {"id": domain}},
    })
}

/// Whether the site knows the name of the domain, and whether it has somebody of it.
fn held(cloud: &Cloud, site: &str, domain: &str) -> (bool, bool) {
    let node = &cloud.site(site).expect("a site").node;
    let services = &node.parts.as_ref().expect("a controller").services;
    let snapshot = services.store.snapshot();
    let mut users = snapshot.all::<User>();
    let named = snapshot.get::<Domain>(domain).is_some();
    (named, users.any(|user| user.domain_id.as_str() == domain))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_for_the_first_time_is_known_at_once_at_every_site() {
    let directory = tempfile::tempdir().expect("room for data");
    let cloud = start(directory.path(), &["a", "b", "c", "d"]).await;
    let (a, b) = (login(&cloud, "a").await, login(&cloud, "b").await);
    let (domain, user) = domain(&b, "acme").await;
    let ada = json!({"id": user, "password": PASSWORD});
    let (status, token) = enter(&cloud, "b", by_password(&ada, &domain)).await;
    assert_eq!(status, 201);
    for site in ["a", "c", "d"] {
        until("the name", async || {
            held(&cloud, site, &domain).0.then_some(())
        })
        .await;
        assert!(
            !held(&cloud, site, &domain).1,
            "{site} has the content already"
        );
    }

    // A service asks about the token.
    let request = reqwest::Client::new().get(url(&cloud, "a"));
    let request = request.header("x-auth-token", a.token());
    let shown = request.header("x-subject-token", &token).send().await;
    let shown = shown.expect("an answer");
    assert_eq!(shown.status(), 200);
    let shown: Value = shown.json().await.expect("JSON");
    assert_eq!(shown["token"]["user"]["name"], "ada");
    // The user exchanges it.
    let auth = json!({"identity": {"methods": ["token"], "token": {"id": token}}});
    assert_eq!(enter(&cloud, "c", auth).await.0, 201);
    // The user logs in by name.
    let ada = json!({"name": "ada", "domain": {"name": "acme"}, "password": PASSWORD});
    assert_eq!(enter(&cloud, "d", by_password(&ada, &domain)).await.0, 201);
    for site in ["a", "c", "d"] {
        assert!(held(&cloud, site, &domain).1, "{site} follows the domain");
    }
    cloud.stop().await.expect("everything stops");
}
