//! One server's queue: decides, carries out one step, looks again.
//!
//! There is one worker for each server, so two steps never touch one server at once. It keeps
//! nothing on disk: after a crash a new worker looks at what is there and goes on.
//! Who calls it: [`crate::agent`].
//!
//! ```text
//! look ─▶ decide ─▶ do a step ──ok──▶ look            waiting ends with a new wish, a change at
//!              │         └─error─▶ wait, look         the driver, the deadline, or the poll
//!              ├──▶ wait for the guest to shut down ─▶ look
//!              └──▶ rest: report, wait ─▶ look
//! ```

use std::sync::Arc;

use luc_core::id::ServerId;
use luc_core::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, watch};
use tokio::time::Instant;

use crate::agent::Context;
use crate::desired::{DesiredServer, Generation, Presence};
use crate::driver::{Actual, DriverError, Step};
use crate::observed::{Fault, Observed, Phase, PowerState};
use crate::reconcile::{self, Decision, Memory, Patience};

/// Steps of one wish after which the agent gives up: the longest way of the table is 9 steps, so
/// only a machine that undoes each step gets here.
const STEPS_MAX: u32 = 40;

/// A wish as the agent hands it to a worker; none while the controller knows nothing.
pub(crate) type Wish = Option<Arc<DesiredServer>>;

/// The queue of one server.
pub(crate) struct Worker {
    pub(crate) id: ServerId,
    pub(crate) context: Arc<Context>,
    pub(crate) wish: watch::Receiver<Wish>,
    /// The driver saw the server change by itself.
    pub(crate) changed: Arc<Notify>,
    /// Tells the agent that nothing is left of the server on either side.
    pub(crate) gone: mpsc::UnboundedSender<ServerId>,
}

/// What the worker remembers about the present wish.
#[derive(Default)]
struct Progress {
    generation: Generation,
    fault: Option<Fault>,
    failures: u32,
    steps: u32,
    shutdown_deadline: Option<Instant>,
    /// When the guest is to be asked again.
    ask_again: Option<Instant>,
}

impl Progress {
    fn memory(&self) -> Memory {
        let patience = match self.shutdown_deadline {
            None => Patience::Unasked,
            Some(deadline) if Instant::now() < deadline => Patience::Waiting,
            Some(_) => Patience::Exhausted,
        };
        Memory {
            failed: self.fault.as_ref().map(|_| self.generation),
            patience,
        }
    }

    /// The guest is not, or no longer, asked to shut down.
    fn asked_nothing(&mut self) {
        self.shutdown_deadline = None;
        self.ask_again = None;
    }

    /// A new wish is tried afresh; a guest that was asked to shut down still has been.
    fn begin(&mut self, generation: Generation) {
        if generation != self.generation {
            *self = Self {
                generation,
                shutdown_deadline: self.shutdown_deadline,
                ask_again: self.ask_again,
                ..Self::default()
            };
        }
    }
}

impl Worker {
    /// Works until the agent drops the wish's sender or is cancelled.
    pub(crate) async fn run(mut self) {
        let mut progress = Progress::default();
        while !self.context.cancel.is_cancelled() {
            let wish = self.wish.borrow_and_update().clone();
            progress.begin(wish.as_ref().map_or(Generation(0), |wish| wish.generation));
            let Ok(()) = self.look_and_act(wish, &mut progress).await else {
                return;
            };
        }
    }

    /// One round. An error means that the agent has let go of this worker.
    async fn look_and_act(&mut self, wish: Wish, progress: &mut Progress) -> Result<(), LetGo> {
        let actual = match self.context.driver.inspect(&self.id).await {
            Ok(actual) => actual,
            Err(error) => return self.on_blind(wish, &error, progress).await,
        };
        if power(&actual) != PowerState::Running {
            progress.asked_nothing();
        }
        match reconcile::decide(wish.as_deref(), &actual, progress.memory()) {
            Decision::Do(step) => {
                let Some(wish) = wish else { return Ok(()) };
                self.on_step(step, &wish, &actual, progress).await
            }
            Decision::AwaitShutdown => self.await_shutdown(&actual, progress).await,
            Decision::Lost => {
                self.fail(
                    progress,
                    "the server's disks are not on this host any more",
                    "",
                );
                Ok(())
            }
            Decision::Rest(phase) => {
                progress.asked_nothing();
                progress.steps = 0;
                progress.failures = 0;
                self.rest(phase, wish.is_none(), &actual, progress).await
            }
        }
    }

