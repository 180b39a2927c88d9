//! Checks of an engine by itself: the four demands of [`crate::engine`].

use std::sync::Arc;

use futures::executor::ThreadPool;
use futures::future::join_all;
use futures::stream::StreamExt;
use futures::task::SpawnExt;
use luc_core::Entropy;
use luc_core::entropy::SplitMix64;

use crate::engine::{CommitError, FeedEvent, Mutation, Proposal};
use crate::revision::Revision;
use crate::suite::client::{Client, delete, expect, put};
use crate::suite::{History, Rig};

/// Nothing in it, and a watch of it waits.
pub async fn an_empty_engine_is_at_revision_zero(rig: Rig, _pool: ThreadPool) {
    let loaded = Client::new(rig.first()).load("").await;
    assert_eq!((loaded.revision, loaded.entries.len()), (Revision::ZERO, 0));
}

/// Values, revisions, order and prefixes.
pub async fn what_was_committed_is_loaded_in_the_order_of_its_keys(rig: Rig, _pool: ThreadPool) {
    let mut client = Client::new(rig.first());
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(100_000));
    let first = client
        .commit(
            vec![],
            vec![put("r/b", "{\"b\":1}"), put("r/a", &long), put("s/é", "{}")],
        )
        .await
        .expect("nothing stands against it");
    let second = client
        .commit(vec![expect("r/b", first)], vec![put("r/b", "{\"b\":2}")])
        .await
        .expect("the expectation holds");
    assert!(second > first);
    let loaded = client.load("r/").await;
    let found: Vec<_> = loaded
        .entries
        .iter()
        .map(|e| (e.key.as_str(), &*e.value, e.revision))
        .collect();
    let expected = [
        ("r/a", long.as_bytes(), first),
        ("r/b", b"{\"b\":2}", second),
    ];
    assert_eq!((loaded.revision, found), (second, expected.to_vec()));
    assert_eq!(client.load("").await.entries.len(), 3);
    assert_eq!(client.load("s/é").await.entries.len(), 1);
    assert_eq!(client.load("t").await.entries.len(), 0);
}

/// One expectation that fails keeps the whole batch out, whichever it is.
pub async fn a_batch_is_done_completely_or_not_at_all(rig: Rig, _pool: ThreadPool) {
    let mut client = Client::new(rig.first());
    let first = client
        .commit(vec![expect("a", None)], vec![put("a", "1")])
        .await
        .expect("absent");
    for wrong in [
        vec![expect("a", None)],
        vec![expect("a", first.next())],
        vec![expect("a", first), expect("b", first)],
        vec![expect("b", None), expect("a", Revision::ZERO)],
    ] {
        let names = wrong.last().map(|e| e.key.clone()).unwrap_or_default();
        let refused = client
            .commit(wrong, vec![put("a", "2"), delete("a"), put("c", "3")])
            .await;
        assert_eq!(
            refused,
            Err(CommitError::Conflict {
                key: names,
                revision: first
            })
        );
    }
    let loaded = client.load("").await;
    assert_eq!((loaded.revision, loaded.entries.len()), (first, 1));

    let gone = client
        .commit(vec![expect("a", first)], vec![delete("a")])
        .await
        .expect("it holds");
    let again = client
        .commit(vec![expect("a", None)], vec![put("a", "4")])
        .await;
    assert!(again.expect("absent again") > gone);
}

/// A proposal without a batch answers with the newest revision, or with a conflict.
pub async fn a_check_makes_no_revision(rig: Rig, _pool: ThreadPool) {
    let mut client = Client::new(rig.first());
    let first = client
        .commit(vec![], vec![put("a", "1")])
        .await
        .expect("free");
    assert_eq!(
        client.commit(vec![expect("a", first)], vec![]).await,
        Ok(first)
    );
    let refused = client.commit(vec![expect("a", None)], vec![]).await;
    assert!(matches!(refused, Err(CommitError::Conflict { .. })));
    assert_eq!(client.load("").await.revision, first);
}

/// Proposing again gives the first answer, also after others have written the same keys.
pub async fn the_same_operation_happens_once(rig: Rig, _pool: ThreadPool) {
    let mut client = Client::new(rig.first());
    let operation = client.operation();
    let proposal = Proposal {
        operation,
        expectations: vec![expect("a", None)],
        batch: vec![put("a", "1")],
    };
    let Ok(Some(revision)) = client.propose(&proposal).await else {
        // Sealed behind a lossy link: then it must stay undone.
        assert!(client.propose(&proposal).await.is_err());
        assert_eq!(client.load("").await.entries.len(), 0);
        return;
    };
    let later = client
        .commit(vec![], vec![put("a", "2")])
        .await
        .expect("free");
    for _ in 0..5 {
        assert_eq!(client.propose(&proposal).await, Ok(Some(revision)));
        assert_eq!(client.outcome(&proposal.operation).await, Some(revision));
    }
    let loaded = client.load("").await;
    assert_eq!(
        (loaded.revision, &*loaded.entries[0].value),
        (later, &b"2"[..])
    );
}

