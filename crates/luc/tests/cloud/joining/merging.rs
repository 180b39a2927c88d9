//! A cloud that has people and servers joins another one, as processes.

use luc_api::Service;

use super::*;

const WORDS: &str = "words of zoe";

/// What the cloud that joins had before.
struct Had {
    user: String,
    project: String,
    image: String,
    server: String,
}

async fn made(admin: &Client, kind: &str, body: Value) -> String {
    let path = format!("/{kind}s");
    let made = admin.post(Target::Identity, &path, json!({kind: body}));
    let made = made.await.expect("it is made");
    made[kind]["id"].as_str().expect("an id").to_owned()
}

/// An image that everybody may boot; its id.
async fn public_image(admin: &Client) -> String {
    let image = image(admin, None).await;
    let shared = json!([{"op": "replace", "path": "/visibility", "value": "public"}]);
    let shared = admin
        .patch_image(&format!("/images/{image}"), &shared)
        .await;
    assert_eq!(shared.expect("an answer").status, 200);
    image
}

/// Gives the cloud at `url` a user, a project and a server.
async fn furnish(url: &str) -> Had {
    let admin = login(url).await;
    let project = made(&admin, "project", json!({"name": "lab"})).await;
    let user = made(&admin, "user", json!({"name": "zoe", "password": WORDS})).await;
    let roles = admin.get(Target::Identity, "/roles?name=member").await;
    let role = roles.expect("roles")["roles"][0]["id"].clone();
    let role = role.as_str().expect("an id");
    let path = format!("/projects/{project}/users/{user}/roles/{role}");
    let given = admin.ask(reqwest::Method::PUT, Target::Identity, &path, None);
    assert_eq!(given.await.expect("an answer").status, 204);
    let zoe = zoe(url, "Default").await.expect("zoe logs in");
    let image = public_image(&admin).await;
    let server = launch(url, &zoe.0, &image, "kept").await;
    Had {
        user,
        project,
        image,
        server,
    }
}

/// A token of zoe made at `url`, and what it says.
async fn zoe(url: &str, domain: &str) -> Option<(String, Value)> {
    let domain = json!({"name": domain});
    let body = json!({"auth": {
        "identity": {"methods": ["password"],
            "password": {"user": {"name": "zoe", "domain": domain, "password": WORDS}}},
        "scope": {"project": {"name": "lab", "domain": domain}}}});
    let url = format!("{}/auth/tokens", Service::Identity.url(url));
    let answer = reqwest::Client::new().post(url).json(&body).send().await;
    let answer = answer.ok()?;
    let token = answer.headers().get("x-subject-token")?;
    let token = token.to_str().expect("a text").to_owned();
    let said: Value = answer.json().await.expect("JSON");
    Some((token, said["token"].clone()))
}

async fn ask(url: &str, token: &str, path: &str, body: Option<Value>) -> Value {
    let url = format!("{}{path}", Service::Compute.url(url));
    let http = reqwest::Client::new();
    let request = match body {
        Some(body) => http.post(url).json(&body),
        None => http.get(url),
    };
    let request = request.header("x-openstack-nova-api-version", "2.79");
    let answer = request.header("x-auth-token", token).send().await;
    let answer = answer.expect("an answer").json().await;
    answer.unwrap_or_default()
}

/// Starts a server and waits until it runs; its id.
async fn launch(url: &str, token: &str, image: &str, name: &str) -> String {
    let flavors = ask(url, token, "/flavors", None).await;
    let flavor = flavors["flavors"][0]["id"].as_str().expect("a flavor");
    let body = json!({"server": {"name": name, "imageRef": image, "flavorRef": flavor,
        "networks": "none"}});
    // The image may have been made at another site a moment ago.
    let id = eventually("a server is made", async || {
        let made = ask(url, token, "/servers", Some(body.clone())).await;
        made["server"]["id"].as_str().map(str::to_owned)
    })
    .await;
    eventually("the server runs", async || {
        let shown = ask(url, token, &format!("/servers/{id}"), None).await;
        (shown["server"]["status"] == "ACTIVE").then_some(())
    })
    .await;
    id
}

async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < LIMIT, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_joins_another_with_its_people_as_a_domain() {
    let operator = Operator::new();
    let (mut first, url) = operator.found(CONTROLLER).await;
    let config = operator.configure("lyon", "lyon-1", "[\"controller\", \"compute\"]");
    let words = ["cloud", "create", "--config", &config];
    let password = ["--admin-password-file", operator.password.as_str()];
    let founded = run(&[&words[..], &password].concat()).await;
    founded.expect("it is founded");
    let (mut alone, lyon) = start(Path::new(&config)).await;
    let had = furnish(&lyon).await;
    alone.kill().await.expect("it was running");

    let ticket = operator.ticket(&url, "--site").await;
    let words = ["join", &ticket, "--config", &config, "--as-domain"];
    for taken in ["", "Default"] {
        let refused = run(&[&words[..], &[taken]].concat()).await;
        let refused = refused.expect_err("no domain can be called so");
        assert!(refused.contains("nobody was asked yet"), "{refused}");
    }
    let sites = operator.ask(&url, &["site", "list"]).await;
    assert_eq!(sites["sites"].as_array().map(Vec::len), Some(1), "{sites}");
    let words = ["join", &ticket, "--config", &config, "--as-domain", "Lyon"];
    let joined = run(&[&words[..], &["--json"]].concat()).await;
    let joined = joined.expect("it joins");
    let left = joined["left"].to_string();
    for part in [
        "role on the system of user",
        "visibility of image",
        "flavor",
    ] {
        assert!(left.contains(part), "{part}: {left}");
    }
    let again = run(&words).await;
    again.expect("asked again it is the same");
    let (mut second, lyon) = start(Path::new(&config)).await;

    for at in [&lyon, &url] {
        let (shown_by, said) = eventually("zoe logs in", async || zoe(at, "Lyon").await).await;
        assert_eq!(said["user"]["id"], had.user.as_str(), "{said}");
        assert_eq!(said["project"]["id"], had.project.as_str(), "{said}");
        assert_ne!(said["user"]["domain"]["id"], "default");
        assert_eq!(said["roles"].as_array().expect("roles").len(), 2, "{said}");
        let path = format!("/servers/{}", had.server);
        let server = eventually("the server is seen", async || {
            let shown = ask(at, &shown_by, &path, None).await;
            (shown["server"]["status"] == "ACTIVE").then(|| shown["server"].clone())
        })
        .await;
        assert_eq!(server["image"]["id"], had.image.as_str(), "{server}");
        assert!(zoe(at, "Default").await.is_none());
    }
    // The cloud's flavors and people are at the site, and its own people use them.
    let admin = login(&lyon).await;
    let image = public_image(&admin).await;
    let (fresh, _) = zoe(&url, "Lyon").await.expect("zoe logs in");
    launch(&url, &fresh, &image, "fresh").await;
    let listed = operator.ask(&url, &["site", "list"]).await;
    assert_eq!(listed["sites"].as_array().expect("a list").len(), 2);
    for child in [&mut first, &mut second] {
        child.kill().await.expect("it was running");
    }
}
