//! The journal beside the file: what it is needed for, and when it is refused.

use futures::executor::block_on;
use luc_core::entropy::SplitMix64;
use luc_engines::{EmbeddedEngine, EmbeddedOptions, OpenError};
use luc_state::Revision;
use luc_state::engine::{Engine, Loaded};
use redb::{Database, ReadableTable, TableDefinition};

use crate::disk::{Disk, Part};
use crate::workload::{Done, audit, proposal};

/// Records begin at pages.
const PAGE: usize = 4096;

fn open(disk: &Disk, journal_bytes: u64) -> Result<EmbeddedEngine, OpenError> {
    let options = EmbeddedOptions {
        journal_bytes,
        ..EmbeddedOptions::default()
    };
    EmbeddedEngine::open_on(disk.clone(), options)
}

/// An engine on a new disk, which is taken over into the file only when it is closed.
fn new_engine() -> (Disk, EmbeddedEngine) {
    let disk = Disk::new(1, true);
    let engine = open(&disk, 1 << 20).expect("the disk works");
    (disk, engine)
}

/// Commits so many, one after the other, as clerk 0.
fn commit(engine: &EmbeddedEngine, count: u64) -> Loaded {
    let mut dice = SplitMix64::new(count);
    block_on(async {
        let loaded = engine.load("").await.expect("the disk works");
        let all = audit(&loaded).expect("nothing is torn");
        let mut done = all.get(&0).copied().unwrap_or_default();
        for _ in 0..count {
            let proposal = proposal(0, done, Revision::ZERO, &mut dice);
            let revision = engine.commit(proposal).await.expect("the disk works");
            done = Done {
                number: done.number + 1,
                revision: Some(revision),
            };
        }
        engine.load("").await.expect("the disk works")
    })
}

fn loaded(disk: &Disk) -> Loaded {
    let engine = open(disk, 1 << 20).expect("the disk works");
    block_on(engine.load("")).expect("the disk works")
}

fn refusal(disk: &Disk) -> String {
    match open(disk, 1 << 20).map(drop) {
        Err(error @ OpenError::Damaged { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_committed_is_in_the_file_with_its_journal_and_alone_once_it_is_closed() {
    let (disk, engine) = new_engine();
    let written = commit(&engine, 3);
    let crashed = disk.copy();
    assert_eq!(loaded(&crashed.copy()), written);
    crashed.lose_journal();
    let reason = refusal(&crashed);
    assert!(
        reason.contains("journal") && reason.contains("missing"),
        "{reason}"
    );
    drop(engine);
    disk.lose_journal();
    assert_eq!(loaded(&disk), written);
}

#[test]
fn what_the_file_has_taken_over_is_not_done_again() {
    let disk = Disk::new(2, true);
    // The file takes over every third commit.
    let engine = open(&disk, 3 * PAGE as u64).expect("the disk works");
    for count in 1..9 {
        let written = commit(&engine, count);
        assert_eq!(loaded(&disk.copy()), written, "after {count} more");
    }
}

#[test]
fn a_journal_of_a_later_moment_is_refused() {
    let disk = Disk::new(3, true);
    let engine = open(&disk, 1).expect("the disk works");
    commit(&engine, 1);
    let earlier = disk.copy();
    commit(&engine, 3);
    earlier.take_journal(&disk);
    let reason = refusal(&earlier);
    assert!(reason.contains("its journal is newer"), "{reason}");
}

#[test]
fn a_turned_bit_is_found_in_the_middle_and_ends_the_journal_at_its_last_record() {
    let (disk, engine) = new_engine();
    commit(&engine, 5);
    let fifth = commit(&engine, 1);
    for record in 0..6 {
        for (at, bit) in [(0, 3), (9, 0), (16, 1), (20, 7), (40, 2)] {
            let damaged = disk.copy();
            damaged.turn_bit(Part::Journal, record * PAGE + at, bit);
            if record < 5 {
                let reason = refusal(&damaged);
                assert!(
                    reason.contains("journal"),
                    "record {record}, byte {at}: {reason}"
                );
            } else {
                let read = loaded(&damaged);
                assert_eq!(read.revision.number() + 1, fifth.revision.number());
            }
        }
    }
}

#[test]
fn the_journal_of_a_file_that_is_gone_is_not_read() {
    let (disk, engine) = new_engine();
    commit(&engine, 4);
    let bare = Disk::new(4, true);
    bare.take_journal(&disk);
    let engine = open(&bare, 1 << 20).expect("the disk works");
    let written = commit(&engine, 1);
    assert_eq!(written.revision.number(), 1);
    assert_eq!(loaded(&bare.copy()), written);
}

#[test]
fn a_file_of_a_release_without_a_journal_is_read_and_gets_one() {
    const META: TableDefinition<'_, &str, (u64, u64, u64, u64, u64, u64)> =
        TableDefinition::new("meta");
    let directory = tempfile::tempdir().expect("a directory for the file");
    let path = directory.path().join("state.redb");
    let open = || EmbeddedEngine::open(&path, EmbeddedOptions::default());
    let written = commit(&open().expect("a new file"), 3);
    let format = || {
        let database = Database::open(&path).expect("nobody has it");
        let transaction = database.begin_write().expect("it works");
        let mut meta = transaction.open_table(META).expect("it is there");
        let found = meta
            .get("format")
            .expect("it works")
            .map(|row| row.value().0);
        // As it was before there were journals.
        meta.insert("format", (1, 0, 0, 0, 0, 0)).expect("it works");
        meta.remove("journal").expect("it works");
        drop(meta);
        transaction.commit().expect("it works");
        found
    };
    assert_eq!(format(), Some(2));
    std::fs::remove_file(directory.path().join("state.redb.journal")).expect("it is there");
    let engine = open().expect("an older file");
    assert_eq!(block_on(engine.load("")).expect("it works"), written);
    drop(engine);
    assert_eq!(
        format(),
        Some(2),
        "an older release does not open it any more"
    );
}
