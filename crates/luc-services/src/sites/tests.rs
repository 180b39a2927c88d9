//! Joining and leaving, by the functions themselves: three sites, each with a store of its own.

mod hostile;
mod joining;
mod leaving;
mod world;
