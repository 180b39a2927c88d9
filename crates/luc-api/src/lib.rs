//! The OpenStack wire: what may be asked, by whom, in which form, and how a refusal looks.
//!
//! Everything here is data and pure functions: the [`endpoint`] table (method, path, microversion
//! range, policy rule, body type of every operation), [`version`] negotiation, strict [`body`]
//! parsing that names the offending member, one HTTP-agnostic [`fault::ApiError`] that is rendered
//! in each service's own form, [`discovery`] documents, and the [`policy`] evaluator with the
//! upstream default rules. It holds no socket, no state and no meaning: what an operation *does*
//! stands in `luc-services`, which routes and authorizes from this table.

pub mod body;
pub mod compute;
pub mod discovery;
pub mod endpoint;
pub mod fault;
pub mod identity;
pub mod image;
pub mod paging;
pub mod policy;
pub mod query;
pub mod service;
pub mod value;
pub mod version;

pub use body::{InvalidField, RequestBody};
pub use endpoint::{Endpoint, Operation, Verb};
pub use fault::ApiError;
pub use service::Service;
pub use version::{Microversion, VersionRange};
