//! Servers: virtual machines, as the API knows them.
//!
//! [`state`] says what a server is, [`action`] what may be done to it and when, [`outcome`] what
//! becomes of it when its host has done it, or could not. These three are pure. The rest are the
//! handlers of the endpoints, one file per group of them, and the [`view`] that they answer with.

mod access;
pub mod action;
pub(in crate::compute) mod attachment;
pub(in crate::compute) mod console;
pub(in crate::compute) mod create;
mod field;
mod filter;
#[cfg(test)]
pub(in crate::compute) mod fixture;
pub(in crate::compute) mod history;
pub(in crate::compute) mod instance_actions;
pub(in crate::compute) mod list;
pub(in crate::compute) mod metadata;
mod order;
pub mod outcome;
pub(in crate::compute) mod password;
mod placement;
mod plan;
pub(in crate::compute) mod power;
mod references;
pub(in crate::compute) mod removal;
pub(in crate::compute) mod resize;
pub(in crate::compute) mod show;
#[cfg(test)]
mod speed;
pub mod state;
mod view;
