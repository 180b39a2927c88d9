//! The conformance suite on the fake driver: in memory, and in files that are opened again.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use luc_agent::conformance::{self, Harness};
use luc_agent::controller::Images;
use luc_agent::desired::DesiredServer;
use luc_agent::driver::{Driver, DriverError, Step};
use luc_agent::fake::{Delays, FakeConfig, FakeDriver, FaultKind, FaultRule};
use luc_agent::testing::{self, MemoryController};
use luc_core::id::ServerId;
use luc_core::time::Duration;

struct FakeHarness {
    config: FakeConfig,
    /// In memory the "host" is the one driver value; in a directory each opening reads it anew.
    in_memory: Option<FakeDriver>,
    last: std::sync::Mutex<Option<FakeDriver>>,
    images: MemoryController,
}

impl FakeHarness {
    fn new(config: FakeConfig) -> Self {
        let in_memory = config.directory.is_none();
        let in_memory = in_memory.then(|| FakeDriver::open(config.clone()).unwrap());
        Self {
            config,
            in_memory,
            last: std::sync::Mutex::default(),
            images: MemoryController::new(),
        }
    }
}

#[async_trait]
impl Harness for FakeHarness {
    async fn open(&self) -> Result<Arc<dyn Driver>, DriverError> {
        let driver = match &self.in_memory {
            Some(driver) => driver.clone(),
            None => FakeDriver::open(self.config.clone())?,
        };
        *self.last.lock().unwrap() = Some(driver.clone());
        Ok(Arc::new(driver))
    }

    fn prefix(&self) -> String {
        "check".into()
    }

    fn images(&self) -> &dyn Images {
        &self.images
    }

    fn wish(&self, id: &ServerId) -> DesiredServer {
        testing::server(id.as_str())
    }

    fn up_text(&self) -> &'static str {
        "guest login:"
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn kill(&self, _: &Arc<dyn Driver>, id: &ServerId) -> Result<(), String> {
        let driver = self.last.lock().unwrap().clone().unwrap();
        driver.crash(id).map_err(|error| error.details())
    }

    async fn traces(&self, id: &ServerId) -> Vec<String> {
        let Some(directory) = &self.config.directory else {
            return Vec::new();
        };
        let names = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .filter(|name| name.contains(id.as_str()))
            .collect()
    }
}

async fn assert_conforms(config: FakeConfig) {
    let kept = conformance::run(&FakeHarness::new(config)).await;
    let kept = kept.unwrap_or_else(|broken| panic!("{broken}"));
    assert_eq!(kept.len(), 15, "checks were added or lost: {kept:?}");
}

#[tokio::test(start_paused = true)]
async fn the_fake_driver_in_memory_conforms() {
    assert_conforms(FakeConfig::default()).await;
}

#[tokio::test(start_paused = true)]
async fn the_fake_driver_in_files_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let directory = Some(PathBuf::from(directory.path()));
    assert_conforms(FakeConfig {
        directory,
        ..FakeConfig::default()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_fake_driver_with_delays_conforms() {
    let (shortest, longest) = (Duration::from_millis(5), Duration::from_millis(500));
    let delays = Delays::all(shortest, longest).with(
        Step::AskShutdown,
        Duration::from_secs(1),
        Duration::from_secs(5),
    );
    assert_conforms(FakeConfig {
        delays,
        seed: 7,
        ..FakeConfig::default()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_suite_names_the_promise_that_a_broken_driver_breaks() {
    let never_pauses = FaultRule {
        step: Some(Step::Pause),
        name_contains: String::new(),
        rate: 1.0,
        kind: FaultKind::Permanent,
    };
    let config = FakeConfig {
        faults: vec![never_pauses],
        ..FakeConfig::default()
    };
    let broken = conformance::run(&FakeHarness::new(config))
        .await
        .unwrap_err();
    assert_eq!(broken.check, "every_step_may_be_repeated");
    assert!(broken.what.starts_with("pause: "), "{broken}");
}
