//! Targets and whether they are met.

use super::Results;

/// What floating point may be off by, relative to a limit.
const ROUNDING: f64 = 1e-9;

/// Something that is aimed at.
#[derive(Clone, Debug)]
pub struct Target {
    /// The aim, in words.
    pub text: String,
    /// How it is judged.
    pub rule: Rule,
}

/// How a target is judged. Every rule holds for the worst of its columns.
#[derive(Clone, Debug)]
pub enum Rule {
    /// A row's measure must be at most (or at least) this in every column.
    Bound {
        /// The row.
        row: String,
        /// The columns.
        columns: Vec<String>,
        /// The measure.
        measure: &'static str,
        /// On which side of the limit it must be.
        side: Side,
        /// The limit.
        limit: f64,
    },
    /// A row's measure must be at least this in every seed of every column.
    Least {
        /// The row.
        row: String,
        /// The columns.
        columns: Vec<String>,
        /// The measure.
        measure: &'static str,
        /// The limit.
        limit: f64,
    },
    /// A row's measure divided by another row's must be at most (or at least) this.
    Ratio {
        /// The row above.
        row: String,
        /// The row below.
        by: String,
        /// The columns.
        columns: Vec<String>,
        /// The measure.
        measure: &'static str,
        /// On which side of the limit it must be.
        side: Side,
        /// The limit.
        limit: f64,
    },
    /// A measure of one row divided by another measure of the same row.
    Share {
        /// The row.
        row: String,
        /// The columns.
        columns: Vec<String>,
        /// The measure above.
        measure: &'static str,
        /// The measure below.
        by: &'static str,
        /// On which side of the limit it must be.
        side: Side,
        /// The limit.
        limit: f64,
    },
    /// A row's measure must be less than another row's by at least this.
    Saves {
        /// The row.
        row: String,
        /// The row it is compared with.
        from: String,
        /// The columns.
        columns: Vec<String>,
        /// The measure.
        measure: &'static str,
        /// By how much.
        limit: f64,
    },
    /// Every measure of a cell whose name begins so must sum up to at least this over all seeds.
    Totals {
        /// The row.
        row: String,
        /// The column.
        column: String,
        /// How the names begin.
        prefix: &'static str,
        /// The limit.
        limit: f64,
    },
    /// The greatest and the least of a row's columns must not differ from their mean by more.
    Flat {
        /// The row.
        row: String,
        /// The columns.
        columns: Vec<String>,
        /// The measure.
        measure: &'static str,
        /// The greatest relative difference.
        limit: f64,
    },
}

/// On which side of a limit a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// At most the limit.
    AtMost,
    /// At least the limit.
    AtLeast,
}

/// Whether a target is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// In every column.
    Met,
    /// Not in every column.
    Missed,
    /// There is nothing to judge, or not all of it.
    Unknown,
}

/// A target, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The aim, in words.
    pub text: String,
    /// Whether it is met.
    pub verdict: Verdict,
    /// The worst value, where it was, and by how much it misses.
    pub detail: String,
}

impl Target {
    /// Judges this target by `results`.
    pub fn judge(&self, results: &Results<'_>) -> Judgement {
        let (side, limit) = self.rule.limit();
        let values: Vec<(String, Option<f64>)> = self.rule.values(results);
        let missing: Vec<&str> = values
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(column, _)| column.as_str())
            .collect();
        let known = values
            .iter()
            .filter_map(|(column, value)| Some((column, (*value)?)));
        let worst = known.reduce(|left, right| {
            let right_is_worse = match side {
                Side::AtMost => right.1 > left.1,
                Side::AtLeast => right.1 < left.1,
            };
            if right_is_worse { right } else { left }
        });
        let (verdict, detail) = worst.map_or_else(
            || (Verdict::Unknown, "not measured".to_owned()),
            |(column, value)| verdict(side, limit, column, value, &missing),
        );
        Judgement {
            text: self.text.clone(),
            verdict,
            detail,
        }
    }
}

