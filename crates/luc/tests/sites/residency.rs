//! A project with a residency rule: nothing of it is made or copied outside, and it can be used
//! from everywhere.

use luc::client::{Client, Target};
use luc::many::Cloud;
use luc_services::compute::model::server::Server;
use reqwest::Method;
use serde_json::{Value, json};

use super::{active_at, create, image, login, servers, start, until};

/// A project of the default domain that may live at b alone, and in which the admin has a role.
async fn bound(admin: &Client) -> String {
    let body = json!({"project": {"name": "bound", "domain_id": "default",
        "tags": ["blue", "luc:site=b"]}});
    let made = admin.post(Target::Identity, "/projects", body).await;
    let project = id_of(&made.expect("a project")["project"]);
    let users = admin.get(Target::Identity, "/users?name=admin").await;
    let user = id_of(&users.expect("users")["users"][0]);
    let roles = admin.get(Target::Identity, "/roles?name=admin").await;
    let role = id_of(&roles.expect("roles")["roles"][0]);
    let path = format!("/projects/{project}/users/{user}/roles/{role}");
    let given = admin.ask(Method::PUT, Target::Identity, &path, None).await;
    assert_eq!(given.expect("an answer").status, 204);
    project
}

/// A tag that names no site is refused whichever way it comes, with the names of those there are;
/// what the project had is left.
async fn refuses_unknown_sites(admin: &Client, project: &str) {
    let tagged = json!({"tags": ["luc:site=b", "luc:site=atlantis"]});
    let path = format!("/projects/{project}");
    let asked = [
        (Method::PUT, format!("{path}/tags/luc:site=atlantis"), None),
        (Method::PUT, format!("{path}/tags"), Some(tagged.clone())),
        (
            Method::PATCH,
            path.clone(),
            Some(json!({"project": tagged})),
        ),
        (
            Method::POST,
            "/projects".to_owned(),
            Some(json!({"project": {
            "name": "nowhere", "domain_id": "default", "tags": ["luc:site=atlantis"]}})),
        ),
    ];
    for (method, path, body) in asked {
        let refused = admin.ask(method, Target::Identity, &path, body).await;
        let refused = refused.expect("an answer");
        assert_eq!(refused.status, 400, "{path}: {}", refused.body);
        let said = refused.body.to_string();
        assert!(said.contains("luc:site=atlantis"), "{path}: {said}");
        assert!(said.contains("sites are: a, b, c."), "{path}: {said}");
    }
    let shown = admin
        .get(Target::Identity, &path)
        .await
        .expect("it is there");
    assert_eq!(shown["project"]["tags"], json!(["blue", "luc:site=b"]));
}

fn id_of(of: &Value) -> String {
    of["id"].as_str().expect("an id").to_owned()
}

/// The admin, in the bound project.
async fn login_bound(cloud: &Cloud, site: &str) -> Client {
    let mut access = cloud.site(site).expect("a site").access.clone();
    "bound".clone_into(&mut access.project);
    until("the project is known", async || {
        Client::login(&access).await.ok()
    })
    .await
}

/// How many servers of `project` the site has in its store.
fn held(cloud: &Cloud, site: &str, project: &str) -> usize {
    let node = &cloud.site(site).expect("a site").node;
    let services = &node.parts.as_ref().expect("a controller").services;
    let snapshot = services.store.snapshot();
    let all = snapshot.all::<Server>();
    all.filter(|server| server.project.as_str() == project)
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_that_may_live_at_one_site_is_made_and_held_nowhere_else() {
    let directory = tempfile::tempdir().expect("room for data");
    let cloud = start(directory.path(), &["a", "b", "c"]).await;
    let admin = login(&cloud, "a").await;
    let image = image(&admin).await;
    let project = bound(&admin).await;
    refuses_unknown_sites(&admin, &project).await;
    let (a, b, c) = (
        login_bound(&cloud, "a").await,
        login_bound(&cloud, "b").await,
        login_bound(&cloud, "c").await,
    );

    let refused = create(&a, "here", &image, None).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    let said = refused.body.to_string();
    assert!(
        said.contains("only: b.") && said.contains("Site a"),
        "{said}"
    );
    let refused = create(&a, "there", &image, Some("c")).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.body.to_string().contains("Site c"));
    let refused = create(&c, "own zone", &image, Some("c")).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let body = json!({"name": "x", "disk_format": "raw", "container_format": "bare"});
    let refused = c
        .ask(Method::POST, Target::Image, "/images", Some(body))
        .await;
    assert_eq!(refused.expect("an answer").status, 409);

    let made = create(&a, "named", &image, Some("b")).await;
    assert_eq!(made.status, 202, "{}", made.body);
    assert_eq!(create(&b, "asked", &image, None).await.status, 202);
    for client in [&a, &b, &c] {
        active_at(client, "named", "b").await;
        active_at(client, "asked", "b").await;
    }
    assert_eq!(servers(&c).await.len(), 2);
    assert_eq!(held(&cloud, "b", &project), 2);
    assert_eq!(held(&cloud, "a", &project) + held(&cloud, "c", &project), 0);

    // Without the rule copies come, with it they go again.
    let path = format!("/projects/{project}/tags/luc:site=b");
    let tag = async |method: Method| {
        let done = admin.ask(method, Target::Identity, &path, None).await;
        let status = done.expect("an answer").status;
        assert!(status.is_success(), "{status}");
    };
    tag(Method::DELETE).await;
    until("copies at c", async || {
        servers(&c).await;
        (held(&cloud, "c", &project) == 2).then_some(())
    })
    .await;
    tag(Method::PUT).await;
    until("they are gone", async || {
        (held(&cloud, "c", &project) == 0).then_some(())
    })
    .await;
    active_at(&c, "asked", "b").await;
    cloud.stop().await.expect("everything stops");
}
