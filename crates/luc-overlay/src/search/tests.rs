//! Searches on a small simulated network.

pub(crate) mod net;

mod oracle;
mod random;
mod recall;
mod ring;
mod spiral;