    /// Waits for the guest to obey. A guest that was still booting has not heard the request, so it
    /// is repeated now and then.
    async fn await_shutdown(
        &mut self,
        actual: &Actual,
        progress: &mut Progress,
    ) -> Result<(), LetGo> {
        self.report(Phase::Working(Step::AskShutdown), actual, progress);
        let now = Instant::now();
        let again = self.context.config.shutdown_repeat;
        if progress.ask_again.is_none_or(|at| now >= at) {
            if progress.ask_again.is_some()
                && let Err(error) = self.context.driver.ask_shutdown(&self.id).await
            {
                tracing::debug!(server = %self.id, error = error.details(), "not asked again");
            }
            progress.ask_again = Some(now + again);
        }
        let wake = progress
            .shutdown_deadline
            .into_iter()
            .chain(progress.ask_again)
            .min();
        self.wait_until(wake).await
    }

    async fn rest(
        &mut self,
        phase: Phase,
        unknown: bool,
        actual: &Actual,
        progress: &Progress,
    ) -> Result<(), LetGo> {
        self.context.set_orphan(&self.id, phase == Phase::Orphaned);
        if unknown && phase == Phase::Gone {
            // Fails only if the agent is going away, which the wait below notices.
            let _ = self.gone.send(self.id.clone());
        } else {
            self.report(phase, actual, progress);
        }
        let poll = self.context.config.poll_interval;
        self.wait_until(Some(Instant::now() + poll)).await
    }

    async fn on_step(
        &mut self,
        step: Step,
        wish: &Arc<DesiredServer>,
        actual: &Actual,
        progress: &mut Progress,
    ) -> Result<(), LetGo> {
        progress.steps += 1;
        if progress.steps > STEPS_MAX {
            let details = format!("gave up after {STEPS_MAX} steps, the last of them {step}");
            self.fail(progress, "the server does not stay in any state", &details);
            return Ok(());
        }
        if step != Step::Mark {
            self.report(Phase::Working(step), actual, progress);
        }
        tracing::debug!(server = %self.id, %step, generation = %wish.generation, "step");
        match self.carry_out(step, wish, actual).await {
            Ok(Done::Superseded) => Ok(()),
            Ok(Done::Carried) => {
                self.context.metrics.step_done(step);
                progress.failures = 0;
                progress.asked_nothing();
                if step == Step::AskShutdown {
                    let patience = self.context.config.shutdown_timeout;
                    progress.shutdown_deadline = Some(Instant::now() + patience);
                }
                Ok(())
            }
            Err(error) => {
                self.context.metrics.step_failed(step);
                self.on_error(step, &error, actual, progress).await
            }
        }
    }

    async fn carry_out(
        &mut self,
        step: Step,
        wish: &Arc<DesiredServer>,
        actual: &Actual,
    ) -> Result<Done, DriverError> {
        let context = Arc::clone(&self.context);
        let (driver, id) = (&context.driver, self.id.clone());
        match step {
            Step::Build => {
                tokio::select! {
                    prepared = driver.prepare(wish, &*context.controller) => prepared?,
                    () = self.superseded(wish) => return Ok(Done::Superseded),
                }
                driver.build(wish).await?;
            }
            Step::Start => {
                let Some(permit) = self.start_permit(wish).await else {
                    return Ok(Done::Superseded);
                };
                driver.start(wish).await?;
                context.hold_permit(permit);
            }
            Step::AskShutdown => driver.ask_shutdown(&id).await?,
            Step::PowerOff => driver.power_off(&id).await?,
            Step::Pause => driver.pause(&id).await?,
            Step::Unpause => driver.unpause(&id).await?,
            Step::Suspend => driver.suspend(&id).await?,
            Step::Resume => driver.resume(wish).await?,
            Step::Resize => driver.resize(wish).await?,
            Step::RevertResize => driver.revert_resize(&id).await?,
            Step::ConfirmResize => driver.confirm_resize(&id).await?,
            Step::Destroy => driver.destroy(&id).await?,
            Step::Mark => {
                if let Actual::Built(built) = actual {
                    driver
                        .mark(&id, reconcile::marks(wish, built.marks))
                        .await?;
                }
            }
        }
        Ok(Done::Carried)
    }

    /// A place among the guests that may boot at once; none if the wish changed meanwhile.
    async fn start_permit(&mut self, wish: &DesiredServer) -> Option<Option<OwnedSemaphorePermit>> {
        let Some(starts) = self.context.starts.clone() else {
            return Some(None);
        };
        tokio::select! {
            permit = starts.acquire_owned() => Some(permit.ok()),
            () = self.superseded(wish) => None,
        }
    }

