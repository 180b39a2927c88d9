//! Round-trip times between nodes: by site, or node by node.
//!
//! A table of sites costs nothing at a hundred thousand nodes; a full table is for measured or
//! generated matrices of some thousand nodes. The generators are in `network::matrix`. Times are
//! in microseconds and symmetric.

use luc_core::time::Duration;
use thiserror::Error;

use crate::index::{NodeIndex, SiteIndex};

/// Round-trip times between all pairs of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoundTrips {
    /// By the sites of the two nodes, plus what each node's own access link adds.
    Sites {
        /// How many sites.
        sites: u16,
        /// Row by row, `sites` × `sites`; the diagonal is the time inside the site.
        micros: Vec<u32>,
        /// What the access link of each node adds; empty if nothing.
        access_micros: Vec<u32>,
    },
    /// Node by node.
    Nodes {
        /// How many nodes.
        nodes: u32,
        /// Row by row, `nodes` × `nodes`; the diagonal is ignored.
        micros: Vec<u32>,
    },
}

/// A table of round-trip times that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RoundTripsError {
    /// Too few or too many entries.
    #[error("{rows} rows need {} round-trip times, not {entries}", rows * rows)]
    Entries {
        /// How many rows there are.
        rows: usize,
        /// How many entries.
        entries: usize,
    },
    /// There and back differ.
    #[error("the round trip between {left} and {right} is {there} µs one way, {back} µs the other")]
    Asymmetric {
        /// One end.
        left: usize,
        /// The other end.
        right: usize,
        /// From left to right.
        there: u32,
        /// From right to left.
        back: u32,
    },
    /// Another number of nodes than the cloud has.
    #[error("the round-trip times are for {given} {what}, the cloud has {wanted}")]
    Size {
        /// Nodes or sites.
        what: &'static str,
        /// How many the table has.
        given: usize,
        /// How many there are.
        wanted: usize,
    },
}

impl RoundTrips {
    /// Every pair of nodes the same time apart.
    pub fn uniform(rtt: Duration) -> Self {
        Self::Sites {
            sites: 1,
            micros: vec![rtt.as_micros() as u32],
            access_micros: Vec::new(),
        }
    }

    /// `sites` sites: `inside` apart inside each, `between` apart otherwise.
    pub fn sites(sites: u16, inside: Duration, between: Duration) -> Self {
        let time = |at: usize| {
            let inside_one = at / usize::from(sites) == at % usize::from(sites);
            (if inside_one { inside } else { between }).as_micros() as u32
        };
        Self::Sites {
            sites,
            micros: (0..usize::from(sites).pow(2)).map(time).collect(),
            access_micros: Vec::new(),
        }
    }

    /// The round-trip time between two nodes at their sites; zero from a node to itself.
    pub fn between(&self, left: (NodeIndex, SiteIndex), right: (NodeIndex, SiteIndex)) -> Duration {
        if left.0 == right.0 {
            return Duration::ZERO;
        }
        let micros = match self {
            Self::Sites {
                sites,
                micros,
                access_micros,
            } => {
                // A table of one row serves any number of sites.
                let row = left.1.at() % usize::from(*sites);
                let column = right.1.at() % usize::from(*sites);
                let access = |node: NodeIndex| access_micros.get(node.at()).copied().unwrap_or(0);
                micros[row * usize::from(*sites) + column] + access(left.0) + access(right.0)
            }
            Self::Nodes { nodes, micros } => micros[left.0.at() * *nodes as usize + right.0.at()],
        };
        Duration::from_micros(u64::from(micros))
    }

    /// Checks the table against a cloud of `nodes` nodes at `sites` sites.
    pub fn check(&self, nodes: usize, sites: usize) -> Result<(), RoundTripsError> {
        let (rows, micros, what, wanted) = match self {
            Self::Sites {
                sites: rows,
                micros,
                ..
            } => {
                let rows = usize::from(*rows);
                (rows, micros, "sites", if rows == 1 { 1 } else { sites })
            }
            Self::Nodes {
                nodes: rows,
                micros,
            } => (*rows as usize, micros, "nodes", nodes),
        };
        if rows * rows != micros.len() {
            let entries = micros.len();
            return Err(RoundTripsError::Entries { rows, entries });
        }
        if rows != wanted {
            let given = rows;
            return Err(RoundTripsError::Size {
                what,
                given,
                wanted,
            });
        }
        for left in 0..rows {
            for right in 0..left {
                let (there, back) = (micros[left * rows + right], micros[right * rows + left]);
                if there != back {
                    return Err(RoundTripsError::Asymmetric {
                        left,
                        right,
                        there,
                        back,
                    });
                }
            }
        }
        if let Self::Sites { access_micros, .. } = self {
            let given = access_micros.len();
            if given != 0 && given != nodes {
                return Err(RoundTripsError::Size {
                    what: "access links",
                    given,
                    wanted: nodes,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_are_near_inside_and_far_outside() {
        let times = RoundTrips::sites(3, Duration::from_micros(200), Duration::from_millis(10));
        let node = |node, site| (NodeIndex(node), SiteIndex(site));
        let between = |left, right| times.between(left, right);
        assert_eq!(between(node(0, 0), node(1, 0)), Duration::from_micros(200));
        assert_eq!(between(node(0, 0), node(9, 2)), Duration::from_millis(10));
        assert_eq!(between(node(4, 1), node(4, 1)), Duration::ZERO);
        assert_eq!(times.check(10, 3), Ok(()));
    }

    #[test]
    fn a_table_of_the_wrong_size_or_shape_is_refused() {
        let times = RoundTrips::sites(3, Duration::from_micros(200), Duration::from_millis(10));
        let size = times.check(10, 4).unwrap_err().to_string();
        assert_eq!(
            size,
            "the round-trip times are for 3 sites, the cloud has 4"
        );
        let lame = RoundTrips::Nodes {
            nodes: 2,
            micros: vec![0, 5, 6, 0],
        };
        assert!(matches!(
            lame.check(2, 1),
            Err(RoundTripsError::Asymmetric { .. })
        ));
        let short = RoundTrips::Nodes {
            nodes: 2,
            micros: vec![0, 5, 5],
        };
        let text = short.check(2, 1).unwrap_err().to_string();
        assert_eq!(text, "2 rows need 4 round-trip times, not 3");
    }
}
