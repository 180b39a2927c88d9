//! The part of the suite about streams and datagrams.

use std::time::Duration;

use bytes::Bytes;
use luc_runtime::fabric::{Channel, NotSent, StreamError};
use tokio::time::{sleep, timeout};

use crate::node::key;
use crate::suite::{ask, later, pair, until};
use crate::world::World;

pub(crate) async fn a_stream_keeps_frames_and_order(world: &mut impl World) {
    let [(_one, first), (_two, _second)] = pair(world).await;
    let opened = first.open_stream(key(2), Channel::FEED, later()).await;
    let (mut send, mut recv) = opened.unwrap();
    let frames: Vec<Bytes> = (0..300usize)
        .map(|number| Bytes::from(vec![number as u8; number * 37 % 5000]))
        .collect();
    let copies = frames.clone();
    let sender = tokio::spawn(async move {
        for frame in copies {
            send.send(frame).await.unwrap();
        }
        send.finish().unwrap();
        assert_eq!(send.finish(), Err(StreamError::Finished));
        assert_eq!(send.send("late").await, Err(StreamError::Finished));
    });
    for frame in frames {
        assert_eq!(recv.recv().await, Ok(Some(frame)));
    }
    assert_eq!(recv.recv().await, Ok(None));
    assert_eq!(recv.recv().await, Ok(None));
    sender.await.unwrap();
}

pub(crate) async fn a_slow_reader_holds_its_writer_back(world: &mut impl World) {
    let [(_one, first), (two, _second)] = pair(world).await;
    let opened = first.open_stream(key(2), Channel::BULK, later()).await;
    let (mut send, mut recv) = opened.unwrap();
    let frame = Bytes::from(vec![1; 100_000]);
    let mut taken = 0;
    let patience = Duration::from_millis(300);
    while timeout(patience, send.send(frame.clone())).await.is_ok() {
        taken += 1;
        assert!(taken < 1000, "nothing holds the writer back");
    }
    // Requests go on beside the full stream.
    assert_eq!(ask(&first, 2, "beside").await, Ok(Bytes::from("beside")));
    drop(send);
    let opened = first.open_stream(key(2), Channel::BULK, later()).await;
    let (mut send, mut second_recv) = opened.unwrap();
    two.recorder.gate.add_permits(2);
    for _ in 0..100 {
        send.send(frame.clone()).await.unwrap();
    }
    send.finish().unwrap();
    let counted = second_recv.recv().await.unwrap().unwrap();
    assert_eq!(counted, "10000000");
    // The first one was given up; its reader was told so and counted what had come.
    let counted = recv.recv().await.unwrap().unwrap();
    let counted: usize = std::str::from_utf8(&counted).unwrap().parse().unwrap();
    assert!(counted <= (taken + 1) * frame.len());
}

pub(crate) async fn a_half_that_is_dropped_resets_the_stream(world: &mut impl World) {
    let [(_one, first), (two, _second)] = pair(world).await;
    // This handler drops both halves at once.
    let opened = first.open_stream(key(2), Channel::GATHER, later()).await;
    let (mut send, mut recv) = opened.unwrap();
    assert_eq!(recv.recv().await, Err(StreamError::Reset));
    assert_eq!(recv.recv().await, Err(StreamError::Reset));
    until("the stop arrives", || two.calls() == 1).await;
    let stopped = async {
        while send.send("more").await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), stopped).await.unwrap();
    assert_eq!(send.send("more").await, Err(StreamError::Reset));
    // Here this side does.
    let opened = first.open_stream(key(2), Channel::FEED, later()).await;
    let (mut send, mut recv) = opened.unwrap();
    send.send("one").await.unwrap();
    assert_eq!(recv.recv().await, Ok(Some(Bytes::from("one"))));
    drop(send);
    until("the reset arrives", || two.saw("stream ended")).await;
}

pub(crate) async fn datagrams_arrive_small_and_large(world: &mut impl World) {
    let [(_one, first), (mut two, _second)] = pair(world).await;
    // The first ones wait for the connection.
    for number in 0..10u8 {
        let body = Bytes::from(vec![number; 100]);
        first.datagram(key(2), Channel::OVERLAY, body).unwrap();
    }
    let large = Bytes::from(vec![9; 200_000]);
    first
        .datagram(key(2), Channel::GATHER, large.clone())
        .unwrap();
    let mut small = 0;
    let mut whole = 0;
    for _ in 0..11 {
        let got = timeout(Duration::from_secs(10), two.datagrams.recv()).await;
        let (from, channel, body) = got.unwrap().unwrap();
        assert_eq!(from.id(), Some(key(1).peer_id(crate::node::site(1))));
        if channel == Channel::OVERLAY {
            assert_eq!(body.len(), 100);
            small += 1;
        } else {
            assert_eq!(body, large);
            whole += 1;
        }
    }
    assert_eq!((small, whole), (10, 1));
    let too_large = Bytes::from(vec![0; (1 << 20) + 1]);
    let refused = first.datagram(key(2), Channel::OVERLAY, too_large);
    assert!(matches!(refused, Err(NotSent::TooLarge { .. })));
}
