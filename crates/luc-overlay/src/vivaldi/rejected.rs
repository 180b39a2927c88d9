//! What is not believed: values that no honest peer sends and no honest clock measures.

use luc_core::time::Duration;
use thiserror::Error;

use super::config::Config;
use crate::coordinate::Coordinate;

/// Why a sample or a kept coordinate was not used. Nothing was changed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Rejected {
    /// A part of the coordinate is infinite or not a number.
    #[error("a part of the coordinate is not a finite number")]
    NotFinite,
    /// The place is further from the origin than any round trip reaches.
    #[error("the coordinate is out of range")]
    OutOfRange,
    /// The height is negative or longer than any round trip.
    #[error("the height of the coordinate is negative or out of range")]
    Height,
    /// The error is negative.
    #[error("the error of the coordinate is negative")]
    Error,
    /// The round trip is zero or longer than any is believed to be.
    #[error("the round trip is zero or out of range")]
    RoundTrip,
}

/// Whether a coordinate from elsewhere may be computed with.
pub(super) fn check_coordinate(theirs: &Coordinate, config: &Config) -> Result<(), Rejected> {
    let scalars = [theirs.height, theirs.adjustment, theirs.error];
    if !theirs
        .vector
        .iter()
        .chain(&scalars)
        .all(|part| part.is_finite())
    {
        return Err(Rejected::NotFinite);
    }
    let greatest = config.rtt_max.as_secs_f32();
    if !(0.0..=greatest).contains(&theirs.height) {
        return Err(Rejected::Height);
    }
    if theirs.error < 0.0 {
        return Err(Rejected::Error);
    }
    let out = |part: &f32| part.abs() > greatest;
    if theirs.vector.iter().any(out) || out(&theirs.adjustment) {
        return Err(Rejected::OutOfRange);
    }
    Ok(())
}

/// Whether a measured round trip may be computed with.
pub(super) fn check_round_trip(rtt: Duration, config: &Config) -> Result<(), Rejected> {
    if rtt.is_zero() || rtt > config.rtt_max {
        return Err(Rejected::RoundTrip);
    }
    Ok(())
}
