//! What every driver must do, as a suite that runs against any of them.
//!
//! A [`Harness`] opens the driver (again after a restart), makes wishes for a guest that boots
//! within seconds, and can kill a guest's machine from outside. [`run`] goes through all checks and
//! names the first promise that is broken.
//! Who calls it: the tests of this crate, and those of any driver written elsewhere.

use std::sync::Arc;

use async_trait::async_trait;
use luc_core::id::ServerId;
use luc_core::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::controller::Images;
use crate::desired::DesiredServer;
use crate::driver::{Actual, Built, Driver, DriverError};
use crate::observed::PowerState;

mod checks;
pub mod tiny_guest;

/// What the suite needs of a driver's surroundings.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Opens the driver on the same host as before; the one opened before has been dropped.
    async fn open(&self) -> Result<Arc<dyn Driver>, DriverError>;

    /// What this host's servers are called, to tell them from others on the same machine.
    fn prefix(&self) -> String;

    /// Where image bytes come from.
    fn images(&self) -> &dyn Images;

    /// A wish for a small server whose guest boots within seconds and obeys a request to shut
    /// down.
    fn wish(&self, id: &ServerId) -> DesiredServer;

    /// What the console shows once in each boot, when the guest is up.
    fn up_text(&self) -> &'static str;

    /// How long to wait for a guest at most.
    fn patience(&self) -> Duration;

    /// Kills the machine of a running guest, as the kernel does when memory is short.
    async fn kill(&self, driver: &Arc<dyn Driver>, id: &ServerId) -> Result<(), String>;

    /// What there still is of a server on the host: processes, files, control groups.
    async fn traces(&self, id: &ServerId) -> Vec<String>;
}

/// A promise that the driver broke.
#[derive(Debug, thiserror::Error)]
#[error("{check}: {what}")]
pub struct Broken {
    /// The check.
    pub check: &'static str,
    /// What it found.
    pub what: String,
}

type Outcome = Result<(), String>;

macro_rules! checks {
    ($($check:ident),+ $(,)?) => {
        /// Goes through all checks; the names of those that were kept.
        pub async fn run(harness: &dyn Harness) -> Result<Vec<&'static str>, Broken> {
            let mut kept = Vec::new();
            $({
                let check = stringify!($check);
                let broken = |what: String| Broken { check, what };
                let mut bench = Bench::new(harness, check).await.map_err(broken)?;
                let outcome = checks::$check(&mut bench).await;
                let cleared = bench.clear().await;
                outcome.and(cleared).map_err(broken)?;
                kept.push(check);
            })+
            Ok(kept)
        }
    };
}

checks!(
    a_server_is_absent_until_it_is_built_and_then_off,
    a_started_guest_comes_up_and_says_so_on_its_console,
    every_step_may_be_repeated,
    a_frozen_guest_goes_on_where_it_was,
    a_guest_obeys_a_request_to_shut_down_and_the_driver_tells,
    a_suspended_guest_frees_its_memory_and_comes_back_without_a_boot,
    power_off_discards_a_suspended_guest,
    a_resize_can_be_reverted_or_confirmed,
    a_root_disk_does_not_shrink,
    a_rebuild_makes_new_disks_and_keeps_the_marks,
    a_restart_of_the_agent_leaves_guests_alone_and_finds_them,
    a_killed_machine_is_a_crash_and_can_be_started_again,
    a_start_carries_out_the_reboot_that_was_asked_for,
    a_step_on_a_server_that_is_not_there_fails,
    a_destroyed_server_leaves_nothing_whatever_state_it_was_in,
);

/// One server of one check.
struct Bench<'a> {
    harness: &'a dyn Harness,
    /// None only while the agent restarts.
    driver: Option<Arc<dyn Driver>>,
    changed: mpsc::UnboundedReceiver<ServerId>,
    wish: DesiredServer,
}

