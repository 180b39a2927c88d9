//! Marks on answers that may be old: which sites were silent, and for how long.
//!
//! `Luc-Stale: site=<name>; age=<seconds>`, once for each site that cannot be reached and may own
//! something that the answer shows, or should show. The age is that of this site's own clock.

use http::HeaderName;
use luc_api::compute::ComputeOp;
use luc_api::endpoint::Access;
use luc_api::{Operation, Service};
use luc_core::SitePrefix;

use super::prior;
use crate::Services;
use crate::identity::model::Domain;
use crate::ports::sites::SiteView;
use crate::reply::Reply;
use crate::request::Request;

/// The header.
pub(crate) static STALE: HeaderName = HeaderName::from_static("luc-stale");

/// The other sites that cannot be reached.
pub(crate) fn silent(services: &Services) -> Vec<SiteView> {
    let mut all = services.sites.all();
    all.retain(|view| view.site != services.site && !view.reachable);
    all
}

/// Adds a mark for each of `sites`.
pub(crate) fn mark_for(mut reply: Reply, sites: &[SiteView]) -> Reply {
    for view in sites {
        let value = format!("site={}; age={}", view.name, view.age.as_secs());
        if let Ok(value) = http::HeaderValue::from_str(&value) {
            reply.headers.append(&STALE, value);
        }
    }
    reply
}

/// Marks the answer to a request that reads copies.
pub(crate) fn mark(services: &Services, request: &Request, reply: Reply) -> Reply {
    if request.endpoint.access == Access::Public {
        return reply;
    }
    let mut silent = silent(services);
    if silent.is_empty() {
        return reply;
    }
    let service = request.endpoint.service();
    let named = prior::homes(services, service, &request.params);
    if !named.is_empty() {
        silent.retain(|view| named.contains(&view.site));
    } else if let Some(homes) = homes_of_list(services, service, request.endpoint.operation) {
        silent.retain(|view| homes.contains(&view.site));
    }
    mark_for(reply, &silent)
}

/// The only sites that may own what a list shows; nothing if it may be any.
fn homes_of_list(
    services: &Services,
    service: Service,
    operation: Operation,
) -> Option<Vec<SitePrefix>> {
    let snapshot = services.store.snapshot();
    match operation {
        Operation::Compute(
            ComputeOp::ListFlavors
            | ComputeOp::ListFlavorsDetail
            | ComputeOp::ShowQuotaClass
            | ComputeOp::ListExtensions,
        ) => {
            let default = snapshot.get::<Domain>("default");
            Some(default.iter().map(|domain| domain.home()).collect())
        }
        _ if service == Service::Identity => Some(
            snapshot
                .all::<Domain>()
                .map(|domain| domain.home())
                .collect(),
        ),
        _ => None,
    }
}
