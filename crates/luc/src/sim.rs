//! `luc sim`: the simulator's files, threads, clocks and progress bars.
//!
//! Everything that is simulated, judged or drawn is `luc-sim`'s, which is pure. Here scenarios are
//! read, runs are spread over threads and timed, results are kept as they come.

pub mod args;
mod check;
mod cost;
mod machine;
mod pool;
mod report;
mod run;
mod sweep;

use args::SimCommand;

/// Carries out one command of the simulator. Blocks until it is done.
pub fn run(command: SimCommand, json: bool) -> anyhow::Result<()> {
    match command {
        SimCommand::Run(args) => run::run(&args, json),
        SimCommand::Trace(args) => run::trace(&args),
        SimCommand::Sweep(args) => sweep::run(&args, json),
        SimCommand::Check(args) => check::check(&args, json),
        SimCommand::Replay(args) => check::replay(&args, json),
        SimCommand::Report(args) => report::run(&args, json),
        SimCommand::Cost => cost::run(json),
    }
}
