//! What a captured site says to one that it follows.

use std::time::Duration;

use bytes::Bytes;
use luc_core::Entropy as _;
use luc_core::entropy::SplitMix64;
use luc_runtime::fabric::{Channel, Fabric, RecvHalf, STREAM_FRAME_BYTES_MAX, SendHalf};
use tokio::time::{Instant, sleep, timeout};

use super::{
    CAPTURED, HONEST, Lines, VICTIM, assert_memory_is_bounded, held, honest_goes_on, is_alone,
    most_memory_kib, world,
};
use crate::world::{World, key, prefix};

/// How many streams are opened for light speeches.
const ROUNDS: u64 = 200;

/// How long the victim may take to end a stream; less than it waits for silent followers.
const SOON: Duration = Duration::from_secs(3);

const HELLO: &str = concat!(
    r#"{"hello":{"version":1,"held":{"epoch":0,"revision":0,"filter":0},"#,
    r#""filter":{"number":0},"wanted":{"number":1,"projects":["p"]}}}"#
);

/// One frame with all of `message`.
fn whole(message: &[u8]) -> Bytes {
    [&[0], message].concat().into()
}

/// What is said, and whether the stream must end for it.
fn speech(random: &mut SplitMix64) -> (&'static str, Vec<Bytes>, bool) {
    let at = (random.next_u64() % HELLO.len() as u64) as usize;
    let mut flipped = HELLO.as_bytes().to_vec();
    flipped[at] ^= 1 << (random.next_u64() % 8);
    let mut noise = vec![0; 64];
    random.fill(&mut noise);
    noise[0] = b'!';
    let after = |said: &str| vec![whole(HELLO.as_bytes()), whole(said.as_bytes())];
    match random.next_u64() % 12 {
        0 => ("cut short", vec![whole(&HELLO.as_bytes()[..at])], true),
        1 => ("a bit flipped", vec![whole(&flipped)], false),
        2 => ("noise", vec![whole(&noise)], true),
        3 => (
            "a wrong mark",
            vec![Bytes::copy_from_slice(&[9, b'{'])],
            true,
        ),
        4 => ("an empty frame", vec![Bytes::new()], true),
        5 => ("out of turn", vec![whole(br#"{"durable":1}"#)], true),
        6 => ("nested", vec![whole(&b"[".repeat(10_000))], true),
        7 => (
            "ahead",
            vec![whole(
                HELLO
                    .replace("\"revision\":0", "\"revision\":18446744073709551615")
                    .as_bytes(),
            )],
            true,
        ),
        8 => (
            "ahead by epochs",
            vec![whole(
                HELLO
                    .replace("\"epoch\":0", "\"epoch\":4294967295")
                    .as_bytes(),
            )],
            true,
        ),
        9 => ("noise after the hello", after("}{"), true),
        10 => ("a newer word", after(r#"{"sing":1}"#), false),
        _ => (
            "wild numbers",
            after(r#"{"durable":18446744073709551615}"#),
            false,
        ),
    }
}

async fn open(captured: &dyn Fabric) -> (SendHalf, RecvHalf) {
    let deadline = Instant::now() + SOON;
    let stream = captured.open_stream(key(VICTIM), Channel::FEED, deadline);
    stream.await.expect("a member may open one")
}

/// Says `frames` on a new stream; whether the victim then ended it.
async fn say(captured: &dyn Fabric, frames: Vec<Bytes>) -> bool {
    let (mut send, mut recv) = open(captured).await;
    for frame in frames {
        if timeout(SOON, send.send(frame)).await.is_err() {
            break;
        }
    }
    let ending = async { while let Ok(Some(_)) = recv.recv().await {} };
    timeout(SOON, ending).await.is_ok()
}

fn streams(world: &World, site: u8) -> u32 {
    let served = world.site(VICTIM).feeds.served();
    let found = served.iter().find(|served| served.site == prefix(site));
    found.map_or(0, |served| served.streams)
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_makes_no_sense_is_cut_off_and_logged_once() {
    let lines = Lines::default();
    let _log = lines.begin();
    let mut world = world().await;
    drop(world.crash(CAPTURED));
    let captured = world.bare(CAPTURED);
    let memory = most_memory_kib();
    let mut before = (
        held(world.site(VICTIM), false),
        held(world.site(VICTIM), true),
    );
    for seed in 0..ROUNDS {
        let (what, frames, must_end) = speech(&mut SplitMix64::new(seed));
        let revision = world.site(VICTIM).store.snapshot().revision();
        let ended = say(&*captured, frames).await;
        assert!(ended || !must_end, "seed {seed}: {what}");
        let after = world.site(VICTIM).store.snapshot().revision();
        assert_eq!(after, revision, "seed {seed}: {what}");
        if seed % 50 == 49 {
            honest_goes_on(&world, seed).await;
            before.0 = held(world.site(VICTIM), false);
        }
        let now = (
            held(world.site(VICTIM), false),
            held(world.site(VICTIM), true),
        );
        assert_eq!(now, before, "seed {seed}: {what}");
    }
    sleep(Duration::from_secs(20)).await;
    assert_eq!((streams(&world, CAPTURED), streams(&world, HONEST)), (0, 1));
    let logged = lines.with("a follower was not understood");
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert_memory_is_bounded(memory);
}

#[tokio::test(start_paused = true)]
async fn what_a_follower_makes_a_home_read_and_keep_is_bounded() {
    let itself = "forged::nonsense::what_a_follower_makes_a_home_read_and_keep_is_bounded";
    if !is_alone(itself) {
        return;
    }
    let mut world = world().await;
    drop(world.crash(CAPTURED));
    let captured = world.bare(CAPTURED);
    let memory = most_memory_kib();
    // As a tree of values this would be sixteen times as large; and it never ends.
    let mut piece = vec![1];
    piece.extend(b"1,".repeat((STREAM_FRAME_BYTES_MAX - 1) / 2));
    let piece = Bytes::from(piece);
    for last in [false, true] {
        let mut frames = vec![Bytes::from_static(b"\x01[")];
        frames.extend(std::iter::repeat_n(
            piece.clone(),
            if last { 14 } else { 100 },
        ));
        if last {
            frames.push(whole(b"1]"));
        }
        // The whole of it might be the word of a newer release, which is passed over.
        assert_eq!(say(&*captured, frames).await, !last, "last: {last}");
    }
    // Many streams at once: no more are kept than sites have use for.
    let mut kept = Vec::new();
    for _ in 0..100 {
        kept.push(open(&*captured).await);
    }
    sleep(Duration::from_secs(1)).await;
    let open = streams(&world, CAPTURED);
    assert!((1..=32).contains(&open), "{open}");
    honest_goes_on(&world, 0).await;
    assert_memory_is_bounded(memory);
    drop(kept);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(streams(&world, CAPTURED), 0);
}
