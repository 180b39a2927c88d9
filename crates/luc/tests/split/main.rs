//! A split of a real cloud: both sides go on with everything that is theirs, and agree afterwards.
//!
//! Four sites of real processes in network namespaces of their own (`tests/netns/lab.py`), with
//! the published round trips between them. One site is cut off by packet filters while a client
//! on each side carries out every site-scoped row of the endpoint table, over and over; which rows
//! those are follows from the table of kinds (`rows`). After the heal a checker compares what was
//! acknowledged with what every site shows. One write is asked for in the moment of the cut, while
//! the cut-off site hears and is not heard: its outcome is unknown until `luc op show` tells it.
//!
//! The short form here takes a quarter of a minute of split; `LUC_SPLIT_SECONDS=600` makes it long.
//! `LUC_SPLIT_PROGRAM=target/release/luc` takes that build.
//! Needs root, iproute2, nftables and python3; without them it is counted as skipped.

mod checker;
mod cycle;
mod lab;
#[path = "../cloud/process.rs"]
#[expect(dead_code, reason = "the tests of whole clouds use more of it")]
mod process;
mod rows;
mod worker;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cycle::Beyond;
use lab::Lab;
use tokio::task::JoinHandle;
use worker::Worker;

/// Seconds of split, unless the environment says otherwise.
const SECONDS: u64 = 15;
/// The time in which all sites must agree after the heal.
const CONVERGED_WITHIN: Duration = Duration::from_secs(5);
/// The site that is cut off, the founder, and one more on the founder's side.
const CUT: usize = 3;
const FOUNDER: usize = 0;
const OTHER: usize = 1;
/// The time in which a request arrives at another site.
const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// What a server is called by the write whose outcome is unknown.
const DOUBTED: &str = "renamed-in-doubt";

/// How many servers and server groups the project may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quota {
    /// As many as it likes.
    Ample,
    /// Fewer than it asks for.
    Tight,
}

/// With [`Quota::Tight`]: what there is for all sites together.
const TIGHT: i64 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_of_a_split_work_on_and_agree_after_the_heal() {
    split(Quota::Ample).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "half a minute; the leases of quotas have tests of their own"]
async fn both_sides_of_a_split_keep_to_a_quota_that_is_exhausted() {
    split(Quota::Tight).await;
}

async fn split(quota: Quota) {
    if let Some(reason) = lab::missing() {
        return process::skip(&reason);
    }
    let seconds = std::env::var("LUC_SPLIT_SECONDS");
    let seconds = seconds.map_or(SECONDS, |text| text.parse().expect("a number of seconds"));
    let lab = Lab::up(&["grenoble", "luxembourg", "nancy", "rennes"], 2).await;
    let mut workers = Vec::new();
    for index in [FOUNDER, OTHER, CUT] {
        let mut worker = Worker::login(&lab, index).await;
        worker.is_tight = quota == Quota::Tight;
        workers.push(worker);
    }
    let limit = if quota == Quota::Tight { TIGHT } else { -1 };
    workers[0].set_quota(limit).await;
    // One round before the split, so that every site knows the project.
    for worker in &mut workers {
        // A host that was forgotten is away for a while, and both are wanted in the split.
        worker.keeps_hosts = true;
        cycle::round(worker).await;
        worker.keeps_hosts = false;
        worker.expect_no_failures();
        // What is done before the split says nothing of it.
        worker.done.clear();
    }
    let readers = checker::clients(&lab).await;
    checker::wait_until_agreed(&lab, &readers, Duration::from_secs(30)).await;

    let beyond = Beyond::at(&lab, &workers[2]);
    let doubtful = in_doubt(&lab, beyond).await;
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut workers = work(&lab, workers, end).await;
    let doubtful = doubtful
        .await
        .expect("the answer of the write in doubt came");
    let readers = checker::clients(&lab).await;
    lab.heal().await;
    let healed = Instant::now();
    let reading = checker::wait_until_agreed(&lab, &readers, CONVERGED_WITHIN).await;
    let took = healed.elapsed();

    for worker in &workers {
        worker.expect_no_failures();
        worker.report();
        if quota == Quota::Ample {
            rows::expect_all_site_scoped(&worker.site, &worker.done);
        }
    }
    if quota == Quota::Tight {
        checker::at_most(&workers, "/servers", TIGHT);
    }
    doubtful.expect_no_failures();
    workers.push(doubtful);
    checker::nothing_lost_doubled_or_resurrected(&lab, &workers).await;
    checker::unknown_outcomes_are_told(&lab, &workers).await;
    checker::all_show(&lab, &workers[3], DOUBTED).await;
    lab::say(&format!(
        "split of {seconds} s: all sites agreed {took:.2?} after the heal, {reading:.2?} of it for \
         reading everything once"
    ));
    lab.down().await;
}

/// Cuts the site off, first in one direction: a write that it hears of in that moment is carried
/// out, and nobody hears so. The client that asked for it gives up while the split lasts.
async fn in_doubt(lab: &Lab, beyond: Beyond) -> JoinHandle<Worker> {
    let mut worker = Worker::login(lab, OTHER).await;
    lab.silence(CUT).await;
    let asked = tokio::spawn(async move {
        cycle::rename_in_doubt(&mut worker, &beyond, DOUBTED).await;
        worker
    });
    tokio::time::sleep(HEARD_WITHIN).await;
    lab.cut(CUT).await;
    asked
}

/// Lets every client go round until `end`.
async fn work(lab: &Lab, workers: Vec<Worker>, end: Instant) -> Vec<Worker> {
    let there: BTreeMap<usize, Beyond> = workers
        .iter()
        .map(|worker| (worker.index, Beyond::at(lab, worker)))
        .collect();
    let running = workers.into_iter().map(|mut worker| {
        let beyond = if worker.index == CUT { FOUNDER } else { CUT };
        let beyond = there[&beyond].clone();
        tokio::spawn(async move {
            while Instant::now() < end {
                worker.login_again().await;
                cycle::round(&mut worker).await;
                cycle::refused(&mut worker, &beyond).await;
            }
            worker
        })
    });
    let ended = futures::future::join_all(running).await.into_iter();
    ended
        .map(|worker| worker.expect("the client ran to its end"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_round_asks_every_site_scoped_row() {
    let directory = tempfile::tempdir().expect("room for data");
    let up = process::Up::start(directory.path(), "fake", 2).await;
    let hosts = vec!["node-1".to_owned(), "node-2".to_owned()];
    let mut worker = Worker::at(&up.access, "site-1", hosts).await;
    worker.set_quota(-1).await;
    cycle::round(&mut worker).await;
    worker.expect_no_failures();
    rows::expect_all_site_scoped(&worker.site, &worker.done);
    worker.report();
    up.stop().await;
}
