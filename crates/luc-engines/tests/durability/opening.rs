//! Files that cannot be opened, and what the operator is told.

use futures::executor::block_on;
use luc_core::Entropy;
use luc_core::entropy::SplitMix64;
use luc_engines::{EmbeddedEngine, EmbeddedOptions, OpenError};
use luc_state::engine::Engine;

use crate::disk::{Disk, Part};
use crate::workload::{Done, proposal};

#[test]
fn a_file_in_use_is_refused_by_name() {
    let directory = tempfile::tempdir().expect("a directory for the file");
    let path = directory.path().join("state.redb");
    let first = EmbeddedEngine::open(&path, EmbeddedOptions::default()).expect("a new file");
    let second = EmbeddedEngine::open(&path, EmbeddedOptions::default()).map(drop);
    let error = second.expect_err("the first has it");
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("state.redb is in use by another process"),
        "{error}"
    );
    drop(first);
    EmbeddedEngine::open(&path, EmbeddedOptions::default()).expect("the first is gone");
}

#[test]
fn of_those_who_make_the_file_at_once_one_gets_it() {
    for _ in 0..20 {
        let directory = tempfile::tempdir().expect("a directory for the file");
        let path = directory.path().join("state.redb");
        let open = || EmbeddedEngine::open(&path, EmbeddedOptions::default());
        let engines: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect()
        });
        let (got, refused): (Vec<_>, Vec<_>) = engines.into_iter().partition(Result::is_ok);
        assert_eq!(
            got.len(),
            1,
            "{:?}",
            refused.into_iter().map(Result::err).collect::<Vec<_>>()
        );
        for error in refused.into_iter().filter_map(Result::err) {
            assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
        }
        drop(got);
        open().expect("nobody has it any more");
        let files = std::fs::read_dir(directory.path())
            .expect("it is there")
            .count();
        assert_eq!(files, 2, "the file and its journal, and no draft");
    }
}

#[test]
fn a_directory_that_is_missing_is_an_error_of_the_system() {
    let error = EmbeddedEngine::open("/nonexistent/state.redb", EmbeddedOptions::default());
    let error = error.map(drop).expect_err("no such directory");
    assert!(matches!(&error, OpenError::Io { name, .. } if name.contains("/nonexistent")));
}

#[test]
fn a_file_that_is_something_else_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().expect("a directory for the file");
    let path = directory.path().join("notes.txt");
    let text = "not a database\n".repeat(1000);
    std::fs::write(&path, &text).expect("a file");
    let error = EmbeddedEngine::open(&path, EmbeddedOptions::default()).map(drop);
    let error = error.expect_err("it is no state file");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), text);
}

/// Turns single bits of a file and opens it. What is opened must be what was written: damage is
/// found, or it hit bytes that nobody uses.
#[test]
fn a_turned_bit_is_found_or_harmless() {
    let mut dice = SplitMix64::new(3);
    let mut found = 0;
    for round in 0..60 {
        let disk = Disk::new(round, true);
        let engine = EmbeddedEngine::open_on(disk.clone(), EmbeddedOptions::default());
        let engine = engine.expect("the disk works");
        let written = block_on(async {
            let mut done = Done::default();
            for _ in 0..5 {
                let proposal = proposal(0, done, luc_state::Revision::ZERO, &mut dice);
                let revision = engine.commit(proposal).await.expect("the disk works");
                done = Done {
                    number: done.number + 1,
                    revision: Some(revision),
                };
            }
            engine.load("").await.expect("the disk works")
        });
        drop(engine);
        // The beginning of the file is in use; most of the rest is not.
        let at = dice.next_u64() as usize % disk.len(Part::File).min(120_000);
        disk.turn_bit(Part::File, at, (dice.next_u64() % 8) as u32);
        match EmbeddedEngine::open_on(disk, EmbeddedOptions::default()) {
            Err(OpenError::Damaged { .. }) => found += 1,
            Err(error) => panic!("bit at {at}: {error:?}"),
            Ok(engine) => {
                let read = block_on(engine.load("")).expect("it was verified");
                assert_eq!(read, written, "bit at {at}");
            }
        }
    }
    assert!(found > 0, "no damage was found in 60 rounds");
}
