//! The conformance suite on real QEMU machines, each with a guest that fits in a boot sector.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use luc_agent::conformance::{self, Harness, tiny_guest};
use luc_agent::controller::Images;
use luc_agent::desired::DesiredServer;
use luc_agent::driver::{Driver, DriverError};
use luc_agent::qemu::QemuConfig;
use luc_core::id::ServerId;
use luc_core::time::Duration;

use crate::bench::{self, Bench};

struct QemuHarness {
    bench: Bench,
    config: QemuConfig,
}

#[async_trait]
impl Harness for QemuHarness {
    async fn open(&self) -> Result<Arc<dyn Driver>, DriverError> {
        Ok(Arc::new(self.bench.open_as(&self.config).await))
    }

    fn prefix(&self) -> String {
        self.bench.prefix()
    }

    fn images(&self) -> &dyn Images {
        &*self.bench.controller
    }

    fn wish(&self, id: &ServerId) -> DesiredServer {
        self.bench.wish(id.as_str())
    }

    fn up_text(&self) -> &'static str {
        tiny_guest::UP_TEXT
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn kill(&self, _: &Arc<dyn Driver>, id: &ServerId) -> Result<(), String> {
        let pid = bench::pid_of(&self.config.state, id).ok_or("no process to kill")?;
        bench::kill(pid);
        Ok(())
    }

    async fn traces(&self, id: &ServerId) -> Vec<String> {
        bench::traces(&self.config.state, id)
    }
}

async fn assert_conforms(config: impl FnOnce(QemuConfig) -> QemuConfig) {
    let Some(bench) = Bench::new() else { return };
    let config = config(bench.config());
    let kept = conformance::run(&QemuHarness { bench, config }).await;
    let kept = kept.unwrap_or_else(|broken| panic!("{broken}"));
    assert_eq!(kept.len(), 15, "checks were added or lost: {kept:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_qemu_driver_conforms_on_what_it_was_proved_to_run_on() {
    assert_conforms(|config| config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_qemu_driver_conforms_without_isolation() {
    assert_conforms(|config| QemuConfig {
        unprivileged: false,
        cgroups: false,
        ..config
    })
    .await;
}

#[test]
fn the_bench_sees_what_is_left_behind() {
    let directory = tempfile::tempdir().unwrap();
    let id = ServerId::parse("left").unwrap();
    assert!(bench::traces(directory.path(), &id).is_empty());
    std::fs::create_dir_all(directory.path().join("servers/server-left")).unwrap();
    assert_eq!(bench::traces(directory.path(), &id).len(), 1);
    assert_eq!(bench::pid_of(Path::new("/nowhere"), &id), None);
}