fn verdict(
    side: Side,
    limit: f64,
    column: &str,
    value: f64,
    missing: &[&str],
) -> (Verdict, String) {
    let (met, sign) = match side {
        Side::AtMost => (value <= limit + ROUNDING * limit.abs(), "≤"),
        Side::AtLeast => (value >= limit - ROUNDING * limit.abs(), "≥"),
    };
    let shown = format!(
        "worst {} at {column} ({sign} {})",
        short(value),
        short(limit)
    );
    let not_all = format!("{shown}; not measured: {}", missing.join(", "));
    if !met {
        let off = value - limit;
        let relative = if limit.abs() > f64::EPSILON {
            format!(" ({:+.1} %)", off / limit.abs() * 100.0)
        } else {
            String::new()
        };
        let text = format!("{shown}; off by {}{relative}", short(off));
        return (Verdict::Missed, text);
    }
    if missing.is_empty() {
        (Verdict::Met, shown)
    } else {
        (Verdict::Unknown, not_all)
    }
}

/// A number with as many digits as people want to read.
fn short(value: f64) -> String {
    match value.abs() {
        magnitude if magnitude >= 100.0 => format!("{value:.0}"),
        magnitude if magnitude >= 10.0 => format!("{value:.1}"),
        magnitude if magnitude >= 0.1 || magnitude == 0.0 => format!("{value:.3}"),
        _ => format!("{value:.5}"),
    }
}

impl Rule {
    fn limit(&self) -> (Side, f64) {
        match self {
            Self::Bound { side, limit, .. }
            | Self::Ratio { side, limit, .. }
            | Self::Share { side, limit, .. } => (*side, *limit),
            Self::Saves { limit, .. } | Self::Least { limit, .. } | Self::Totals { limit, .. } => {
                (Side::AtLeast, *limit)
            }
            Self::Flat { limit, .. } => (Side::AtMost, *limit),
        }
    }

    /// The value of every column, where there is one.
    fn values(&self, results: &Results<'_>) -> Vec<(String, Option<f64>)> {
        let mean = |row: &str, column: &str, measure| results.mean(row, column, measure);
        let each = |columns: &[String], value: &dyn Fn(&str) -> Option<f64>| {
            let values = columns.iter().map(|column| (column.clone(), value(column)));
            values.collect::<Vec<_>>()
        };
        match self {
            Self::Bound {
                row,
                columns,
                measure,
                ..
            } => each(columns, &|column| mean(row, column, measure)),
            Self::Least {
                row,
                columns,
                measure,
                ..
            } => each(columns, &|column| {
                results.stat(row, column, measure).map(|stat| stat.least)
            }),
            Self::Ratio {
                row,
                by,
                columns,
                measure,
                ..
            } => each(columns, &|column| {
                quotient(mean(row, column, measure)?, mean(by, column, measure)?)
            }),
            Self::Share {
                row,
                columns,
                measure,
                by,
                ..
            } => each(columns, &|column| {
                quotient(mean(row, column, measure)?, mean(row, column, by)?)
            }),
            Self::Saves {
                row,
                from,
                columns,
                measure,
                ..
            } => each(columns, &|column| {
                Some(mean(from, column, measure)? - mean(row, column, measure)?)
            }),
            Self::Totals {
                row,
                column,
                prefix,
                ..
            } => {
                let totals = results.totals(row, column, prefix).into_iter();
                totals
                    .map(|(name, sum)| (name.to_owned(), Some(sum)))
                    .collect()
            }
            Self::Flat {
                row,
                columns,
                measure,
                ..
            } => {
                let values = each(columns, &|column| mean(row, column, measure));
                flatness(values)
            }
        }
    }
}

/// `left / right`; nothing by nothing is one.
fn quotient(left: f64, right: f64) -> Option<f64> {
    if right.abs() > f64::EPSILON {
        Some(left / right)
    } else {
        (left.abs() <= f64::EPSILON).then_some(1.0)
    }
}

/// How far each value is from the mean of all, relative to the mean.
fn flatness(values: Vec<(String, Option<f64>)>) -> Vec<(String, Option<f64>)> {
    let known: Vec<f64> = values.iter().filter_map(|(_, value)| *value).collect();
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    let off = |value: f64| (value / mean - 1.0).abs();
    values
        .into_iter()
        .map(|(column, value)| (column, value.filter(|_| mean > 0.0).map(off)))
        .collect()
}
