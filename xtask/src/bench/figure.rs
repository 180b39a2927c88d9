//! One measured quantity with its spread.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether more or less of a quantity is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    /// Throughput, speed-up.
    Higher,
    /// Time, memory, bytes.
    Lower,
}

/// One quantity, measured several times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: String,
    /// The unit; `ratio` if both sides were measured in this run, which makes it comparable between
    /// machines and subject to the gate.
    pub(crate) unit: String,
    /// Which direction is good.
    pub(crate) better: Better,
    /// The middle value.
    pub(crate) median: f64,
    /// The smallest value.
    pub(crate) min: f64,
    /// The largest value.
    pub(crate) max: f64,
    /// How many values.
    pub(crate) runs: usize,
}

/// The unit of figures that the gate compares.
const RATIO: &str = "ratio";

impl Figure {
    /// A figure from its values; `None` without any.
    pub(crate) fn of(name: &str, unit: &str, better: Better, values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let (name, unit) = (name.to_owned(), unit.to_owned());
        Some(Self {
            name,
            unit,
            better,
            median: median(&sorted),
            min,
            max,
            runs: sorted.len(),
        })
    }

    /// Whether the gate compares it.
    pub(crate) fn is_ratio(&self) -> bool {
        self.unit == RATIO
    }

    /// By which factor it is worse than `earlier`; below 1 if it is better.
    pub(crate) fn worsening(&self, earlier: f64) -> f64 {
        match self.better {
            Better::Higher => earlier / self.median,
            Better::Lower => self.median / earlier,
        }
    }
}

/// The middle of sorted values.
pub(crate) fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            unit,
            median,
            min,
            max,
            runs,
            ..
        } = self;
        write!(
            f,
            "{name:<40} {median:>12.3} {unit} (min {min:.3}, max {max:.3}, {runs} runs)"
        )
    }
}

/// Values by figure, in the order in which the figures first came, where less is better.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<(String, &'static str, Vec<f64>)>,
}

impl Table {
    /// One more value of the figure `name`.
    pub(super) fn add(&mut self, name: &str, unit: &'static str, value: f64) {
        match self.rows.iter_mut().find(|(known, ..)| known == name) {
            Some((_, _, values)) => values.push(value),
            None => self.rows.push((name.to_owned(), unit, vec![value])),
        }
    }

    /// The middle value of the figure `name` so far; not a number without any.
    pub(super) fn median(&self, name: &str) -> f64 {
        let row = self.rows.iter().find(|(known, ..)| known == name);
        let mut sorted = row.map_or_else(Vec::new, |(_, _, values)| values.clone());
        sorted.sort_by(f64::total_cmp);
        median(&sorted)
    }

    /// What was collected; of all of it, less is better.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let rows = self.rows.iter();
        rows.filter_map(|(name, unit, values)| Figure::of(name, unit, Better::Lower, values))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_shows_the_middle_and_the_ends() {
        let figure = Figure::of("boot", "s", Better::Lower, &[3.0, 1.0, 2.0, 10.0]).unwrap();
        assert_eq!(
            (figure.median, figure.min, figure.max, figure.runs),
            (2.5, 1.0, 10.0, 4)
        );
        assert_eq!(Figure::of("boot", "s", Better::Lower, &[]), None);
    }

    #[test]
    fn worse_means_more_or_less_as_the_quantity_wants() {
        let time = Figure::of("time", "ratio", Better::Lower, &[2.0]).unwrap();
        let rate = Figure::of("rate", "ratio", Better::Higher, &[2.0]).unwrap();
        assert!((time.worsening(1.0) - 2.0).abs() < 1e-9);
        assert!((rate.worsening(1.0) - 0.5).abs() < 1e-9);
    }
}
