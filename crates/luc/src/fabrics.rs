//! How a node gets its end of the fabric: QUIC between processes, or a network inside this one.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use luc_core::SitePrefix;
use luc_runtime::NodeSecret;
use luc_runtime::fabric::memory::Network;
use luc_runtime::fabric::quic::{QuicFabric, QuicSettings, Wan, Way};
use luc_runtime::fabric::{Ends, Fabric};
use luc_services::sites::node_message;

use crate::config::FabricConfig;

/// What carries the fabric.
#[derive(Clone)]
pub enum Fabrics {
    /// QUIC, at the configured address.
    Quic,
    /// A network in this process, for development clouds and tests.
    Memory(Arc<Network>),
}

/// A node's end of the fabric.
#[derive(Clone)]
pub struct Started {
    /// The fabric.
    pub fabric: Arc<dyn Fabric>,
    /// Where others reach it; none on a network in memory.
    pub addresses: Vec<String>,
    /// Where it listens; none on a network in memory.
    pub bound: Option<SocketAddr>,
    /// The artificial delay to other sites, if one is wanted.
    wan: Option<(Arc<Wan>, Duration)>,
}

impl Fabrics {
    /// Starts the end of the node with `secret` at `site`.
    pub fn start(
        &self,
        config: &FabricConfig,
        secret: &NodeSecret,
        site: SitePrefix,
        ends: Ends,
    ) -> anyhow::Result<Started> {
        match self {
            Self::Memory(network) => Ok(Started {
                fabric: network.start(secret.key(), site, ends),
                addresses: Vec::new(),
                bound: None,
                wan: None,
            }),
            Self::Quic => {
                let delay = Duration::from_millis(config.delay_ms);
                let wan = (!delay.is_zero()).then(|| (Arc::new(Wan::default()), delay));
                let mut settings = QuicSettings::at(config.listen);
                settings.wan = wan.as_ref().map(|(wan, _)| Arc::clone(wan));
                let fabric = QuicFabric::start(secret, settings, ends)?;
                let address = fabric
                    .local_address()
                    .context("reading the fabric's port")?;
                Ok(Started {
                    fabric,
                    addresses: advertised(config, address),
                    bound: Some(address),
                    wan,
                })
            }
        }
    }
}

impl Started {
    /// Where those at `towards` reach it: what others are told, else the port that it listens on,
    /// at the address that its packets to them come from.
    pub fn ways(&self, towards: &[SocketAddr]) -> Vec<String> {
        if !self.addresses.is_empty() {
            return self.addresses.clone();
        }
        let Some(bound) = self.bound else {
            return Vec::new();
        };
        let ways = towards.iter().filter_map(|there| source(bound, *there));
        let mut ways: Vec<_> = ways
            .map(|ip| SocketAddr::new(ip, bound.port()).to_string())
            .collect();
        ways.sort_unstable();
        ways.dedup();
        ways
    }

    /// Holds packets to `addresses` of another site back, if that is configured.
    pub fn delay(&self, addresses: &[SocketAddr]) {
        if let Some((wan, delay)) = &self.wan {
            for address in addresses {
                wan.set(*address, Way::Delay(*delay));
            }
        }
    }
}

/// What others are told: what the operator says, else where it listens, unless that is everywhere.
fn advertised(config: &FabricConfig, address: SocketAddr) -> Vec<String> {
    if !config.advertise.is_empty() {
        return config.advertise.clone();
    }
    if address.ip().is_unspecified() {
        tracing::warn!(
            %address,
            "the fabric listens everywhere and fabric.advertise is empty: other sites cannot call"
        );
        return Vec::new();
    }
    vec![address.to_string()]
}

/// The own address from which packets go to `there`. Asks the routing table and sends nothing.
fn source(bound: SocketAddr, there: SocketAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind(SocketAddr::new(bound.ip(), 0)).ok()?;
    socket.connect(there).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

/// The node's key in `directory`, made on the first call.
pub fn node_secret(directory: &Path) -> anyhow::Result<NodeSecret> {
    Ok(NodeSecret::load_or_create(&directory.join("node.key"))?)
}

/// What proves that the node with `secret` is one of `site` in `cloud`.
pub(crate) fn node_proof(secret: &NodeSecret, cloud: SitePrefix, site: SitePrefix) -> String {
    let message = node_message(cloud, site, &secret.key().to_string());
    hex::encode(secret.sign(&message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_from_the_address_that_routes_to_the_target() {
        let bound = SocketAddr::from(([0, 0, 0, 0], 4000));
        let there = SocketAddr::from(([127, 0, 0, 1], 9));
        assert_eq!(source(bound, there), Some(IpAddr::from([127, 0, 0, 1])));
    }
}
