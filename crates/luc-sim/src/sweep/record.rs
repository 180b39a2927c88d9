//! What is kept of one job under one seed: one JSON line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The result of one job under one seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The job's key: what was run.
    pub key: String,
    /// What it was called when it was run, for people who read the file.
    pub label: String,
    /// The seed.
    pub seed: u64,
    /// Numbers by the names of [`super::measure`].
    pub measures: BTreeMap<String, f64>,
    /// Curves by the names of [`super::measure`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub curves: BTreeMap<String, Vec<[f64; 2]>>,
    /// Where the nodes were at the end by their own coordinates, of small clouds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<Point>,
}

/// A node's own coordinate at the end of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Its site, counted from 0.
    pub site: u32,
    /// The Euclidean part, in milliseconds.
    pub vector: Vec<f64>,
}

impl Record {
    /// The records in `text`, one per line. An unfinished last line (of a run that was killed) is
    /// left out; any other wrong line is an error with its number.
    pub fn read_all(text: &str) -> Result<Vec<Self>, RecordError> {
        let mut records = Vec::new();
        let unfinished = !text.is_empty() && !text.ends_with('\n');
        let lines = text.lines().count();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            match serde_json::from_str(line) {
                Ok(record) => records.push(record),
                Err(_) if unfinished && index + 1 == lines => {}
                Err(source) => {
                    return Err(RecordError {
                        line: index + 1,
                        source,
                    });
                }
            }
        }
        Ok(records)
    }
}

/// A line of a file of results is not a record.
#[derive(Debug, thiserror::Error)]
#[error("line {line} is not a result")]
pub struct RecordError {
    /// The line, counted from 1.
    pub line: usize,
    /// Why.
    pub source: serde_json::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_back_and_an_unfinished_last_line_is_left_out() {
        let record = Record {
            key: "k".to_owned(),
            seed: 3,
            ..Record::default()
        };
        let line = serde_json::to_string(&record).expect("it can be written");
        let text = format!("{line}\n\n{line}\n{}", &line[..9]);
        let read = Record::read_all(&text).expect("it can be read");
        assert_eq!(read, [record.clone(), record]);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let error = Record::read_all("{}\nnothing\n{}\n").expect_err("it must be refused");
        assert_eq!(error.line, 1, "a record without a key is none");
    }
}
