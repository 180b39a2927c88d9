//! The constants of the coordinate system, with where each comes from.

use luc_core::time::Duration;
use serde::{Deserialize, Serialize};

/// How a node learns its coordinate. The default is what the product runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The error of a node that knows nothing, and the greatest one (Serf: 1.5).
    pub error_max: f64,
    /// The least error: a peer that claims to be infallible would otherwise drag others at will.
    pub error_min: f64,
    /// How much one sample may change the own error (Dabek 2004: 0.25).
    pub ce: f64,
    /// How much of what is missing one sample may move the node (Dabek 2004: 0.25).
    pub cc: f64,
    /// The own error up to which a node predicts precisely. A node that is settled and still worse
    /// is in a network that scatters: only there do the four rules below hold.
    pub precise: f64,
    /// After so many samples without losing its place a node has settled; from then on its steps
    /// fall with the number of samples, so that noise averages out.
    pub patience: u16,
    /// How much of the step is left at the least.
    pub noisy_share: f64,
    /// How many times the two nodes' errors a sample may be off before the rest is cut: detours
    /// and pauses pull no harder than that.
    pub outlier: f64,
    /// The least share of a step that a settled node's height takes. 1 is the gradient; Serf's rule
    /// leaves short access links to the spare dimensions, which makes near nodes look far.
    pub height_share: f64,
    /// Long round trips are wrong by more milliseconds than short ones, so that they count less,
    /// down to this share; 1 counts all alike.
    pub far_share: f64,
    /// How many samples the adjustment looks back; 0 switches it off (Serf: 20).
    pub adjustment_window: u8,
    /// The least height in seconds (Serf: 10 µs).
    pub height_min: f64,
    /// How many samples of one peer the moving median covers, at most 3; 1 switches it off
    /// (Serf: 3).
    pub latency_filter: u8,
    /// Of how many peers samples are kept for the median; those heard of longest ago go first.
    pub peers_max: u16,
    /// At this distance from the origin, in seconds, gravity pulls by one second per sample; it
    /// grows with the square of the distance (Serf: 150). 0 switches it off.
    pub gravity_rho: f64,
    /// Round trips below this are not told apart when a prediction is judged, in seconds.
    pub wrongness_floor: f64,
    /// So many bad predictions in a row raise the own error to what was seen.
    pub failing_run: u8,
    /// A prediction that is off by less than this share never counts as failing.
    pub failing_least: f64,
    /// The least error after a restart from a kept coordinate.
    pub restored_error: f64,
    /// A drift below this, in seconds, is never published.
    pub moved_absolute: f64,
    /// A drift below this share of the nearest peer's round trip is never published (Ledlie 2007).
    pub moved_relative: f64,
    /// The greatest round trip, and the greatest part of a coordinate, to believe (Serf: 10 s).
    pub rtt_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            error_max: 1.5,
            error_min: 0.001,
            ce: 0.25,
            cc: 0.25,
            precise: 0.05,
            patience: 200,
            noisy_share: 0.04,
            outlier: 0.5,
            height_share: 0.5,
            far_share: 0.1,
            adjustment_window: 20,
            height_min: 10e-6,
            latency_filter: 3,
            peers_max: 64,
            gravity_rho: 150.0,
            wrongness_floor: 1e-6,
            failing_run: 5,
            failing_least: 0.25,
            restored_error: 0.5,
            moved_absolute: 100e-6,
            moved_relative: 0.1,
            rtt_max: Duration::from_secs(10),
        }
    }
}
