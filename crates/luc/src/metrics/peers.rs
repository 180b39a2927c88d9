//! What the fabric counts of each peer, for `/metrics`: read from it at each scrape.

use std::fmt;
use std::sync::Arc;

use luc_runtime::fabric::{Fabric, PeerMetrics, PeerState, Standing};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// The counters of a fabric.
pub(super) struct Peers(pub(super) Arc<dyn Fabric>);

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PeerLabels {
    /// The node's key.
    peer: String,
    /// The prefix of its site; empty for a node of none.
    site: String,
}

/// A series: its name, what it says, and where it is read.
type Series = (&'static str, &'static str, fn(&PeerMetrics) -> u64);

const COUNTERS: [Series; 8] = [
    (
        "fabric_sent_bytes",
        "Bytes of UDP payload sent to a node",
        |peer| peer.traffic.wire_bytes_out,
    ),
    (
        "fabric_received_bytes",
        "Bytes of UDP payload received from a node",
        |peer| peer.traffic.wire_bytes_in,
    ),
    (
        "fabric_sent_frame_bytes",
        "Bytes of frames sent to a node, before encryption",
        |peer| peer.traffic.frame_bytes_out,
    ),
    (
        "fabric_received_frame_bytes",
        "Bytes of frames received from a node, after decryption",
        |peer| peer.traffic.frame_bytes_in,
    ),
    (
        "fabric_connects",
        "Connections to a node that came about",
        |peer| peer.traffic.connects,
    ),
    (
        "fabric_losses",
        "Connections to a node that were lost",
        |peer| peer.traffic.losses,
    ),
    (
        "fabric_refused",
        "Messages of a node that were not admitted, malformed or too large",
        |peer| peer.traffic.refused,
    ),
    (
        "fabric_dropped_datagrams",
        "Datagrams for a node that were dropped here for want of a connection or of room",
        |peer| peer.traffic.datagrams_dropped,
    ),
];

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peers of {}", self.0.me())
    }
}

impl Collector for Peers {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let peers: Vec<(PeerLabels, PeerMetrics)> = { self.0.peers().into_iter() }
            .map(|peer| {
                let site = match peer.standing {
                    Standing::Member(id) => id.site.to_string(),
                    Standing::Guest | Standing::Refused => String::new(),
                };
                let labels = PeerLabels {
                    peer: peer.key.to_string(),
                    site,
                };
                (labels, peer)
            })
            .collect();
        for (name, help, read) in COUNTERS {
            let mut series = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (labels, peer) in &peers {
                ConstCounter::new(read(peer)).encode(series.encode_family(labels)?)?;
            }
        }
        let connected = |peer: &PeerMetrics| Some(f64::from(peer.state == PeerState::Connected));
        let rtt = |peer: &PeerMetrics| peer.rtt.map(|rtt| rtt.as_secs_f64());
        gauge(
            &mut encoder,
            ("fabric_connected", "Whether a connection to a node is open"),
            &peers,
            connected,
        )?;
        gauge(
            &mut encoder,
            (
                "fabric_rtt_seconds",
                "Smoothed round trip to a node (RFC 9002, 5.3)",
            ),
            &peers,
            rtt,
        )
    }
}

/// Writes what `read` knows of each peer.
fn gauge(
    encoder: &mut DescriptorEncoder,
    (name, help): (&str, &str),
    peers: &[(PeerLabels, PeerMetrics)],
    read: impl Fn(&PeerMetrics) -> Option<f64>,
) -> fmt::Result {
    let mut series = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, peer) in peers {
        if let Some(value) = read(peer) {
            ConstGauge::new(value).encode(series.encode_family(labels)?)?;
        }
    }
    Ok(())
}
