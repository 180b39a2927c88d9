//! One host of one test.

use std::sync::Arc;

use luc_agent::agent::{Agent, AgentConfig};
use luc_agent::controller::Controller;
use luc_agent::desired::DesiredServer;
use luc_agent::fake::{Delays, FakeConfig, FakeDriver};
use luc_agent::observed::Observed;
use luc_agent::testing::MemoryController;
use luc_core::id::ServerId;
use luc_core::time::Duration;

/// A host with an agent and a controller.
pub(crate) struct House {
    pub(crate) controller: Arc<MemoryController>,
    pub(crate) driver: FakeDriver,
    pub(crate) agent: Agent,
}

impl House {
    pub(crate) fn new(config: FakeConfig) -> Self {
        let controller = Arc::new(MemoryController::new());
        let driver = FakeDriver::open(config).unwrap();
        let agent = start(&controller, &driver);
        Self {
            controller,
            driver,
            agent,
        }
    }

    /// The agent crashes and another one starts.
    pub(crate) fn crash(&mut self) {
        self.agent = start(&self.controller, &self.driver);
    }

    pub(crate) async fn want(&self, server: DesiredServer) -> Observed {
        let id = server.id.clone();
        self.controller.want(server);
        self.controller.wait_for_end(&id).await
    }

    pub(crate) async fn change(
        &self,
        id: &ServerId,
        change: impl FnOnce(&mut DesiredServer),
    ) -> Observed {
        self.controller.change(id, change);
        self.controller.wait_for_end(id).await
    }
}

pub(crate) fn start(controller: &Arc<MemoryController>, driver: &FakeDriver) -> Agent {
    let controller: Arc<dyn Controller> = controller.clone();
    Agent::start(AgentConfig::default(), controller, Arc::new(driver.clone()))
}

pub(crate) fn id(name: &str) -> ServerId {
    ServerId::parse(name).unwrap()
}

pub(crate) fn delays(millis: u64) -> Delays {
    Delays::all(Duration::from_millis(millis), Duration::from_millis(millis))
}
