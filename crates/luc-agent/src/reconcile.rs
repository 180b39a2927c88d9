//! What to do next for one server: a pure function of what is wanted and what is.
//!
//! No I/O, no clock, no memory: [`decide`] is asked again after every step, so a crash between two
//! steps needs no clean-up. Who calls it: [`crate::worker`].
//!
//! ```text
//! wanted: nothing known ─▶ rest (gone, or orphaned)       failed or held ─▶ rest
//!         deleted ───────▶ destroy ─▶ rest (gone)
//!         present:  no disks, or of another build ─▶ (power off) ─▶ build
//!                   another shape ─▶ (shut down) ─▶ resize or revert;  confirmed ─▶ drop previous
//!                   wish marked as fulfilled ─▶ rest (settled, or drifted)
//!                   reboot not carried out ─▶ (shut down) ─▶ start
//!                   power, see below ─▶ mark the wish as fulfilled ─▶ rest (settled)
//!
//! wanted power │ is: shutdown   crashed     running     paused      suspended
//! ─────────────┼──────────────────────────────────────────────────────────────
//! running      │     start      power off   –           unpause     resume
//! stopped      │     –          power off   shut down   power off   power off
//! paused       │     start      power off   pause       –           resume
//! suspended    │     start      power off   suspend     suspend     –
//! ```
//! "Shut down" means: ask the guest once, wait for it, cut the power when patience ends.
//! Once a wish is marked as fulfilled a guest that shuts down from inside is not started again:
//! that is a new fact for the controller (Nova's rule). A host that went down under its guests is
//! different: drivers then take the mark back, so the guests are brought back to what is wanted.

use crate::desired::{DesiredPower, DesiredServer, Generation, Presence, RebootKind, RebootNonce};
use crate::driver::{Actual, Built, Marks, Step};
use crate::observed::{Phase, PowerState};

/// How long the guest has been asked to shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It has not been asked.
    Unasked,
    /// It has been asked and may still obey.
    Waiting,
    /// It has been asked and did not obey in time.
    Exhausted,
}

/// What the worker remembers between two decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The wish that failed for good.
    pub failed: Option<Generation>,
    /// How long the guest has been asked to shut down.
    pub patience: Patience,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Carry out this step, then ask again.
    Do(Step),
    /// The guest has been asked to shut down: wait for it, or for patience to end.
    AwaitShutdown,
    /// The disks that the controller has seen complete are not on this host.
    Lost,
    /// Nothing to do until something changes.
    Rest(Phase),
}

/// How to get a server off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Ask first.
    Graceful,
    /// Do not ask.
    Forced,
}

/// The next thing to do for a server that is wanted as `desired` and is `actual`.
pub fn decide(desired: Option<&DesiredServer>, actual: &Actual, memory: Memory) -> Decision {
    let Some(desired) = desired else {
        return Decision::Rest(match actual {
            Actual::Absent => Phase::Gone,
            Actual::Incomplete | Actual::Built(_) => Phase::Orphaned,
        });
    };
    if memory.failed == Some(desired.generation) {
        return Decision::Rest(Phase::Failed);
    }
    if desired.presence == Presence::Deleted {
        return match actual {
            Actual::Absent => Decision::Rest(Phase::Gone),
            Actual::Incomplete | Actual::Built(_) => Decision::Do(Step::Destroy),
        };
    }
    if desired.hold {
        return Decision::Rest(Phase::Held);
    }
    match actual {
        Actual::Absent if desired.seen_build == Some(desired.build) => Decision::Lost,
        Actual::Absent | Actual::Incomplete => Decision::Do(Step::Build),
        Actual::Built(built) => decide_built(desired, built, memory.patience),
    }
}

/// What is to be marked once `desired` is fulfilled.
pub fn marks(desired: &DesiredServer, before: Marks) -> Marks {
    Marks {
        settled: desired.generation,
        rebooted: rebooted(desired, before),
    }
}

/// The newest reboot that counts as carried out once the server has been started for `desired`.
pub fn rebooted(desired: &DesiredServer, before: Marks) -> Option<RebootNonce> {
    desired
        .reboot
        .map(|reboot| reboot.nonce)
        .max(before.rebooted)
}

