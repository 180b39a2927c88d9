//! Splits, crashes, absences, and followers that take nothing.

use std::time::Duration;

use luc_core::Entropy;
use luc_core::entropy::SplitMix64;
use luc_runtime::fabric::Channel;
use luc_runtime::feeds::{Interest, Pacing};
use luc_state::feed::Tombstone;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::world::{Machine, World, key, machine, prefix, project};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(start_paused = true)]
async fn through_a_split_both_sides_work_and_after_it_both_are_whole() {
    let world = World::new(&[1, 2]).await;
    let (one, two) = (world.site(1), world.site(2));
    assert!(one.follow("p").await && two.follow("p").await);
    one.put("a", "p").await;
    two.level_with(one).await;
    world.network.split(prefix(1), prefix(2));
    sleep(Duration::from_secs(30)).await;
    let revision = one.put("b", "p").await;
    two.put("c", "p").await;
    assert!(!two.caught_up(1, revision, 1000).await);
    let status = two.status(1);
    assert!(!status.connected);
    assert!(status.age > Duration::from_secs(29), "{:?}", status.age);
    assert_eq!(two.held(1), ["a"], "the last known state");
    world.network.heal_all();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(two.held(1), ["a", "b"]);
    assert_eq!(one.held(2), ["c"]);
    assert!(two.status(1).connected && two.status(1).lag == Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_follower_restarts_from_what_it_has_in_writing() {
    let mut world = World::new(&[1, 2]).await;
    world.site(1).put("a", "p").await;
    assert!(world.site(2).follow("p").await);
    world.site(2).put("own", "p").await;
    let engine = world.crash(2);
    world.site(1).put("b", "p").await;
    world
        .site(1)
        .write(|tx| tx.delete::<Machine>("a").map(drop))
        .await;
    world.start_again(2, engine).await;
    let (home, away) = (world.site(1), world.site(2));
    away.level_with(home).await;
    assert_eq!(away.held(1), ["b"]);
    let status = away.status(1);
    assert_eq!(
        (status.resets, status.entries),
        (0, 2),
        "only what it lacked"
    );
}

#[tokio::test(start_paused = true)]
async fn a_home_that_restarts_goes_on() {
    let mut world = World::new(&[1, 2]).await;
    world.site(1).put("a", "p").await;
    assert!(world.site(2).follow("p").await);
    world.restart(1).await;
    world.site(1).put("b", "p").await;
    let (home, away) = (world.site(1), world.site(2));
    away.level_with(home).await;
    assert_eq!(away.held(1), ["a", "b"]);
    assert_eq!(away.status(1).resets, 1, "only the first");
}

#[tokio::test(start_paused = true)]
async fn a_site_that_was_away_for_a_day_catches_up_without_starting_again() {
    let mut world = World::new(&[1, 2]).await;
    for number in 0..50 {
        world.site(1).put(&format!("m{number:02}"), "p").await;
    }
    assert!(world.site(2).follow("p").await);
    world.site(2).put("own", "p").await;
    sleep(Duration::from_secs(120)).await;
    let engine = world.crash(2);
    for number in 0..50 {
        let id = format!("m{number:02}");
        sleep(DAY / 50).await;
        world
            .site(1)
            .write(|tx| tx.delete::<Machine>(&id).map(drop))
            .await;
        world.site(1).put(&format!("n{number:02}"), "p").await;
    }
    let kept = world.site(1).store.snapshot().count::<Tombstone>();
    assert_eq!(kept, 50, "nobody else has to hear of them, but one has");
    world.start_again(2, engine).await;
    let (home, away) = (world.site(1), world.site(2));
    away.level_with(home).await;
    assert_eq!(away.held(1).len(), 50);
    assert!(away.held(1).iter().all(|id| id.starts_with('n')));
    assert_eq!(away.status(1).resets, 0);
}

#[tokio::test(start_paused = true)]
async fn a_site_that_was_away_for_too_many_deletions_starts_again() {
    let pacing = Pacing {
        tombstones: 10,
        ..Pacing::default()
    };
    let mut world = World::with(&[1, 2], pacing, 65_536).await;
    world.site(1).put("stays", "p").await;
    for number in 0..30 {
        world.site(1).put(&format!("m{number}"), "p").await;
    }
    assert!(world.site(2).follow("p").await);
    world.site(2).put("own", "p").await;
    let engine = world.crash(2);
    for number in 0..30 {
        let id = format!("m{number}");
        world
            .site(1)
            .write(|tx| tx.delete::<Machine>(&id).map(drop))
            .await;
    }
    sleep(Duration::from_secs(120)).await;
    assert_eq!(world.site(1).store.snapshot().count::<Tombstone>(), 10);
    world.start_again(2, engine).await;
    let (home, away) = (world.site(1), world.site(2));
    away.level_with(home).await;
    assert_eq!(away.held(1), ["stays"]);
    assert_eq!(away.status(1).resets, 1);
}

#[tokio::test(start_paused = true)]
async fn a_home_keeps_nothing_for_a_follower_that_it_has_outrun() {
    // A change log of 20 changes: whoever is further behind gets a step from a snapshot.
    let world = World::with(&[1, 2], Pacing::default(), 20).await;
    let (home, away) = (world.site(1), world.site(2));
    assert!(away.follow("p").await);
    world.network.split(prefix(1), prefix(2));
    for number in 0..500 {
        home.put(&format!("m{number:03}"), "p").await;
    }
    world.network.heal_all();
    away.level_with(home).await;
    assert_eq!(away.held(1).len(), 500);
    assert_eq!(away.status(1).resets, 1, "only the first");
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_takes_nothing_is_given_up() {
    let mut world = World::new(&[1, 2]).await;
    let site = world.crash(2);
    drop(site);
    let home = world.site(1);
    let large = "x".repeat(100_000);
    for number in 0..300 {
        // Cannot be compressed to nothing: each has its own noise.
        let mut random = SplitMix64::new(number);
        let mut noise = vec![0; 48_000];
        random.fill(&mut noise);
        let noise = hex::encode(noise);
        let mut machine = machine(&format!("m{number}"), "p");
        machine
            .rest
            .insert("noise".to_owned(), Value::String(noise + &large));
        home.write(|tx| tx.insert(machine.clone()).map(drop)).await;
    }
    let node = world.bare(2);
    let deadline = Instant::now() + Duration::from_secs(5);
    let stream = node.open_stream(key(1), Channel::FEED, deadline).await;
    let (mut speech, silence) = stream.expect("a stream");
    let filter = r#"{"number":1,"projects":["p"],"domains":[]}"#;
    let held = r#"{"epoch":0,"revision":0,"filter":0}"#;
    let hello = format!(
        r#"{{"hello":{{"version":1,"held":{held},"filter":{{"number":0}},"wanted":{filter}}}}}"#
    );
    let mut frame = vec![0];
    frame.extend(hello.as_bytes());
    speech.send(frame).await.expect("it is taken");
    let streams = || home.feeds.served().first().map(|served| served.streams);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(streams(), Some(1));
    let bytes = home.feeds.served()[0].bytes_out;
    assert!(
        bytes < 16 << 20,
        "{bytes} bytes wait for somebody who takes nothing"
    );
    sleep(Duration::from_secs(10)).await;
    assert_eq!(streams(), Some(0));
    drop((speech, silence));
}

#[tokio::test(start_paused = true)]
async fn a_silent_site_is_not_waited_for() {
    let world = World::new(&[1, 2, 3]).await;
    let here = world.site(1);
    sleep(Duration::from_secs(1)).await;
    world.network.split(prefix(1), prefix(3));
    sleep(Duration::from_secs(10)).await;
    let interest = Interest::Project(project("p"));
    here.feeds.ask(interest.clone());
    assert!(here.feeds.followed(&interest, Duration::from_secs(1)).await);
}

#[tokio::test(start_paused = true)]
async fn feeds_that_are_shut_down_leave_no_task_behind() {
    let mut world = World::new(&[1, 2]).await;
    world.site(1).put("a", "p").await;
    assert!(world.site(2).follow("p").await);
    for number in [1, 2] {
        drop(world.crash(number));
    }
    drop(world);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let left = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(left, 0);
}
