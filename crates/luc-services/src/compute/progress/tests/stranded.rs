//! Builds whose host went down before it said anything.

use std::collections::BTreeSet;

use super::super::stranded::{Ground, rescue, waiting};
use super::*;
use crate::compute::host::{Build, Door};
use crate::compute::wanted;

/// A build is on n1, of which nothing was heard since the start; these others were heard.
async fn unheard(others: &[&str]) -> Site {
    let site = Site::with_hosts(others).await;
    let n1 = host("n1");
    let inserted = site.store.transact(|tx| tx.insert(n1.clone()).map(drop));
    inserted.await.unwrap();
    site.add(placed("n1"), Task::Build).await;
    site
}

impl Site {
    /// What the keeper does once the clock has moved on by `seconds`.
    async fn pass(&self, seconds: u64, door: &Door, earlier: &BTreeSet<Build>) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        let ground = Ground {
            store: &self.store,
            site: self.store.site(),
            liveness: &self.liveness,
            door,
            now: NOON,
        };
        rescue(&ground, earlier).await.unwrap();
    }

    /// What `host` hears when it asks to begin the order with this number: whether it may.
    fn begins(&self, door: &Door, host: &str, number: u64) -> Result<bool, wanted::Shut> {
        let builds = [(id(), number)];
        let site = self.store.site();
        let stale = wanted::begin(door, &self.store, site, (host, &builds))?;
        Ok(!stale.contains(&id()))
    }

    fn stands(&self) -> (VmState, Option<String>, u64) {
        let server = self.server();
        let host = server.host().map(str::to_owned);
        (server.vm_state, host, server.order.generation)
    }
}

fn on(state: VmState, host: &str, generation: u64) -> (VmState, Option<String>, u64) {
    (state, Some(host.to_owned()), generation)
}

#[tokio::test(start_paused = true)]
async fn a_build_leaves_a_host_that_cannot_know_of_it() {
    let site = unheard(&["n2"]).await;
    let (door, earlier) = (Door::default(), BTreeSet::new());
    site.pass(10, &door, &earlier).await;
    assert_eq!(site.stands(), on(VmState::Building, "n1", 1), "it may come");
    site.pass(6, &door, &earlier).await;
    assert_eq!(site.stands(), on(VmState::Building, "n2", 2));
    assert_eq!((site.claimed("n1"), site.claimed("n2")), ((0, 0), (1, 1)));
    let events = site.action("a1").events;
    assert_eq!(events[0].outcome, Some(Outcome::Error));
    assert_eq!(events[1].host.as_deref(), Some("n2"));

    assert!(door.admit("n1"), "it may ask again");
    let snapshot = site.store.snapshot();
    let wishes = crate::compute::wanted::of_host(&snapshot, site.store.site(), "n1");
    assert!(wishes.is_empty(), "and has nothing to do");
    let late = report("n1", 1, Phase::Settled, PowerState::Running);
    assert_eq!(site.take(late).await, Received::Ignored);
    let settled = report("n2", 2, Phase::Settled, PowerState::Running);
    assert_eq!(site.take(settled).await, Received::Applied);
    assert_eq!(site.stands(), on(VmState::Active, "n2", 2));
}

#[tokio::test(start_paused = true)]
async fn a_build_that_its_host_may_have_begun_ends_in_error_and_goes_nowhere_else() {
    for known in ["read", "granted", "before"] {
        let site = unheard(&["n2"]).await;
        let door = Door::default();
        let mut earlier = BTreeSet::new();
        match known {
            "read" => assert!(door.admit("n1")),
            "granted" => assert_eq!(site.begins(&door, "n1", 1), Ok(true)),
            _ => earlier = waiting(&site.store.snapshot(), site.store.site()),
        }
        assert_eq!(earlier.len(), usize::from(known == "before"));
        site.pass(16, &door, &earlier).await;
        assert_eq!(site.stands(), on(VmState::Building, "n1", 1));
        site.pass(60, &door, &earlier).await;
        assert_eq!(site.stands(), on(VmState::Error, "n1", 1));
        assert_eq!(site.claimed("n1"), (1, 1), "something of it may be there");
        let server = site.server();
        let fault = server.fault.clone().unwrap();
        let end = "aborted: Host 'n1' did not answer.";
        assert!(fault.message.ends_with(end), "{}", fault.message);
        let details = fault.details.unwrap_or_default();
        assert!(
            details.starts_with("n1: Host 'n1' did not answer."),
            "{details}"
        );
        assert_eq!((server.task_state, server.order.task), (None, None));
        let wish = crate::compute::wanted::Wanted::of(&server);
        let goal = crate::compute::model::server::Goal::AsIs;
        assert_eq!(wish.goal, goal, "if it comes back it only looks");
        assert_eq!(site.action("a1").events[0].outcome, Some(Outcome::Error));
    }
}