/// An outcome of "nothing" is a promise.
pub async fn an_operation_that_did_not_happen_never_will(rig: Rig, _pool: ThreadPool) {
    let mut client = Client::new(rig.first());
    let operation = client.operation();
    assert_eq!(client.outcome(&operation).await, None);
    let proposal = Proposal {
        operation,
        expectations: vec![],
        batch: vec![put("late", "1")],
    };
    let late = client.propose(&proposal).await;
    assert!(
        matches!(late, Ok(None) | Err(CommitError::Conflict { .. })),
        "{late:?}"
    );
    assert_eq!(client.outcome(&proposal.operation).await, None);
    assert_eq!(client.load("").await.entries.len(), 0);
}

/// Concurrent clients over a few keys, on every handle; see [`History`].
pub async fn commits_are_linearizable(rig: Rig, pool: ThreadPool) {
    let history = Arc::new(History::default());
    let clients = (0..6u64).map(|number| {
        let engine = Arc::clone(&rig.handles[number as usize % rig.handles.len()]);
        let history = Arc::clone(&history);
        let work = async move {
            let mut client = Client::new(engine);
            let mut dice = SplitMix64::new(number);
            for _ in 0..40 {
                let (expectations, batch) = a_proposal(&mut client, &mut dice).await;
                // Conflicts are part of the history.
                let _ = client
                    .commit_noting(expectations, batch, Some(&history))
                    .await;
            }
        };
        pool.spawn_with_handle(work).expect("the pool lives")
    });
    join_all(clients).await;
    let mut client = Client::new(rig.first());
    let loaded = client.load("").await;
    let feed = client.commits(Revision::ZERO, loaded.revision).await;
    history.verify(&feed, &loaded);
    let (done, refused) = history.counts();
    assert_eq!(done + refused, 240);
    assert!(done >= 40, "only {done} commits went through");
}

/// Reads some keys, expects them as they were read, and changes some.
async fn a_proposal(
    client: &mut Client,
    dice: &mut SplitMix64,
) -> (Vec<crate::engine::Expectation>, Vec<Mutation>) {
    let loaded = client.load("k/").await;
    let mut keys: Vec<String> = (0..3)
        .map(|_| format!("k/{}", dice.next_u64() % 8))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let found = |key: &str| {
        loaded
            .entries
            .iter()
            .find(|e| e.key == key)
            .map(|e| e.revision)
    };
    let expectations = keys.iter().map(|key| expect(key, found(key))).collect();
    let kept = 1 + (dice.next_u64() as usize % keys.len());
    let batch = keys.iter().take(kept).map(|key| match dice.next_u64() % 4 {
        0 => delete(key),
        roll => put(key, &format!("{{\"roll\":{roll}}}")),
    });
    (expectations, batch.collect())
}

/// Watchers that start anywhere, while others commit, see every commit after their start once.
pub async fn a_watch_has_no_gap_and_no_duplicate(rig: Rig, pool: ThreadPool) {
    const COMMITS: u64 = 60;
    let writers = (0..3u64).map(|number| {
        let engine = Arc::clone(&rig.handles[number as usize % rig.handles.len()]);
        let work = async move {
            let mut client = Client::new(engine);
            for count in 0..COMMITS / 3 {
                let key = format!("w/{number}/{count}");
                client
                    .commit(vec![], vec![put(&key, "{}")])
                    .await
                    .expect("free");
            }
        };
        pool.spawn_with_handle(work).expect("the pool lives")
    });
    let watchers = rig.handles.iter().map(|engine| {
        let client = Client::new(Arc::clone(engine));
        let work = async move { client.commits(Revision::ZERO, Revision::new(COMMITS)).await };
        pool.spawn_with_handle(work).expect("the pool lives")
    });
    let (_, seen) = futures::future::join(join_all(writers), join_all(watchers)).await;
    for commits in &seen {
        let numbers: Vec<u64> = commits
            .iter()
            .map(|commit| commit.revision.number())
            .collect();
        assert_eq!(numbers, (1..=COMMITS).collect::<Vec<_>>());
        assert_eq!(commits, &seen[0]);
    }
    let client = Client::new(rig.first());
    for from in [1, 17, COMMITS - 1] {
        let rest = client
            .commits(Revision::new(from), Revision::new(COMMITS))
            .await;
        assert_eq!(rest, seen[0][from as usize..]);
    }
}

/// Compaction forgets history, never entries.
pub async fn a_watcher_from_before_compaction_is_told_to_reload(rig: Rig, _pool: ThreadPool) {
    let mut client = Client::new(rig.first());
    for count in 0..10 {
        client
            .commit(vec![], vec![put(&format!("c/{count}"), "{}")])
            .await
            .expect("free");
    }
    let engine = rig.first();
    while engine.compact(Revision::new(6)).await.is_err() {
        client.rest().await;
    }
    let oldest = loop {
        let Ok(mut feed) = engine.watch(Revision::new(3)).await else {
            continue;
        };
        match feed.next().await {
            Some(FeedEvent::Gap { oldest }) => break oldest,
            Some(FeedEvent::Commit(commit)) => panic!("{} was compacted", commit.revision),
            None => {}
        }
    };
    assert_eq!(oldest, Revision::new(6));
    assert_eq!(client.commits(oldest, Revision::new(10)).await.len(), 4);
    assert_eq!(client.load("").await.entries.len(), 10);
}
