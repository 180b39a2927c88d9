//! What a captured site says to one that follows it.
//!
//! [`Forger`] answers each stream that the victim opens with one deed: frames that are wrong in one
//! of many ways, drawn from a seed, some after a batch that is right.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateEncoder, ZlibEncoder};
use luc_core::Entropy as _;
use luc_core::entropy::SplitMix64;
use luc_runtime::fabric::{Channel, Handler, Peer, RecvHalf, Refusal, SendHalf};
use luc_runtime::fabric::{Fabric, STREAM_FRAME_BYTES_MAX};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};

use super::{
    CAPTURED, HONEST, Lines, VICTIM, assert_memory_is_bounded, held, honest_goes_on,
    most_memory_kib, remembered, world,
};
use crate::world::{World, prefix};

/// How many light forgeries are tried.
const ROUNDS: u64 = 400;

/// How often each heavy one is.
const HEAVY_ROUNDS: u64 = 3;

/// How long the victim may take to end a stream; less than it waits for a silent home.
const SOON: Duration = Duration::from_secs(3);

/// The id of whatever is forged.
const FORGED: &str = "forged";

/// A stream of the victim, as the forger sees it.
struct Stream {
    random: SplitMix64,
    /// What the victim holds, and under which filter it wants more.
    held: Value,
    filter: u64,
    press: DeflateEncoder<Vec<u8>>,
}

/// The frames of a forgery.
type Forgery = fn(&mut Stream) -> Vec<Bytes>;

/// Each is refused whatever is drawn, but for the flipped bits, which may say something allowed.
const LIGHT: [(&str, Forgery); 18] = [
    (FLIPPED, flipped),
    ("cut short", cut_short),
    (CUT_OFF, cut_off),
    ("a wrong mark", wrong_mark),
    ("an empty frame", |_| vec![Bytes::new()]),
    ("noise", noise),
    ("another version", other_version),
    ("not compressed", |stream| {
        vec![whole(&tagged(&stream.good(FORGED)))]
    }),
    ("compressed otherwise", compressed_otherwise),
    ("after the end of the compression", after_the_end),
    ("an unknown tag", |stream| {
        vec![whole(&stream.pressed(b"x{}"))]
    }),
    ("no batch", no_batch),
    ("of another home", of_another_home),
    ("misplaced", misplaced),
    ("out of turn", out_of_turn),
    ("too many entries", too_many),
    ("kinds without end", kinds),
    ("a long refusal", |stream| {
        let text = "r\nERROR forged line ".repeat(10_000);
        vec![whole(&stream.pressed(text.as_bytes()))]
    }),
];

const HEAVY: [(&str, Forgery); 3] = [
    ("too long", |_| {
        let piece = [vec![1], vec![7; STREAM_FRAME_BYTES_MAX - 1]].concat();
        vec![Bytes::from(piece); 100]
    }),
    ("expands without end", |stream| {
        let bomb = [b"b".to_vec(), vec![b' '; 20 << 20]].concat();
        vec![whole(&stream.pressed(&bomb))]
    }),
    ("a record too large", |stream| {
        let mut batch = stream.good(FORGED);
        batch["entries"][0]["put"]["record"]["value"]["noise"] = json!("x".repeat(9 << 20));
        stream.said(&batch)
    }),
];

const FLIPPED: &str = "bits flipped";
const CUT_OFF: &str = "cut off";

/// One frame with all of `message`.
fn whole(message: &[u8]) -> Bytes {
    [&[0], message].concat().into()
}

fn tagged(batch: &Value) -> Vec<u8> {
    format!("b{batch}").into_bytes()
}

fn put(id: &str, home: u8) -> Value {
    let record = json!({
        "format": 1, "kind": "server", "schema": 1, "home": prefix(home), "epoch": 0,
        "scope": {"project": "p"}, "value": {"id": id, "project": "p"},
    });
    json!({"put": {"kind": "server", "id": id, "record": record}})
}

impl Stream {
    fn below(&mut self, bound: usize) -> usize {
        (self.random.next_u64() % bound.max(1) as u64) as usize
    }

    /// A batch that brings the record `id`, as the victim may take it.
    fn good(&self, id: &str) -> Value {
        let mut to = self.held.clone();
        to["revision"] = json!(self.held["revision"].as_u64().expect("a revision") + 1);
        to["filter"] = json!(self.filter);
        json!({
            "version": 1, "home": prefix(CAPTURED), "from": self.held, "to": to,
            "entries": [put(id, CAPTURED)],
        })
    }

