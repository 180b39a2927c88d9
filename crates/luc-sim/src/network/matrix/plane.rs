//! A generated network: sites on a plane, access links, noise, detours.
//!
//! The round trip between sites i ≠ j is
//!
//! ```text
//! (|p_i - p_j| + a_i + a_j) · e^(σ z_ij) · d_ij
//! ```
//!
//! with p uniform in a square, a (the access link, Dabek's height) exponential, z_ij standard
//! normal, drawn once for each pair (what routing makes of geography), and d_ij = 1 except for a
//! share of detours, where it is uniform in 1.5–3: almost surely a triangle violation, because two
//! straight ways around are shorter. Everything is a function of the seed.

use luc_core::entropy::SplitMix64;
use luc_core::time::Duration;

use super::draw;
use super::{MatrixError, check_size, micros};
use crate::network::round_trips::RoundTrips;
use crate::scenario::Synthetic;

/// How long a detour is at the least and at the most, in straight ways.
const DETOUR: (f64, f64) = (1.5, 3.0);

/// What a network is generated from. Lengths are round trips.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plane {
    /// Between two nodes of one site.
    pub within: Duration,
    /// The side of the square.
    pub extent: Duration,
    /// The mean access link of a site.
    pub access: Duration,
    /// The mean access link of each node on top of its site's.
    pub node_access: Duration,
    /// σ of the log-normal factor.
    pub noise: f64,
    /// The share of pairs that are detours, 0 to 1.
    pub detours: f64,
}

impl Plane {
    /// The 1 740 hosts of experiment B13: as many as in Dabek's King data set, and with a square
    /// and access links that give round trips like theirs (mean about 150 ms).
    pub const B13: Self = Self {
        within: Duration::from_millis(1),
        extent: Duration::from_millis(200),
        access: Duration::from_millis(20),
        node_access: Duration::ZERO,
        noise: 0.15,
        detours: 0.05,
    };

    /// How many nodes [`Self::B13`] is meant for.
    pub const B13_NODES: usize = 1_740;

    /// The plane of a scenario.
    pub fn of(synthetic: &Synthetic) -> Self {
        Self {
            within: synthetic.within,
            extent: synthetic.extent,
            access: synthetic.access,
            node_access: Duration::ZERO,
            noise: synthetic.noise,
            detours: synthetic.detours.0 / 100.0,
        }
    }

    /// Draws the network.
    pub fn round_trips(
        &self,
        sites: usize,
        nodes_per_site: usize,
        seed: u64,
    ) -> Result<RoundTrips, MatrixError> {
        check_size(sites, nodes_per_site)?;
        let mut entropy = SplitMix64::new(seed);
        let places: Vec<Site> = (0..sites).map(|_| self.site(&mut entropy)).collect();
        let within = micros(self.within, 1, 1)?;
        let mut between = vec![within; sites * sites];
        for left in 0..sites {
            for right in left + 1..sites {
                let rtt = self.between(&places[left], &places[right], &mut entropy);
                let rtt = micros(rtt, left + 1, right + 1)?;
                between[left * sites + right] = rtt;
                between[right * sites + left] = rtt;
            }
        }
        Ok(RoundTrips::Sites {
            sites: sites as u16,
            micros: between,
            access_micros: self.links(sites * nodes_per_site, &mut entropy)?,
        })
    }

    fn site(&self, entropy: &mut SplitMix64) -> Site {
        let extent = self.extent.as_secs_f64();
        Site {
            x: draw::uniform(entropy) * extent,
            y: draw::uniform(entropy) * extent,
            access: draw::exponential(entropy) * self.access.as_secs_f64(),
        }
    }

    fn between(&self, left: &Site, right: &Site, entropy: &mut SplitMix64) -> Duration {
        let straight = (left.x - right.x).hypot(left.y - right.y);
        let mut rtt = straight + left.access + right.access;
        rtt *= draw::log_normal(entropy, self.noise);
        if draw::uniform(entropy) < self.detours {
            rtt *= DETOUR.0 + (DETOUR.1 - DETOUR.0) * draw::uniform(entropy);
        }
        // Two sites on one spot are still two sites.
        Duration::from_secs_f64(rtt).max(self.within)
    }

    fn links(&self, nodes: usize, entropy: &mut SplitMix64) -> Result<Vec<u32>, MatrixError> {
        if self.node_access.is_zero() {
            return Ok(Vec::new());
        }
        let mean = self.node_access.as_secs_f64();
        let link = |at| {
            let link = Duration::from_secs_f64(draw::exponential(entropy) * mean);
            micros(link.max(Duration::from_micros(1)), at + 1, at + 1)
        };
        (0..nodes).map(link).collect()
    }
}

struct Site {
    x: f64,
    y: f64,
    access: f64,
}
