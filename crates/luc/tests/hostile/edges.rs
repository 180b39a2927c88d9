//! The key of an edge site in the wrong hands.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Bytes;
use http::{Method, StatusCode};
use luc::client::Target;
use luc_core::SitePrefix;
use luc_runtime::fabric::{Channel, Handler, Peer, RecvHalf, Refusal, SendHalf};
use luc_services::identity::model::Project;
use luc_services::sites::{Label, Promise};
use serde_json::json;

use crate::world::{Lines, World};

const SEED: &str = "0707070707070707070707070707070707070707070707070707070707070707";

#[tokio::test]
async fn an_edge_key_invites_nobody_and_blocks_no_name() {
    let world = World::new().await;
    let edge = world.captured_site(Label::Edge).await;
    let before = world.revision();
    for number in 20..30u8 {
        let founding = [number; 32];
        let wish = json!({
            "site": SitePrefix::of_key(&founding).to_string(),
            "name": format!("taken-{number}"),
            "founding_key": hex::encode(founding),
        });
        for question in ["promise", "release"] {
            let said = json!({question: wish}).to_string();
            let answer = edge.ask(Channel::SITES, said).await;
            let answer = answer.expect("a refusal in words");
            let text = String::from_utf8_lossy(&answer);
            assert!(text.contains("refused"), "{text}");
        }
    }
    let snapshot = world.services().store.snapshot();
    let names = snapshot.all::<Promise>();
    assert_eq!(names.filter(|it| it.name.starts_with("taken")).count(), 0);
    assert_eq!(world.revision(), before);
    world.stop().await;
}

#[tokio::test]
async fn an_edge_key_reaches_no_host_no_limit_and_no_operators_api() {
    let lines = Lines::default();
    let _log = lines.begin();
    let world = World::new().await;
    let edge = world.captured_site(Label::Edge).await;
    let snapshot = world.services().store.snapshot();
    let mut projects = snapshot.all::<Project>();
    let admin = projects.find(|project| project.name == "admin");
    let admin = admin.expect("it is there").id.clone();
    let before = world.revision();

    let claim = json!({"epoch": 9, "share": {}});
    let ask = json!({"ask": {"project": admin, "bound": claim, "want": {}}}).to_string();
    let back = json!({"give_back": {"project": "p2", "granted": claim, "need": {}}}).to_string();
    for body in [ask, back].iter().cycle().take(20) {
        let status = edge.http(Method::POST, "/luc/v1/leases", &[], body.clone());
        assert_eq!(status.await, Some(StatusCode::FORBIDDEN));
    }
    assert_eq!(lines.count("a site was refused"), 1, "a flood is one line");
    assert_eq!(lines.count("leases"), 1, "a flood is one line");
    let metrics = world.metrics();
    let counted = "luc_site_refusals_total{status=\"403\"} 20";
    assert!(metrics.contains(counted), "{metrics}");
    for path in [
        "/luc/v1/hosts/alpha-c/wishes",
        "/luc/v1/signing-key",
        "/luc/v1/dvms",
    ] {
        let status = edge.http(Method::GET, path, &[], String::new());
        assert_eq!(status.await, Some(StatusCode::NOT_FOUND), "{path}");
    }
    for path in ["/luc/v1/tickets", "/luc/v1/sites/leave"] {
        let status = edge.http(Method::POST, path, &[], "{}".to_owned());
        assert_eq!(status.await, Some(StatusCode::UNAUTHORIZED), "{path}");
    }
    // Half an operation, and a write without a token, under a good one.
    let half = [("luc-operation", "o-1")];
    let whole = [half[0], ("luc-seed", SEED)];
    let users = "/identity/v3/users";
    let status = edge.http(Method::POST, users, &half, "{}".to_owned());
    assert_eq!(status.await, Some(StatusCode::BAD_REQUEST));
    let status = edge.http(Method::POST, users, &whole, "{}".to_owned());
    assert_eq!(status.await, Some(StatusCode::UNAUTHORIZED));
    assert_eq!(world.revision(), before);
    world.stop().await;
}

