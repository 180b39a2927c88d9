//! A compute-only node that falls silent.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use luc::client::{Client, Target};
use luc::cloud::create;
use luc::clouds::Access;
use luc::config::{ApiConfig, ComputeConfig, Config, DriverKind, NodeConfig, Role};
use luc::fabrics::Fabrics;
use luc::join::join;
use luc::node::Node;
use luc_api::Service;
use luc_api::value::Secret;
use luc_runtime::fabric::memory::Network;
use luc_services::sites::{Invitation, Label, Purpose, invite};
use reqwest::Method;

use crate::{LIMIT, until};

/// Far less than the 60 s of missed heartbeats (Nova's `service_down_time`).
pub(crate) const MISSED: Duration = Duration::from_secs(25);

fn config(directory: &Path, name: &str, role: Role) -> Config {
    Config {
        node: NodeConfig {
            name: name.to_owned(),
            roles: vec![role],
            data_dir: directory.join(name),
            ..NodeConfig::default()
        },
        api: ApiConfig {
            listen: "127.0.0.1:0".parse().expect("an address"),
            ..ApiConfig::default()
        },
        compute: ComputeConfig {
            driver: DriverKind::Fake,
            ..ComputeConfig::default()
        },
        ..Config::default()
    }
}

/// A compute-only node of the controller's site.
async fn compute(directory: &Path, name: &str, controller: &Node, fabrics: &Fabrics) -> Node {
    let parts = controller.parts.as_ref().expect("it has a store");
    let peering = controller.peering().expect("it has a fabric");
    let invitation = Invitation {
        purpose: Purpose::Node,
        label: Label::Trusted,
        domains: None,
        lifetime: Duration::from_secs(60),
    };
    let ticket = invite(&parts.services, &peering.inviter(), &invitation).await;
    let ticket = ticket.expect("a ticket").encode();
    let config = config(directory, name, Role::Compute);
    join(&config, &ticket, fabrics).await.expect("it joins");
    let node = Node::start_on(&config, &[name.to_owned()], fabrics).await;
    node.expect("the compute node starts")
}

pub(crate) async fn state_of(client: &Client, host: &str) -> String {
    let path = format!("/os-services?binary=nova-compute&host={host}");
    let answer = client.get(Target::Compute, &path).await;
    let answer = answer.expect("services are listed");
    let state = &answer["services"][0]["state"];
    state.as_str().unwrap_or("unknown").to_owned()
}

/// How many others its brain sees.
async fn sees(node: &Node) -> Option<usize> {
    let reports = node.brains().expect("it has a brain").reports().await;
    let status = reports.into_iter().next()?.status?;
    Some(status.members.len())
}

/// A controller without guests and two compute-only nodes of its site.
pub(crate) struct Site {
    pub(crate) network: Arc<Network>,
    pub(crate) client: Client,
    pub(crate) one: Node,
    pub(crate) two: Node,
    pub(crate) controller: Node,
}

impl Site {
    /// All see each other and are up.
    pub(crate) async fn start(directory: &Path) -> Self {
        let network = Arc::new(Network::new(5));
        let fabrics = Fabrics::Memory(Arc::clone(&network));
        let main = config(directory, "main", Role::Controller);
        let password = Secret::new("a password of the test");
        let founded = create(&main, Some(password.clone())).await;
        founded.expect("it is founded");
        let controller = Node::start_on(&main, &[], &fabrics).await;
        let controller = controller.expect("the controller starts");
        let one = compute(directory, "one", &controller, &fabrics).await;
        let two = compute(directory, "two", &controller, &fabrics).await;
        let access = Access {
            auth_url: Service::Identity.url(&format!("http://{}", controller.address)),
            user: "admin".to_owned(),
            password,
            project: "admin".to_owned(),
            region: "RegionOne".to_owned(),
            domains: luc::clouds::Domains::default(),
        };
        let client = Client::login(&access).await.expect("admin logs in");
        until("they see each other, and both are up", LIMIT, async || {
            let met = sees(&controller).await == Some(2) && sees(&one).await == Some(2);
            let up =
                state_of(&client, "one").await == "up" && state_of(&client, "two").await == "up";
            (met && up).then_some(())
        })
        .await;
        Self {
            network,
            client,
            one,
            two,
            controller,
        }
    }

    pub(crate) async fn stop(self) {
        for node in [self.one, self.two, self.controller] {
            node.stop().await.expect("it stops");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compute_node_that_falls_silent_is_down_before_its_heartbeats_are_missed() {
    let directory = tempfile::tempdir().expect("room for data");
    let site = Site::start(directory.path()).await;
    let client = &site.client;
    let cut = site.one.outpost().expect("it has joined").secret.key();
    let since = Instant::now();
    site.network.crash(cut);
    until("it is down", MISSED, async || {
        (state_of(client, "one").await == "down").then_some(())
    })
    .await;
    println!("down after {:.1} s", since.elapsed().as_secs_f64());
    assert_eq!(state_of(client, "two").await, "up");
    let health = until("the list of nodes says so", LIMIT, async || {
        let answer = client.ask_node(Method::GET, "/luc/v1/nodes", None).await;
        let nodes = answer.expect("an answer").body["nodes"].clone();
        let mut health = BTreeMap::new();
        for node in nodes.as_array()? {
            let word = |key: &str| node[key].as_str().unwrap_or_default().to_owned();
            health.insert(word("name"), word("health"));
        }
        (health.get("one")? == "failed").then_some(health)
    })
    .await;
    assert_eq!(health.get("two").map(String::as_str), Some("awake"));
    site.stop().await;
}
