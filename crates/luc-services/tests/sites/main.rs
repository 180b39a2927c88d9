//! Several sites in one process, each with its own services, linked by a network that loses what a
//! test tells it to lose: which site carries out what, once, and what clients hear of it.

mod aggregates;
mod answer;
mod gathered;
mod lent;
mod once;
mod placed;
mod routed;
mod world;
