//! Where round-trip times come from: the published sites, a generated plane, a file, a scenario.
//!
//! Everything here makes [`RoundTrips`] and is called once, before a run: by whoever builds a
//! simulated network, and by the coordinate experiment. A table is kept between sites: 100 000
//! nodes at 3 125 sites take 40 MB, not 40 GB. A flat network of single nodes is one with a node
//! per site.

pub mod draw;
pub mod plane;
pub mod published;
pub mod read;

use luc_core::time::Duration;
use thiserror::Error;

use super::round_trips::RoundTrips;
use crate::scenario::{Distances, Topology};

/// More sites than this would make the table between them larger than 256 MB.
const SITES_MAX: usize = 8_192;

/// Longer round trips than this are on no network of this planet.
const RTT_MAX: Duration = Duration::from_secs(4);

/// Why a table of round trips could not be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MatrixError {
    /// There is nobody.
    #[error("a network needs at least one site and one node per site")]
    Empty,
    /// More sites than a table is kept for.
    #[error("{sites} sites are more than the {SITES_MAX} that a table of round trips is kept for")]
    TooManySites {
        /// How many were asked for.
        sites: usize,
    },
    /// The table is not as large as the number of sites says.
    #[error("the table of round trips has {rows} rows for {sites} sites")]
    Size {
        /// Rows of the table.
        rows: usize,
        /// Sites of the topology.
        sites: usize,
    },
    /// A row is too short or too long.
    #[error("row {row} of the table of round trips has {values} values instead of {sites}")]
    Row {
        /// Which row, counted from 1.
        row: usize,
        /// Its length.
        values: usize,
        /// The length it needs.
        sites: usize,
    },
    /// The way there and back differs.
    #[error("the round trips {row} to {column} and {column} to {row} differ")]
    Asymmetric {
        /// One site, counted from 1.
        row: usize,
        /// The other.
        column: usize,
    },
    /// A round trip of zero, or one that no network has.
    #[error("the round trip {row} to {column} must be at least 1 µs and at most 4 s")]
    Range {
        /// One site, counted from 1.
        row: usize,
        /// The other.
        column: usize,
    },
}

/// The round trips of a scenario. What is drawn is drawn from `seed`.
pub fn of(topology: &Topology, seed: u64) -> Result<RoundTrips, MatrixError> {
    let sites = topology.sites as usize;
    let nodes_per_site = topology.nodes_per_site as usize;
    check_size(sites, nodes_per_site)?;
    let fits = |rows: usize| {
        if rows == sites {
            return Ok(());
        }
        Err(MatrixError::Size { rows, sites })
    };
    match &topology.rtt {
        Distances::Uniform(uniform) => {
            micros(uniform.within, 1, 1)?;
            micros(uniform.between, 1, 2)?;
            Ok(RoundTrips::sites(
                sites as u16,
                uniform.within,
                uniform.between,
            ))
        }
        Distances::Grid5000 => {
            fits(published::SITES)?;
            Ok(published::round_trips())
        }
        Distances::Matrix(rows) => {
            fits(rows.len())?;
            let row = |row: &Vec<_>| row.iter().map(|rtt: &crate::scenario::Rtt| rtt.0).collect();
            let rows: Vec<Vec<Duration>> = rows.iter().map(row).collect();
            table(&rows)
        }
        Distances::Synthetic(synthetic) => {
            plane::Plane::of(synthetic).round_trips(sites, nodes_per_site, seed)
        }
    }
}

/// A square table, one row per site; the diagonal is inside the site.
pub fn table(rows: &[Vec<Duration>]) -> Result<RoundTrips, MatrixError> {
    let sites = rows.len();
    check_size(sites, 1)?;
    let mut times = Vec::with_capacity(sites * sites);
    for (at, row) in rows.iter().enumerate() {
        if row.len() != sites {
            return Err(MatrixError::Row {
                row: at + 1,
                values: row.len(),
                sites,
            });
        }
        for (column, rtt) in row.iter().enumerate() {
            if rows.get(column).and_then(|other| other.get(at)) != Some(rtt) {
                return Err(MatrixError::Asymmetric {
                    row: at + 1,
                    column: column + 1,
                });
            }
            times.push(micros(*rtt, at + 1, column + 1)?);
        }
    }
    Ok(RoundTrips::Sites {
        sites: sites as u16,
        micros: times,
        access_micros: Vec::new(),
    })
}

fn check_size(sites: usize, nodes_per_site: usize) -> Result<(), MatrixError> {
    if sites == 0 || nodes_per_site == 0 {
        return Err(MatrixError::Empty);
    }
    if sites > SITES_MAX {
        return Err(MatrixError::TooManySites { sites });
    }
    Ok(())
}

/// A round trip as the table keeps it.
fn micros(rtt: Duration, row: usize, column: usize) -> Result<u32, MatrixError> {
    match u32::try_from(rtt.as_micros()) {
        Ok(micros) if micros > 0 && rtt <= RTT_MAX => Ok(micros),
        _ => Err(MatrixError::Range { row, column }),
    }
}

#[cfg(test)]
mod tests;
