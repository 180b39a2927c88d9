//! The compute service's wire: its rows of the endpoint table and its request bodies.

pub mod parameter;
pub mod reference;
pub mod server_action;
pub mod server_attachment;
pub mod server_create;
pub mod server_update;
mod table;

pub use table::{ComputeOp, ENDPOINTS};
