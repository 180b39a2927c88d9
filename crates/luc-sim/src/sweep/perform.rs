//! Carries out one piece of work and gives its measures their names.

use std::collections::BTreeMap;

use luc_core::time::Duration;
use luc_overlay::{SwimConfig, search, vivaldi};
use thiserror::Error;

use super::job::{Coordinates, Work};
use super::measure;
use super::record::{Point, Record};
use crate::brains::Coverage;
use crate::check::{self, Hits};
use crate::experiment::coordinates;
use crate::experiment::overlays::Blueprint;
use crate::experiment::recall::Recall;
use crate::log::NoSink;
use crate::metrics::Hour;
use crate::network::matrix::plane::Plane;
use crate::network::matrix::{MatrixError, published};
use crate::scenario::{BrokenRule, Experiment, Outcome, RunError};
use crate::simulation::SetupError;

/// The hours of the energy day in which demand exceeds the cloud: 14 to 19.
const OVERFULL_HOURS: std::ops::Range<usize> = 14..19;

/// Why work could not be carried out.
#[derive(Debug, Error)]
pub enum PerformError {
    /// A run.
    #[error("running {name}")]
    Run {
        /// The experiment.
        name: String,
        /// Why.
        source: RunError,
    },
    /// A seed of the fuzzer.
    #[error("checking seed {seed}")]
    Check {
        /// The seed.
        seed: u64,
        /// Why.
        source: SetupError,
    },
    /// A generated network.
    #[error("making the network")]
    Network(#[from] MatrixError),
}

/// Carries out `work` under `seed`. Key, label and what only a clock can tell are left empty.
pub fn perform(work: &Work, seed: u64) -> Result<Record, PerformError> {
    match work {
        Work::Run(experiment) => run(experiment),
        Work::Check { seeds } => check_all(*seeds, seed),
        Work::Caught { rule, seeds } => caught(*rule, *seeds),
        Work::Coordinates(kind) => coordinates_of(*kind, seed),
        Work::Recall { nodes } => recall_of(*nodes, seed),
    }
}

fn run(experiment: &Experiment) -> Result<Record, PerformError> {
    let outcome = experiment.run(None, Box::new(NoSink));
    let outcome = outcome.map_err(|source| PerformError::Run {
        name: experiment.name.clone(),
        source,
    })?;
    Ok(record(&outcome))
}

/// Random faults under the seeds of batch number `batch`, counted from 1.
fn check_all(seeds: u64, batch: u64) -> Result<Record, PerformError> {
    let first = batch.saturating_sub(1) * seeds + 1;
    let (mut hits, mut coverage, mut failed) = (Hits::default(), Coverage::default(), 0);
    for seed in first..first + seeds {
        let verdict =
            check::check(seed, None).map_err(|source| PerformError::Check { seed, source })?;
        hits.add(&verdict.hits);
        coverage.add(&verdict.coverage);
        failed += u64::from(verdict.broken.is_some());
    }
    let [absorbed, taken_over, capped, expired] = measure::CHECK_HITS.map(|(hit, _)| hit);
    let [sleeps, wakes, published, merged] = measure::CHECK_ALSO.map(|(count, _)| count);
    let counts = [
        (measure::CHECK_PASSED, seeds - failed),
        (measure::CHECK_FAILED, failed),
        (absorbed, hits.absorbed),
        (taken_over, hits.taken_over),
        (capped, hits.cap_reached),
        (expired, hits.lease_expired),
        (sleeps, hits.sleeps),
        (wakes, hits.wakes),
        (published, hits.published_began),
        (merged, hits.published_merged),
    ];
    let mut measures: BTreeMap<String, f64> = counts
        .map(|(name, count)| (name.to_owned(), count as f64))
        .into();
    measures.extend(coverage.pairs().map(|(state, message, count)| {
        let name = format!("{}{state} × {message}", measure::CHECK_PAIRS_PREFIX);
        (name, count as f64)
    }));
    Ok(Record {
        measures,
        ..Record::default()
    })
}

/// The first seed under which a checker notices that `rule` is off; no measure if none does.
fn caught(rule: BrokenRule, seeds: u64) -> Result<Record, PerformError> {
    for seed in 1..=seeds {
        let verdict = check::check(seed, Some(rule.switch()))
            .map_err(|source| PerformError::Check { seed, source })?;
        if verdict.broken.is_some() {
            return Ok(named([(measure::CHECK_CAUGHT, seed as f64)].into()));
        }
    }
    Ok(Record::default())
}

/// B13: coordinates alone.
fn coordinates_of(kind: Coordinates, seed: u64) -> Result<Record, PerformError> {
    let answers = match kind {
        Coordinates::FourSites => coordinates::four_sites(seed),
        Coordinates::Synthetic { nodes } => coordinates::synthetic(nodes as usize, seed)?,
        Coordinates::Pools { nodes } => coordinates::pools(nodes as usize, seed)?,
    };
    let mut measures = BTreeMap::from([
        (measure::COORDINATE_ERROR, answers.ours.median),
        (measure::COORDINATE_ERROR_DABEK, answers.reference.median),
    ]);
    // What never came to be usable, or back to normal, has no number and leaves its cell empty.
    if let Some(probes) = answers.probes_to_usable {
        measures.insert(measure::COORDINATE_PROBES, f64::from(probes));
    }
    if let Some(probes) = answers.probes_to_recover {
        measures.insert(measure::COORDINATE_RECOVERY, f64::from(probes));
    }
    Ok(named(measures))
}

/// The spiral's search alone: the published sites, or sites of ten nodes on a plane without noise.
fn recall_of(nodes: u32, seed: u64) -> Result<Record, PerformError> {
    let nodes_per_site = published::NODES_PER_SITE;
    let sites = nodes as usize / nodes_per_site;
    let times = if sites == published::SITES {
        published::round_trips()
    } else {
        let plane = Plane {
            within: Duration::from_micros(200),
            extent: Duration::from_millis(40),
            access: Duration::from_millis(1),
            node_access: Duration::ZERO,
            noise: 0.0,
            detours: 0.0,
        };
        plane.round_trips(sites, nodes_per_site, seed)?
    };
    let recall = Recall {
        cloud: Blueprint {
            times,
            sites,
            nodes_per_site,
            jitter: 0.05,
            swim: SwimConfig::default(),
            search: search::Config::default(),
            vivaldi: vivaldi::Config::default(),
            settled: 400,
            seed,
        },
        checkpoints: vec![Duration::from_secs(120)],
        askers: 100,
        wanted: 16,
        step: 4,
        learning: 2,
        pause: Duration::from_secs(30),
    };
    let found = recall.run();
    let mut measures = BTreeMap::new();
    for checkpoint in &found {
        let (recall, messages) = if checkpoint.learnt {
            (measure::RECALL, measure::SEARCH_MESSAGES)
        } else {
            (measure::RECALL_COLD, measure::SEARCH_MESSAGES_COLD)
        };
        measures.insert(recall, checkpoint.recall);
        measures.insert(messages, checkpoint.messages);
    }
    Ok(named(measures))
}

fn named(measures: BTreeMap<&'static str, f64>) -> Record {
    let owned = measures.into_iter();
    Record {
        measures: owned
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        ..Record::default()
    }
}

/// A record of a run.
fn record(outcome: &Outcome) -> Record {
    let mut measures: BTreeMap<String, f64> = measures(outcome)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    if let Some(share) = outcome.to_nearest_site {
        measures.insert(measure::NEAREST_SITE.to_owned(), share);
    }
    let curves = [
        (measure::CURVE_POWER, power(&outcome.summary.hours)),
        (measure::CURVE_VIOLATION, violation(&outcome.summary.hours)),
        (measure::CURVE_PARTITIONS, sizes(&outcome.sizes)),
    ];
    let points = outcome.places.iter().map(|(site, vector)| Point {
        site: *site,
        vector: vector.clone(),
    });
    Record {
        measures,
        curves: curves
            .into_iter()
            .filter(|(_, curve)| !curve.is_empty())
            .map(|(name, curve)| (name.to_owned(), curve))
            .collect(),
        points: points.collect(),
        ..Record::default()
    }
}

/// Every number of a run, by name; what would be the mean of nothing is left out.
pub fn measures(outcome: &Outcome) -> Vec<(&'static str, f64)> {
    let summary = &outcome.summary;
    let (violations, moves) = (&summary.violations, &summary.moves);
    let partitions = &summary.partitions;
    let mut all = vec![
        (measure::VIOLATIONS, violations.count as f64),
        (measure::VIOLATION_TOTAL, violations.seconds.sum),
        (measure::MIGRATIONS, moves.moved as f64),
        (measure::MIGRATED_GIB, moves.sent_gib),
        (measure::UNSOLVED, partitions.unsolved as f64),
        (measure::ENERGY, summary.energy_kwh),
        (measure::VIOLATION_SHARE, share_outside(&summary.hours)),
        (measure::MESSAGES, summary.messages_per_node_s),
    ];
    let mut mean = |name, count: u64, value: f64| {
        if count > 0 {
            all.push((name, value));
        }
    };
    let seconds = violations.seconds;
    mean(measure::VIOLATION_MEAN, seconds.count, seconds.mean);
    mean(
        measure::MIGRATIONS_PER_VIOLATION,
        violations.count,
        moves.per_violation,
    );
    mean(measure::INTRA_SITE, moves.moved, moves.intra_site);
    let spread = partitions.computation_ms;
    mean(measure::COMPUTATION_MEAN, spread.count, spread.mean / 1e3);
    let spread = partitions.reconfiguration_s;
    mean(measure::RECONFIGURATION_MEAN, spread.count, spread.mean);
    let spread = partitions.sites;
    mean(measure::SITES_PER_PARTITION, spread.count, spread.mean);
    let spread = partitions.to_plan_ms;
    mean(measure::VALID_MEAN, spread.count, spread.mean / 1e3);
    let spread = partitions.size;
    mean(measure::PARTITION_P50, spread.count, spread.p50);
    mean(measure::PARTITION_P99, spread.count, spread.p99);
    all
}

/// Violation over powered host-time outside the hours that overfill the cloud.
fn share_outside(hours: &[Hour]) -> f64 {
    let outside = hours
        .iter()
        .enumerate()
        .filter(|(hour, _)| !OVERFULL_HOURS.contains(hour));
    let (violation, powered) = outside.fold((0.0, 0.0), |(violation, powered), (_, hour)| {
        (violation + hour.violation_s, powered + hour.powered_s)
    });
    if powered > 0.0 {
        violation / powered
    } else {
        0.0
    }
}

/// Kilowatts by the hour: the energy of an hour in kilowatt-hours. Only runs of whole hours.
fn power(hours: &[Hour]) -> Vec<[f64; 2]> {
    if hours.len() < 2 {
        return Vec::new();
    }
    by_hour(hours, |hour| hour.energy_kwh)
}

fn violation(hours: &[Hour]) -> Vec<[f64; 2]> {
    if hours.len() < 2 {
        return Vec::new();
    }
    by_hour(hours, |hour| {
        if hour.powered_s > 0.0 {
            hour.violation_s / hour.powered_s * 100.0
        } else {
            0.0
        }
    })
}

fn by_hour(hours: &[Hour], value: impl Fn(&Hour) -> f64) -> Vec<[f64; 2]> {
    let numbered = hours.iter().enumerate();
    numbered
        .map(|(hour, figures)| [hour as f64 + 0.5, value(figures)])
        .collect()
}

/// The share of partitions of each size, in per cent.
fn sizes(sizes: &BTreeMap<usize, u64>) -> Vec<[f64; 2]> {
    let all: u64 = sizes.values().sum();
    let share = |count: u64| count as f64 / all.max(1) as f64 * 100.0;
    sizes
        .iter()
        .map(|(size, count)| [*size as f64, share(*count)])
        .collect()
}
