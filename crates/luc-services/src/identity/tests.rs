//! The identity service over a store in memory, asked through HTTP as callers do.

pub(crate) mod cloud;
mod edges;
mod founding;
mod ownership;
mod revocation;
mod roles;
mod rotation;
mod sites;
mod speed;
