//! Where the brains of a node sit: one at its own end of the fabric, and in a development cloud
//! one at an end of its own for each further host.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use luc_agent::agent::Agent;
use luc_runtime::fabric::{Channel, Ends};
use luc_services::Services;
use luc_services::sites::NodeWish;

use super::port::Port;
use super::{Brains, HOSTS_MAX, Seat};
use crate::config::{Config, FabricConfig, Role};
use crate::fabrics::{Fabrics, node_proof, node_secret};
use crate::outpost::Outpost;
use crate::peering::Peering;

/// Starts the brains of a controller with the hosts of `agents`. The host that is called as the
/// node is the node's own.
pub async fn of_controller(
    config: &Config,
    fabrics: &Fabrics,
    peering: &Peering,
    services: &Arc<Services>,
    url: Option<&str>,
    agents: &BTreeMap<String, Arc<Agent>>,
) -> anyhow::Result<Arc<Brains>> {
    let own = Arc::new(Port::new(services.site, Arc::clone(&peering.membership)));
    peering
        .switchboard
        .plug(Channel::OVERLAY, Arc::clone(&own) as _);
    let mut seats = vec![Seat {
        name: config.node.name.clone(),
        fabric: Arc::clone(&peering.started.fabric),
        port: own,
        directory: config.node.data_dir.clone(),
        agent: agents.get(&config.node.name).cloned(),
        vigil: true,
        own_fabric: false,
    }];
    let others = agents.iter().filter(|(name, _)| **name != config.node.name);
    for (name, agent) in others.clone().take(HOSTS_MAX) {
        // Apart from the host's machines, whose directory is the driver's own.
        let directory = config.node.data_dir.join("brains").join(name);
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("creating {}", directory.display()))?;
        let port = Arc::new(Port::new(services.site, Arc::clone(&peering.membership)));
        let (seat, mut node) = host(&config.fabric, fabrics, &directory, (name, agent), &port)?;
        let (cloud, site) = peering.place();
        node.proof = node_proof(&node_secret(&directory)?, cloud, site);
        peering.introduce_host(services, url, &node).await?;
        seats.push(seat);
    }
    if others.count() > HOSTS_MAX {
        tracing::warn!(
            most = HOSTS_MAX,
            "not every host of this process gets a brain: the others are not watched"
        );
    }
    Brains::start(services.site, Arc::clone(&peering.membership), seats)
}

/// A host beside the node's own: a key and an end of the fabric for it, and who it will be.
fn host(
    config: &FabricConfig,
    fabrics: &Fabrics,
    directory: &Path,
    (name, agent): (&str, &Arc<Agent>),
    port: &Arc<Port>,
) -> anyhow::Result<(Seat, NodeWish)> {
    let secret = node_secret(directory)?;
    let config = FabricConfig {
        listen: SocketAddr::new(config.listen.ip(), 0),
        advertise: Vec::new(),
        ..config.clone()
    };
    let ends = Ends {
        admission: Arc::clone(&port.membership) as _,
        handler: Arc::clone(port) as _,
    };
    let started = fabrics
        .start(&config, Some(directory), (&secret, port.site), ends)
        .with_context(|| format!("starting the fabric of the host {name}"))?;
    started.keep_port()?;
    let node = NodeWish {
        key: secret.key().to_string(),
        name: name.to_owned(),
        roles: vec![Role::Compute.name().to_owned()],
        addresses: started.addresses.clone(),
        proof: String::new(),
    };
    let seat = Seat {
        name: name.to_owned(),
        fabric: started.fabric,
        port: Arc::clone(port),
        directory: directory.to_owned(),
        agent: Some(Arc::clone(agent)),
        vigil: false,
        own_fabric: true,
    };
    Ok((seat, node))
}

/// Starts the brain of a compute-only node that has joined.
pub fn of_outpost(
    config: &Config,
    outpost: &Outpost,
    agent: &Arc<Agent>,
) -> anyhow::Result<Arc<Brains>> {
    let port = Arc::new(Port::new(outpost.site, Arc::clone(&outpost.membership)));
    outpost
        .switchboard
        .plug(Channel::OVERLAY, Arc::clone(&port) as _);
    let seat = Seat {
        name: config.node.name.clone(),
        fabric: Arc::clone(&outpost.started.fabric),
        port,
        directory: config.node.data_dir.clone(),
        agent: Some(Arc::clone(agent)),
        vigil: false,
        own_fabric: false,
    };
    Brains::start(outpost.site, Arc::clone(&outpost.membership), vec![seat])
}
