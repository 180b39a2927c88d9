//! What only the fabric between processes can show: keys that do not match, other releases, frames
//! that are none, both address families, a WAN.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use luc_runtime::fabric::frame::{Hello, Kind};
use luc_runtime::fabric::quic::{QuicFabric, QuicSettings, StartError};
use luc_runtime::fabric::{Channel, Fabric, NotSent, Request, RequestError};
use quinn::Endpoint;
use tokio::time::{Instant, timeout};
use tracing_subscriber::fmt::MakeWriter;

use crate::node::{TestNode, key, member, secret};
use crate::raw::{client, exchange, framed, header, introduce};
use crate::suite::{ask, until};
use crate::world::{QuicWorld, World as _};

/// A node that admits 1 to 4, with its address.
async fn node(world: &mut QuicWorld, number: u8) -> (TestNode, Arc<dyn Fabric>, SocketAddr) {
    let node = TestNode::new();
    for other in 1..=4 {
        node.members.set(key(other), member(other));
    }
    let fabric = world.start(number, &node).await;
    let address = world.address(number);
    (node, fabric, address)
}

fn why_not_sent(answer: Result<Bytes, RequestError>) -> NotSent {
    match answer {
        Err(RequestError::NotSent { why, .. }) => why,
        other => panic!("not NotSent: {other:?}"),
    }
}

#[tokio::test]
async fn a_node_of_another_key_at_the_address_is_refused() {
    let mut world = QuicWorld::new();
    let (_, first, _) = node(&mut world, 1).await;
    let (third, _, address) = node(&mut world, 3).await;
    first.set_address(key(2), vec![address]);
    let NotSent::Unreachable(why) = why_not_sent(ask(&first, 2, "hello").await) else {
        panic!("not unreachable");
    };
    assert!(why.contains("a node of another key answers there"), "{why}");
    assert_eq!(third.calls(), 0);
    // The second address is tried when the first one is wrong.
    let (_, _, right) = node(&mut world, 2).await;
    first.set_address(key(2), vec![address, right]);
    tokio::time::sleep(world.timing().pause_max).await;
    assert_eq!(ask(&first, 2, "hello").await, Ok(Bytes::from("hello")));
}

#[tokio::test]
async fn a_node_of_another_release_is_told_apart() {
    let mut world = QuicWorld::new();
    let (_, first, address) = node(&mut world, 1).await;
    let other = TestNode::new();
    other.members.set(key(1), member(1));
    let settings = QuicSettings::at(world.listen);
    let newer = QuicFabric::start_speaking(b"luc/2", &secret(2), settings, other.ends()).unwrap();
    first.set_address(key(2), vec![newer.local_address().unwrap()]);
    let why = why_not_sent(ask(&first, 2, "hello").await);
    assert_eq!(why, NotSent::Refused("it speaks no luc/1".to_owned()));
    newer.set_address(key(1), vec![address]);
    let newer: Arc<dyn Fabric> = newer;
    let why = why_not_sent(ask(&newer, 1, "hello").await);
    assert!(matches!(why, NotSent::Refused(_)), "{why}");
}

#[tokio::test]
async fn a_key_that_is_shown_must_be_proven() {
    let mut world = QuicWorld::new();
    let (one, first, address) = node(&mut world, 1).await;
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    // Node 2's key is public; signing with the key of 9 does not make one node 2.
    let connection = endpoint.connect_with(client(2, 9), address, "luc").unwrap();
    if let Ok(connection) = connection.await {
        let hello = framed(Kind::Hello, &[0; Hello::BYTES]);
        exchange(&connection, &hello).await.unwrap_err();
        connection.closed().await;
    }
    assert!(first.peers().iter().all(|peer| peer.traffic.connects == 0));
    assert!(!one.saw("connected"));
    let connection = endpoint.connect_with(client(2, 2), address, "luc").unwrap();
    introduce(&connection.await.unwrap()).await;
    assert!(one.saw("connected"));
}

/// Log lines of a test.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn count(&self, text: &str) -> usize {
        let bytes = self.0.lock().unwrap();
        String::from_utf8_lossy(&bytes).matches(text).count()
    }
}

