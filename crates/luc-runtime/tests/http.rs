//! HTTP over a fabric in memory: what arrives, who is said to have sent it, and what a caller may
//! conclude when no answer comes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use luc_core::SitePrefix;
use luc_runtime::fabric::memory::{MemoryFabric, Network};
use luc_runtime::fabric::{
    Channel, Ends, Handler, Members, Peer, RecvHalf, Refusal, SendHalf, Standing,
};
use luc_runtime::http::{SendError, send, serve};
use luc_runtime::{NodeKey, NodeSecret};
use tokio::time::Instant;

struct Served(Router);

#[async_trait]
impl Handler for Served {
    async fn request(&self, _: Peer, _: Channel, _: Bytes) -> Result<Bytes, Refusal> {
        Err(Refusal::UnknownChannel)
    }

    fn datagram(&self, _: Peer, _: Channel, _: Bytes) {}

    async fn stream(&self, from: Peer, _: Channel, send: SendHalf, recv: RecvHalf) {
        serve(from, send, recv, self.0.clone()).await;
    }
}

fn key(number: u8) -> NodeKey {
    NodeSecret::from_seed(&[number; 32]).key()
}

fn start(network: &Network, number: u8, router: Router) -> Arc<MemoryFabric> {
    let members = Members::strict();
    for other in 1..=2 {
        let site = SitePrefix::of_key(&[other]);
        members.set(key(other), Standing::Member(key(other).peer_id(site)));
    }
    let ends = Ends {
        admission: Arc::new(members),
        handler: Arc::new(Served(router)),
    };
    network.start(key(number), SitePrefix::of_key(&[number]), ends)
}

fn router() -> Router {
    Router::new()
        .route(
            "/who",
            get(async |axum::Extension(peer): axum::Extension<Peer>| peer.key.to_string()),
        )
        .route("/length", post(async |body: Bytes| body.len().to_string()))
        .route("/zeros", get(async || vec![0u8; 3_000_000]))
        .route("/never", get(std::future::pending::<()>))
        .layer(axum::extract::DefaultBodyLimit::disable())
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

async fn ask(from: &MemoryFabric, request: http::Request<Body>) -> Result<Bytes, SendError> {
    let response = send(from, key(2), Channel::FORWARD, request, soon()).await?;
    assert_eq!(response.status(), 200);
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    Ok(body.expect("the body arrives"))
}

fn request(method: &str, path: &str, body: impl Into<Body>) -> http::Request<Body> {
    let request = http::Request::builder().method(method).uri(path);
    request.body(body.into()).expect("a request")
}

#[tokio::test(start_paused = true)]
async fn a_request_says_which_node_sent_it_and_bodies_of_any_size_arrive() {
    let network = Network::new(1);
    let (one, _two) = (
        start(&network, 1, Router::new()),
        start(&network, 2, router()),
    );
    let who = ask(&one, request("GET", "/who", ""))
        .await
        .expect("answered");
    assert_eq!(who, key(1).to_string());
    let length = ask(&one, request("POST", "/length", vec![7u8; 5_000_000])).await;
    assert_eq!(length.expect("answered"), "5000000");
    let zeros = ask(&one, request("GET", "/zeros", ""))
        .await
        .expect("answered");
    assert_eq!(zeros.len(), 3_000_000);
}

#[tokio::test(start_paused = true)]
async fn behind_a_cut_nothing_was_sent() {
    let network = Network::new(1);
    let (one, _two) = (
        start(&network, 1, Router::new()),
        start(&network, 2, router()),
    );
    network.split(SitePrefix::of_key(&[1]), SitePrefix::of_key(&[2]));
    let error = ask(&one, request("GET", "/who", "")).await.unwrap_err();
    assert!(matches!(error, SendError::NotSent { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_cut_in_the_middle_and_a_silent_peer_leave_it_unknown() {
    let network = Network::new(1);
    let (one, _two) = (
        start(&network, 1, Router::new()),
        start(&network, 2, router()),
    );
    let error = ask(&one, request("GET", "/never", "")).await.unwrap_err();
    assert!(matches!(error, SendError::Unknown { .. }), "{error}");
    let asked = ask(&one, request("GET", "/never", ""));
    let cut = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        network.split(SitePrefix::of_key(&[1]), SitePrefix::of_key(&[2]));
    };
    let (error, ()) = tokio::join!(asked, cut);
    let error = error.unwrap_err();
    assert!(matches!(error, SendError::Unknown { .. }), "{error}");
}