impl<'a> Bench<'a> {
    async fn new(harness: &'a dyn Harness, check: &'static str) -> Result<Self, String> {
        // Part of the check's name, so that a trace left behind says whose it is.
        let name: String = check.chars().take(24).collect();
        let id = ServerId::parse(&format!("{}-{name}", harness.prefix()))
            .map_err(|error| error.to_string())?;
        let wish = harness.wish(&id);
        let (driver, changed) = Self::open(harness).await?;
        Ok(Self {
            harness,
            driver: Some(driver),
            changed,
            wish,
        })
    }

    async fn open(
        harness: &dyn Harness,
    ) -> Result<(Arc<dyn Driver>, mpsc::UnboundedReceiver<ServerId>), String> {
        let driver = harness.open().await.map_err(|error| said("open", &error))?;
        let (sender, changed) = mpsc::unbounded_channel();
        driver.subscribe(sender);
        Ok((driver, changed))
    }

    /// The agent ends and another one starts.
    async fn restart(&mut self) -> Outcome {
        self.driver = None;
        let (driver, changed) = Self::open(self.harness).await?;
        self.driver = Some(driver);
        self.changed = changed;
        Ok(())
    }

    fn driver(&self) -> Result<&Arc<dyn Driver>, String> {
        self.driver
            .as_ref()
            .ok_or_else(|| "the agent is restarting".to_owned())
    }

    fn id(&self) -> ServerId {
        self.wish.id.clone()
    }

    async fn actual(&self) -> Result<Actual, String> {
        self.driver()?
            .inspect(&self.wish.id)
            .await
            .map_err(|error| said("inspect", &error))
    }

    async fn built(&self) -> Result<Built, String> {
        match self.actual().await? {
            Actual::Built(built) => Ok(*built),
            other => Err(format!("expected a built server, found {other:?}")),
        }
    }

    async fn expect_power(&self, power: PowerState) -> Outcome {
        let found = self.built().await?.power;
        if found != power {
            return Err(format!("expected {power:?}, found {found:?}"));
        }
        Ok(())
    }

    async fn build(&self) -> Outcome {
        let prepared = self
            .driver()?
            .prepare(&self.wish, self.harness.images())
            .await;
        prepared.map_err(|error| said("prepare", &error))?;
        self.driver()?
            .build(&self.wish)
            .await
            .map_err(|error| said("build", &error))
    }

    async fn start(&self) -> Outcome {
        self.driver()?
            .start(&self.wish)
            .await
            .map_err(|error| said("start", &error))
    }

    /// Builds, starts, and waits until the guest says that it is up.
    async fn boot(&self) -> Outcome {
        self.build().await?;
        self.start().await?;
        self.wait_for_boots(1).await
    }

    async fn console(&self) -> Result<String, String> {
        let console = self.driver()?.console(&self.wish.id, None).await;
        console.map_err(|error| said("console", &error))
    }

    async fn boots(&self) -> Result<usize, String> {
        Ok(self
            .console()
            .await?
            .matches(self.harness.up_text())
            .count())
    }

    async fn wait_for_boots(&self, boots: usize) -> Outcome {
        let deadline = Instant::now() + self.harness.patience();
        while self.boots().await? < boots {
            if Instant::now() > deadline {
                let console = self.console().await?;
                return Err(format!(
                    "the guest did not come up; its console:\n{console}"
                ));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Waits until the driver tells of a change and the power state is `power`.
    async fn wait_for_power(&mut self, power: PowerState) -> Outcome {
        let deadline = Instant::now() + self.harness.patience();
        loop {
            let told = tokio::time::timeout_at(deadline, self.changed.recv()).await;
            let Ok(Some(id)) = told else {
                let found = self.built().await?.power;
                return Err(format!(
                    "the driver did not tell of {power:?}; it is {found:?}"
                ));
            };
            if id == self.wish.id && self.built().await?.power == power {
                return Ok(());
            }
        }
    }

    async fn clear(&mut self) -> Outcome {
        let id = self.id();
        self.driver()?
            .destroy(&id)
            .await
            .map_err(|error| said("destroy", &error))?;
        let traces = self.harness.traces(&id).await;
        if traces.is_empty() {
            Ok(())
        } else {
            Err(format!("left behind: {traces:?}"))
        }
    }
}

fn said(step: &str, error: &DriverError) -> String {
    format!("{step}: {}", error.details())
}
