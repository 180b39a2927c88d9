//! Measured round-trip times from a file: CSV or JSON, milliseconds, one row per node or site.
//!
//! CSV: numbers separated by commas, one row per line; empty lines and lines that begin with `#`
//! are skipped. JSON: an array of rows. The table is square and symmetric; the diagonal is the
//! round trip inside a site. This module reads text; who opens the file adds its name.

use luc_core::time::Duration;
use thiserror::Error;

use super::{MatrixError, table};
use crate::network::round_trips::RoundTrips;

/// Why a text is no matrix.
#[derive(Debug, Error)]
pub enum ReadError {
    /// A value is not a number of milliseconds.
    #[error("line {line}, value {column}: {text:?} is not a number of milliseconds")]
    Value {
        /// The line, counted from 1.
        line: usize,
        /// The value in its line, counted from 1.
        column: usize,
        /// What stands there.
        text: String,
    },
    /// A line has another number of values than the first one.
    #[error("line {line}: {values} values, but {expected} in the first row")]
    Ragged {
        /// The line, counted from 1.
        line: usize,
        /// How many values it has.
        values: usize,
        /// How many the first row has.
        expected: usize,
    },
    /// The numbers are there but make no matrix.
    #[error("line {line}: the table of round trips is not one")]
    Table {
        /// The line of the row that is wrong, or the last one.
        line: usize,
        /// What is wrong.
        source: MatrixError,
    },
    /// The text is not an array of arrays of numbers.
    #[error("line {line}, column {column}: not an array of rows of numbers of milliseconds")]
    Json {
        /// The line, counted from 1.
        line: usize,
        /// The character in its line.
        column: usize,
        /// What the parser says.
        source: serde_json::Error,
    },
}

/// A row with the line it stood on.
struct Row {
    line: usize,
    values: Vec<Duration>,
}

/// Reads comma-separated milliseconds.
pub fn csv(text: &str) -> Result<RoundTrips, ReadError> {
    let mut rows: Vec<Row> = Vec::new();
    for (at, content) in text.lines().enumerate() {
        let content = content.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let line = at + 1;
        let values = content
            .split(',')
            .enumerate()
            .map(|(column, value)| millis(value.trim(), line, column + 1))
            .collect::<Result<Vec<_>, _>>()?;
        rows.push(Row { line, values });
    }
    matrix(rows)
}

/// Reads a JSON array of rows of milliseconds.
pub fn json(text: &str) -> Result<RoundTrips, ReadError> {
    let parsed: Vec<Vec<f64>> = serde_json::from_str(text).map_err(|source| ReadError::Json {
        line: source.line(),
        column: source.column(),
        source,
    })?;
    let mut rows = Vec::with_capacity(parsed.len());
    for (at, numbers) in parsed.into_iter().enumerate() {
        // The parser keeps no lines; a row per line is how such files are written.
        let line = at + 1;
        let values = numbers
            .into_iter()
            .enumerate()
            .map(|(column, number)| millis(&number.to_string(), line, column + 1))
            .collect::<Result<Vec<_>, _>>()?;
        rows.push(Row { line, values });
    }
    matrix(rows)
}

fn millis(text: &str, line: usize, column: usize) -> Result<Duration, ReadError> {
    let wrong = || ReadError::Value {
        line,
        column,
        text: text.to_owned(),
    };
    let millis: f64 = text.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(millis / 1e3).map_err(|_| wrong())
}

fn matrix(rows: Vec<Row>) -> Result<RoundTrips, ReadError> {
    let expected = rows.first().map_or(0, |row| row.values.len());
    for row in &rows {
        if row.values.len() != expected {
            return Err(ReadError::Ragged {
                line: row.line,
                values: row.values.len(),
                expected,
            });
        }
    }
    let lines: Vec<usize> = rows.iter().map(|row| row.line).collect();
    let values: Vec<Vec<Duration>> = rows.into_iter().map(|row| row.values).collect();
    table(&values).map_err(|source| {
        let row = match source {
            MatrixError::Row { row, .. }
            | MatrixError::Asymmetric { row, .. }
            | MatrixError::Range { row, .. } => row,
            MatrixError::Empty | MatrixError::TooManySites { .. } | MatrixError::Size { .. } => {
                lines.len()
            }
        };
        let line = lines.get(row.saturating_sub(1)).copied().unwrap_or(1);
        ReadError::Table { line, source }
    })
}
