//! SIGKILL at any moment under a write load: what was acknowledged is there, nothing is torn.
//!
//! The test runs itself as a child process, which writes to a file and reports each commit that
//! was acknowledged to it on its standard output. The parent kills it after a random number of
//! reports, reads what was still in the pipe, and opens the file.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures::executor::block_on;
use futures::future::join_all;
use futures::stream::StreamExt;
use luc_core::Entropy;
use luc_core::entropy::SplitMix64;
use luc_core::id::OpId;
use luc_engines::{EmbeddedEngine, EmbeddedOptions};
use luc_state::Revision;
use luc_state::engine::{Engine, FeedEvent, Operation};

use crate::workload::{CLERKS, Done, audit, missing, proposal};

const KILLS: u64 = 200;
const FILE: &str = "LUC_TEST_KILL_FILE";
const SEED: &str = "LUC_TEST_KILL_SEED";

fn options() -> EmbeddedOptions {
    EmbeddedOptions {
        history_max: 300,
        outcomes_max: 1000,
        ..EmbeddedOptions::default()
    }
}

/// One acknowledged commit as the child reports it.
struct Report {
    clerk: u64,
    number: u64,
    revision: Revision,
    operation: OpId,
}

#[test]
fn no_acknowledged_commit_is_lost_when_the_process_is_killed() {
    if let Some(file) = std::env::var_os(FILE) {
        let seed = std::env::var(SEED)
            .expect("the parent sets both")
            .parse()
            .expect("a number");
        block_on(write_for_ever(Path::new(&file), seed));
    }
    let directory = tempfile::tempdir().expect("a directory for the file");
    let file = directory.path().join("state.redb");
    let mut dice = SplitMix64::new(20_261_122);
    let mut acknowledged = BTreeMap::new();
    let mut reports = 0;
    for round in 0..KILLS {
        let patience = dice.next_u64() % 120;
        let told = run_and_kill(&file, round, patience as usize);
        reports += told.len();
        for report in &told {
            let best = acknowledged.entry(report.clerk).or_insert(0);
            assert!(report.number > *best, "reports of a clerk come in order");
            *best = report.number;
        }
        block_on(check(&file, &acknowledged, told.last()));
    }
    assert!(
        reports as u64 > KILLS * 20,
        "only {reports} commits were acknowledged"
    );
}

/// Runs a child until it has sent `patience` reports, kills it, and reads the rest.
fn run_and_kill(file: &Path, seed: u64, patience: usize) -> Vec<Report> {
    let program = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new(program)
        .args([
            "--exact",
            "kill::no_acknowledged_commit_is_lost_when_the_process_is_killed",
        ])
        .args(["--nocapture", "--test-threads=1"])
        .env(FILE, file)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program can be run");
    let output = child.stdout.take().expect("it was piped");
    let mut reports = Vec::new();
    let mut killed = patience == 0;
    if killed {
        child.kill().expect("it is our child");
    }
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8(line.expect("a pipe can be read")).expect("text");
        reports.extend(report(&line));
        if reports.len() >= patience && !killed {
            child.kill().expect("it is our child");
            killed = true;
        }
    }
    let status = child.wait().expect("it is our child");
    assert!(
        killed && !status.success(),
        "the child ended by itself: {status}"
    );
    reports
}

/// Reads `ack <clerk> <number> <revision> <operation> .`; a line that was cut off is none.
fn report(line: &str) -> Option<Report> {
    let words: Vec<&str> = line.split(' ').collect();
    let ["ack", clerk, number, revision, operation, "."] = words[..] else {
        return None;
    };
    Some(Report {
        clerk: clerk.parse().ok()?,
        number: number.parse().ok()?,
        revision: Revision::new(revision.parse().ok()?),
        operation: OpId::parse(operation).ok()?,
    })
}

async fn check(file: &Path, acknowledged: &BTreeMap<u64, u64>, last: Option<&Report>) {
    let engine = EmbeddedEngine::open(file, options()).expect("the file opens after a kill");
    let loaded = engine.load("").await.expect("it can be read");
    let all = audit(&loaded).expect("every commit is there completely or not at all");
    assert_eq!(missing(&all, acknowledged), None);
    if let Some(report) = last {
        let operation = Operation {
            id: report.operation.clone(),
            base: Revision::ZERO,
        };
        let outcome = engine.outcome(&operation).await;
        assert_eq!(
            outcome,
            Ok(Some(report.revision)),
            "outcomes are kept with their commits"
        );
    }
    let oldest = loaded.revision.number().saturating_sub(150);
    let mut feed = engine
        .watch(Revision::new(oldest))
        .await
        .expect("the history is there");
    for expected in oldest + 1..=loaded.revision.number() {
        match feed.next().await {
            Some(FeedEvent::Commit(commit)) => assert_eq!(commit.revision.number(), expected),
            other => panic!("revision {expected}: {other:?}"),
        }
    }
}

/// The child: writes and reports until it is killed.
async fn write_for_ever(file: &Path, seed: u64) -> ! {
    let engine = Arc::new(EmbeddedEngine::open(file, options()).expect("the file opens"));
    let loaded = engine.load("").await.expect("it can be read");
    let all = audit(&loaded).expect("the parent has checked it");
    let clerks = (0..CLERKS).map(|clerk| {
        let engine = Arc::clone(&engine);
        let mut done = all[&clerk];
        let mut dice = SplitMix64::new((seed << 8) | clerk);
        let base = loaded.revision;
        async move {
            loop {
                let proposal = proposal(clerk, done, base, &mut dice);
                let operation = proposal.operation.id.clone();
                let revision = engine.commit(proposal).await.expect("nobody else writes");
                done = Done {
                    number: done.number + 1,
                    revision: Some(revision),
                };
                let line = format!("ack {clerk} {} {revision} {operation} .\n", done.number);
                let mut output = std::io::stdout().lock();
                output.write_all(line.as_bytes()).expect("the parent reads");
                output.flush().expect("the parent reads");
            }
        }
    });
    join_all(clerks).await.pop().expect("clerks never end")
}
