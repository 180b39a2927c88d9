//! Measurements that anyone can repeat: `cargo xtask bench NAME`.
//!
//! Every run prints its protocol and the facts of the machine beside the figures, and appends one
//! line of JSON with the commit to `bench/history.jsonl`. With `--gate`, a ratio that is more than
//! 15 % worse than before fails the run; absolute times never do, since machines differ.
//!
//! To add a measurement: implement [`Bench`] in a module of its own and put it into [`all`]. A
//! measurement of the product starts the release build of `luc` and talks to it as a client would.

mod brain;
mod figure;
mod history;
mod machine;
mod release;
mod site;
mod sites;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use figure::Figure;
use history::{History, Record};
use machine::Machine;

/// Something that can be measured.
trait Bench {
    /// Its name on the command line and in the history.
    fn name(&self) -> &'static str;

    /// The question that it answers, in one line.
    fn question(&self) -> &'static str;

    /// What exactly is done, so that somebody else can do it again.
    fn protocol(&self) -> String;

    /// Measures. What it prints meanwhile is progress; what counts is in the figures.
    fn run(&self, workspace: &Workspace) -> Result<Vec<Figure>>;
}

/// All measurements, in the order in which they are listed.
fn all() -> Vec<Box<dyn Bench>> {
    vec![
        Box::new(machine::MachineBench),
        Box::new(site::SiteBench),
        Box::new(sites::SitesBench),
        Box::new(brain::BrainBench),
    ]
}

/// What to measure, and what to do with the result.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The measurement; all are listed if it is left out.
    name: Option<String>,
    /// Fail if a ratio is more than 15 % worse than the median of the last five runs.
    #[arg(long)]
    gate: bool,
    /// Do not append the result to bench/history.jsonl.
    #[arg(long)]
    no_record: bool,
}

/// Runs one measurement and says whether it passed the gate, if there was one.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<bool> {
    let benches = all();
    let Some(name) = &arguments.name else {
        for bench in &benches {
            println!("{:<10} {}", bench.name(), bench.question());
        }
        return Ok(true);
    };
    let Some(bench) = benches.iter().find(|bench| bench.name() == name) else {
        let names: Vec<_> = benches.iter().map(|bench| bench.name()).collect();
        bail!(
            "there is no measurement `{name}`; there are: {}",
            names.join(", ")
        );
    };
    println!(
        "question   {}\nprotocol   {}",
        bench.question(),
        bench.protocol()
    );
    let machine = Machine::measure(workspace)?;
    println!("machine    {machine}");
    let figures = bench
        .run(workspace)
        .with_context(|| format!("measuring `{name}`"))?;
    for figure in &figures {
        println!("{figure}");
    }
    let history = History::of(workspace);
    let earlier = history.read()?;
    let regressions = history::regressions(&earlier, name, &figures);
    for regression in &regressions {
        println!("worse      {regression}");
    }
    let passed = !arguments.gate || regressions.is_empty();
    // A run that failed the gate must not become what the next one is compared with.
    if passed && !arguments.no_record {
        history.append(&Record::now(workspace, name, machine, figures))?;
        println!("recorded   {}", history::FILE);
    }
    if arguments.gate {
        println!("gate       {}", if passed { "passed" } else { "FAILED" });
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measurement_has_a_name_of_its_own_a_question_and_a_protocol() {
        let benches = all();
        let mut names: Vec<_> = benches.iter().map(|bench| bench.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), benches.len());
        for bench in benches {
            assert!(bench.question().ends_with('?'), "{}", bench.name());
            assert!(!bench.protocol().is_empty());
        }
    }
}
