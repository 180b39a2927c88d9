//! Random faults over many seeds: hits, failures made smaller, and how to run one again.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::bail;
use luc_dvms::star::Broken as Switch;
use luc_sim::brains::Coverage;
use luc_sim::check::{self, Case, Hits, Verdict};
use luc_sim::log::{NoSink, Sink};
use serde_json::{Value, json};

use super::args::{BrokenName, CheckArgs, ReplayArgs};
use super::run::LogFile;
use super::{machine, pool};
use crate::steps::{print, say, shown};

/// How often each kind of event must have been hit for a long run to prove anything.
const HITS_LEAST: u64 = 100;

/// A run over at least this many seeds must reach [`HITS_LEAST`].
const SEEDS_THAT_PROVE: u64 = 10_000;

/// How many failures are made smaller and shown.
const SHOWN: usize = 3;

/// How many kinds of event that were hit too seldom are named.
const NAMED: usize = 8;

/// Seconds that one seed takes, roughly, for the time left.
const SECONDS_PER_SEED: f64 = 0.03;

fn switch(name: Option<BrokenName>) -> Option<Switch> {
    name.map(|name| match name {
        BrokenName::Ballot => Switch::BallotCheckOff,
        BrokenName::Lease => Switch::LeaseCheckOff,
        BrokenName::Absorb => Switch::AbsorbRuleOff,
    })
}

fn word(name: BrokenName) -> &'static str {
    match name {
        BrokenName::Ballot => "ballot",
        BrokenName::Lease => "lease",
        BrokenName::Absorb => "absorb",
    }
}

/// The command that runs `seed` again.
fn replay_command(seed: u64, broken: Option<BrokenName>) -> String {
    let broken = broken.map_or_else(String::new, |name| format!(" --broken {}", word(name)));
    format!("luc sim replay {seed}{broken} --event-log {seed}.jsonl")
}

/// What came of all seeds.
#[derive(Default)]
struct Total {
    seeds: u64,
    steps: u64,
    hits: Hits,
    coverage: Coverage,
    /// Seeds that failed, with what did not hold.
    failed: Vec<(u64, String)>,
    /// Seeds with fewer than three kinds of fault; there should be none.
    thin: u64,
}

impl Total {
    fn add(&mut self, seed: u64, verdict: &Verdict) {
        self.seeds += 1;
        self.steps += verdict.steps;
        self.hits.add(&verdict.hits);
        self.coverage.add(&verdict.coverage);
        self.thin += u64::from(verdict.kinds.len() < 3);
        if let Some(broken) = &verdict.broken {
            self.failed.push((seed, broken.to_string()));
        }
    }

    /// What had to be hit, with how often it was.
    fn required(&self) -> Vec<(String, u64)> {
        let mut required = vec![
            ("absorb or merge".to_owned(), self.hits.absorbed),
            ("takeover".to_owned(), self.hits.taken_over),
            ("cap reached".to_owned(), self.hits.cap_reached),
            (
                "lease expired in flight".to_owned(),
                self.hits.lease_expired,
            ),
        ];
        let pairs = self.coverage.pairs();
        required
            .extend(pairs.map(|(state, message, count)| (format!("{state} × {message}"), count)));
        required
    }

    /// What was hit too seldom.
    fn missing(&self) -> Vec<(String, u64)> {
        let mut required = self.required();
        required.retain(|(_, count)| *count < HITS_LEAST);
        required
    }
}

/// Checks many seeds.
pub(super) fn check(args: &CheckArgs, json: bool) -> anyhow::Result<()> {
    let first = args.seed.unwrap_or(1);
    let count = if args.seed.is_some() { 1 } else { args.seeds };
    if count == 0 {
        bail!("--seeds 0 checks nothing; take at least 1");
    }
    let seeds: Vec<u64> = (first..first.saturating_add(count)).collect();
    let threads = args.jobs.map_or_else(machine::cores, usize::from);
    let mut progress = pool::Progress::new(count as f64 * SECONDS_PER_SEED, threads);
    let mut total = Total::default();
    let broken = switch(args.broken);
    let started = Instant::now();
    let one = |seed: u64| (seed, check::check(seed, broken));
    pool::each(seeds, threads, one, |(seed, verdict)| {
        let verdict = verdict?;
        if let Some(broken) = &verdict.broken {
            progress.tell(&format!("  FAIL  seed {seed}: {broken}"));
        }
        total.add(seed, &verdict);
        progress.advance(SECONDS_PER_SEED, "");
        Ok(())
    })?;
    drop(progress);
    total.failed.sort_unstable();
    let smaller: Vec<Value> = total
        .failed
        .iter()
        .take(SHOWN)
        .map(|(seed, _)| smallest(*seed, args.broken, json))
        .collect();
    let wall = started.elapsed();
    if json {
        print(&serde_json::to_string_pretty(&as_json(
            &total,
            &smaller,
            wall.as_secs_f64(),
        ))?);
    } else {
        print(&text(&total, &shown(wall)));
    }
    verdict(&total)
}

/// Fails if a seed failed, or if a long run did not hit what it had to.
fn verdict(total: &Total) -> anyhow::Result<()> {
    if let Some((seed, _)) = total.failed.first() {
        let count = total.failed.len();
        bail!(
            "{count} of {} seeds broke an invariant, seed {seed} first",
            total.seeds
        );
    }
    if total.thin > 0 {
        bail!("{} seeds had fewer than three kinds of fault", total.thin);
    }
    let missing = total.missing();
    if total.seeds >= SEEDS_THAT_PROVE && !missing.is_empty() {
        bail!("hit fewer than {HITS_LEAST} times: {}", listed(&missing));
    }
    Ok(())
}

