//! The identity service over a store in memory, asked through HTTP as callers do.

mod cloud;
mod founding;
mod revocation;
mod roles;
mod speed;
