//! What schedules: brains or a baseline, driven by the simulation through one trait.
//!
//! An [`Algorithm`] stands for the programs of all nodes at once; the simulation tells it which
//! node each input is for. It reaches the world through its [`Context`] only: messages take their
//! time and may be lost, timers run on the node's own clock, and a migration is a wish that the
//! hosts carry out. A distributed algorithm must read of the world only what [`Context::sample`]
//! gives for its own node; a centralised baseline pays for what it reads by messages and delays of
//! its own. [`Nothing`] is the algorithm that does nothing.

use luc_core::time::Duration;
use luc_dvms::command::{MigrationEnd, MigrationId};

use crate::context::Context;
use crate::index::NodeIndex;

/// The programs of all nodes.
pub trait Algorithm: Sized {
    /// What nodes exchange. Large messages should be boxed: events are moved around.
    type Message: Clone;
    /// What they ask to be woken for.
    type Timer;

    /// What it is, with its settings, for the log's header.
    fn name(&self) -> String;

    /// The run begins; the first samples come by themselves.
    fn start(&mut self, context: &mut Context<Self>);

    /// The host of `node` has changed since it was last sampled; [`Context::sample`] shows how.
    /// Comes at the node's next tick, and at once at both ends of a migration that has ended.
    fn sampled(&mut self, node: NodeIndex, context: &mut Context<Self>);

    /// A message from `from` arrived at `node`.
    fn message(
        &mut self,
        node: NodeIndex,
        from: NodeIndex,
        message: Self::Message,
        context: &mut Context<Self>,
    );

    /// A timer of `node` is due. Timers of before a crash never come.
    fn timer(&mut self, node: NodeIndex, timer: Self::Timer, context: &mut Context<Self>);

    /// A migration that `node` was the source of has ended, or was refused by the hosts.
    fn migration_ended(
        &mut self,
        node: NodeIndex,
        migration: MigrationId,
        end: MigrationEnd,
        context: &mut Context<Self>,
    );

    /// `node` lost its power: whatever its program held in memory is gone.
    fn crashed(&mut self, node: NodeIndex, context: &mut Context<Self>);

    /// `node` starts again after a crash.
    fn restarted(&mut self, node: NodeIndex, context: &mut Context<Self>);

    /// `node` has been woken from sleep and serves again.
    fn woken(&mut self, node: NodeIndex, context: &mut Context<Self>);
}

/// Does nothing: what the load does to a cloud without a scheduler.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Algorithm for Nothing {
    type Message = ();
    type Timer = ();

    fn name(&self) -> String {
        "nothing".into()
    }

    fn start(&mut self, _context: &mut Context<Self>) {}

    fn sampled(&mut self, _node: NodeIndex, _context: &mut Context<Self>) {}

    fn message(
        &mut self,
        _node: NodeIndex,
        _from: NodeIndex,
        _message: Self::Message,
        _context: &mut Context<Self>,
    ) {
    }

    fn timer(&mut self, _node: NodeIndex, _timer: Self::Timer, _context: &mut Context<Self>) {}

    fn migration_ended(
        &mut self,
        _node: NodeIndex,
        _migration: MigrationId,
        _end: MigrationEnd,
        _context: &mut Context<Self>,
    ) {
    }

    fn crashed(&mut self, _node: NodeIndex, _context: &mut Context<Self>) {}

    fn restarted(&mut self, _node: NodeIndex, _context: &mut Context<Self>) {}

    fn woken(&mut self, _node: NodeIndex, _context: &mut Context<Self>) {}
}

/// Constants of a run that shape its log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constants {
    /// What one search step of a solver takes in the simulated clock.
    pub solver_step: Duration,
    /// How often a host is sampled.
    pub sample_every: Duration,
    /// How long a machine that was moved is left alone.
    pub cool_down: Duration,
    /// What hosts draw, and how long they take to wake.
    pub power: crate::power::PowerModel,
}

impl Default for Constants {
    fn default() -> Self {
        Self {
            // Measured on one 2.x GHz core of 2024: `cargo bench` of the solver says 150 to 250.
            solver_step: Duration::from_nanos(200),
            sample_every: Duration::from_secs(1),
            cool_down: Duration::from_secs(60),
            power: crate::power::PowerModel::default(),
        }
    }
}
