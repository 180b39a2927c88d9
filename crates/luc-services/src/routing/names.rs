//! Which parameters of a path name records, and where such a record lives.
//!
//! The one place that knows it. A test walks the endpoint table: a parameter is in the list or is
//! said to name no record.

use luc_api::Service;
use luc_core::SitePrefix;
use luc_state::{Record, Snapshot, key};

use crate::compute::host::Host;
use crate::compute::model::flavor::Flavor;
use crate::compute::model::server::{DeletedServer, Server};
use crate::compute::model::server_group::ServerGroup;
use crate::identity::model::{
    AccessRule, AppCred, CatalogEndpoint, CatalogService, Domain, Group, Project, Region, Role,
    User,
};
use crate::image::model::Image;

/// The home of the record with an id, if this site holds it.
pub(super) type Finder = fn(&Snapshot, &str) -> Option<SitePrefix>;

fn home<R: Record>(snapshot: &Snapshot, id: &str) -> Option<SitePrefix> {
    snapshot.get::<R>(id).map(|record| record.home())
}

fn of_hypervisor(snapshot: &Snapshot, id: &str) -> Option<SitePrefix> {
    let found = snapshot.one(&Host::BY_HYPERVISOR, &key(&[id]));
    found.map(|host| host.home())
}

fn of_compute_service(snapshot: &Snapshot, id: &str) -> Option<SitePrefix> {
    let found = snapshot.one(&Host::BY_SERVICE, &key(&[id]));
    found.map(|host| host.home())
}

/// How the records that a parameter names are found; empty if it names none.
pub(super) fn finders(service: Service, parameter: &str) -> &'static [Finder] {
    match (service, parameter) {
        (_, "server_id") => &[home::<Server>, home::<DeletedServer>],
        (_, "server_group_id") => &[home::<ServerGroup>],
        (_, "image_id") => &[home::<Image>],
        (_, "flavor_id") => &[home::<Flavor>],
        (_, "hypervisor_id") => &[of_hypervisor],
        (Service::Compute, "service_id") => &[of_compute_service],
        (_, "domain_id") => &[home::<Domain>],
        (_, "project_id") => &[home::<Project>],
        (_, "user_id") => &[home::<User>],
        (_, "group_id") => &[home::<Group>],
        (_, "role_id" | "implied_role_id") => &[home::<Role>],
        (_, "application_credential_id") => &[home::<AppCred>],
        (_, "access_rule_id") => &[home::<AccessRule>],
        (_, "service_id") => &[home::<CatalogService>],
        (_, "endpoint_id") => &[home::<CatalogEndpoint>],
        (_, "region_id") => &[home::<Region>],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use luc_api::endpoint;

    use super::*;

    /// Parameters that say which part of a record, or name one only together with the caller.
    const NO_RECORD: [&str; 12] = [
        // A number that counts inside one site.
        "aggregate_id",
        "alias",
        "class",
        "key",
        // The project that an image is shared with; the image decides.
        "member_id",
        "name",
        "network",
        "pattern",
        "port_id",
        "request_id",
        "tag",
        "volume_id",
    ];

    #[test]
    fn every_parameter_of_the_endpoint_table_names_a_record_or_is_said_not_to() {
        for row in endpoint::all() {
            let segments = row.path.split('/');
            let names = segments.filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
            for name in names {
                let mapped = !finders(row.service(), name).is_empty();
                assert!(
                    mapped != NO_RECORD.contains(&name),
                    "{name} of {}: mapped {mapped}",
                    row.path
                );
            }
        }
    }
}
