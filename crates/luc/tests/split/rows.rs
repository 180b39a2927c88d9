//! Which rows of the endpoint table a cut-off site must go on serving: from the table of kinds.
//!
//! A row is about the kind that its path names first. If the home of that kind is the site where
//! the thing was made, writing it is site-scoped and must work on both sides of a split; reading
//! must work everywhere, for every site holds copies. What the home of a domain decides may be
//! refused on the other side, by 503 with the name of the site.

use std::collections::BTreeSet;

use luc_api::endpoint::{self, Endpoint};
use luc_api::{Service, Verb};
use luc_state::Kind;
use luc_state::kinds::HomeRule;

/// What a path is about, by service and first segment. `None`: it is about no record.
fn kind_of(row: &Endpoint) -> Option<Kind> {
    let first = row
        .path
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default();
    let kind = match (row.service(), first) {
        (Service::Compute, "servers") => Kind::Server,
        (Service::Compute, "flavors") => Kind::Flavor,
        (Service::Compute, "os-keypairs") => Kind::Keypair,
        (Service::Compute, "os-quota-sets") => Kind::Quota,
        (Service::Compute, "os-quota-class-sets") => Kind::QuotaClass,
        (Service::Compute, "os-server-groups") => Kind::ServerGroup,
        (Service::Compute, "os-aggregates") => Kind::Aggregate,
        (Service::Compute, "os-hypervisors") => Kind::Hypervisor,
        (Service::Compute, "os-services") => Kind::ComputeService,
        (Service::Compute, "os-availability-zone") => Kind::Host,
        (Service::Image, "images") => Kind::Image,
        // Revoking a token makes an event of the site that was asked.
        (Service::Identity, "auth") => Kind::RevocationEvent,
        (Service::Identity, "domains") => Kind::Domain,
        (Service::Identity, "projects") => Kind::Project,
        (Service::Identity, "users") => Kind::User,
        (Service::Identity, "groups") => Kind::Group,
        (Service::Identity, "roles" | "role_assignments" | "role_inferences") => Kind::Role,
        (Service::Identity, "system") => Kind::Assignment,
        (Service::Identity, "services") => Kind::Service,
        (Service::Identity, "endpoints") => Kind::Endpoint,
        (Service::Identity, "regions") => Kind::Region,
        (Service::Compute, "" | "limits" | "extensions" | "os-simple-tenant-usage")
        | (Service::Image, "" | "versions" | "schemas" | "info")
        | (Service::Identity, "" | "OS-FEDERATION") => return None,
        (service, other) => panic!("say what kind '{other}' of {service:?} is about"),
    };
    Some(kind)
}

/// Whether writing this row is the business of the site that is asked, or of one that made the
/// thing: it must go on through a split.
pub(crate) fn is_site_scoped(row: &Endpoint) -> bool {
    let home = kind_of(row).map(|kind| kind.spec().home);
    // A domain may be made for another site, and its name may be taken beyond the split (0033).
    let elsewhere = [
        HomeRule::OfDomain,
        HomeRule::OfDefaultDomain,
        HomeRule::CreatedFor,
    ];
    is_asked(row) && is_write(row) && home.is_some_and(|home| !elsewhere.contains(&home))
}

/// Whether the row changes something.
pub(crate) fn is_write(row: &Endpoint) -> bool {
    !matches!(row.verb, Verb::Get | Verb::Head)
}

/// Whether the row is there, in the newest microversion.
pub(crate) fn is_asked(row: &Endpoint) -> bool {
    let newest = row.service().facts().microversions.max;
    !row.not_there_yet && !row.unversioned && row.versions.contains(newest)
}

/// A row as the coverage counts it.
pub(crate) fn named(row: &Endpoint) -> String {
    let action = row
        .action
        .map(|action| format!(" {action}"))
        .unwrap_or_default();
    format!(
        "{:?} {} {}{action}",
        row.service(),
        row.verb.as_str(),
        row.path
    )
}

/// The row that is meant.
pub(crate) fn row(
    service: Service,
    verb: Verb,
    path: &str,
    action: Option<&str>,
) -> &'static Endpoint {
    let mut all = endpoint::all().filter(|row| is_asked(row));
    let found = all.find(|row| {
        row.service() == service && row.verb == verb && row.path == path && row.action == action
    });
    found.unwrap_or_else(|| panic!("no row {service:?} {verb:?} {path} {action:?}"))
}

/// Fails unless everything site-scoped was done at `site`.
pub(crate) fn expect_all_site_scoped(site: &str, done: &BTreeSet<String>) {
    let wanted = endpoint::all().filter(|row| is_site_scoped(row));
    let left: Vec<String> = wanted
        .map(named)
        .filter(|name| !done.contains(name))
        .collect();
    assert!(
        left.is_empty(),
        "never done at {site} in the split: {left:#?}"
    );
}
