//! A site of the label edge: it holds the people of the domains that it was allowed, and nobody
//! else's, from the moment it is allowed until that is taken back.

use luc::client::{Client, Target};
use luc::many::{Cloud, Plan};
use luc_services::identity::model::User;
use luc_services::sites::Label;
use reqwest::Method;
use serde_json::{Value, json};

use super::{login, plan, until};

const PASSWORD: &str = "a long secret";

/// Makes a domain with a project and a user who is a member of it; the id of the domain.
async fn domain(admin: &Client, name: &str, user: &str) -> String {
    let domain = made(admin, "domain", json!({"name": name})).await;
    let project = made(
        admin,
        "project",
        json!({"name": "work", "domain_id": domain}),
    )
    .await;
    person(admin, &domain, &project, user).await;
    domain
}

async fn made(admin: &Client, kind: &str, body: Value) -> String {
    let path = format!("/{kind}s");
    let made = admin.post(Target::Identity, &path, json!({kind: body}));
    let made = made.await.expect("it is made");
    made[kind]["id"].as_str().expect("an id").to_owned()
}

async fn person(admin: &Client, domain: &str, project: &str, name: &str) {
    let body = json!({"name": name, "domain_id": domain, "password": PASSWORD});
    let user = made(admin, "user", body).await;
    let roles = admin.get(Target::Identity, "/roles?name=member").await;
    let roles = roles.expect("roles are listed");
    let role = roles["roles"][0]["id"].as_str().expect("a role");
    let path = format!("/projects/{project}/users/{user}/roles/{role}");
    let given = admin.ask(Method::PUT, Target::Identity, &path, None).await;
    assert_eq!(given.expect("an answer").status, 204);
}

/// A token of `user` in the project `work` of the domain `domain`, made at `site`.
async fn token(cloud: &Cloud, site: &str, domain: &str, user: &str) -> Option<String> {
    let url = &cloud.site(site).expect("a site").access.auth_url;
    let domain = json!({"name": domain});
    let body = json!({"auth": {
        "identity": {"methods": ["password"],
            "password": {"user": {"name": user, "domain": domain, "password": PASSWORD}}},
        "scope": {"project": {"name": "work", "domain": domain}}}});
    let request = reqwest::Client::new().post(format!("{url}/auth/tokens"));
    let answer = request.json(&body).send().await.expect("an answer");
    let token = answer.headers().get("x-subject-token")?;
    Some(token.to_str().expect("a text").to_owned())
}

/// What `site` says to somebody who shows `token`.
async fn status(cloud: &Cloud, site: &str, token: &str) -> u16 {
    let address = cloud.site(site).expect("a site").node.address;
    let url = luc_api::Service::Compute.url(&format!("http://{address}"));
    let request = reqwest::Client::new().get(format!("{url}/servers"));
    let answer = request.header("x-auth-token", token).send().await;
    answer.expect("an answer").status().as_u16()
}

/// The names of the users of whom `site` has a copy.
fn users(cloud: &Cloud, site: &str) -> Vec<String> {
    let node = &cloud.site(site).expect("a site").node;
    let services = &node.parts.as_ref().expect("a controller").services;
    let snapshot = services.store.snapshot();
    let mut names: Vec<_> = snapshot.all::<User>().map(|u| u.name.clone()).collect();
    names.sort();
    names
}

async fn allow(admin: &Client, domains: &[&str]) {
    let body = Some(json!({ "domains": domains }));
    let path = "/luc/v1/sites/kiosk/domains";
    let allowed = admin.ask_node(Method::POST, path, body).await;
    let allowed = allowed.expect("an answer");
    assert_eq!(allowed.status, 200, "{}", allowed.body);
}

/// A cloud of two trusted sites and an edge site called kiosk.
async fn start(plan: &mut Plan) -> Cloud {
    let mut cloud = Cloud::start(plan).await.expect("the sites start and join");
    plan.sites.push("kiosk".to_owned());
    plan.round_trips_ms = Plan::round_trips(&plan.sites);
    cloud.grow(plan, Label::Edge).await.expect("it joins");
    let kiosk = cloud.site("kiosk").expect("a site");
    until("the kiosk finds the others", async || {
        cloud.sees_all(kiosk).then_some(())
    })
    .await;
    cloud
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_site_holds_the_domains_it_was_allowed_as_long_as_it_is() {
    let directory = tempfile::tempdir().expect("room for data");
    let mut plan = plan(directory.path(), &["a", "c"]);
    let cloud = start(&mut plan).await;
    // Asked at C, which is the home of neither the domain nor the admission.
    let (a, c) = (login(&cloud, "a").await, login(&cloud, "c").await);
    let acme = domain(&a, "acme", "ada").await;
    domain(&a, "other", "eve").await;

    assert_eq!(token(&cloud, "kiosk", "acme", "ada").await, None);
    assert_eq!(users(&cloud, "kiosk"), Vec::<String>::new());
    let unknown = Some(json!({"domains": ["0123456789abcdef0123456789abcdef"]}));
    let path = "/luc/v1/sites/kiosk/domains";
    let refused = a.ask_node(Method::POST, path, unknown).await;
    assert_eq!(refused.expect("an answer").status, 404);

    // By its name, which is resolved to the id.
    allow(&c, &["acme"]).await;
    let shown = a.ask_node(Method::GET, "/luc/v1/sites/kiosk", None).await;
    let shown = shown.expect("an answer").body;
    assert_eq!(shown["site"]["domains"], json!([acme]), "{shown}");
    let ada = until("ada logs in at the kiosk", async || {
        token(&cloud, "kiosk", "acme", "ada").await
    })
    .await;
    assert_eq!(users(&cloud, "kiosk"), ["ada"]);
    assert_eq!(token(&cloud, "kiosk", "other", "eve").await, None);
    for site in ["a", "c"] {
        until("the token counts elsewhere", async || {
            (status(&cloud, site, &ada).await == 200).then_some(())
        })
        .await;
    }

    // Cut off, its people still log in; afterwards it learns of new ones.
    cloud.split("kiosk").expect("it is cut");
    assert!(token(&cloud, "kiosk", "acme", "ada").await.is_some());
    let path = format!("/projects?domain_id={acme}");
    let work = a.get(Target::Identity, &path).await;
    let work = work.expect("projects are listed");
    let work = work["projects"][0]["id"].as_str().expect("a project");
    person(&a, &acme, work, "bob").await;
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    assert_eq!(users(&cloud, "kiosk"), ["ada"]);
    cloud.heal();
    until("bob logs in at the kiosk", async || {
        token(&cloud, "kiosk", "acme", "bob").await
    })
    .await;

    allow(&c, &[]).await;
    for site in ["a", "c"] {
        until("the token counts no longer", async || {
            (status(&cloud, site, &ada).await == 401).then_some(())
        })
        .await;
    }
    until("the kiosk has given everything back", async || {
        users(&cloud, "kiosk").is_empty().then_some(())
    })
    .await;
    assert_eq!(token(&cloud, "kiosk", "acme", "ada").await, None);
    cloud.stop().await.expect("everything stops");
}