    /// Comes back when the wish has changed so that bringing its image or booting it is pointless.
    async fn superseded(&mut self, wish: &DesiredServer) {
        loop {
            if self.wish.changed().await.is_err() {
                // The agent let go; the next wait ends the worker, the step may finish.
                return std::future::pending().await;
            }
            let newer = self.wish.borrow_and_update().clone();
            let pointless = newer.is_none_or(|newer| {
                newer.presence == Presence::Deleted
                    || newer.hold
                    || newer.image != wish.image
                    || newer.power != wish.power
            });
            if pointless {
                return;
            }
        }
    }

    async fn on_error(
        &mut self,
        step: Step,
        error: &DriverError,
        actual: &Actual,
        progress: &mut Progress,
    ) -> Result<(), LetGo> {
        progress.failures += 1;
        let patient = match error {
            DriverError::Permanent { .. } => false,
            DriverError::Transient { .. } => progress.failures < self.context.config.tries_max,
            DriverError::Unavailable { .. } => true,
        };
        if !patient {
            self.fail(progress, &error.to_string(), &error.details());
            return Ok(());
        }
        tracing::debug!(
            server = %self.id, %step, failures = progress.failures, error = error.details(),
            "step failed, will be tried again"
        );
        self.report(Phase::Retrying(step), actual, progress);
        let wait = self.context.config.step_backoff.after(progress.failures);
        self.wait_for_wish(wait).await
    }

    /// The driver cannot say what is there.
    async fn on_blind(
        &mut self,
        wish: Wish,
        error: &DriverError,
        progress: &mut Progress,
    ) -> Result<(), LetGo> {
        let deleted = wish
            .as_ref()
            .filter(|wish| wish.presence == Presence::Deleted);
        let permanent = matches!(error, DriverError::Permanent { .. });
        if let (Some(wish), true, None) = (deleted, permanent, &progress.fault) {
            // What cannot be read can still be removed.
            return self
                .on_step(Step::Destroy, wish, &Actual::Incomplete, progress)
                .await;
        }
        progress.failures += 1;
        if permanent && progress.fault.is_none() {
            self.fail(progress, &error.to_string(), &error.details());
        }
        // Nothing is done yet; the last step of any way is the one that stands for all.
        let phase = if permanent {
            Phase::Failed
        } else {
            Phase::Retrying(Step::Mark)
        };
        self.report(phase, &Actual::Incomplete, progress);
        let wait = self.context.config.step_backoff.after(progress.failures);
        self.wait_for_wish(wait.max(Duration::from_millis(50)))
            .await
    }

    fn fail(&self, progress: &mut Progress, message: &str, details: &str) {
        self.context.metrics.fault();
        tracing::warn!(
            server = %self.id, generation = %progress.generation, message, details, "fault"
        );
        progress.fault = Some(Fault {
            message: message.to_owned(),
            details: details.to_owned(),
        });
    }

    /// Waits for anything to happen, at the latest until `deadline`.
    async fn wait_until(&mut self, deadline: Option<Instant>) -> Result<(), LetGo> {
        let far = Instant::now() + self.context.config.poll_interval;
        tokio::select! {
            changed = self.wish.changed() => changed.map_err(|_| LetGo),
            () = self.changed.notified() => Ok(()),
            () = tokio::time::sleep_until(deadline.unwrap_or(far)) => Ok(()),
            () = self.context.cancel.cancelled() => Ok(()),
        }
    }

    /// Waits `wait` before the next try, or until the wish changes.
    async fn wait_for_wish(&mut self, wait: Duration) -> Result<(), LetGo> {
        tokio::select! {
            changed = self.wish.changed() => changed.map_err(|_| LetGo),
            () = tokio::time::sleep(wait) => Ok(()),
            () = self.context.cancel.cancelled() => Ok(()),
        }
    }

    fn report(&self, phase: Phase, actual: &Actual, progress: &Progress) {
        let built = match actual {
            Actual::Built(built) => Some(built),
            Actual::Absent | Actual::Incomplete => None,
        };
        self.context.outbox.post(Observed {
            id: self.id.clone(),
            generation: progress.generation,
            sequence: 0,
            phase,
            power: power(actual),
            shape: built.map(|built| built.shape),
            fault: progress.fault.clone(),
            retries: progress.failures,
            launched_at: built.and_then(|built| built.launched_at),
            addresses: built
                .map(|built| built.addresses.clone())
                .unwrap_or_default(),
            mac: built.and_then(|built| built.mac.clone()),
            forwards: built
                .map(|built| built.forwards.clone())
                .unwrap_or_default(),
        });
    }
}

fn power(actual: &Actual) -> PowerState {
    match actual {
        Actual::Built(built) => built.power,
        Actual::Absent | Actual::Incomplete => PowerState::NoState,
    }
}

/// How a step ended well.
enum Done {
    Carried,
    /// A newer wish made it pointless before it began.
    Superseded,
}

/// The agent has let go of this worker.
struct LetGo;