#[tokio::test]
async fn an_edge_key_gives_up_no_operation_of_another_site() {
    let world = World::new().await;
    let edge = world.captured_site(Label::Edge).await;
    let before = world.revision();
    let mut random = luc_core::entropy::SplitMix64::new(5);
    let foreign = luc_core::id::OpId::born_at(world.services().site, &mut random);
    let path = format!("/luc/v1/between/operations/{foreign}");
    let alone = [("luc-alone", "1")];
    let status = edge.http(Method::GET, &path, &alone, String::new());
    assert_eq!(status.await, Some(StatusCode::OK));
    assert_eq!(
        world.revision(),
        before,
        "only who handed it on gives it up"
    );
    assert_ne!(edge.site, world.services().site);
    world.stop().await;
}

/// Notes the tokens that it is shown.
#[derive(Clone, Default)]
struct Thief(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Handler for Thief {
    async fn request(&self, _: Peer, _: Channel, _: Bytes) -> Result<Bytes, Refusal> {
        Err(Refusal::Busy)
    }

    fn datagram(&self, _: Peer, _: Channel, _: Bytes) {}

    async fn stream(&self, from: Peer, _: Channel, send: SendHalf, recv: RecvHalf) {
        let stolen = Arc::clone(&self.0);
        let take = move |request: axum::extract::Request| async move {
            let token = request.headers().get("x-auth-token");
            let token = token.and_then(|token| token.to_str().ok());
            let mut stolen = stolen.lock().expect("nobody panics meanwhile");
            stolen.extend(token.map(str::to_owned));
            "{}"
        };
        let router = axum::Router::new().fallback(take);
        luc_runtime::http::serve(from, send, recv, router).await;
    }
}

#[tokio::test]
async fn an_edge_site_sees_no_token_of_people_who_do_not_live_there() {
    for (label, seen) in [(Label::Edge, 0), (Label::Trusted, 1)] {
        let world = World::new().await;
        let site = world.captured_site(label).await;
        let thief = Thief::default();
        site.switchboard
            .plug(Channel::FORWARD, Arc::new(thief.clone()));
        let admin = world.admin().await;
        let mut random = luc_core::entropy::SplitMix64::new(5);
        let bait = luc_core::id::ServerId::born_at(site.site, &mut random);
        let path = format!("/servers/{bait}");
        let answer = admin
            .ask(reqwest::Method::GET, Target::Compute, &path, None)
            .await;
        let answer = answer.expect("an answer");
        let stolen = thief.0.lock().expect("nobody panics meanwhile").len();
        assert_eq!(stolen, seen, "{label}: {}", answer.body);
        if label == Label::Edge {
            assert_eq!(answer.status, 403, "{}", answer.body);
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn an_edge_site_in_the_default_domain_sees_tokens_of_members_but_none_of_admins() {
    let world = World::new().await;
    let site = world.captured_in_default().await;
    let thief = Thief::default();
    site.switchboard
        .plug(Channel::FORWARD, Arc::new(thief.clone()));
    let seen = || thief.0.lock().expect("nobody panics meanwhile").len();
    let mut random = luc_core::entropy::SplitMix64::new(5);
    let bait = luc_core::id::ServerId::born_at(site.site, &mut random);
    let path = format!("/servers/{bait}");
    let (get, to) = (reqwest::Method::GET, Target::Compute);
    let admin = world.admin().await;
    for path in [path.as_str(), "/os-hypervisors", "/os-services"] {
        let answer = admin.ask(get.clone(), to, path, None).await;
        let answer = answer.expect("an answer");
        assert_eq!(seen(), 0, "{path}: {}", answer.body);
    }
    let answer = admin.ask(get.clone(), to, &path, None).await;
    assert_eq!(answer.expect("an answer").status, 403);
    // Whoever opens nothing but what lives there is served by that site.
    let ada = world.member("ada").await;
    let answer = ada.ask(get, to, &path, None).await;
    let answer = answer.expect("an answer");
    assert_eq!(seen(), 1, "{}", answer.body);
    world.stop().await;
}