    /// `text` as the next message of the compressed stream.
    fn pressed(&mut self, text: &[u8]) -> Vec<u8> {
        self.press.write_all(text).expect("memory takes it");
        self.press.flush().expect("memory takes it");
        std::mem::take(self.press.get_mut())
    }

    fn said(&mut self, batch: &Value) -> Vec<Bytes> {
        vec![whole(&self.pressed(&tagged(batch)))]
    }
}

fn flipped(stream: &mut Stream) -> Vec<Bytes> {
    let mut packed = stream.pressed(&tagged(&stream.good(FORGED)));
    for _ in 0..=stream.below(4) {
        let at = stream.below(packed.len());
        packed[at] ^= 1 << stream.below(8);
    }
    vec![whole(&packed)]
}

fn cut_short(stream: &mut Stream) -> Vec<Bytes> {
    let packed = stream.pressed(&tagged(&stream.good(FORGED)));
    let length = stream.below(packed.len() * 3 / 4);
    vec![whole(&packed[..length])]
}

/// Of a message in several frames the last is missing.
fn cut_off(stream: &mut Stream) -> Vec<Bytes> {
    let packed = stream.pressed(&tagged(&stream.good(FORGED)));
    let pieces = packed.chunks(stream.below(packed.len()) + 1);
    let frames = pieces.map(|piece| [&[1], piece].concat().into());
    frames.take(200).collect()
}

fn wrong_mark(stream: &mut Stream) -> Vec<Bytes> {
    let packed = stream.pressed(&tagged(&stream.good(FORGED)));
    let mark = 2 + stream.below(254) as u8;
    vec![[&[mark], &packed[..]].concat().into()]
}

fn noise(stream: &mut Stream) -> Vec<Bytes> {
    let mut noise = vec![0; 1 + stream.below(2000)];
    stream.random.fill(&mut noise);
    // A block of a type that there is not (RFC 1951, 3.2.3).
    noise[0] |= 0b110;
    vec![whole(&noise)]
}

fn other_version(stream: &mut Stream) -> Vec<Bytes> {
    let mut batch = stream.good(FORGED);
    let versions = [
        json!(2),
        json!(u32::MAX),
        json!(-1),
        json!("1"),
        Value::Null,
    ];
    batch["version"] = versions[stream.below(versions.len())].clone();
    stream.said(&batch)
}

/// With the header and the sum of zlib (RFC 1950).
fn compressed_otherwise(stream: &mut Stream) -> Vec<Bytes> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    let text = tagged(&stream.good(FORGED));
    encoder.write_all(&text).expect("memory takes it");
    vec![whole(&encoder.finish().expect("memory takes it"))]
}

/// The compressed stream is ended, then goes on.
fn after_the_end(stream: &mut Stream) -> Vec<Bytes> {
    let mut ended = DeflateEncoder::new(Vec::new(), Compression::fast());
    ended.write_all(b"b").expect("memory takes it");
    let mut packed = ended.finish().expect("memory takes it");
    packed.extend(stream.pressed(&tagged(&stream.good(FORGED))));
    vec![whole(&packed)]
}

fn no_batch(stream: &mut Stream) -> Vec<Bytes> {
    let good = stream.good(FORGED);
    let text: Vec<u8> = match stream.below(6) {
        0 => b"b".to_vec(),
        1 => [b"b".to_vec(), b"[".repeat(10_000)].concat(),
        2 => b"b{\"version\":1}".to_vec(),
        3 => [b"b".to_vec(), vec![0xff; 100]].concat(),
        4 => tagged(&json!([good, good])),
        _ => {
            let mut batch = good;
            batch["entries"] = json!([{"steal": {"kind": "server", "id": FORGED}}]);
            tagged(&batch)
        }
    };
    vec![whole(&stream.pressed(&text))]
}

fn of_another_home(stream: &mut Stream) -> Vec<Bytes> {
    let mut batch = stream.good(FORGED);
    match stream.below(5) {
        0 => batch["home"] = json!(prefix(HONEST)),
        1 => batch["home"] = json!(prefix(VICTIM)),
        2 => batch["entries"] = json!([put(FORGED, HONEST)]),
        3 => batch["entries"] = json!([put("m1", VICTIM)]),
        // One that is right comes first, and none is taken.
        _ => batch["entries"] = json!([put(FORGED, CAPTURED), put("m2", HONEST)]),
    }
    stream.said(&batch)
}

