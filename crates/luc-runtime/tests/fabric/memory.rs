//! What only the fabric in memory can show: answers that vanish, one-way cuts, crashes in the
//! middle of a handler, slow lines, and that a seed says it all.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use bytes::Bytes;
use luc_runtime::fabric::memory::{Network, Quality};
use luc_runtime::fabric::{Channel, Fabric, Lost, NotSent, Request, RequestError};
use tokio::time::{Instant, sleep};

use crate::node::{TestNode, key, member, site};
use crate::suite::{ask, later, until};
use crate::world::{MemoryWorld, World as _};

/// Nodes 1 to `number`, members to each other.
pub(crate) fn cloud(network: &Network, number: u8) -> Vec<(TestNode, Arc<dyn Fabric>)> {
    let start = |one: u8| {
        let node = TestNode::new();
        for other in 1..=number {
            node.members.set(key(other), member(other));
        }
        let fabric: Arc<dyn Fabric> = network.start(key(one), site(one), node.ends());
        (node, fabric)
    };
    (1..=number).map(start).collect()
}

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_vanishes_leaves_a_request_unknown_that_ran() {
    let world = MemoryWorld::new();
    let nodes = cloud(&world.network, 2);
    let (two, first) = (&nodes[1].0, &nodes[0].1);
    world.network.drop_next_response(key(2), key(1));
    let began = Instant::now();
    let answer = ask(first, 2, "hello").await;
    let why = Lost::Deadline;
    assert_eq!(answer, Err(RequestError::Unknown { to: key(2), why }));
    assert_eq!((two.calls(), began.elapsed().as_secs()), (1, 20));
    assert_eq!(ask(first, 2, "hello").await, Ok(Bytes::from("hello")));
    let quality = Quality {
        answer_loss: 0.5,
        ..Quality::default()
    };
    world.network.set_quality_everywhere(quality);
    let mut lost = 0;
    for _ in 0..100 {
        lost += usize::from(ask(first, 2, "hello").await.is_err());
    }
    assert!((30..70).contains(&lost), "{lost}");
    assert_eq!(two.calls(), 102);
}

#[tokio::test(start_paused = true)]
async fn a_cut_of_one_direction_ends_the_connection_of_both() {
    let world = MemoryWorld::new();
    let nodes = cloud(&world.network, 2);
    let ((one, first), (two, second)) = (&nodes[0], &nodes[1]);
    ask(first, 2, "hello").await.unwrap();
    world.network.cut(site(2), site(1));
    // The request arrives, the answer does not.
    let answer = ask(first, 2, "hello").await;
    assert!(
        matches!(answer, Err(RequestError::Unknown { .. })),
        "{answer:?}"
    );
    assert_eq!(two.calls(), 2);
    assert!(one.saw("no sign of life") && two.saw("no sign of life"));
    let answer = ask(second, 1, "hello").await;
    assert!(
        matches!(answer, Err(RequestError::NotSent { .. })),
        "{answer:?}"
    );
    world.network.heal_all();
    sleep(world.timing().pause_max).await;
    assert_eq!(ask(second, 1, "hello").await, Ok(Bytes::from("hello")));
}