#[tokio::test(start_paused = true)]
async fn without_another_host_a_build_waits_a_while_and_ends_in_error() {
    let site = unheard(&[]).await;
    let (door, earlier) = (Door::default(), BTreeSet::new());
    site.pass(16, &door, &earlier).await;
    assert_eq!(site.stands(), on(VmState::Building, "n1", 1));
    site.pass(60, &door, &earlier).await;
    assert_eq!(site.stands(), (VmState::Error, None, 1));
    assert_eq!(site.claimed("n1"), (0, 0), "nothing of it can be there");
    let message = site.server().fault.unwrap().message;
    assert!(message.contains("Exhausted all hosts"), "{message}");
    assert!(message.ends_with("Host 'n1' did not answer."), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_build_that_has_begun_waits_for_its_host() {
    let site = unheard(&["n2"]).await;
    let working = Phase::Working(Stage::Disks);
    site.take(report("n1", 1, working, PowerState::NoState))
        .await;
    let (door, earlier) = (Door::default(), BTreeSet::new());
    site.pass(1000, &door, &earlier).await;
    assert_eq!(site.stands(), on(VmState::Building, "n1", 1));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_not_let_begin_a_build_is_never_let_begin_it_later() {
    let site = unheard(&["n2"]).await;
    let (door, earlier) = (Door::default(), BTreeSet::new());
    // It has been asked for something else before, and of the build it may have read.
    assert!(door.grant("n1", &[(server_id(2), 1)]));
    site.pass(16, &door, &earlier).await;
    assert_eq!(site.stands(), on(VmState::Building, "n2", 2));
    assert_eq!(
        site.begins(&door, "n1", 1),
        Ok(false),
        "its question is late"
    );
    assert_eq!(site.begins(&door, "n1", 2), Ok(false), "it is another's");
    assert_eq!(site.begins(&door, "n2", 2), Ok(true));
    let granted = door.granted();
    assert_eq!(granted, [("n2".to_owned(), [(id(), 2)].into())]);

    let working = Phase::Working(Stage::Disks);
    site.take(report("n2", 2, working, PowerState::NoState))
        .await;
    site.pass(5, &door, &earlier).await;
    assert_eq!(door.granted(), [], "it has said that it has begun");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_asks_while_its_builds_are_given_to_others_is_to_ask_again() {
    let site = unheard(&[]).await;
    let (door, earlier) = (Door::default(), BTreeSet::new());
    assert_eq!(door.shut("n1"), Some(BTreeSet::new()));
    assert_eq!(site.begins(&door, "n1", 1), Err(wanted::Shut));
    site.liveness.note("n1", NOON, Heartbeat::default());
    site.pass(5, &door, &earlier).await;
    assert!(!door.is_shut("n1"), "the door does not stay shut");
    assert_eq!(site.begins(&door, "n1", 1), Ok(true));
}

#[tokio::test(start_paused = true)]
async fn after_three_silent_hosts_a_build_ends_in_error_that_tells_of_them_all() {
    let site = unheard(&["n2", "n3", "n4"]).await;
    let (door, earlier) = (Door::default(), BTreeSet::new());
    let mut tried = vec!["n1".to_owned()];
    site.pass(16, &door, &earlier).await;
    for generation in [2, 3] {
        let host = site.server().host().unwrap().to_owned();
        assert_eq!(site.stands(), on(VmState::Building, &host, generation));
        assert!(!tried.contains(&host), "{host} again");
        site.liveness.forget(&host);
        tried.push(host);
        site.pass(5, &door, &earlier).await;
    }
    assert_eq!(site.stands(), (VmState::Error, None, 3));
    let fault = site.server().fault.unwrap();
    assert!(fault.message.contains("Exceeded max scheduling attempts 3"));
    let all = tried
        .iter()
        .map(|host| format!("{host}: Host '{host}' did not answer."));
    let all: Vec<String> = all.collect();
    assert_eq!(fault.details, Some(all.join("\n")));
    for host in ["n1", "n2", "n3", "n4"] {
        assert_eq!(site.claimed(host), (0, 0), "{host}");
    }
    assert_eq!(site.action("a1").events.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_host_gets_no_build_and_keeps_none_it_cannot_know_of() {
    let site = Site::with_hosts(&["n1", "n2", "n3"]).await;
    site.liveness
        .set_revoked(["n1".to_owned(), "n2".to_owned()].into());
    site.add(placed("n1"), Task::Build).await;
    let (door, earlier) = (Door::default(), BTreeSet::new());
    site.pass(0, &door, &earlier).await;
    assert_eq!(site.stands(), on(VmState::Building, "n3", 2));
}
