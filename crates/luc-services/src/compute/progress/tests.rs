//! Reports of hosts against a store in memory: builds that fail, servers that go, hosts that lie.

mod stranded;

use std::time::Duration;

use luc_core::SitePrefix;
use luc_core::entropy::SplitMix64;
use luc_core::id::ServerId;
use luc_state::{MemoryEngine, Store, StoreOptions};

use super::apply::Scene;
use super::*;
use crate::compute::host::{Heartbeat, Host, HostUsage, Liveness};
use crate::compute::model;
use crate::compute::model::instance_action::{InstanceAction, Outcome};
use crate::compute::model::quota::QuotaUsage;
use crate::compute::model::server::{DeletedServer, Placement, Server, Task};
use crate::compute::quota::{self, Delta, Lent};
use crate::compute::server::action::begin;
use crate::compute::server::fixture::{NOON, active, host, planned, resources, server_id};
use crate::compute::server::history::{self, Origin, Step};
use crate::compute::server::state::{TaskState, VmState};

struct Site {
    store: Store,
    liveness: Liveness,
}

impl Site {
    /// A site with these hosts, all alive.
    async fn with_hosts(names: &[&str]) -> Self {
        let options = StoreOptions::new(SitePrefix::of_key(b"site"), SplitMix64::new(1));
        let engine = std::sync::Arc::new(MemoryEngine::sole());
        let schema = model::schema().and(crate::identity::schema());
        let (store, driver) = Store::open(engine, schema, options).await.unwrap();
        tokio::spawn(driver);
        let liveness = Liveness::new(Duration::from_secs(3600));
        for name in names {
            let host = host(name);
            store
                .transact(|tx| tx.insert(host.clone()).map(drop))
                .await
                .unwrap();
            liveness.note(name, NOON, Heartbeat::default());
        }
        Self { store, liveness }
    }

    /// Puts a server there, with all that creating it takes, and orders `task`.
    async fn add(&self, server: Server, task: Task) {
        let origin = Origin {
            id: "a1".to_owned(),
            request_id: "req-1".to_owned(),
            user: None,
            project: None,
        };
        let lent = Lent::new(SitePrefix::of_key(b"site"), NOON);
        self.store
            .transact(|tx| -> Result<(), WriteError> {
                let mut server = server.clone();
                let size = server.charge();
                let delta = Delta {
                    instances: 1,
                    cores: size.vcpus,
                    ram: size.memory,
                };
                quota::reserve(tx, &lent, &server.project, &server.user, delta)?;
                if let Some(placement) = &server.placement {
                    let claimed = placement.claim;
                    let host = placement.host.clone();
                    tx.put(HostUsage {
                        host,
                        claimed,
                        instances: 1,
                    })?;
                }
                let (name, event) = history::names(task);
                let step = Some(Step::of_host(event));
                history::open(tx, &mut server, name, step, &origin, NOON)?;
                begin(&mut server, task, Some("a1".to_owned()), NOON);
                tx.insert(server)?;
                Ok(())
            })
            .await
            .unwrap();
    }

    async fn take(&self, report: Report) -> Received {
        let scene = Scene {
            now: NOON,
            liveness: &self.liveness,
            ids: Vec::new(),
        };
        let done = self
            .store
            .transact(|tx| apply::report(tx, &scene, &report, "b1"))
            .await;
        done.unwrap().value
    }

    fn server(&self) -> Server {
        self.store
            .snapshot()
            .get::<Server>(id())
            .unwrap()
            .value()
            .clone()
    }

    fn claimed(&self, host: &str) -> (u64, u64) {
        let usage = self.store.snapshot().get::<HostUsage>(host);
        usage.map_or((0, 0), |usage| (usage.claimed.vcpus.get(), usage.instances))
    }

    fn charged(&self) -> u64 {
        self.store
            .snapshot()
            .get::<QuotaUsage>("p1")
            .map_or(0, |usage| usage.used.cores)
    }

    fn action(&self, id: &str) -> InstanceAction {
        self.store
            .snapshot()
            .get::<InstanceAction>(id)
            .unwrap()
            .value()
            .clone()
    }
}

fn id() -> ServerId {
    server_id(1)
}

fn placed(host: &str) -> Server {
    let placement = Placement {
        host: host.to_owned(),
        hypervisor_hostname: format!("{host}.site"),
        claim: resources(1, 512, 1),
    };
    Server {
        placement: Some(placement),
        ..planned(1)
    }
}

