//! A running edge site whose store its captor writes into: what it claims is fed, and refused.

use std::sync::Arc;
use std::time::Duration;

use luc::client::Target;
use luc::node::Node;
use luc_core::entropy::SplitMix64;
use luc_core::id::DomainId;
use luc_core::time::Timestamp;
use luc_runtime::NodeKey;
use luc_services::Services;
use luc_services::identity::model::{Domain, Extra};
use luc_services::sites::{Label, Members, NodeInfo, node_id};
use luc_state::Record;
use serde_json::json;
use tokio::time::Instant;

use crate::world::{Lines, World};

/// How long a feed may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn services(node: &Node) -> &Arc<Services> {
    &node.parts.as_ref().expect("a controller").services
}

/// Writes `record` into the store of `captured`, whatever any rule says.
async fn write<R: Record + Clone>(captured: &Node, record: R) {
    let store = &services(captured).store;
    let written = store.transact(|tx| tx.put(record.clone()).map(drop));
    written.await.expect("its captor writes what he likes");
}

async fn until(what: &str, mut look: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !look() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_edge_site_takes_no_name_of_a_domain_from_anybody() {
    let lines = Lines::default();
    let _log = lines.begin();
    let world = World::new().await;
    let edge = world.running_site(Label::Edge).await;
    let id = DomainId::born_at(services(&edge).site, &mut SplitMix64::new(5));
    let domain = Domain {
        id: id.clone(),
        name: "acme".to_owned(),
        description: None,
        enabled: true,
        token_epoch: 0,
        tags: Vec::new(),
        options: Extra::new(),
        extra: Extra::new(),
    };
    write(&edge, domain).await;
    let refused = "a site is not followed any more";
    until("the feed is refused", || lines.count(refused) == 1).await;
    let admin = world.admin().await;
    let made = json!({"domain": {"name": "acme"}});
    let made = admin.post(Target::Identity, "/domains", made).await;
    assert_ne!(made.expect("it is free")["domain"]["id"], id.as_str());
    let snapshot = world.services().store.snapshot();
    assert!(snapshot.get::<Domain>(&id).is_none());
    assert_eq!(lines.count(refused), 1);
    edge.stop().await.expect("it stops");
    world.stop().await;
}

/// What `site` says of the node with `key`.
fn claim(node: &Node, key: NodeKey, revoked: bool) -> NodeInfo {
    let (site, key) = (services(node).site, key.to_string());
    NodeInfo {
        id: node_id(site, &key),
        site,
        name: "mine".to_owned(),
        key,
        roles: vec!["controller".to_owned()],
        addresses: Vec::new(),
        joined_at: Timestamp::from_unix_secs(0),
        revoked_at: revoked.then(|| Timestamp::from_unix_secs(1)),
        ticket: None,
        proof: None,
    }
}

#[tokio::test]
async fn no_site_names_the_key_of_a_node_that_comes_later() {
    for (label, revoked) in [(Label::Trusted, false), (Label::Edge, true)] {
        let lines = Lines::default();
        let _log = lines.begin();
        let world = World::new().await;
        let liar = world.running_site(label).await;
        let (config, key) = world.later_node("alpha-1");
        let complaint = "a site claims a key that is not its own";
        for _ in 0..3 {
            write(&liar, claim(&liar, key, revoked)).await;
            until("it is heard", || lines.count(complaint) >= 1).await;
        }
        world.join_node(&config).await;
        let services = world.services();
        let members = Members::of(&services.store.snapshot(), services.site);
        let home = members.sites.iter().find(|member| {
            let mut nodes = member.nodes.iter();
            nodes.any(|node| node.key == key.to_string())
        });
        assert_eq!(home.map(|member| member.site), Some(services.site));
        assert!(members.revoked.is_empty(), "{members:?}");
        let node = world.start(&config).await;
        // Its controller serves it as a node of its own site.
        let attacker = world.captured_node(&config);
        let path = "/luc/v1/hosts/alpha-1/wishes";
        let status = attacker.http(http::Method::GET, path, &[], String::new());
        assert_eq!(status.await, Some(http::StatusCode::OK));
        // At this node and, once it has heard the same, at the liar's: nowhere more often.
        let count = lines.count(complaint);
        assert!((1..=2).contains(&count), "{count} lines");
        node.stop().await.expect("it stops");
        liar.stop().await.expect("it stops");
        world.stop().await;
    }
}
