//! Tables of experiments: what the paper sweep runs, what was published, what is aimed at.
//!
//! A [`Benchmark`] is data: its cells are [`Job`]s (an experiment and how often it is repeated),
//! its tables say which measure stands where beside which published value, its targets are judged
//! from the same results. The same seed gives the same trace to every algorithm. The program runs
//! the jobs in parallel and keeps one [`Record`] per job and seed; nothing here runs anything,
//! reads a clock or opens a file.

mod b1;
mod b10;
mod b13;
mod b4;
mod b7;
mod b8;
mod group;
mod job;
mod judge;
pub mod measure;
mod perform;
mod record;
mod results;
mod rows;

pub use job::{Coordinates, Job, Role, Work};
pub use judge::{Judgement, Rule, Side, Target, Verdict};
pub use perform::{PerformError, measures, perform};
pub use record::{Point, Record, RecordError};
pub use results::{Results, Stat};

/// How much of the paper sweep is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// How many seeds each job is repeated over, from 1 on.
    pub seeds: u32,
    /// Jobs with more nodes are left out.
    pub nodes_max: u32,
    /// Everything short and small: shows that it works, measures nothing.
    pub quick: bool,
}

impl Default for Scale {
    fn default() -> Self {
        Self {
            seeds: 5,
            nodes_max: 100_000,
            quick: false,
        }
    }
}

/// One benchmark of the paper sweep.
#[derive(Clone, Debug)]
pub struct Benchmark {
    /// `B1`, `B2`, …
    pub id: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// How it is done, a paragraph each.
    pub protocol: Vec<String>,
    /// What is run.
    pub jobs: Vec<Job>,
    /// What is shown.
    pub tables: Vec<Table>,
    /// What is drawn.
    pub plots: Vec<Plot>,
    /// What is aimed at.
    pub targets: Vec<Target>,
}

/// One measure of all rows and columns, beside what was published.
#[derive(Clone, Debug)]
pub struct Table {
    /// What it shows, with the unit.
    pub title: String,
    /// The measure that it shows.
    pub measure: &'static str,
    /// What the measure is multiplied by to be in the unit of the title.
    pub factor: f64,
    /// Digits after the point.
    pub digits: usize,
    /// The columns, in order.
    pub columns: Vec<String>,
    /// The rows of our own, in order; a row without any result is left out.
    pub rows: Vec<String>,
    /// Published rows: label, source, one value per column.
    pub published: Vec<Published>,
    /// Two rows whose quotient is shown below: ours by the other.
    pub ratios: Vec<(String, String)>,
}

/// A row of published values.
#[derive(Clone, Debug)]
pub struct Published {
    /// What was measured.
    pub label: &'static str,
    /// Where it was published.
    pub source: &'static str,
    /// One value per column of the table, if there is one.
    pub values: Vec<Option<f64>>,
}

/// What is drawn of a benchmark's results.
#[derive(Clone, Debug)]
pub enum Plot {
    /// A measure of some rows against the columns, which are numbers.
    Against {
        /// What it shows, with the unit.
        title: String,
        /// What the columns are.
        across: String,
        /// The measure.
        measure: &'static str,
        /// What the measure is multiplied by.
        factor: f64,
        /// The rows.
        rows: Vec<String>,
        /// Published rows, drawn dashed.
        published: Vec<Published>,
    },
    /// A curve of each of some rows in one column, mean over the seeds.
    Curve {
        /// What it shows, with the unit.
        title: String,
        /// What runs along the axis.
        across: String,
        /// The curve.
        curve: &'static str,
        /// The rows.
        rows: Vec<String>,
        /// The column.
        column: String,
    },
    /// Where the nodes are by their own coordinates, in one cell's first seed.
    Map {
        /// What it shows.
        title: String,
        /// The row.
        row: String,
        /// The column.
        column: String,
        /// What the sites are called, in order.
        sites: Vec<String>,
    },
}

/// The paper sweep: B1, B2, B3, B4, B7, B8, B10 and B13 with the recall of the overlay.
pub fn paper(scale: Scale) -> Vec<Benchmark> {
    let mut all = vec![
        b1::benchmark(scale),
        group::first_group(scale),
        group::trigger(scale),
        b4::benchmark(scale),
        b7::benchmark(scale),
        b8::benchmark(scale),
        b10::benchmark(scale),
        b13::benchmark(scale),
    ];
    for benchmark in &mut all {
        benchmark.jobs.retain(|job| job.nodes() <= scale.nodes_max);
    }
    all
}

#[cfg(test)]
mod tests;
