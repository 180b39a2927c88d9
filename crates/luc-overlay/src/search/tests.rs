//! Searches on a small simulated network.

pub(crate) mod net;

mod recall;
mod ring;