fn misplaced(stream: &mut Stream) -> Vec<Bytes> {
    let mut batch = stream.good(FORGED);
    let entry = &mut batch["entries"][0]["put"];
    match stream.random.next_u64() % 6 {
        0 => entry["record"]["scope"] = json!("site"),
        1 => entry["record"]["scope"] = json!("cloud"),
        2 => entry["record"]["scope"] = json!({"project": "other"}),
        3 => entry["record"]["kind"] = json!("user"),
        4 => entry["id"] = json!("another\nERROR forged line"),
        _ => {
            let twice = batch["entries"][0].clone();
            batch["entries"] = json!([twice, twice]);
        }
    }
    stream.said(&batch)
}

fn out_of_turn(stream: &mut Stream) -> Vec<Bytes> {
    let mut batch = stream.good(FORGED);
    match stream.below(6) {
        0 => batch["from"]["revision"] = json!(u64::MAX),
        1 => batch["from"]["epoch"] = json!(7),
        2 => batch["to"]["revision"] = json!(0),
        3 => batch["to"]["filter"] = json!(u32::MAX),
        4 => batch["part"] = json!(u32::MAX),
        _ => batch["from"]["filter"] = json!(u32::MAX),
    }
    stream.said(&batch)
}

fn too_many(stream: &mut Stream) -> Vec<Bytes> {
    let mut batch = stream.good(FORGED);
    let entries = (0..1025).map(|number| put(&format!("{FORGED}-{number}"), CAPTURED));
    batch["entries"] = entries.collect();
    stream.said(&batch)
}

fn kinds(stream: &mut Stream) -> Vec<Bytes> {
    let mut batch = stream.good(FORGED);
    let salt = stream.random.next_u64();
    let gone = |number| json!({"gone": {"kind": format!("{salt}-{number}"), "id": "x"}});
    batch["entries"] = match stream.below(2) {
        0 => (0..1000).map(gone).collect(),
        _ => json!([{"gone": {"kind": "k".repeat(100_000), "id": "x"}}]),
    };
    stream.said(&batch)
}

/// What the forger does on the next stream.
struct Deed {
    seed: u64,
    what: &'static str,
    forgery: Forgery,
    /// The id of a record that comes first, as it may.
    prelude: Option<String>,
    /// Says whether the victim ended the stream soon.
    done: UnboundedSender<bool>,
}

/// Speaks for the captured site.
struct Forger(Mutex<UnboundedReceiver<Deed>>);

impl Forger {
    /// The next deed, unless the victim ends the stream before.
    async fn next(&self, recv: &mut RecvHalf) -> Option<Deed> {
        let next = async { self.0.lock().await.recv().await };
        tokio::pin!(next);
        loop {
            tokio::select! {
                biased;
                frame = recv.recv() => drop(frame.ok().flatten()?),
                deed = &mut next => return deed,
            }
        }
    }
}

#[async_trait]
impl Handler for Forger {
    async fn request(&self, _: Peer, _: Channel, _: Bytes) -> Result<Bytes, Refusal> {
        Err(Refusal::UnknownChannel)
    }

    fn datagram(&self, _: Peer, _: Channel, _: Bytes) {}

    async fn stream(&self, from: Peer, _: Channel, mut send: SendHalf, mut recv: RecvHalf) {
        if from.id().is_none_or(|id| id.site != prefix(VICTIM)) {
            return;
        }
        let Ok(Some(hello)) = recv.recv().await else {
            return;
        };
        let hello: Value = serde_json::from_slice(&hello[1..]).expect("the victim speaks JSON");
        let Some(deed) = self.next(&mut recv).await else {
            return;
        };
        let mut stream = Stream {
            random: SplitMix64::new(deed.seed),
            held: hello["hello"]["held"].clone(),
            filter: hello["hello"]["wanted"]["number"]
                .as_u64()
                .expect("a number"),
            press: DeflateEncoder::new(Vec::new(), Compression::fast()),
        };
        if let Some(id) = &deed.prelude {
            let batch = stream.good(id);
            stream.held = batch["to"].clone();
            for frame in stream.said(&batch) {
                send.send(frame).await.expect("the victim listens");
            }
        }
        for frame in (deed.forgery)(&mut stream) {
            if !matches!(timeout(SOON, send.send(frame)).await, Ok(Ok(()))) {
                break;
            }
        }
        // Nobody waits for the rest of what was cut off.
        let is_over = deed.what == CUT_OFF && send.finish().is_ok();
        let ending = async { while let Ok(Some(_)) = recv.recv().await {} };
        let ended = timeout(SOON, ending).await.is_ok() || is_over;
        deed.done.send(ended).expect("the test waits");
    }
}

