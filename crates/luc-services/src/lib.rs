//! What the endpoints mean: identity, image and compute over one store.
//!
//! Handlers parse, call logic, render. A service's `model` holds its stored records, its `views`
//! the JSON of each microversion; neither knows the other's form. What lies outside (hosts, image
//! bytes, clock, randomness) is reached through [`ports`], which `luc` plugs. This crate never
//! imports the agent or an engine.

pub mod caller;
pub mod compute;
pub mod http;
pub mod identity;
pub mod image;
pub mod operations;
pub mod ports;
pub mod reply;
pub mod request;
pub mod routing;
pub mod sites;
pub mod testing;
mod write;

use std::sync::Arc;

use luc_api::policy::Policy;
use luc_core::SitePrefix;
use luc_state::Store;

use crate::ports::sites::Sites;
use crate::ports::{Clock, Observer, Randomness};

/// The services of one node and all they share. Cheap to clone: a request that another site handed
/// on runs on a clone with its own store handle and randomness.
#[derive(Clone)]
pub struct Services {
    /// The site's records.
    pub store: Store,
    /// The site whose prefix stands in every id that is made here.
    pub site: SitePrefix,
    /// The rules in force.
    pub policy: Arc<Policy>,
    /// The routing tree.
    pub routes: Arc<http::Routes>,
    /// The other sites of the cloud.
    pub sites: Arc<dyn Sites>,
    /// Operations between sites.
    pub operations: Arc<operations::Operations>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Random bits fit for secrets.
    pub random: Arc<dyn Randomness>,
    /// Who is told how requests went.
    pub observer: Arc<dyn Observer>,
    /// The identity service's own parts.
    pub identity: Arc<identity::Identity>,
    /// The image service's own parts.
    pub image: Arc<image::Images>,
    /// The compute service's own parts.
    pub compute: Arc<compute::Compute>,
}
