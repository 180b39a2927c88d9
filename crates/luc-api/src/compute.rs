//! The compute service's wire: its rows of the endpoint table and its request bodies.

pub mod aggregate;
pub mod flavor;
pub mod keypair;
pub mod parameter;
pub mod quota;
pub mod reference;
pub mod server_action;
pub mod server_attachment;
pub mod server_create;
pub mod server_group;
pub mod server_update;
pub mod service;
mod table;

pub use table::{ComputeOp, ENDPOINTS};
