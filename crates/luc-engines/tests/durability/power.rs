//! Power cuts at any operation of the disk: what was acknowledged is there, nothing is torn.

use std::collections::BTreeMap;

use futures::executor::block_on;
use futures::future::join_all;
use luc_core::Entropy;
use luc_core::entropy::SplitMix64;
use luc_engines::{EmbeddedEngine, EmbeddedOptions};
use luc_state::Revision;
use luc_state::engine::{CommitError, Engine, Operation};

use crate::disk::Disk;
use crate::workload::{CLERKS, Done, audit, missing, proposal};

/// What somebody was told about the commits of each clerk.
#[derive(Default)]
struct Told {
    acknowledged: BTreeMap<u64, u64>,
    /// Commits with an unknown outcome: clerk, number, operation.
    unknown: Vec<(u64, u64, Operation)>,
    count: u64,
    /// How many cuts hit writes that were not synced.
    hits: u64,
}

fn options(dice: &mut SplitMix64) -> EmbeddedOptions {
    EmbeddedOptions {
        history_max: 40,
        outcomes_max: 60,
        cache_bytes: 1 << 20,
        // Now and then the file takes over each batch, now and then none before the power fails.
        journal_bytes: 1 << (12 + dice.next_u64() % 7),
        verify: dice.next_u64().is_multiple_of(2),
    }
}

/// Cuts the power `cuts` times, beginning with a new disk every 250 cuts, and says after how many
/// something was lost.
fn cut_power(cuts: u64, seed: u64, honest: bool) -> Result<Told, (u64, String)> {
    let mut dice = SplitMix64::new(seed);
    let mut disk = Disk::new(dice.next_u64(), honest);
    let mut told = Told::default();
    for cut in 0..cuts {
        if cut % 250 == 0 {
            disk = Disk::new(dice.next_u64(), honest);
            told = Told {
                count: told.count,
                hits: told.hits,
                ..Told::default()
            };
        }
        let fuse = if cut % 250 < 20 {
            cut % 250
        } else {
            dice.next_u64() % 100
        };
        disk.cut_after(fuse);
        block_on(live(&disk, &mut told, &mut dice)).map_err(|reason| (cut, reason))?;
        told.hits += u64::from(disk.has_unsynced());
        disk.restore_power();
    }
    Ok(told)
}

/// Opens the file, checks it, and writes until the power fails.
async fn live(disk: &Disk, told: &mut Told, dice: &mut SplitMix64) -> Result<(), String> {
    let engine = match EmbeddedEngine::open_on(disk.clone(), options(dice)) {
        Ok(engine) => engine,
        Err(luc_engines::OpenError::Io { .. }) => return Ok(()),
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            if error.to_string().contains("the power is off") {
                return Ok(());
            }
            return Err(error.to_string());
        }
    };
    let Ok(loaded) = engine.load("").await else {
        return Ok(());
    };
    let all = audit(&loaded)?;
    if let Some(missing) = missing(&all, &told.acknowledged) {
        return Err(missing);
    }
    for (clerk, number, operation) in told.unknown.drain(..) {
        let Ok(outcome) = engine.outcome(&operation).await else {
            continue;
        };
        if outcome.is_some() != (all[&clerk].number >= number) {
            return Err(format!(
                "the outcome of {operation} is {outcome:?}, which is not so"
            ));
        }
    }
    let seeds: Vec<u64> = (0..CLERKS).map(|_| dice.next_u64()).collect();
    let clerks = seeds.iter().zip(0..).map(|(seed, clerk)| {
        write(
            &engine,
            clerk,
            all[&clerk],
            loaded.revision,
            SplitMix64::new(*seed),
        )
    });
    for (clerk, (number, unknown)) in join_all(clerks).await.into_iter().enumerate() {
        let clerk = clerk as u64;
        let before = all[&clerk].number;
        told.count += number - before;
        told.acknowledged.insert(clerk, number);
        told.unknown
            .extend(unknown.map(|operation| (clerk, number + 1, operation)));
    }
    Ok(())
}

/// Commits until that fails. Gives the last number that was acknowledged, and the operation after
/// it if its outcome is unknown.
async fn write(
    engine: &EmbeddedEngine,
    clerk: u64,
    mut done: Done,
    mut base: Revision,
    mut dice: SplitMix64,
) -> (u64, Option<Operation>) {
    loop {
        base = base.max(done.revision.unwrap_or(base));
        let proposal = proposal(clerk, done, base, &mut dice);
        let operation = proposal.operation.clone();
        match engine.commit(proposal).await {
            Ok(revision) => {
                done = Done {
                    number: done.number + 1,
                    revision: Some(revision),
                };
            }
            Err(CommitError::Unknown { .. }) => return (done.number, Some(operation)),
            Err(CommitError::Unavailable { .. }) => return (done.number, None),
            Err(error) => panic!("clerk {clerk}: {error}"),
        }
    }
}

#[test]
fn no_acknowledged_commit_is_lost_in_ten_thousand_power_cuts() {
    match cut_power(10_000, 1, true) {
        Ok(told) => {
            // A test that cuts where nothing happens would prove nothing.
            assert!(
                told.count > 10_000,
                "only {} commits were acknowledged",
                told.count
            );
            assert!(
                told.hits > 8_000,
                "only {} cuts hit unsynced writes",
                told.hits
            );
        }
        Err((cut, reason)) => panic!("after {cut} cuts: {reason}"),
    }
}

#[test]
fn without_syncing_the_same_test_finds_a_loss() {
    let (cut, _) = cut_power(10_000, 1, false)
        .map(drop)
        .expect_err("a disk that lies loses");
    assert!(cut < 500, "it took {cut} cuts to notice");
}