fn decide_built(desired: &DesiredServer, built: &Built, patience: Patience) -> Decision {
    if desired.build != built.build {
        return off(built, Manner::Forced, patience).unwrap_or(Decision::Do(Step::Build));
    }
    if built.power == PowerState::Running && patience == Patience::Waiting {
        return await_or_force(desired, built);
    }
    if let Some(decision) = decide_shape(desired, built, patience) {
        return decision;
    }
    if built.marks.settled == desired.generation {
        let phase = if power_matches(desired.power, built.power) {
            Phase::Settled
        } else {
            Phase::Drifted
        };
        return Decision::Rest(phase);
    }
    if let Some(decision) = decide_reboot(desired, built, patience) {
        return decision;
    }
    decide_power(desired.power, built, patience).unwrap_or(Decision::Do(Step::Mark))
}

/// The guest is shutting down because an earlier decision asked it to. Whatever is wanted now, its
/// next state is not "running", so nothing is decided on that; only a hard reboot does not wait.
fn await_or_force(desired: &DesiredServer, built: &Built) -> Decision {
    match pending_reboot(desired, built) {
        Some(RebootKind::Hard) => Decision::Do(Step::PowerOff),
        Some(RebootKind::Soft) | None => Decision::AwaitShutdown,
    }
}

fn decide_shape(desired: &DesiredServer, built: &Built, patience: Patience) -> Option<Decision> {
    if desired.shape != built.shape {
        let step = if built.previous == Some(desired.shape) {
            Step::RevertResize
        } else {
            Step::Resize
        };
        return Some(off(built, Manner::Graceful, patience).unwrap_or(Decision::Do(step)));
    }
    let confirmed = !desired.keep_previous && built.previous.is_some();
    confirmed.then_some(Decision::Do(Step::ConfirmResize))
}

fn pending_reboot(desired: &DesiredServer, built: &Built) -> Option<RebootKind> {
    let reboot = desired.reboot?;
    (Some(reboot.nonce) > built.marks.rebooted).then_some(reboot.kind)
}

fn decide_reboot(desired: &DesiredServer, built: &Built, patience: Patience) -> Option<Decision> {
    let kind = pending_reboot(desired, built)?;
    let manner = match kind {
        RebootKind::Soft => Manner::Graceful,
        RebootKind::Hard => Manner::Forced,
    };
    match (off(built, manner, patience), desired.power) {
        (Some(decision), _) => Some(decision),
        // It is off, and is to be: that it has been through "off" is all a reboot can mean here.
        (None, DesiredPower::Stopped) => None,
        (None, _) => Some(Decision::Do(Step::Start)),
    }
}

/// What brings the server towards "off"; nothing if it is off.
fn off(built: &Built, manner: Manner, patience: Patience) -> Option<Decision> {
    match (built.power, manner, patience) {
        (PowerState::Shutdown, _, _) => None,
        (PowerState::Running, Manner::Graceful, Patience::Unasked) => {
            Some(Decision::Do(Step::AskShutdown))
        }
        (PowerState::Running, Manner::Graceful, Patience::Waiting) => Some(Decision::AwaitShutdown),
        // Only a running guest can obey.
        _ => Some(Decision::Do(Step::PowerOff)),
    }
}

fn decide_power(wanted: DesiredPower, built: &Built, patience: Patience) -> Option<Decision> {
    if wanted == DesiredPower::Stopped {
        return off(built, Manner::Graceful, patience);
    }
    let step = match (wanted, built.power) {
        (DesiredPower::Running, PowerState::Running)
        | (DesiredPower::Paused, PowerState::Paused)
        | (DesiredPower::Suspended, PowerState::Suspended) => return None,
        (_, PowerState::Shutdown) => Step::Start,
        (_, PowerState::Crashed | PowerState::NoState) => Step::PowerOff,
        (DesiredPower::Running, PowerState::Paused) => Step::Unpause,
        (DesiredPower::Paused, PowerState::Running) => Step::Pause,
        (_, PowerState::Suspended) => Step::Resume,
        (_, PowerState::Running | PowerState::Paused) => Step::Suspend,
    };
    Some(Decision::Do(step))
}

/// Whether `is` fulfils `wanted`.
fn power_matches(wanted: DesiredPower, is: PowerState) -> bool {
    match wanted {
        DesiredPower::Running => is == PowerState::Running,
        DesiredPower::Stopped => is == PowerState::Shutdown,
        DesiredPower::Paused => is == PowerState::Paused,
        DesiredPower::Suspended => is == PowerState::Suspended,
    }
}

#[cfg(test)]
mod tests;