fn report(host: &str, generation: u64, phase: Phase, power: PowerState) -> Report {
    Report {
        host: host.to_owned(),
        server: id(),
        generation,
        phase,
        power,
        addresses: vec!["10.0.2.15".parse().unwrap()],
        mac: Some("52:54:00:12:34:56".to_owned()),
    }
}

fn failure(message: &str) -> Phase {
    Phase::Failed {
        message: message.to_owned(),
        details: None,
    }
}

#[tokio::test]
async fn a_build_becomes_active_once_however_often_it_is_reported() {
    let site = Site::with_hosts(&["n1"]).await;
    site.add(placed("n1"), Task::Build).await;
    let working = report(
        "n1",
        1,
        Phase::Working(Stage::Hypervisor),
        PowerState::NoState,
    );
    assert_eq!(site.take(working.clone()).await, Received::Applied);
    assert_eq!(site.take(working).await, Received::Known);
    assert_eq!(site.server().task_state, Some(TaskState::Spawning));
    let settled = report("n1", 1, Phase::Settled, PowerState::Running);
    assert_eq!(site.take(settled.clone()).await, Received::Applied);
    let revision = site.store.snapshot().revision();
    assert_eq!(site.take(settled).await, Received::Known);
    assert_eq!(
        site.store.snapshot().revision(),
        revision,
        "what is known writes nothing"
    );
    let server = site.server();
    assert_eq!(
        (server.vm_state, server.task_state),
        (VmState::Active, None)
    );
    assert_eq!(server.addresses[0].address.to_string(), "10.0.2.15");
    let event = site.action("a1").events[0].clone();
    assert_eq!(
        (event.outcome, event.host.as_deref()),
        (Some(Outcome::Success), Some("n1"))
    );
}

#[tokio::test]
async fn reports_of_old_wishes_and_other_hosts_change_nothing() {
    let site = Site::with_hosts(&["n1", "n2"]).await;
    site.add(placed("n1"), Task::Build).await;
    let before = site.server();
    for (host, generation) in [("n1", 0), ("n1", 2), ("n2", 1)] {
        let report = report(host, generation, Phase::Settled, PowerState::Running);
        assert_eq!(site.take(report).await, Received::Ignored);
    }
    let mut unknown = report("n1", 1, Phase::Settled, PowerState::Running);
    unknown.server = server_id(99);
    assert_eq!(site.take(unknown).await, Received::Ignored);
    assert_eq!(site.server(), before);
}

#[tokio::test]
async fn a_build_that_fails_goes_to_another_host_once_this_one_has_cleaned_up() {
    let site = Site::with_hosts(&["n1", "n2"]).await;
    site.add(placed("n1"), Task::Build).await;
    site.take(report("n1", 1, failure("disk full"), PowerState::NoState))
        .await;
    let server = site.server();
    assert_eq!(server.order.task, Some(Task::Abandon));
    assert_eq!(
        (server.vm_state, server.host()),
        (VmState::Building, Some("n1"))
    );
    assert_eq!(
        site.claimed("n1"),
        (1, 1),
        "what is not cleaned up is still claimed"
    );
    site.take(report("n1", 2, Phase::Gone, PowerState::NoState))
        .await;
    let server = site.server();
    assert_eq!(
        (server.order.task, server.host()),
        (Some(Task::Build), Some("n2"))
    );
    assert_eq!((site.claimed("n1"), site.claimed("n2")), ((0, 0), (1, 1)));
    assert_eq!(
        site.action("a1").events.len(),
        2,
        "each host's try is in the history"
    );
    site.take(report("n2", 3, Phase::Settled, PowerState::Running))
        .await;
    assert_eq!(site.server().vm_state, VmState::Active);
    assert_eq!(site.action("a1").message, None);
}

