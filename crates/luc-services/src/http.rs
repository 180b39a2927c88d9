//! From HTTP to handlers and back: routing, authentication, version negotiation, faults.
//!
//! ```text
//! path ─▶ service ─▶ row(s) of the endpoint table ─▶ token ─▶ microversion ─▶ body, action
//!      ─▶ handler (must authorize) ─▶ reply ─▶ request id, version headers
//!      └▶ another site ([`crate::routing`]) ─▶ its answer as it is
//! ```
//!
//! Every refusal on the way is an [`ApiError`] that is rendered in the service's own form. A panic
//! in a handler answers that one request with 500 and leaves the node running.

mod answer;
mod body;
mod choice;
mod dispatch;
mod route;

pub(crate) use dispatch::answer as carry_out;
pub use dispatch::respond;
pub use route::Routes;
