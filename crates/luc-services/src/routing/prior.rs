//! Where a request goes before any handler has looked at it: by the records that its path names.

use luc_api::compute::ComputeOp;
use luc_api::image::ImageOp;
use luc_api::{ApiError, Endpoint, Operation, Service, Verb};
use luc_core::{SitePrefix, Uuid};

use super::{Arrival, names, numbers};
use crate::Services;
use crate::caller::Caller;
use crate::identity::residency::outside;

/// The site to which a request goes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The site.
    pub(crate) site: SitePrefix,
    /// Whether it is only known that the record was born there.
    pub(crate) by_birth: bool,
    /// A number in the path that the site counts otherwise, and how.
    pub(crate) number: Option<(u64, u64)>,
}

/// Reads that only the home of the record can answer, for what they show is not in the store.
const AT_HOME: [Operation; 2] = [
    Operation::Compute(ComputeOp::ShowServerDiagnostics),
    Operation::Image(ImageOp::DownloadData),
];

/// Whether a row reads, and can be answered from a copy.
fn reads_copies(row: &Endpoint) -> bool {
    matches!(row.verb, Verb::Get | Verb::Head) && !AT_HOME.contains(&row.operation)
}

/// Where to send a request for one of `rows` at once; nowhere if its handler decides here.
pub(crate) fn destination(
    services: &Services,
    service: Service,
    rows: &[&'static Endpoint],
    params: &[(&'static str, String)],
    arrival: &Arrival,
) -> Option<Destination> {
    if arrival.alone || params.is_empty() {
        return None;
    }
    let snapshot = services.store.snapshot();
    let mut homes = Vec::new();
    for (name, id) in params {
        if numbers::is_number(service, name)
            && let Some((site, there)) =
                numbers::foreign(services, id).or_else(|| numbers::moved(&snapshot, name, id))
        {
            let number = id.parse().ok().map(|here| (here, there));
            return Some(Destination {
                site,
                by_birth: false,
                number,
            });
        }
        let finders = names::finders(service, name);
        match finders.iter().find_map(|find| find(&snapshot, id)) {
            Some(home) => homes.push(home),
            None if finders.is_empty() => {}
            None => {
                if let Some(site) = foreign_birth(services, id) {
                    return Some(Destination {
                        site,
                        by_birth: true,
                        number: None,
                    });
                }
            }
        }
    }
    let site = *homes.first()?;
    let elsewhere = site != services.site && homes.iter().all(|home| *home == site);
    (elsewhere && !rows.iter().any(|row| reads_copies(row))).then_some(Destination {
        site,
        by_birth: false,
        number: None,
    })
}

/// Where to send a request of a project that may not live here, for there is no copy to answer it
/// from: the nearest of the sites where it may. Not what makes something: that is refused by name.
pub(crate) fn resident(
    services: &Services,
    rows: &[&'static Endpoint],
    (params, caller): (&[(&'static str, String)], Option<&Caller>),
    arrival: &Arrival,
) -> Result<Option<Destination>, ApiError> {
    let named = |row: &&Endpoint| row.service() == Service::Image && !params.is_empty();
    let asks = |row: &&Endpoint| {
        let reads = matches!(row.verb, Verb::Get | Verb::Head);
        row.service() != Service::Identity && (reads || named(row))
    };
    let project = caller.and_then(Caller::project_id);
    let project = project.filter(|_| !arrival.alone && rows.iter().all(asks));
    let Some(rule) = project.and_then(|project| outside(services, project.as_str())) else {
        return Ok(None);
    };
    let site = rule.nearest(services).ok_or_else(|| {
        let site = rule.sites.join(", ");
        ApiError::SiteUnreachable { site }
    })?;
    Ok(Some(Destination {
        site,
        by_birth: false,
        number: None,
    }))
}

/// The other site of this cloud at which `id` was born.
pub(crate) fn foreign_birth(services: &Services, id: &str) -> Option<SitePrefix> {
    let birth = Uuid::parse(id).ok()?.birth_site()?;
    let other = birth != services.site;
    (other && services.sites.all().iter().any(|view| view.site == birth)).then_some(birth)
}

/// The homes of the records that a path names, as far as they are held here.
pub(crate) fn homes(
    services: &Services,
    service: Service,
    params: &[(&'static str, String)],
) -> Vec<SitePrefix> {
    let snapshot = services.store.snapshot();
    let found = params.iter().filter_map(|(name, id)| {
        let finders = names::finders(service, name);
        finders.iter().find_map(|find| find(&snapshot, id))
    });
    found.collect()
}
