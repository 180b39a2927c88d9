//! The round-trip times of the four Grid'5000 sites of the published locality experiment
//! (Pastor et al., Euro-Par'14): Grenoble, Luxembourg, Nancy, Rennes.

use crate::network::round_trips::RoundTrips;
use crate::scenario::GRID5000;

/// How many sites there are.
pub const SITES: usize = GRID5000.len();

/// How many nodes per site the published experiment had.
pub const NODES_PER_SITE: usize = 10;

/// The four sites.
pub fn round_trips() -> RoundTrips {
    RoundTrips::Sites {
        sites: SITES as u16,
        micros: GRID5000
            .iter()
            .flatten()
            .map(|micros| *micros as u32)
            .collect(),
        access_micros: Vec::new(),
    }
}
