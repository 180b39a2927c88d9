//! The image service's wire: its rows of the endpoint table, its request bodies, and the table of
//! image attributes that both the bodies and the schema documents derive from.

pub mod attribute;
pub mod patch;
mod pointer;
pub mod request;
pub mod schema;
mod table;

pub use table::{ENDPOINTS, ImageOp};
