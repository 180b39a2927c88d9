//! What the embedded engine keeps and forgets, and that it says so.

use std::sync::Arc;

use futures::executor::block_on;
use futures::stream::StreamExt;
use luc_engines::{EmbeddedEngine, EmbeddedOptions};
use luc_state::Revision;
use luc_state::engine::{
    CommitError, Engine, EngineError, FeedEvent, Mutation, Operation, Proposal,
};
use luc_state::suite::Client;

fn engine(
    directory: &tempfile::TempDir,
    history_max: u64,
    outcomes_max: u64,
) -> Arc<EmbeddedEngine> {
    let path = directory.path().join("state.redb");
    let options = EmbeddedOptions {
        history_max,
        outcomes_max,
        ..EmbeddedOptions::default()
    };
    Arc::new(EmbeddedEngine::open(path, options).expect("a file"))
}

fn proposal(operation: Operation, key: &str) -> Proposal {
    let put = Mutation::Put {
        key: key.to_owned(),
        value: Arc::from(&b"{}"[..]),
    };
    Proposal {
        operation,
        expectations: Vec::new(),
        batch: vec![put],
    }
}

#[test]
fn a_watch_from_the_beginning_reads_what_memory_no_longer_has() {
    let directory = tempfile::tempdir().expect("a directory for the file");
    block_on(async {
        let engine = engine(&directory, 10_000, 10_000);
        let mut client = Client::new(engine.clone());
        for count in 0..700u64 {
            let operation = client.operation();
            engine
                .commit(proposal(operation, &format!("k/{count}")))
                .await
                .expect("free");
        }
        let commits = client.commits(Revision::ZERO, Revision::new(700)).await;
        let keys: Vec<String> = commits
            .iter()
            .map(|c| c.batch[0].key().to_owned())
            .collect();
        assert_eq!(
            keys,
            (0..700)
                .map(|count| format!("k/{count}"))
                .collect::<Vec<_>>()
        );
    });
}

#[test]
fn the_history_outlives_the_process_and_ends_with_a_gap() {
    let directory = tempfile::tempdir().expect("a directory for the file");
    block_on(async {
        let first = engine(&directory, 10, 100);
        let mut client = Client::new(first.clone());
        for count in 0..25 {
            let operation = client.operation();
            first
                .commit(proposal(operation, &format!("k/{count}")))
                .await
                .expect("free");
        }
        drop((first, client));
        let again = engine(&directory, 10, 100);
        let mut feed = again.watch(Revision::new(14)).await.expect("it is open");
        let gap = feed.next().await;
        assert_eq!(
            gap,
            Some(FeedEvent::Gap {
                oldest: Revision::new(15)
            })
        );
        assert_eq!(feed.next().await, None);
        let client = Client::new(again);
        assert_eq!(
            client
                .commits(Revision::new(15), Revision::new(25))
                .await
                .len(),
            10
        );
    });
}

#[test]
fn outcomes_outlive_the_process() {
    let directory = tempfile::tempdir().expect("a directory for the file");
    block_on(async {
        let first = engine(&directory, 10, 100);
        let mut client = Client::new(first.clone());
        let (done, sealed) = (client.operation(), client.operation());
        let revision = first
            .commit(proposal(done.clone(), "a"))
            .await
            .expect("free");
        assert_eq!(first.outcome(&sealed).await, Ok(None));
        drop((first, client));
        let again = engine(&directory, 10, 100);
        assert_eq!(again.outcome(&done).await, Ok(Some(revision)));
        assert_eq!(again.commit(proposal(done, "a")).await, Ok(revision));
        let late = again.commit(proposal(sealed, "b")).await;
        assert!(
            matches!(late, Err(CommitError::Conflict { .. })),
            "{late:?}"
        );
        assert_eq!(again.load("").await.expect("it is open").revision, revision);
    });
}

#[test]
fn an_outcome_that_was_forgotten_is_never_guessed() {
    let directory = tempfile::tempdir().expect("a directory for the file");
    block_on(async {
        let engine = engine(&directory, 10, 3);
        let mut client = Client::new(engine.clone());
        let (done, never) = (client.operation(), client.operation());
        engine
            .commit(proposal(done.clone(), "a"))
            .await
            .expect("free");
        for _ in 0..3 {
            let base = engine.load("").await.expect("it is open").revision;
            let operation = Operation {
                base,
                ..client.operation()
            };
            engine.commit(proposal(operation, "a")).await.expect("free");
        }
        for operation in [done, never] {
            let outcome = engine.outcome(&operation).await;
            assert!(
                matches!(outcome, Err(EngineError::Forgotten { .. })),
                "{outcome:?}"
            );
            let late = engine.commit(proposal(operation, "late")).await;
            assert!(
                matches!(late, Err(CommitError::Conflict { .. })),
                "{late:?}"
            );
        }
        assert_eq!(
            engine.load("late").await.expect("it is open").entries.len(),
            0
        );
    });
}
