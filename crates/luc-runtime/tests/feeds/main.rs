//! Feeds between sites over the fabric in memory, with paused time: what a site holds of another,
//! how soon, through splits, crashes and long absences, and what it costs on the wire.

mod cost;
mod faults;
mod following;
mod forged;
mod world;
