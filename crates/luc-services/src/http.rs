//! From HTTP to handlers and back: routing, authentication, version negotiation, faults.
//!
//! ```text
//! path ─▶ service ─▶ row(s) of the endpoint table ─▶ token ─▶ microversion ─▶ body, action
//!      ─▶ handler (must authorize) ─▶ reply ─▶ request id, version headers
//! ```
//!
//! Every refusal on the way is an [`ApiError`] that is rendered in the service's own form. A panic
//! in a handler answers that one request with 500 and leaves the node running.

mod dispatch;
mod route;

pub use dispatch::respond;
pub use route::Routes;
