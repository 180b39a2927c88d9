//! The identity service's wire: its rows of the endpoint table and its request bodies.

pub mod requests;
mod table;

pub use table::{ENDPOINTS, IdentityOp};
