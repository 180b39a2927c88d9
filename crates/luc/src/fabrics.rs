//! How a node gets its end of the fabric: QUIC between processes, or a network inside this one.

mod kept;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use luc_core::SitePrefix;
use luc_runtime::NodeSecret;
use luc_runtime::fabric::memory::Network;
use luc_runtime::fabric::quic::{QuicFabric, QuicSettings, StartError, Wan, Way};
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
    /// Where the port is kept, if the configuration names none.
    keeps: Option<PathBuf>,
}

impl Fabrics {
    /// Starts the end of the node with `secret` at `site`. If the configuration names no port it is
    /// the one that is kept in `directory`, else any.
    pub fn start(
        &self,
        config: &FabricConfig,
        directory: Option<&Path>,
        (secret, site): (&NodeSecret, SitePrefix),
        ends: Ends,
    ) -> anyhow::Result<Started> {
        match self {
            Self::Memory(network) => Ok(Started {
                fabric: network.start(secret.key(), site, ends),
                addresses: Vec::new(),
                bound: None,
                wan: None,
                keeps: None,
            }),
            Self::Quic => {
                let delay = Duration::from_millis(config.delay_ms);
                let wan = (!delay.is_zero()).then(|| (Arc::new(Wan::default()), delay));
                let mut settings = QuicSettings::at(config.listen);
                settings.wan = wan.as_ref().map(|(wan, _)| Arc::clone(wan));
                let open = config.listen.port() == 0;
                let keeps = directory.filter(|_| open);
                let port = keeps.and_then(kept::read);
                let fabric = listen(settings, port, secret, ends)?;
                let address = fabric
                    .local_address()
                    .context("reading the fabric's port")?;
                Ok(Started {
                    fabric,
                    addresses: advertised(config, address),
                    bound: Some(address),
                    wan,
                    keeps: keeps.map(Path::to_owned),
                })
            }
        }
    }
}

/// Listens as `settings` say, but on the port `kept`, if there is one and nobody else has it.
fn listen(
    settings: QuicSettings,
    kept: Option<u16>,
    secret: &NodeSecret,
    ends: Ends,
) -> Result<Arc<QuicFabric>, StartError> {
    let Some(port) = kept else {
        return QuicFabric::start(secret, settings, ends);
    };
    let mut again = settings.clone();
    again.listen.set_port(port);
    match QuicFabric::start(secret, again, ends.clone()) {
        Err(StartError::Listen { address, source }) => {
            tracing::warn!(
                %address, error = %source,
                "the port that this node had is taken; it draws another, and sites that are away \
                 now do not know it: name one in fabric.listen"
            );
            QuicFabric::start(secret, settings, ends)
        }
        started => started,
    }
}

impl Started {
    /// Keeps the port that was drawn, for the next start. To be called before others are told of
    /// it, by who is alone on its data.
    pub fn keep_port(&self) -> anyhow::Result<()> {
        match (&self.keeps, self.bound) {
            (Some(directory), Some(bound)) => kept::write(directory, bound.port()),
            _ => Ok(()),
        }
    }

    /// Whether nobody can be told where to call: it listens everywhere, and the operator does not
    /// say where that is.
    pub fn is_nowhere(&self) -> bool {
        self.bound.is_some() && self.addresses.is_empty()
    }

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
    use luc_runtime::fabric::Members;

    use super::*;
    use crate::sites::Switchboard;

    /// Starts on `directory` with the configuration that is shown when there is none.
    fn start(directory: &Path) -> Started {
        let ends = Ends {
            admission: Arc::new(Members::hospitable()),
            handler: Arc::new(Switchboard::default()),
        };
        let secret = NodeSecret::from_seed(&[7; 32]);
        let me = (&secret, SitePrefix::of_key(b"a"));
        let config = FabricConfig::default();
        let started = Fabrics::Quic.start(&config, Some(directory), me, ends);
        started.unwrap()
    }

    /// Takes the port once nobody has it; an endpoint gives it back when its last task has ended.
    async fn free(port: u16) -> UdpSocket {
        for _ in 0..500 {
            if let Ok(socket) = UdpSocket::bind(("127.0.0.1", port)) {
                return socket;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the port {port} is never free");
    }

    #[tokio::test]
    async fn a_port_that_was_drawn_is_bound_again_unless_it_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let first = start(directory.path());
        first.keep_port().unwrap();
        let port = first.bound.unwrap().port();
        // Somebody who is not alone on the data takes nothing away from who is.
        let beside = start(directory.path());
        assert_ne!(beside.bound.unwrap().port(), port);
        beside.fabric.shut_down().await;
        first.fabric.shut_down().await;
        drop((first, beside));
        let _ = free(port).await;

        let second = start(directory.path());
        assert_eq!(second.bound.unwrap().port(), port);
        second.fabric.shut_down().await;
        drop(second);

        let _taken = free(port).await;
        let third = start(directory.path());
        let other = third.bound.unwrap().port();
        assert_ne!(other, port);
        third.keep_port().unwrap();
        assert_eq!(kept::read(directory.path()), Some(other));
    }

    #[test]
    fn packets_come_from_the_address_that_routes_to_the_target() {
        let bound = SocketAddr::from(([0, 0, 0, 0], 4000));
        let there = SocketAddr::from(([127, 0, 0, 1], 9));
        assert_eq!(source(bound, there), Some(IpAddr::from([127, 0, 0, 1])));
    }
}