#[tokio::test(start_paused = true)]
async fn frames_that_met_a_cut_arrive_in_their_order() {
    let world = MemoryWorld::new();
    let nodes = cloud(&world.network, 2);
    let first = &nodes[0].1;
    let opened = first.open_stream(key(2), Channel::FEED, later()).await;
    let (mut send, mut recv) = opened.unwrap();
    let frame = |number: u8| Bytes::from(vec![number; 10]);
    send.send(frame(0)).await.unwrap();
    assert_eq!(recv.recv().await, Ok(Some(frame(0))));
    world.network.split(site(1), site(2));
    // Not in step with the pause after which they are sent again.
    for number in 1..30 {
        send.send(frame(number)).await.unwrap();
        sleep(ms(37)).await;
    }
    world.network.heal_all();
    for number in 30..60 {
        send.send(frame(number)).await.unwrap();
        sleep(ms(3)).await;
    }
    for number in 1..60 {
        assert_eq!(recv.recv().await, Ok(Some(frame(number))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_stops_a_handler_where_it_waits() {
    let world = MemoryWorld::new();
    let nodes = cloud(&world.network, 2);
    let ((_, first), (two, second)) = (&nodes[0], &nodes[1]);
    let asking = first.clone();
    let asked = tokio::spawn(async move { ask(&asking, 2, "wait").await });
    two.recorder.entered.notified().await;
    world.network.crash(key(2));
    two.recorder.gate.add_permits(1);
    let began = Instant::now();
    let answer = asked.await.unwrap();
    assert!(
        matches!(answer, Err(RequestError::Unknown { .. })),
        "{answer:?}"
    );
    assert!(began.elapsed() >= world.timing().idle);
    assert_eq!(
        two.recorder.running.load(SeqCst),
        1,
        "it went on after the crash"
    );
    let answer = ask(second, 1, "hello").await;
    let why = NotSent::ShutDown;
    assert_eq!(answer, Err(RequestError::NotSent { to: key(1), why }));
    assert!(second.peers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn datagrams_get_lost_and_overtake_each_other_as_asked() {
    let world = MemoryWorld::new();
    let mut nodes = cloud(&world.network, 2);
    let first = nodes[0].1.clone();
    ask(&first, 2, "hello").await.unwrap();
    let mut counts = Vec::new();
    for (datagram_loss, reorder) in [(0.0, 0.0), (0.3, 0.0), (0.0, 0.3)] {
        world.network.set_quality_everywhere(Quality {
            rtt: ms(20),
            datagram_loss,
            reorder,
            ..Quality::default()
        });
        for number in 0..1000u32 {
            let body = Bytes::copy_from_slice(&number.to_be_bytes());
            first.datagram(key(2), Channel::OVERLAY, body).unwrap();
            sleep(ms(1)).await;
        }
        sleep(ms(100)).await;
        let mut got = Vec::new();
        while let Ok((_, _, body)) = nodes[1].0.datagrams.try_recv() {
            got.push(u32::from_be_bytes(body[..].try_into().unwrap()));
        }
        counts.push((got.len(), got.is_sorted()));
    }
    assert_eq!(counts[0], (1000, true));
    assert!(
        (600..800).contains(&counts[1].0) && counts[1].1,
        "{counts:?}"
    );
    assert_eq!(counts[2], (1000, false));
}

#[tokio::test(start_paused = true)]
async fn a_slow_line_takes_its_time() {
    let world = MemoryWorld::new();
    let nodes = cloud(&world.network, 2);
    let first = &nodes[0].1;
    world.network.set_quality(
        site(1),
        site(2),
        Quality {
            bytes_per_second: Some(1_000_000),
            ..Quality::of_rtt(ms(100))
        },
    );
    ask(first, 2, "hello").await.unwrap();
    let began = Instant::now();
    let request = Request::new(Channel::BULK, vec![0; 2_000_000]);
    let deadline = began + Duration::from_secs(60);
    first.request(key(2), request, deadline).await.unwrap();
    // Two seconds there, two back, and the round trip.
    let took = began.elapsed();
    assert!((ms(4100)..ms(4200)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn hours_pass_in_a_moment() {
    let world = MemoryWorld::new();
    let nodes = cloud(&world.network, 2);
    let first = nodes[0].1.clone();
    let waiting = first.clone();
    let asked = tokio::spawn(async move {
        let deadline = Instant::now() + Duration::from_secs(7200);
        let request = Request::new(Channel::FORWARD, "wait");
        waiting.request(key(2), request, deadline).await
    });
    sleep(Duration::from_secs(7000)).await;
    nodes[1].0.recorder.gate.add_permits(1);
    assert!(asked.await.unwrap().is_ok());
    assert_eq!(first.peers()[0].traffic.connects, 1);
}

/// What three nodes see in ten seconds of a bad network.
async fn run(seed: u64) -> Vec<String> {
    let network = Network::new(seed);
    network.set_quality_everywhere(Quality {
        rtt: ms(30),
        jitter: ms(20),
        datagram_loss: 0.2,
        reorder: 0.2,
        answer_loss: 0.1,
        bytes_per_second: Some(100_000),
    });
    let nodes = cloud(&network, 3);
    let began = Instant::now();
    let mut asked = Vec::new();
    for round in 0..40u64 {
        let from = (round % 3) as usize;
        let to = (round + 1) as u8 % 3 + 1;
        let fabric = nodes[from].1.clone();
        let body = Bytes::from(round.to_string());
        let _ = fabric.datagram(key(to), Channel::OVERLAY, body.clone());
        asked.push(tokio::spawn(async move {
            let deadline = Instant::now() + ms(900);
            let request = Request::new(Channel::FORWARD, body);
            let answer = fabric.request(key(to), request, deadline).await;
            format!("{:?} {answer:?}", began.elapsed())
        }));
        match round {
            10 => network.split(site(1), site(2)),
            20 => network.crash(key(3)),
            30 => network.heal_all(),
            _ => {}
        }
        sleep(ms(250)).await;
    }
    let mut trace = Vec::new();
    for one in asked {
        trace.push(one.await.unwrap());
    }
    for (mut node, _) in nodes {
        while let Ok((from, _, body)) = node.datagrams.try_recv() {
            trace.push(format!("{from:?} {body:?}"));
        }
        trace.extend(node.recorder.events.lock().unwrap().drain(..));
        trace.push(format!("{:?}", node.recorder.rtts.lock().unwrap()));
    }
    trace
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_run() {
    let first = run(5).await;
    assert_eq!(first, run(5).await);
    assert_ne!(first, run(6).await);
    assert!(first.iter().any(|seen| seen.contains("Ok(")));
    assert!(first.iter().any(|seen| seen.contains("Unknown")));
    assert!(first.iter().any(|seen| seen.contains("NotSent")));
}

#[tokio::test(start_paused = true)]
async fn a_network_that_is_gone_lets_nobody_wait() {
    let network = Network::new(1);
    let nodes = cloud(&network, 2);
    let asking = nodes[0].1.clone();
    let asked = tokio::spawn(async move { ask(&asking, 2, "wait").await });
    nodes[1].0.recorder.entered.notified().await;
    let began = Instant::now();
    drop(network);
    assert!(asked.await.unwrap().is_err());
    assert_eq!(began.elapsed(), Duration::ZERO);
    until("everything is shut down", || nodes[0].1.peers().is_empty()).await;
}