#[tokio::test]
async fn a_build_that_fails_everywhere_ends_in_error() {
    let site = Site::with_hosts(&["n1", "n2", "n3", "n4"]).await;
    site.add(placed("n1"), Task::Build).await;
    for (host, generation) in [("n1", 1), ("n2", 3), ("n3", 5)] {
        assert_eq!(site.server().host(), Some(host));
        site.take(report(
            host,
            generation,
            failure("no such CPU"),
            PowerState::NoState,
        ))
        .await;
        site.take(report(
            host,
            generation + 1,
            Phase::Gone,
            PowerState::NoState,
        ))
        .await;
    }
    let server = site.server();
    assert_eq!((server.vm_state, server.host()), (VmState::Error, None));
    let message = server.fault.unwrap().message;
    assert!(
        message.starts_with("Exceeded maximum number of retries."),
        "{message}"
    );
    assert!(
        message.ends_with("Last exception: no such CPU"),
        "{message}"
    );
    for host in ["n1", "n2", "n3", "n4"] {
        assert_eq!(site.claimed(host), (0, 0), "{host}");
    }
    assert_eq!(
        site.charged(),
        1,
        "a server in error counts until it is deleted"
    );
}

#[tokio::test]
async fn with_no_host_left_to_try_a_build_ends_in_error() {
    let site = Site::with_hosts(&["n1"]).await;
    site.add(placed("n1"), Task::Build).await;
    site.take(report("n1", 1, failure("disk full"), PowerState::NoState))
        .await;
    site.take(report("n1", 2, Phase::Gone, PowerState::NoState))
        .await;
    let message = site.server().fault.unwrap().message;
    assert!(message.contains("Exhausted all hosts"), "{message}");
}

#[tokio::test]
async fn a_deleted_server_gives_everything_back_and_leaves_a_record() {
    let site = Site::with_hosts(&["n1"]).await;
    site.add(active(1), Task::Delete).await;
    assert_eq!((site.claimed("n1"), site.charged()), ((1, 1), 1));
    let gone = report("n1", 1, Phase::Gone, PowerState::NoState);
    assert_eq!(site.take(gone.clone()).await, Received::Applied);
    assert!(site.store.snapshot().get::<Server>(id()).is_none());
    assert_eq!((site.claimed("n1"), site.charged()), ((0, 0), 0));
    let record = site.store.snapshot().get::<DeletedServer>(id()).unwrap();
    assert!(!record.leftover);
    assert_eq!(record.server.terminated_at, Some(NOON));
    assert_eq!(site.take(gone).await, Received::Ignored);
}

#[tokio::test]
async fn a_host_that_comes_back_frees_what_it_still_had() {
    let site = Site::with_hosts(&["n1"]).await;
    site.add(active(1), Task::Delete).await;
    let buried = site.store.transact(|tx| {
        let server = tx.get::<Server>(id()).unwrap().value().clone();
        crate::compute::server::removal::bury(tx, server, true, NOON)
    });
    buried.await.unwrap();
    assert_eq!(
        (site.claimed("n1"), site.charged()),
        ((1, 1), 0),
        "claimed, but not charged"
    );
    let snapshot = site.store.snapshot();
    assert_eq!(
        crate::compute::wanted::of_host(&snapshot, site.store.site(), "n1").len(),
        1
    );
    site.take(report("n1", 1, Phase::Gone, PowerState::NoState))
        .await;
    assert_eq!(site.claimed("n1"), (0, 0));
    assert!(
        crate::compute::wanted::of_host(&site.store.snapshot(), site.store.site(), "n1").is_empty()
    );
}

#[tokio::test]
async fn a_guest_that_dies_is_stopped_and_its_history_says_so() {
    let site = Site::with_hosts(&["n1"]).await;
    site.add(placed("n1"), Task::Build).await;
    site.take(report("n1", 1, Phase::Settled, PowerState::Running))
        .await;
    site.take(report("n1", 1, Phase::Drifted, PowerState::Crashed))
        .await;
    let server = site.server();
    assert_eq!(
        (server.vm_state, server.power_state),
        (VmState::Stopped, PowerState::Crashed)
    );
    let action = site.action("b1");
    assert_eq!((action.action.as_str(), action.user), ("stop", None));
}

#[tokio::test]
async fn data_that_is_lost_is_an_error() {
    let site = Site::with_hosts(&["n1"]).await;
    site.add(placed("n1"), Task::Build).await;
    site.take(report("n1", 1, Phase::Settled, PowerState::Running))
        .await;
    site.take(report(
        "n1",
        1,
        failure("its disks are gone"),
        PowerState::NoState,
    ))
    .await;
    let server = site.server();
    assert_eq!(server.vm_state, VmState::Error);
    assert_eq!(server.fault.unwrap().message, "its disks are gone");
    let _ = site.store.snapshot().get::<Host>("n1").unwrap();
}
