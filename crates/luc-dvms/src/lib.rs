//! Where virtual machines should run: the distributed scheduler (DVMS) and its solver.
//!
//! One scheduler runs on each compute node. It is told what its host carries ([`Command::Sample`])
//! and which neighbours the overlay found, and it tells which live migrations to start
//! ([`Event::Migrate`]) and why. It knows neither the overlay nor a hypervisor: it asks for the
//! next neighbours by an event and is answered by a command.
//!
//! Two protocols fill the same contract: `relay` is the published algorithm (Quesnel, Lèbre,
//! Südholt 2012; validated in ISPA'13), `star` is ours and the default. Both hand the hosts of
//! their partition to one solver, which gives a [`Plan`]: data, ordered, explained.
//!
//! This crate is pure: no clock, no randomness but what is handed in, no hash order, no floats on
//! the wire.

pub mod ballot;
pub mod command;
pub mod config;
pub mod durable;
pub mod event;
pub mod host;
pub mod message;
pub mod plan;
pub mod relay;
pub mod scheduler;
pub mod solver;
pub mod star;
pub mod timer;

pub use ballot::Ballot;
pub use command::Command;
pub use config::{Choice, Config};
pub use durable::Durable;
pub use event::Event;
pub use host::{Cpu, Host, Resources, Rules, Vm, VmId};
pub use message::Message;
pub use plan::{Plan, Reason, Step, StepId};
pub use scheduler::Dvms;
pub use solver::{Bar, Barred, Goal, Problem, Solution, Style, Weights, solve};
pub use timer::Timer;
