//! The command line of `luc sim`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Simulate whole clouds with the very code that nodes run.
#[derive(Debug, Subcommand)]
pub enum SimCommand {
    /// Run one scenario and print its figures.
    Run(RunArgs),
    /// Generate the trace of a scenario: what every algorithm replays.
    Trace(TraceArgs),
    /// Run a table of experiments, seeds in parallel, and write one report.
    Sweep(SweepArgs),
    /// Throw random faults at random clouds and check every invariant after every step.
    Check(CheckArgs),
    /// Run one seed of `check` again and print what happened.
    Replay(ReplayArgs),
    /// Write the report of a sweep's results.
    Report(ReportArgs),
    /// Measure what one message, timer or plan costs a node on this machine.
    #[command(after_help = "Example:\n  luc sim cost --json")]
    Cost,
}

/// How to run one scenario.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    luc sim run scenarios/four-sites.toml\n  \
    luc sim run scenarios/four-sites.toml --seed 7 --event-log run.jsonl --json\n  \
    luc sim trace scenarios/four-sites.toml -o load.jsonl\n  \
    luc sim run scenarios/four-sites.toml --trace load.jsonl\n\n\
    The same scenario, trace and seed give the same event log, byte for byte. All fields of a \
    scenario are in docs/simulator.md.")]
pub struct RunArgs {
    /// The scenario.
    #[arg(value_name = "SCENARIO.toml")]
    pub scenario: PathBuf,
    /// Draw everything from this seed instead of the scenario's.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Write everything that happened to this file, as JSON lines.
    #[arg(long, value_name = "FILE")]
    pub event_log: Option<PathBuf>,
    /// Replay this trace instead of generating one.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Print the figures as comma-separated values.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// How to generate a trace.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    luc sim trace scenarios/four-sites.toml > load.jsonl\n  \
    luc sim trace scenarios/four-sites.toml --seed 7 -o load.jsonl\n\n\
    The format is in docs/trace-format.md.")]
pub struct TraceArgs {
    /// The scenario.
    #[arg(value_name = "SCENARIO.toml")]
    pub scenario: PathBuf,
    /// Draw everything from this seed instead of the scenario's.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Write to this file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// How to run a table of experiments.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    luc sim sweep paper                       # B1 B2 B3 B4 B7 B8 B10 B13, 5 seeds\n  \
    luc sim sweep paper --only B1,B4 --max-nodes 1024\n  \
    luc sim sweep paper --quick               # a minute; shows that it works, measures nothing\n\n\
    Each result is kept at once; a sweep that was interrupted goes on where it stopped, and \
    finished runs are not repeated. `--fresh` begins anew, which is needed after the program \
    has changed.")]
pub struct SweepArgs {
    /// Which table.
    #[arg(value_enum, default_value_t = SweepName::Paper)]
    pub name: SweepName,
    /// Only these benchmarks, commas between them.
    #[arg(long, value_delimiter = ',', value_name = "B1,B4,…")]
    pub only: Vec<String>,
    /// Over how many seeds each experiment is repeated.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000), default_value_t = 5)]
    pub seeds: u32,
    /// How many experiments run at once; without it, one per core.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Leave out experiments with more nodes.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub max_nodes: u32,
    /// Small, short, one seed each unless `--seeds` says more.
    #[arg(long)]
    pub quick: bool,
    /// Forget earlier results of this directory.
    #[arg(long)]
    pub fresh: bool,
    /// Where results and report are kept.
    #[arg(long, value_name = "DIR", default_value = "sweep")]
    pub dir: PathBuf,
    /// Print all measures as comma-separated values.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// A table of experiments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SweepName {
    /// The published experiments and ours beside them.
    Paper,
}

/// How to throw faults.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    luc sim check --seeds 10000\n  \
    luc sim check --seed 4711                  # this one only\n  \
    luc sim check --seeds 1000 --broken ballot # proves that the checkers can fail\n\n\
    Each seed draws a cloud of 4 to 64 nodes, its load, and at least three kinds of fault over at \
    least 120 simulated seconds. A failure prints its seed, the smallest case that still fails, \
    and the command that replays it; the exit code is then 1.")]
pub struct CheckArgs {
    /// How many seeds.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub seeds: u64,
    /// The first seed; alone, the only one.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many seeds run at once; without it, one per core.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Switch off a rule of the protocol, to see whether a checker notices.
    #[arg(long, value_enum)]
    pub broken: Option<BrokenName>,
}

/// A rule that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BrokenName {
    /// Members obey lower ballots too.
    Ballot,
    /// Leases never stop a step.
    Lease,
    /// Two growing partitions take each other in.
    Absorb,
}

/// How to run a seed again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    luc sim replay 4711\n  \
    luc sim replay 4711 --broken lease --event-log 4711.jsonl")]
pub struct ReplayArgs {
    /// The seed.
    pub seed: u64,
    /// The rule that was switched off.
    #[arg(long, value_enum)]
    pub broken: Option<BrokenName>,
    /// Write everything that happened to this file, as JSON lines.
    #[arg(long, value_name = "FILE")]
    pub event_log: Option<PathBuf>,
}

/// How to write a report.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    luc sim report sweep\n  \
    luc sim report sweep -o paper.html\n  \
    luc sim report sweep --csv > paper.csv\n  \
    luc sim report sweep --json               # the targets and whether they are met")]
pub struct ReportArgs {
    /// The directory of a sweep.
    pub dir: PathBuf,
    /// The page; without it, `report.html` in that directory.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print all measures as comma-separated values instead.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}