#[tokio::test]
async fn frames_that_are_none_are_refused_and_logged_once() {
    let lines = Lines::default();
    let log = tracing_subscriber::fmt()
        .with_writer(lines.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(log);
    let mut world = QuicWorld::new();
    let (mut one, first, address) = node(&mut world, 1).await;
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let connection = endpoint.connect_with(client(2, 2), address, "luc").unwrap();
    let connection = connection.await.unwrap();
    introduce(&connection).await;
    let mut version = framed(Kind::Request, b"x");
    version[0] = 2;
    let mut kind = framed(Kind::Request, b"x");
    kind[1] = 200;
    let mut longer = framed(Kind::Request, b"x");
    longer.push(0);
    let shorter = &framed(Kind::Request, b"xy")[..9];
    let bad: [&[u8]; 9] = [
        b"",
        b"luc",
        &version,
        &kind,
        &longer,
        shorter,
        &header(Kind::Request, (64 << 20) + 1),
        &header(Kind::Request, u32::MAX as usize),
        &framed(Kind::Welcome, &[0; Hello::BYTES]),
    ];
    for bytes in bad {
        let ended = exchange(&connection, bytes).await;
        assert!(ended.is_err(), "{bytes:?}: {ended:?}");
    }
    for datagram in [&b""[..], b"luc", &version, &framed(Kind::Request, b"x")] {
        let datagram = Bytes::copy_from_slice(datagram);
        connection.send_datagram(datagram).unwrap();
    }
    let refused = || first.peers()[0].traffic.refused;
    until("all are counted", || refused() == 13).await;
    assert_eq!(one.calls(), 0);
    assert!(one.datagrams.try_recv().is_err());
    assert_eq!(lines.count("malformed frame"), 1);
    // The connection serves what can be read.
    let answer = exchange(&connection, &framed(Kind::Request, b"good")).await;
    assert_eq!(answer.unwrap()[8..], *b"good");
    // A piece that is too long ends its stream and nothing else.
    let mut stream = framed(Kind::Stream, b"");
    stream[3] = Channel::FEED.0 as u8;
    stream.extend([0, 0, 0, 2, b'o', b'k', 0xff, 0xff, 0xff, 0xff]);
    assert!(exchange(&connection, &stream).await.is_err());
    until("the reader is told", || one.saw("at most 1048576")).await;
}

#[tokio::test]
async fn a_connection_without_a_hello_is_closed() {
    let mut world = QuicWorld::new();
    let (one, first, address) = node(&mut world, 1).await;
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    for bad in [framed(Kind::Request, b"x"), b"no frame at all".to_vec()] {
        let connection = endpoint.connect_with(client(2, 2), address, "luc").unwrap();
        let connection = connection.await.unwrap();
        assert!(exchange(&connection, &bad).await.is_err());
        connection.closed().await;
    }
    let silent = endpoint.connect_with(client(2, 2), address, "luc").unwrap();
    let silent = silent.await.unwrap();
    timeout(Duration::from_secs(10), silent.closed())
        .await
        .unwrap();
    assert_eq!((one.calls(), one.saw("connected")), (0, false));
    assert_eq!(first.peers()[0].traffic.refused, 2);
}

#[tokio::test]
async fn both_address_families_work() {
    let mut world = QuicWorld::at("[::1]:0");
    let (_, first, _) = node(&mut world, 1).await;
    let (_, _second, _) = node(&mut world, 2).await;
    assert_eq!(ask(&first, 2, "six").await, Ok(Bytes::from("six")));
    // One that listens on both speaks to each.
    let mut both = QuicWorld::at("[::]:0");
    let (_, third, address) = node(&mut both, 3).await;
    let mut four = QuicWorld::new();
    let (_, fourth, address_of_four) = node(&mut four, 4).await;
    fourth.set_address(key(3), vec![([127, 0, 0, 1], address.port()).into()]);
    assert_eq!(ask(&fourth, 3, "four").await, Ok(Bytes::from("four")));
    fourth.close(key(3));
    third.set_address(key(4), vec![address_of_four]);
    until("the old one is gone", || !is_up(&third, 4)).await;
    assert_eq!(ask(&third, 4, "back").await, Ok(Bytes::from("back")));
}

fn is_up(fabric: &Arc<dyn Fabric>, of: u8) -> bool {
    use luc_runtime::fabric::PeerState::Connected;
    let peers = fabric.peers();
    peers
        .iter()
        .any(|peer| peer.key == key(of) && peer.state == Connected)
}

#[tokio::test]
async fn without_an_address_nothing_is_sent() {
    let mut world = QuicWorld::new();
    let (_, first, _) = node(&mut world, 1).await;
    assert_eq!(
        why_not_sent(ask(&first, 2, "hello").await),
        NotSent::NoAddress
    );
    assert!(
        first
            .datagram(key(2), Channel::OVERLAY, Bytes::new())
            .is_err()
    );
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let mut world = QuicWorld::new();
    let (one, _first, address) = node(&mut world, 1).await;
    let started = QuicFabric::start(&secret(2), QuicSettings::at(address), one.ends());
    let Err(error) = started.map(drop) else {
        panic!("two listen on one port");
    };
    assert!(matches!(error, StartError::Listen { .. }), "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn one_connection_is_left_when_both_dial_over_a_wan() {
    let mut world = QuicWorld::new();
    let start = |world: &QuicWorld, number: u8| {
        let node = TestNode::new();
        node.members.set(key(1), member(1));
        node.members.set(key(2), member(2));
        let wan = Arc::new(luc_runtime::fabric::quic::Wan::default());
        let settings = QuicSettings {
            timing: world.timing(),
            wan: Some(wan.clone()),
            ..QuicSettings::at(world.listen)
        };
        let fabric = QuicFabric::start(&secret(number), settings, node.ends()).unwrap();
        (node, fabric, wan)
    };
    let [one, two] = [start(&world, 1), start(&world, 2)];
    let delay = luc_runtime::fabric::quic::Way::Delay(Duration::from_millis(20));
    for (from, to) in [(&one, &two), (&two, &one)] {
        let address = to.1.local_address().unwrap();
        from.1.set_address(to.1.me(), vec![address]);
        from.2.set(address, delay);
    }
    let asked = |from: &Arc<QuicFabric>, to: u8| {
        let fabric = from.clone();
        let deadline = Instant::now() + Duration::from_secs(10);
        let request = Request::new(Channel::FORWARD, "hello");
        tokio::spawn(async move { fabric.request(key(to), request, deadline).await })
    };
    let (there, back) = (asked(&one.1, 2), asked(&two.1, 1));
    assert!(there.await.unwrap().is_ok() && back.await.unwrap().is_ok());
    until("one is left", || {
        one.1.connections() == 1 && two.1.connections() == 1
    })
    .await;
    assert!(asked(&one.1, 2).await.unwrap().is_ok());
    assert!(asked(&two.1, 1).await.unwrap().is_ok());
    assert_eq!((one.1.connections(), two.1.connections()), (1, 1));
    let connects = |node: &Arc<QuicFabric>| node.peers()[0].traffic.connects;
    assert_eq!((connects(&one.1), connects(&two.1)), (1, 1));
    world.listen.set_port(0);
}

#[tokio::test]
async fn bulk_data_keeps_its_order_over_a_wan() {
    let mut world = QuicWorld::new();
    let (_, first, _) = node(&mut world, 1).await;
    let (_, _second, _) = node(&mut world, 2).await;
    world.set_rtt(1, 2, Duration::from_millis(20));
    let deadline = Instant::now() + Duration::from_secs(30);
    let opened = first.open_stream(key(2), Channel::FEED, deadline).await;
    let (mut send, mut recv) = opened.unwrap();
    let sender = tokio::spawn(async move {
        for number in 0..40u8 {
            send.send(vec![number; 100_000]).await.unwrap();
        }
        send.finish().unwrap();
    });
    for number in 0..40u8 {
        let frame = recv.recv().await.unwrap().unwrap();
        assert!(frame.len() == 100_000 && frame.iter().all(|byte| *byte == number));
    }
    assert_eq!(recv.recv().await, Ok(None));
    sender.await.unwrap();
}

#[tokio::test]
async fn guests_send_little_are_few_and_are_forgotten() {
    let node = TestNode::with(luc_runtime::fabric::Members::hospitable());
    let fabric = QuicFabric::start(
        &secret(1),
        QuicSettings::at(([127, 0, 0, 1], 0).into()),
        node.ends(),
    )
    .unwrap();
    let address = fabric.local_address().unwrap();
    let endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
    let connect = async |number: u8| {
        let dialled = endpoint.connect_with(client(number, number), address, "luc");
        dialled.unwrap().await.unwrap()
    };
    let guest = connect(2).await;
    introduce(&guest).await;
    let announced = luc_runtime::fabric::frame::Header {
        kind: Kind::Request,
        channel: Channel::JOIN,
        length: luc_runtime::fabric::GUEST_BODY_BYTES_MAX + 1,
    };
    let answer = exchange(&guest, &announced.encode()).await;
    assert!(answer.is_err(), "{answer:?}");
    until("it is counted", || fabric.peers()[0].traffic.refused == 1).await;

    let mut inside = vec![guest];
    for number in 3..66 {
        let guest = connect(number).await;
        introduce(&guest).await;
        inside.push(guest);
    }
    let one_more = connect(100).await;
    let why = one_more.closed().await.to_string();
    assert!(why.contains("too many guests"), "{why}");
}
