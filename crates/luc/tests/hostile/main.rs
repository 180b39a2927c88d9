//! Attacks on running nodes, end to end: strangers, clients, a captured node, a captured site.
//! Each is refused and changes nothing; what is logged of it is bounded.
//!
//! What a single rule refuses is tested where the rule is: feeds in `luc-state`, tickets and keys
//! in `luc-services`, frames in `luc-runtime`.

mod claims;
mod clients;
mod clocks;
mod edges;
mod nodes;
mod strangers;
mod world;
