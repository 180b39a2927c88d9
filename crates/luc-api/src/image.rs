//! The image service's wire: its rows of the endpoint table and its request bodies.

mod table;

pub use table::{ENDPOINTS, ImageOp};
