//! A host with an agent, a driver of real machines and a controller in memory.

use std::sync::Arc;

use luc_agent::agent::{Agent, AgentConfig};
use luc_agent::conformance::tiny_guest;
use luc_agent::controller::Controller;
use luc_agent::desired::{DesiredServer, Presence};
use luc_agent::driver::Driver as _;
use luc_agent::observed::{Observed, Phase, PowerState};
use luc_agent::qemu::QemuDriver;
use luc_core::id::ServerId;
use luc_core::time::Duration;

use crate::bench::{self, Bench};

/// A host with an agent and real machines.
pub(crate) struct House {
    pub(crate) bench: Bench,
    pub(crate) driver: Arc<QemuDriver>,
    pub(crate) agent: Option<Agent>,
}

impl House {
    pub(crate) async fn new() -> Option<Self> {
        let bench = Bench::new()?;
        let driver = Arc::new(bench.open().await);
        let agent = Some(start(&bench, &driver));
        Some(Self {
            bench,
            driver,
            agent,
        })
    }

    pub(crate) fn id(&self, name: &str) -> ServerId {
        ServerId::parse(&format!("{}-{name}", self.bench.prefix())).unwrap()
    }

    pub(crate) async fn want(
        &self,
        name: &str,
        change: impl FnOnce(&mut DesiredServer),
    ) -> Observed {
        let id = self.id(name);
        let mut wish = self.bench.wish(id.as_str());
        change(&mut wish);
        self.bench.controller.want(wish);
        self.bench.controller.wait_for_end(&id).await
    }

    pub(crate) async fn change(
        &self,
        name: &str,
        change: impl FnOnce(&mut DesiredServer),
    ) -> Observed {
        let id = self.id(name);
        self.bench.controller.change(&id, change);
        self.bench.controller.wait_for_end(&id).await
    }

    /// Waits until the console shows so many boots, and the next beat after that.
    pub(crate) async fn wait_for_boots(&self, name: &str, boots: usize) -> u32 {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let console = self.driver.console(&self.id(name), None).await.unwrap();
            let last_boot = console
                .rsplit(tiny_guest::UP_TEXT)
                .next()
                .unwrap_or_default();
            if console.matches(tiny_guest::UP_TEXT).count() >= boots
                && let Some(beat) = tiny_guest::last_beat(last_boot)
            {
                return beat;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "no boot {boots}: {console}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// All machines are removed, and what is left behind is a failure.
    pub(crate) async fn clear(self) {
        for wish in self.bench.controller.all_wishes() {
            let delete = |wish: &mut DesiredServer| wish.presence = Presence::Deleted;
            self.bench.controller.change(&wish.id, delete);
            let gone = self.bench.controller.wait_for_end(&wish.id).await;
            assert_eq!(gone.phase, Phase::Gone, "{:?}", gone.fault);
            let traces = bench::traces(&self.bench.config().state, &wish.id);
            assert!(traces.is_empty(), "left behind: {traces:?}");
        }
        if let Some(agent) = self.agent {
            agent.shut_down().await;
        }
    }
}

pub(crate) fn start(bench: &Bench, driver: &Arc<QemuDriver>) -> Agent {
    let controller: Arc<dyn Controller> = bench.controller.clone();
    let config = AgentConfig {
        shutdown_timeout: Duration::from_secs(20),
        ..AgentConfig::default()
    };
    Agent::start(config, controller, driver.clone())
}

/// The power state of a wish that was fulfilled.
pub(crate) fn settled(observed: &Observed) -> PowerState {
    assert_eq!(observed.phase, Phase::Settled, "{:?}", observed.fault);
    observed.power
}