/// Makes the case of a failed seed as small as possible and says how to run it again.
fn smallest(seed: u64, broken: Option<BrokenName>, json: bool) -> Value {
    let (case, failure) = check::shrink(&Case::draw(seed), switch(broken));
    let again = replay_command(seed, broken);
    let failure = failure
        .map(|failure| failure.to_string())
        .unwrap_or_default();
    let troubles: Vec<String> = case
        .troubles
        .iter()
        .map(|trouble| {
            let at = trouble.at.as_secs_f64();
            let length = trouble.length.as_secs_f64();
            format!("at {at:.3} s for {length:.3} s: {:?}", trouble.begin)
        })
        .collect();
    let nodes = case.trace.nodes();
    let seconds = case.trace.end().as_secs_f64();
    if !json {
        say(&format!(
            "\nseed {seed}, made smaller: {nodes} nodes, {seconds:.0} s, {} faults\n  {failure}",
            troubles.len()
        ));
        for trouble in &troubles {
            say(&format!("  {trouble}"));
        }
        say(&format!("  again: {again}"));
    }
    json!({
        "seed": seed,
        "failure": failure,
        "nodes": nodes,
        "seconds": seconds,
        "faults": troubles,
        "replay": again,
    })
}

fn as_json(total: &Total, smaller: &[Value], wall_s: f64) -> Value {
    let failed: Vec<Value> = total
        .failed
        .iter()
        .map(|(seed, what)| json!({"seed": seed, "failure": what}))
        .collect();
    let required: serde_json::Map<String, Value> = total
        .required()
        .into_iter()
        .map(|(name, count)| (name, json!(count)))
        .collect();
    json!({
        "seeds": total.seeds,
        "failed": failed,
        "smallest": smaller,
        "hits": total.hits,
        "required_at_least": HITS_LEAST,
        "required": required,
        "events": total.steps,
        "wall_s": wall_s,
    })
}

fn text(total: &Total, wall: &str) -> String {
    let hits = &total.hits;
    let mut lines = vec![
        format!(
            "{} seeds, {} failed, {} events in {wall}",
            total.seeds,
            total.failed.len(),
            total.steps
        ),
        format!(
            "  partitions {}, migrations {}, absorbed {}, taken over {}, cap reached {}, leases \
             expired in flight {}",
            hits.began,
            hits.migrations,
            hits.absorbed,
            hits.taken_over,
            hits.cap_reached,
            hits.lease_expired
        ),
        format!(
            "  slept {}, woken {}; published protocol: partitions {}, merged {}, led on {}",
            hits.sleeps,
            hits.wakes,
            hits.published_began,
            hits.published_merged,
            hits.published_taken_over
        ),
    ];
    let pairs: Vec<_> = total.coverage.pairs().collect();
    let rarest = pairs.iter().min_by_key(|(_, _, count)| *count);
    if let Some((state, message, count)) = rarest {
        lines.push(format!(
            "  {} pairs of state and message, the rarest {state} × {message}: {count}",
            pairs.len()
        ));
    }
    let missing = total.missing();
    if !missing.is_empty() {
        lines.push(format!("  below {HITS_LEAST} hits: {}", listed(&missing)));
    }
    lines.join("\n")
}

/// Names with their counts, the first few of them.
fn listed(missing: &[(String, u64)]) -> String {
    let names = missing.iter().take(NAMED);
    let names: Vec<String> = names
        .map(|(name, count)| format!("{name} ({count})"))
        .collect();
    let more = missing.len().saturating_sub(NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", names.join(", "))
}

/// Runs one seed again and says what happened.
pub(super) fn replay(args: &ReplayArgs, json: bool) -> anyhow::Result<()> {
    let case = Case::draw(args.seed);
    let log = args.event_log.as_deref().map(LogFile::create).transpose()?;
    let sink = log
        .as_ref()
        .map_or_else(|| Box::new(NoSink) as Box<dyn Sink>, LogFile::sink);
    let verdict = check::run_logged(&case, switch(args.broken), sink)?;
    if let (Some(log), Some(path)) = (&log, &args.event_log) {
        log.finish(path)?;
    }
    let log: Option<&PathBuf> = args.event_log.as_ref();
    let kinds: Vec<String> = verdict
        .kinds
        .iter()
        .map(|kind| format!("{kind:?}"))
        .collect();
    let failure = verdict.broken.as_ref().map(ToString::to_string);
    if json {
        print(&serde_json::to_string_pretty(&json!({
            "seed": args.seed,
            "nodes": verdict.nodes,
            "until_s": verdict.until.as_secs_f64(),
            "faults": kinds,
            "hits": verdict.hits,
            "failure": failure,
            "event_log": log.map(|path| path.display().to_string()),
        }))?);
    } else {
        print(&format!(
            "seed {}: {} nodes, {:.1} s, faults {}, {} partitions, {} migrations",
            args.seed,
            verdict.nodes,
            verdict.until.as_secs_f64(),
            kinds.join(" "),
            verdict.hits.began,
            verdict.hits.migrations
        ));
    }
    failure.map_or(Ok(()), |failure| bail!("{failure}"))
}
