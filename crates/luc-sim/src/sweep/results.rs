//! All records of one benchmark, by row and column.

use std::collections::BTreeMap;

use super::{Benchmark, Record};

/// Mean and standard deviation over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stat {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of the sample; zero of one value.
    pub deviation: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
    /// Over how many seeds.
    pub count: usize,
}

impl Stat {
    /// The statistics of `values`, unless there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = if count > 1 {
            (squares / (count - 1) as f64).sqrt()
        } else {
            0.0
        };
        Some(Self {
            mean,
            deviation,
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            greatest: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            count,
        })
    }
}

/// The records of a benchmark's jobs, by row and column.
#[derive(Debug, Default)]
pub struct Results<'a> {
    cells: BTreeMap<(String, String), Vec<&'a Record>>,
}

impl<'a> Results<'a> {
    /// The records of `benchmark` among `records`; the last of one seed counts.
    pub fn of(benchmark: &Benchmark, records: &'a [Record]) -> Self {
        let mut by_key: BTreeMap<&str, BTreeMap<u64, &Record>> = BTreeMap::new();
        for record in records {
            let seeds = by_key.entry(&record.key).or_default();
            seeds.insert(record.seed, record);
        }
        let mut cells = BTreeMap::new();
        for job in &benchmark.jobs {
            let found: Vec<&Record> = by_key
                .get(job.key().as_str())
                .map(|seeds| {
                    seeds
                        .range(..=u64::from(job.seeds))
                        .map(|(_, r)| *r)
                        .collect()
                })
                .unwrap_or_default();
            if !found.is_empty() {
                cells.insert((job.row.clone(), job.column.clone()), found);
            }
        }
        Self { cells }
    }

    /// The records of one cell.
    pub fn records(&self, row: &str, column: &str) -> &[&'a Record] {
        self.cells
            .get(&(row.to_owned(), column.to_owned()))
            .map_or(&[], Vec::as_slice)
    }

    /// The columns of a row that have records.
    pub fn columns<'r>(&'r self, row: &'r str) -> impl Iterator<Item = &'r str> {
        let cells = self.cells.keys().filter(move |(name, _)| name == row);
        cells.map(|(_, column)| column.as_str())
    }

    /// A measure of one cell, over its seeds.
    pub fn stat(&self, row: &str, column: &str, measure: &str) -> Option<Stat> {
        let records = self.records(row, column).iter();
        let values: Vec<f64> = records
            .filter_map(|record| record.measures.get(measure).copied())
            .filter(|value| value.is_finite())
            .collect();
        Stat::of(&values)
    }

    /// The sums over one cell's seeds of all measures whose names begin with `prefix`, by what
    /// follows it.
    pub fn totals(&self, row: &str, column: &str, prefix: &str) -> BTreeMap<&'a str, f64> {
        let mut totals = BTreeMap::new();
        for record in self.records(row, column) {
            for (name, value) in &record.measures {
                if let Some(rest) = name.strip_prefix(prefix) {
                    *totals.entry(rest).or_default() += value;
                }
            }
        }
        totals
    }

    /// The mean of a measure of one cell.
    pub fn mean(&self, row: &str, column: &str, measure: &str) -> Option<f64> {
        self.stat(row, column, measure).map(|stat| stat.mean)
    }

    /// A curve of one cell, point by point the mean over its seeds.
    pub fn curve(&self, row: &str, column: &str, curve: &str) -> Vec<[f64; 2]> {
        let mut sums: BTreeMap<u64, (f64, f64, u32)> = BTreeMap::new();
        for record in self.records(row, column) {
            for [x, y] in record.curves.get(curve).into_iter().flatten() {
                // Abscissae are not negative, so the order of their bits is their order.
                let sum = sums.entry(x.max(0.0).to_bits()).or_insert((*x, 0.0, 0));
                sum.1 += y;
                sum.2 += 1;
            }
        }
        sums.into_values()
            .map(|(x, sum, count)| [x, sum / f64::from(count)])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let stat = Stat::of(&[2.0, 4.0, 4.0, 6.0]).expect("there are values");
        assert!((stat.mean - 4.0).abs() < 1e-9);
        assert!((stat.deviation - (8.0_f64 / 3.0).sqrt()).abs() < 1e-9);
        assert_eq!((stat.least, stat.greatest, stat.count), (2.0, 6.0, 4));
        assert_eq!(Stat::of(&[]), None);
    }
}
