//! Experiments that need no scheduler: each answers one question of the benchmark list.

pub mod coordinates;
pub mod overlays;
pub mod recall;
