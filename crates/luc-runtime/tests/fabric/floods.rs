//! First packets under addresses that are made up: what they cost, and that honest nodes still get
//! in. QUIC version 1 packets, RFC 9000 section 17.2.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use luc_runtime::fabric::Fabric;
use luc_runtime::fabric::quic::{QuicFabric, QuicSettings};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::node::{TestNode, key, member, secret};
use crate::raw::client;
use crate::suite::ask;

/// How many make up an address at once.
const FLOOD: usize = 80;

/// How long a packet may take on the loopback.
const SOON: Duration = Duration::from_secs(5);

/// What the node answered a first packet with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    /// Its side of the handshake: it has made keys and keeps state.
    Handshake,
    /// A demand to prove the address.
    Retry,
}

/// The first packets of `count` handshakes, each with an id of its own.
async fn first_packets(count: usize) -> Vec<Vec<u8>> {
    let sink = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = sink.local_addr().unwrap();
    let endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
    let dialled: Vec<_> = (0..count)
        .map(|_| endpoint.connect_with(client(9, 9), address, "luc").unwrap())
        .collect();
    let (mut ids, mut packets) = (BTreeSet::new(), Vec::new());
    let mut bytes = [0u8; 2048];
    while packets.len() < count {
        let received = timeout(SOON, sink.recv(&mut bytes)).await;
        let packet = &bytes[..received.expect("a packet").unwrap()];
        // Flags, version, length of the destination's id, the id.
        let id = packet[6..6 + usize::from(packet[5])].to_vec();
        if ids.insert(id) {
            packets.push(packet.to_vec());
        }
    }
    drop(dialled);
    packets
}

/// Sends `packet` from an address of its own, which nobody listens at afterwards.
async fn send(packet: &[u8], to: SocketAddr) -> Answered {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(packet, to).await.unwrap();
    let mut bytes = [0u8; 2048];
    let received = timeout(SOON, socket.recv(&mut bytes)).await;
    let length = received.expect("an answer").unwrap();
    // A long header and its type; what is between them may be anything (RFC 9287).
    match bytes[0] & 0xb0 {
        0xb0 => {
            assert!(length < 128, "{length} bytes");
            Answered::Retry
        }
        0x80 => Answered::Handshake,
        other => panic!("no first answer: {other:x}"),
    }
}

#[tokio::test]
async fn a_flood_under_made_up_addresses_is_asked_to_prove_them_and_keeps_nobody_out() {
    let node = TestNode::new();
    node.members.set(key(2), member(2));
    let settings = QuicSettings::at(([127, 0, 0, 1], 0).into());
    let fabric = QuicFabric::start(&secret(1), settings.clone(), node.ends()).unwrap();
    let address = fabric.local_address().unwrap();
    let mut answers = Vec::new();
    for packet in first_packets(FLOOD).await {
        answers.push(send(&packet, address).await);
    }
    let begun = answers.iter().take_while(|a| **a == Answered::Handshake);
    let begun = begun.count();
    assert!((16..=48).contains(&begun), "{begun} handshakes were begun");
    assert!(answers[begun..].iter().all(|a| *a == Answered::Retry));
    assert_eq!(fabric.connections(), begun, "the others are not remembered");

    let honest = TestNode::new();
    honest.members.set(key(1), member(1));
    let honest: Arc<dyn Fabric> = QuicFabric::start(&secret(2), settings, honest.ends()).unwrap();
    honest.set_address(key(1), vec![address]);
    let answer = ask(&honest, 1, "let me in").await;
    assert_eq!(answer.as_deref(), Ok(&b"let me in"[..]));
}
