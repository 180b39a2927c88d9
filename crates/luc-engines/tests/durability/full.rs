//! Disks that are full or cannot sync.

use std::sync::Arc;

use futures::executor::block_on;
use luc_core::entropy::SplitMix64;
use luc_engines::{EmbeddedEngine, EmbeddedOptions};
use luc_state::engine::{CommitError, Engine, EngineError};

use crate::disk::Disk;
use crate::workload::{Done, audit, proposal};

fn open(disk: &Disk) -> EmbeddedEngine {
    EmbeddedEngine::open_on(disk.clone(), EmbeddedOptions::default()).expect("the disk works")
}

/// Commits as clerk 0 until that fails.
async fn fill(engine: &EmbeddedEngine, done: &mut Done, dice: &mut SplitMix64) -> CommitError {
    loop {
        let mut proposal = proposal(0, *done, luc_state::Revision::ZERO, dice);
        let filler = luc_state::engine::Mutation::Put {
            key: format!("filler/{}", done.number),
            value: Arc::from(vec![b'1'; 100_000]),
        };
        proposal.batch.push(filler);
        match engine.commit(proposal).await {
            Ok(revision) => {
                *done = Done {
                    number: done.number + 1,
                    revision: Some(revision),
                }
            }
            Err(error) => return error,
        }
    }
}

#[test]
fn a_full_disk_refuses_with_its_reason_and_works_again_when_there_is_space() {
    block_on(async {
        let (disk, mut dice, mut done) = (Disk::new(5, true), SplitMix64::new(5), Done::default());
        let engine = open(&disk);
        disk.limit(6_000_000);
        let error = fill(&engine, &mut done, &mut dice).await;
        let reason = match &error {
            CommitError::Unavailable { reason } | CommitError::Unknown { reason } => reason,
            CommitError::Conflict { .. } => panic!("{error}"),
        };
        assert!(reason.contains("no storage space"), "{reason}");
        assert!(done.number > 5, "only {} commits fitted", done.number);

        // Still full: reading works, what was acknowledged is there, writing says why not.
        let loaded = engine.load("").await;
        if let Ok(loaded) = &loaded {
            assert_eq!(
                audit(loaded).expect("nothing is torn")[&0].number,
                done.number
            );
        }

        disk.limit(100_000_000);
        let loaded = engine.load("").await.expect("there is space");
        let all = audit(&loaded).expect("nothing is torn");
        assert!(
            (done.number..=done.number + 1).contains(&all[&0].number),
            "{all:?}"
        );
        let revision = engine
            .commit(proposal(0, all[&0], loaded.revision, &mut dice))
            .await
            .expect("there is space");
        drop(engine);
        let again = open(&disk).load("").await.expect("the disk works");
        assert_eq!(again.revision, revision);
        audit(&again).expect("nothing is torn");
    });
}

#[test]
fn a_disk_that_cannot_sync_takes_the_engine_out_of_service() {
    block_on(async {
        let (disk, mut dice) = (Disk::new(6, true), SplitMix64::new(6));
        let engine = open(&disk);
        let first = proposal(0, Done::default(), luc_state::Revision::ZERO, &mut dice);
        let operation = first.operation.clone();
        disk.fail_syncs(true);
        let unknown = engine.commit(first).await;
        assert!(
            matches!(unknown, Err(CommitError::Unknown { .. })),
            "{unknown:?}"
        );

        // The disk says that it works again, but what the kernel dropped does not come back.
        disk.fail_syncs(false);
        let second = proposal(0, Done::default(), luc_state::Revision::ZERO, &mut dice);
        let Err(CommitError::Unavailable { reason }) = engine.commit(second).await else {
            panic!("the engine is out of service")
        };
        assert!(reason.contains("check the disk, then restart"), "{reason}");
        let outcome = engine.outcome(&operation).await;
        assert!(
            matches!(outcome, Err(EngineError::Unavailable { .. })),
            "{outcome:?}"
        );
        drop(engine);
        open(&disk)
            .load("")
            .await
            .expect("after a restart it works");
    });
}