/// The world with its third site captured, and how it is told what to do.
async fn captured() -> (World, UnboundedSender<Deed>, Arc<dyn Fabric>) {
    let mut world = world().await;
    drop(world.crash(CAPTURED));
    let (deeds, next) = unbounded_channel();
    let node = world.captured(CAPTURED, Arc::new(Forger(Mutex::new(next))));
    (world, deeds, node)
}

/// Does it; whether the victim ended the stream soon.
async fn done(
    deeds: &UnboundedSender<Deed>,
    seed: u64,
    (what, forgery): (&'static str, Forgery),
    prelude: Option<String>,
) -> bool {
    let (done, mut ended) = unbounded_channel();
    let deed = Deed {
        seed,
        what,
        forgery,
        prelude,
        done,
    };
    assert!(deeds.send(deed).is_ok(), "the forger lives");
    let ended = timeout(Duration::from_secs(60), ended.recv()).await;
    // The victim notes it.
    sleep(Duration::from_millis(100)).await;
    ended.expect("the victim comes back").expect("it says so")
}

/// How many lines the victim may have written by now, all told.
fn lines_due(begun: tokio::time::Instant) -> usize {
    2 * (2 + (begun.elapsed().as_secs() / 60) as usize)
}

#[tokio::test(start_paused = true)]
async fn nothing_that_a_captured_home_forges_is_taken_and_honest_feeds_go_on() {
    let lines = Lines::default();
    let _log = lines.begin();
    let begun = tokio::time::Instant::now();
    let (world, deeds, _node) = captured().await;
    let (victim, memory) = (world.site(VICTIM), most_memory_kib());
    let heavy = HEAVY
        .iter()
        .cycle()
        .take(HEAVY.len() * HEAVY_ROUNDS as usize);
    let mut tried = std::collections::BTreeSet::new();
    let light = (0..ROUNDS).map(|seed| &LIGHT[(seed % LIGHT.len() as u64) as usize]);
    for (seed, (what, forgery)) in (0..).zip(light.chain(heavy)) {
        let (others, mut own) = (held(victim, false), held(victim, true));
        let prelude = (seed % 4 == 1).then(|| format!("m{CAPTURED}-{seed:04}"));
        let before = victim.store.snapshot().revision();
        let ended = done(&deeds, seed, (*what, *forgery), prelude.clone()).await;
        assert_eq!(held(victim, false), others, "seed {seed}: {what}");
        if *what != FLIPPED {
            assert!(ended, "seed {seed}: {what}");
            own.extend(prelude.as_ref().map(|id| json!({"id": id, "project": "p"})));
            own.sort_by_key(|record| record["id"].to_string());
            let mut now = held(victim, true);
            now.sort_by_key(|record| record["id"].to_string());
            assert_eq!(now, own, "seed {seed}: {what}");
            let changed = victim.store.snapshot().revision() != before;
            assert_eq!(changed, prelude.is_some(), "seed {seed}: {what}");
        }
        assert!(remembered(victim) < 10_000, "seed {seed}: {what}");
        tried.insert(*what);
        if seed % 40 == 39 {
            honest_goes_on(&world, seed).await;
        }
    }
    assert_eq!(tried.len(), LIGHT.len() + HEAVY.len());
    honest_goes_on(&world, 1_000_000).await;
    let logged = lines.with("site=");
    assert!(!lines.with("a site is not followed any more").is_empty());
    assert!(logged.len() <= lines_due(begun) + 8, "{}", logged.len());
    assert!(logged.iter().all(|line| line.len() < 2000));
    let begins = |line: &String| line.starts_with("ERROR forged line");
    assert!(!lines.with("forged line").iter().any(begins));
    let why = victim.status(CAPTURED).ended.unwrap_or_default();
    assert!(why.chars().count() <= 301 && !why.contains('\n'), "{why}");
    assert_memory_is_bounded(memory);
}

#[tokio::test(start_paused = true)]
async fn one_forgery_that_is_told_again_and_again_is_logged_once() {
    let lines = Lines::default();
    let _log = lines.begin();
    let (world, deeds, _node) = captured().await;
    let forgery: Forgery = |stream| {
        let mut batch = stream.good(FORGED);
        batch["entries"] = json!([put(FORGED, HONEST)]);
        stream.said(&batch)
    };
    for seed in 0..50 {
        assert!(done(&deeds, seed, ("of another home", forgery), None).await);
        sleep(Duration::from_secs(10)).await;
    }
    let logged = lines.with("a site is not followed any more");
    assert_eq!(logged.len(), 1, "{logged:?}");
    honest_goes_on(&world, 0).await;
}
