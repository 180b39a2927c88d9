//! Random faults against the one promise that callers build on: what was not sent never runs, what
//! was answered ran once, what is unknown ran at most once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use luc_core::Entropy as _;
use luc_core::entropy::SplitMix64;
use luc_runtime::fabric::memory::{MemoryFabric, Network, Quality};
use luc_runtime::fabric::{
    Channel, Ends, Fabric as _, Handler, Members, Peer, RecvHalf, Refusal, Request, RequestError,
    SendHalf,
};
use tokio::time::{Instant, sleep};

use crate::node::{key, member, site};

/// How many runs; each is a minute of virtual time.
const SEEDS: u64 = 150;
const NODES: u8 = 4;

/// How often each request has run, over all nodes and their restarts.
type Runs = Arc<Mutex<BTreeMap<u64, u32>>>;

/// Counts what runs; some requests take their time, some are refused.
struct Counting(Runs);

#[async_trait]
impl Handler for Counting {
    async fn request(&self, _: Peer, _: Channel, body: Bytes) -> Result<Bytes, Refusal> {
        let number = u64::from_be_bytes(body[..].try_into().unwrap());
        if number.is_multiple_of(11) {
            return Err(Refusal::Busy);
        }
        *self.0.lock().unwrap().entry(number).or_default() += 1;
        sleep(Duration::from_millis(number % 7 * 40)).await;
        Ok(body)
    }

    fn datagram(&self, _: Peer, _: Channel, _: Bytes) {}

    async fn stream(&self, _: Peer, _: Channel, _: SendHalf, _: RecvHalf) {}
}

fn ends(runs: &Runs) -> Ends {
    let members = Members::strict();
    for number in 1..=NODES {
        members.set(key(number), member(number));
    }
    Ends {
        admission: Arc::new(members),
        handler: Arc::new(Counting(runs.clone())),
    }
}

/// One fault, drawn.
fn harm(network: &Network, nodes: &mut [Arc<MemoryFabric>], runs: &Runs, random: &mut SplitMix64) {
    let mut pick = || (random.next_u64() % u64::from(NODES)) as u8 + 1;
    let (a, b) = (pick(), pick());
    match random.next_u64() % 8 {
        0 => network.split(site(a), site(b)),
        1 => network.cut(site(a), site(b)),
        2 | 3 => network.heal_all(),
        4 => network.crash(key(a)),
        5 => nodes[usize::from(a) - 1] = network.start(key(a), site(a), ends(runs)),
        6 => network.drop_next_response(key(a), key(b)),
        _ => network.set_quality(
            site(a),
            site(b),
            Quality {
                rtt: Duration::from_millis(random.next_u64() % 300),
                jitter: Duration::from_millis(random.next_u64() % 100),
                answer_loss: 0.05,
                ..Quality::default()
            },
        ),
    }
}

/// Answered, unknown, not sent, refused; and of the unknown, how many ran.
async fn run(seed: u64) -> [u64; 5] {
    let mut random = SplitMix64::new(seed);
    let network = Network::new(seed);
    let runs = Runs::default();
    let start = |number| network.start(key(number), site(number), ends(&runs));
    let mut nodes: Vec<_> = (1..=NODES).map(start).collect();
    let mut asked = Vec::new();
    for number in 0..200u64 {
        if number.is_multiple_of(4) {
            harm(&network, &mut nodes, &runs, &mut random);
        }
        let from = nodes[(random.next_u64() % u64::from(NODES)) as usize].clone();
        let to = key((random.next_u64() % u64::from(NODES)) as u8 + 1);
        let patience = Duration::from_millis(50 + random.next_u64() % 6000);
        asked.push(tokio::spawn(async move {
            let body = Bytes::copy_from_slice(&number.to_be_bytes());
            let request = Request::new(Channel::FORWARD, body);
            from.request(to, request, Instant::now() + patience).await
        }));
        sleep(Duration::from_millis(random.next_u64() % 500)).await;
    }
    let mut counts = [0; 5];
    let mut outcomes = Vec::new();
    for one in asked {
        outcomes.push(one.await.unwrap());
    }
    // What is still on its way may yet arrive.
    network.heal_all();
    sleep(Duration::from_secs(30)).await;
    let runs = runs.lock().unwrap();
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let ran = runs.get(&(number as u64)).copied().unwrap_or(0);
        let (class, allowed) = match outcome {
            Ok(_) => (0, ran == 1),
            Err(RequestError::Unknown { .. }) => (1, ran <= 1),
            Err(RequestError::NotSent { .. }) => (2, ran == 0),
            Err(RequestError::Refused { .. }) => (3, ran == 0),
        };
        assert!(
            allowed,
            "seed {seed}, request {number}: {outcome:?}, ran {ran} times"
        );
        counts[class] += 1;
        counts[4] += u64::from(class == 1) * u64::from(ran);
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn outcomes_are_true_under_random_faults() {
    let mut sums = [0; 5];
    for seed in 0..SEEDS {
        for (sum, count) in sums.iter_mut().zip(run(seed).await) {
            *sum += count;
        }
    }
    // Every outcome was seen, and the unknown ones were really of both kinds.
    let [answered, unknown, not_sent, refused, unknown_ran] = sums;
    println!("answered {answered}, unknown {unknown} ({unknown_ran} ran), not sent {not_sent}");
    assert!(
        answered > 1000 && not_sent > 1000 && refused > 100,
        "{sums:?}"
    );
    assert!(unknown_ran > 100 && unknown > unknown_ran + 100, "{sums:?}");
}
