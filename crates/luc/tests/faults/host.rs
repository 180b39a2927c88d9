//! A host that takes what it is given and never says what became of it.

use luc_core::id::NodeId;
use luc_services::Services;
use luc_services::compute::host::Heartbeat;
use luc_services::compute::hosts;
use luc_services::testing::host_facts;

/// Its name. It has room for four of the smallest servers.
const NAME: &str = "host";

/// Makes the host known; its heartbeat counts for the whole run, which takes no minute.
pub(crate) async fn join(services: &Services, lossy: bool) {
    let facts = host_facts(NAME, NodeId::parse("node").expect("an id"));
    let known = hosts::register(services, &facts).await;
    assert!(known.is_ok() || lossy, "{:?}", known.err());
    hosts::heartbeat(services, NAME, Heartbeat::default());
}
