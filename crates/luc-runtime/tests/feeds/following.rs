//! What a site holds of another, and how soon.

use std::time::Duration;

use luc_runtime::fabric::memory::Quality;
use luc_runtime::feeds::Interest;
use tokio::time::{Instant, sleep};

use crate::world::{Machine, World, machine, prefix, project};

/// One way between the sites.
const WAY: Duration = Duration::from_millis(15);

/// What tasks take beside that.
const REST: Duration = Duration::from_millis(5);

#[tokio::test(start_paused = true)]
async fn a_write_is_seen_at_another_site_at_once_and_the_next_after_a_pause_for_more() {
    let world = World::new(&[1, 2]).await;
    let (home, away) = (world.site(1), world.site(2));
    assert!(away.follow("p").await);
    sleep(Duration::from_secs(1)).await;
    let before = Instant::now();
    let revision = home.put("m1", "p").await;
    assert!(away.caught_up(1, revision, 1000).await);
    let took = before.elapsed();
    assert!(took <= WAY + REST, "{took:?}");
    assert_eq!(away.held(1), ["m1"]);
    let held = away.store.snapshot().get::<Machine>("m1");
    assert_eq!(held.map(|machine| machine.home()), Some(prefix(1)));
    let before = Instant::now();
    let revision = home.put("m2", "p").await;
    assert!(away.caught_up(1, revision, 1000).await);
    let took = before.elapsed();
    let pause = Duration::from_millis(50);
    assert!(WAY < took && took <= pause + WAY + REST, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_waits_for_goes_without_a_pause() {
    let world = World::new(&[1, 2]).await;
    let (home, away) = (world.site(1), world.site(2));
    assert!(away.follow("p").await);
    for number in 0..10 {
        let before = Instant::now();
        // In what is told, and in what is not.
        let of = ["p", "elsewhere"][number % 2];
        let revision = home.put(&format!("m{number}"), of).await;
        home.feeds.awaited(prefix(2), revision.number());
        assert!(away.caught_up(1, revision, 1000).await);
        let took = before.elapsed();
        assert!(took <= WAY + 2 * REST, "{number}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_site_follows_the_projects_that_live_on_it_and_no_others() {
    let world = World::new(&[1, 2]).await;
    let (home, away) = (world.site(1), world.site(2));
    home.put("m1", "p").await;
    home.put("m2", "q").await;
    away.put("own", "p").await;
    let interest = Interest::Project(project("p"));
    assert!(away.feeds.followed(&interest, Duration::from_secs(5)).await);
    assert_eq!(away.held(1), ["m1"]);
    away.write(|tx| tx.delete::<Machine>("own").map(drop)).await;
    sleep(Duration::from_secs(2)).await;
    assert!(away.held(1).is_empty(), "nothing of it lives here any more");
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_for_is_followed_for_a_day() {
    let world = World::new(&[1, 2]).await;
    let (home, away) = (world.site(1), world.site(2));
    home.put("m1", "p").await;
    assert!(away.follow("p").await);
    sleep(Duration::from_secs(23 * 3600)).await;
    assert_eq!(away.held(1), ["m1"]);
    sleep(Duration::from_secs(2 * 3600)).await;
    assert!(away.held(1).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_follower_is_not_told_of_moves_it_on_as_well() {
    let world = World::new(&[1, 2]).await;
    let (home, away) = (world.site(1), world.site(2));
    assert!(away.follow("p").await);
    let commits = away.store.snapshot().revision();
    let revision = home.put("m1", "elsewhere").await;
    assert!(
        away.caught_up(1, revision, 1100).await,
        "by the next heartbeat"
    );
    assert_eq!(
        away.store.snapshot().revision(),
        commits,
        "without a commit"
    );
}

#[tokio::test(start_paused = true)]
async fn changes_that_come_together_go_together() {
    let world = World::new(&[1, 2]).await;
    let (home, away) = (world.site(1), world.site(2));
    assert!(away.follow("p").await);
    let before = away.status(1).batches;
    for number in 0..100 {
        home.put(&format!("m{number}"), "p").await;
    }
    away.level_with(home).await;
    let batches = away.status(1).batches - before;
    assert!(batches <= 3, "{batches} batches");
    assert_eq!(away.held(1).len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_site_says_each_second_that_it_lives() {
    let world = World::new(&[1, 2]).await;
    let away = world.site(2);
    sleep(Duration::from_secs(10)).await;
    for _ in 0..50 {
        sleep(Duration::from_millis(170)).await;
        let status = away.status(1);
        assert!(status.connected);
        assert!(
            status.age <= Duration::from_millis(1100),
            "{:?}",
            status.age
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_history_comes_in_parts_and_is_whole_in_the_end() {
    let world = World::new(&[1, 2]).await;
    let (home, away) = (world.site(1), world.site(2));
    home.write(|tx| {
        (0..5000).try_for_each(|number| {
            let id = format!("m{number:04}");
            tx.insert(machine(&id, "p")).map(drop)
        })
    })
    .await;
    assert!(away.follow("p").await);
    assert_eq!(away.held(1).len(), 5000);
    assert!(away.status(1).whole);
}

#[tokio::test(start_paused = true)]
async fn a_site_says_for_how_long_its_copies_have_been_behind() {
    let world = World::new(&[1, 2]).await;
    let (home, away) = (world.site(1), world.site(2));
    assert!(away.follow("p").await);
    let (level, began) = (away.status(1), Instant::now());
    assert_eq!((level.behind, level.lag), (0, Duration::ZERO));
    let slow = Quality {
        bytes_per_second: Some(10_000),
        ..Quality::of_rtt(2 * WAY)
    };
    world.network.set_quality(prefix(1), prefix(2), slow);
    home.write(|tx| {
        (0..5000).try_for_each(|number| {
            let id = format!("m{number:04}");
            tx.insert(machine(&id, "p")).map(drop)
        })
    })
    .await;
    // The first part says how far the home is; the lag counts from there to the last one.
    let mut seen = Duration::ZERO;
    while away.held(1).len() < 5000 {
        let status = away.status(1);
        assert!(status.lag <= began.elapsed(), "{status:?}");
        assert!(status.lag.is_zero() || status.behind > 0, "{status:?}");
        seen = seen.max(status.lag);
        assert!(began.elapsed() < Duration::from_secs(60), "{status:?}");
        sleep(Duration::from_millis(200)).await;
    }
    assert!(seen > Duration::from_millis(500), "{seen:?}");
    away.level_with(home).await;
    let level = away.status(1);
    assert_eq!((level.behind, level.lag), (0, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_goes_everywhere_and_its_tombstone_goes_when_all_have_heard() {
    let world = World::new(&[1, 2, 3]).await;
    let (home, away, third) = (world.site(1), world.site(2), world.site(3));
    home.put("m1", "p").await;
    assert!(away.follow("p").await && third.follow("p").await);
    home.write(|tx| tx.delete::<Machine>("m1").map(drop)).await;
    home.put("m2", "p").await;
    away.level_with(home).await;
    third.level_with(home).await;
    assert_eq!(
        (away.held(1), third.held(1)),
        (vec!["m2".to_owned()], vec!["m2".to_owned()])
    );
    let tombstones = || home.store.snapshot().count::<luc_state::feed::Tombstone>();
    assert_eq!(tombstones(), 1);
    sleep(Duration::from_secs(200)).await;
    assert_eq!(tombstones(), 0);
    assert_eq!(away.status(1).resets, 1, "only the first");
}

#[tokio::test(start_paused = true)]
async fn from_an_edge_site_nothing_is_taken_of_projects_that_do_not_live_there() {
    let world = World::new(&[1, 9]).await;
    let (follower, edge) = (world.site(1), world.site(9));
    // It says what it likes of any project.
    edge.put("own", "edge").await;
    let last = edge.put("forged", "victim").await;
    for of in ["edge", "victim"] {
        assert!(follower.follow(of).await, "nobody waits for {of}");
    }
    assert!(follower.caught_up(9, last, 1000).await);
    assert_eq!(follower.held(9), ["own"]);
}
