//! The composition root: plugs services, store, engines and agents into one program.
//!
//! `node` is what a server runs; `up` a whole development cloud in one process; `demo` the main
//! job, shown. Nothing here decides what an API call means or what a host does: adapters
//! ([`agents`], [`remote`], [`drivers`]) join the ports of the crates below.

pub mod agents;
pub mod brains;
pub mod cli;
pub mod client;
pub mod cloud;
pub mod clouds;
pub mod config;
mod console;
pub mod control;
pub mod demo;
pub mod drivers;
pub mod fabrics;
pub mod host;
pub mod identity;
pub mod image;
pub mod join;
pub mod many;
pub mod metrics;
pub mod node;
pub mod operate;
pub mod operate_args;
pub mod outpost;
pub mod peering;
pub mod reached;
pub mod readiness;
pub mod remote;
pub mod run;
pub mod sampler;
pub mod server;
pub mod signals;
pub mod sim;
pub mod sites;
pub mod steps;
pub mod stock;
pub mod up;
