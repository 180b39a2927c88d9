//! From a benchmark's plots and results to charts and maps.

use crate::sweep::{Plot, Results};

use super::chart::{Chart, Series};
use super::html::Html;
use super::map;

pub(super) fn write(html: &mut Html, plot: &Plot, results: &Results<'_>) {
    match plot {
        Plot::Against {
            title,
            across,
            measure,
            factor,
            rows,
            published,
        } => {
            let mut series: Vec<Series> = rows
                .iter()
                .map(|row| Series {
                    name: row.clone(),
                    dashed: false,
                    points: results
                        .columns(row)
                        .filter_map(|column| {
                            let value = results.mean(row, column, measure)?;
                            Some([column.parse().ok()?, value * factor])
                        })
                        .collect(),
                })
                .collect();
            let columns = numeric_columns(rows, results);
            series.extend(published.iter().map(|published| {
                Series {
                    name: format!("published: {} ({})", published.label, published.source),
                    dashed: true,
                    points: columns
                        .iter()
                        .zip(&published.values)
                        .filter_map(|(column, value)| Some([*column, (*value)?]))
                        .collect(),
                }
            }));
            Chart::new(title, across, series).write(html);
        }
        Plot::Curve {
            title,
            across,
            curve,
            rows,
            column,
        } => {
            let series = rows
                .iter()
                .map(|row| Series {
                    name: row.clone(),
                    dashed: false,
                    points: results.curve(row, column, curve),
                })
                .collect();
            Chart::new(title, across, series).write(html);
        }
        Plot::Map {
            title,
            row,
            column,
            sites,
        } => {
            if let Some(record) = results.records(row, column).first() {
                map::write(html, title, &record.points, sites);
            }
        }
    }
}

/// The columns of all rows that are numbers, in order, each once.
fn numeric_columns(rows: &[String], results: &Results<'_>) -> Vec<f64> {
    let mut columns: Vec<f64> = rows
        .iter()
        .flat_map(|row| results.columns(row))
        .filter_map(|column| column.parse().ok())
        .collect();
    columns.sort_by(f64::total_cmp);
    columns.dedup();
    columns
}
