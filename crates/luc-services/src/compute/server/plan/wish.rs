//! What a request asks of the scheduler: zone, host, hints.

use std::collections::BTreeSet;

use luc_api::ApiError;
use luc_api::compute::reference::OneOrMany;
use luc_api::compute::server_create::{CreateServer, SchedulerHints};
use luc_api::policy::Attributes;
use luc_core::Uuid;
use luc_core::id::{ServerGroupId, ServerId};
use luc_state::Snapshot;

use crate::compute::host::Host;
use crate::compute::model::aggregate::Aggregate;
use crate::compute::model::server::Wish;
use crate::compute::model::server_group::ServerGroup;
use crate::compute::server::access;
use crate::request::Request;

/// Reads zone, host and hints of `body`, and checks the rights to them.
pub(super) fn of(
    snapshot: &Snapshot,
    request: &Request,
    target: &Attributes<'_>,
    body: &CreateServer,
) -> Result<Wish, ApiError> {
    let server = &body.server;
    let (zone, host, node) = parse_zone(server.availability_zone.as_deref().unwrap_or_default())?;
    let forced = host.is_some() || node.is_some();
    if forced {
        request.authorize_as("os_compute_api:servers:create:forced_host", target)?;
    }
    if server.host.is_some() || server.hypervisor_hostname.is_some() {
        request.authorize_as("compute:servers:create:requested_destination", target)?;
        if forced {
            return Err(ApiError::bad_request(
                "One mechanism with host and/or hypervisor_hostname and another mechanism with \
                 zone:host:node are mutually exclusive.",
            ));
        }
        check_destination(
            snapshot,
            server.host.as_deref(),
            server.hypervisor_hostname.as_deref(),
        )?;
    }
    let zone = zone.map(str::to_owned);
    if let Some(zone) = zone.as_ref().filter(|_| !forced)
        && !zones(snapshot).contains(zone)
    {
        let message = "The requested availability zone is not available";
        return Err(ApiError::bad_request(message));
    }
    let mut wish = Wish {
        zone: zone.filter(|_| !forced),
        host: host.map(str::to_owned).or_else(|| server.host.clone()),
        hypervisor: node
            .map(str::to_owned)
            .or_else(|| server.hypervisor_hostname.clone()),
        forced,
        ..Wish::default()
    };
    if let Some(hints) = body.scheduler_hints() {
        add_hints(snapshot, request, &mut wish, hints)?;
    }
    Ok(wish)
}

/// A zone, and the host and the node that are forced.
type Asked<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);

/// Splits `zone`, `zone:host`, `zone:host:node` or `zone::node`.
fn parse_zone(text: &str) -> Result<Asked<'_>, ApiError> {
    let parts: Vec<&str> = text.split(':').collect();
    let some = |part: &'_ str| !part.is_empty();
    let given = |index: usize| parts.get(index).copied().filter(|part| some(part));
    if parts.len() > 3 {
        return Err(ApiError::bad_request("Unable to parse availability_zone"));
    }
    Ok((given(0), given(1), given(2)))
}

/// Refuses a host or hypervisor that is not there.
fn check_destination(
    snapshot: &Snapshot,
    host: Option<&str>,
    hypervisor: Option<&str>,
) -> Result<(), ApiError> {
    let missing = |name: &str| {
        Err(ApiError::bad_request(format!(
            "Compute host {name} could not be found."
        )))
    };
    match (host, hypervisor) {
        (Some(name), node) => match snapshot.get::<Host>(name) {
            Some(host) if node.is_none_or(|node| node == host.hypervisor_hostname) => Ok(()),
            _ => missing(name),
        },
        (None, Some(node)) => {
            let known = snapshot
                .all::<Host>()
                .any(|host| host.hypervisor_hostname == node);
            if known { Ok(()) } else { missing(node) }
        }
        (None, None) => Ok(()),
    }
}

/// The zones that have a host which takes servers.
pub(in super::super) fn zones(snapshot: &Snapshot) -> BTreeSet<String> {
    let aggregates: Vec<_> = snapshot.all::<Aggregate>().collect();
    let open = snapshot.all::<Host>().filter(|host| !host.disabled);
    open.map(|host| {
        let with_zone = aggregates
            .iter()
            .filter(|aggregate| aggregate.hosts.contains(&host.name));
        let zone = { with_zone }.find_map(|aggregate| aggregate.zone.clone());
        zone.unwrap_or_else(|| host.zone.clone())
    })
    .collect()
}

fn add_hints(
    snapshot: &Snapshot,
    request: &Request,
    wish: &mut Wish,
    hints: &SchedulerHints,
) -> Result<(), ApiError> {
    let ids = |texts: Option<&OneOrMany>| -> Vec<ServerId> {
        let texts = texts.into_iter().flat_map(OneOrMany::iter);
        let canonical = texts.filter_map(|text| Uuid::parse(text).ok());
        canonical
            .filter_map(|uuid| ServerId::parse(&uuid.hyphenated()).ok())
            .collect()
    };
    wish.different_host = ids(hints.different_host.as_ref());
    wish.same_host = ids(hints.same_host.as_ref());
    let Some(group) = &hints.group else {
        return Ok(());
    };
    let caller = request.caller()?;
    let found = snapshot
        .get::<ServerGroup>(group)
        .filter(|group| Some(&group.project) == caller.project_id() || access::is_admin(request));
    let Some(found) = found else {
        return Err(ApiError::bad_request(format!(
            "Instance group {group} could not be found."
        )));
    };
    wish.group = Some(ServerGroupId::clone(&found.id));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_may_name_a_host_and_a_node() {
        assert_eq!(parse_zone("").unwrap(), (None, None, None));
        assert_eq!(parse_zone("paris").unwrap(), (Some("paris"), None, None));
        assert_eq!(
            parse_zone("paris:n1").unwrap(),
            (Some("paris"), Some("n1"), None)
        );
        assert_eq!(
            parse_zone("paris::h1").unwrap(),
            (Some("paris"), None, Some("h1"))
        );
        assert_eq!(
            parse_zone("p:n1:h1").unwrap(),
            (Some("p"), Some("n1"), Some("h1"))
        );
        assert!(parse_zone("p:n:h:x").is_err());
    }
}
