//! What a view of servers needs to know of the request and of the hosts, worked out once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use luc_api::policy::Target;
use luc_api::{Microversion, Service};
use luc_core::SitePrefix;
use luc_core::id::ServerGroupId;
use luc_state::Snapshot;
use sha2::{Digest, Sha224};

use super::super::access;
use crate::Services;
use crate::compute::host::Host;
use crate::compute::model::aggregate::Aggregate;
use crate::compute::model::server::{DeletedServer, Server};
use crate::compute::model::server_group::ServerGroup;
use crate::ports::sites::SiteView;
use crate::request::Request;

/// Which answer the servers are in; some differ in what they show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Occasion {
    /// One server.
    Show,
    /// A list.
    List,
    /// After a change by `PUT`.
    Update,
    /// After a rebuild.
    Rebuild,
}

/// What users see of a server's host (from 2.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum HostStatus {
    /// It lives.
    Up,
    /// It has not been heard of lately.
    Unknown,
    /// An operator has declared it down.
    Down,
    /// It is disabled.
    Maintenance,
    /// There is none.
    None,
}

impl HostStatus {
    /// As it stands on the wire.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "UP",
            Self::Unknown => "UNKNOWN",
            Self::Down => "DOWN",
            Self::Maintenance => "MAINTENANCE",
            Self::None => "",
        }
    }
}

/// Which host states a caller may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostStatusRight {
    All,
    UnknownOnly,
    Nothing,
}

/// What is known of a host.
struct HostFacts {
    zone: String,
    status: HostStatus,
}

/// What depends on the request and on the hosts.
pub(in super::super) struct Frame {
    pub(in super::super) version: Microversion,
    /// What links to the API begin with.
    pub(in super::super) root: String,
    /// What links without an API version begin with.
    pub(in super::super) bookmark_root: String,
    pub(in super::super) occasion: Occasion,
    pub(in super::super) is_admin: bool,
    /// Whether `OS-EXT-SRV-ATTR:*` is shown.
    pub(in super::super) extended: bool,
    /// Whether the flavor's extra specs are shown.
    pub(in super::super) extra_specs: bool,
    host_status: HostStatusRight,
    /// The other sites; none in a cloud of one.
    others: BTreeMap<SitePrefix, SiteView>,
    hosts: BTreeMap<String, HostFacts>,
    host_ids: RefCell<BTreeMap<(String, String), Arc<str>>>,
    /// Nothing in tests, where every group is there.
    snapshot: Option<Arc<Snapshot>>,
}

impl Frame {
    /// The frame of an answer to `request`; rights are those that the caller has on `target`.
    pub(in super::super) fn of(
        services: &Services,
        snapshot: &Arc<Snapshot>,
        request: &Request,
        occasion: Occasion,
        target: &dyn Target,
    ) -> Self {
        let rule = |name: &str| request.may(name, target);
        let host_status = if rule("os_compute_api:servers:show:host_status") {
            HostStatusRight::All
        } else if rule("os_compute_api:servers:show:host_status:unknown-only") {
            HostStatusRight::UnknownOnly
        } else {
            HostStatusRight::Nothing
        };
        Self {
            version: request.version,
            root: Service::Compute.url(&request.base_url),
            bookmark_root: format!("{}{}", request.base_url, Service::Compute.facts().prefix),
            occasion,
            is_admin: access::is_admin(request),
            extended: rule("os_compute_api:os-extended-server-attributes"),
            extra_specs: rule("os_compute_api:servers:show:flavor-extra-specs"),
            host_status,
            others: others(services),
            hosts: hosts(services, snapshot),
            host_ids: RefCell::default(),
            snapshot: Some(Arc::clone(snapshot)),
        }
    }

    /// A frame for tests: an administrator has every right, others have none.
    #[cfg(test)]
    pub(in super::super) fn plain(
        version: Microversion,
        occasion: Occasion,
        is_admin: bool,
    ) -> Self {
        Self {
            version,
            root: "http://cloud/compute/v2.1".to_owned(),
            bookmark_root: "http://cloud/compute".to_owned(),
            occasion,
            is_admin,
            extended: is_admin,
            extra_specs: is_admin,
            host_status: if is_admin {
                HostStatusRight::All
            } else {
                HostStatusRight::Nothing
            },
            others: BTreeMap::new(),
            hosts: BTreeMap::new(),
            host_ids: RefCell::default(),
            snapshot: None,
        }
    }

    /// The availability zone of a server: its host's, or the one that was asked for.
    pub(in super::super) fn zone<'f>(&'f self, server: &'f Server) -> &'f str {
        let asked = server.wish.zone.as_deref();
        // One that no host took shows the same at its own site, which knows no zone of it either.
        let away = self.away(server).filter(|_| server.host().is_some());
        if let Some(site) = away {
            return asked.unwrap_or(&site.name);
        }
        let of_host = server.host().and_then(|host| self.hosts.get(host));
        of_host
            .map(|host| host.zone.as_str())
            .or(asked)
            .unwrap_or_default()
    }

    /// The other site that is the home of `server`.
    fn away(&self, server: &Server) -> Option<&SiteView> {
        let snapshot = self.snapshot.as_ref().filter(|_| !self.others.is_empty())?;
        let live = snapshot.get::<Server>(&server.id).map(|live| live.home());
        let home = live.or_else(|| Some(snapshot.get::<DeletedServer>(&server.id)?.home()))?;
        self.others.get(&home)
    }

    /// Whether so little is known of `server` for the moment that only the minimum is shown: from
    /// 2.69 on, as of a cell of Nova that is down, while its site cannot be reached.
    pub(in super::super) fn is_cut_off(&self, server: &Server) -> bool {
        self.version.at_least(2, 69) && self.away(server).is_some_and(|site| !site.reachable)
    }

    /// What the caller may see of the state of a server's host.
    pub(in super::super) fn host_status(&self, server: &Server) -> Option<&'static str> {
        let status = match server.host() {
            None => HostStatus::None,
            // The other site alone hears its hosts.
            Some(_) if self.away(server).is_some() => HostStatus::Unknown,
            Some(host) => self
                .hosts
                .get(host)
                .map_or(HostStatus::None, |host| host.status),
        };
        let shown = match self.host_status {
            HostStatusRight::All => true,
            HostStatusRight::UnknownOnly => status == HostStatus::Unknown,
            HostStatusRight::Nothing => false,
        };
        shown.then(|| status.as_str())
    }

    /// The server group that `server` is in, unless that is gone.
    pub(in super::super) fn group<'s>(&self, server: &'s Server) -> Option<&'s ServerGroupId> {
        let id = server.wish.group.as_ref()?;
        let gone = |snapshot: &Arc<Snapshot>| snapshot.get::<ServerGroup>(id).is_none();
        (!self.snapshot.as_ref().is_some_and(gone)).then_some(id)
    }

    /// A name of a server's host that only tells its project's servers on one host from those on
    /// others.
    pub(in super::super) fn host_id(&self, server: &Server) -> Arc<str> {
        let Some(host) = server.host() else {
            return Arc::from("");
        };
        let key = (server.project.as_str().to_owned(), host.to_owned());
        let mut known = self.host_ids.borrow_mut();
        let id = known
            .entry(key)
            .or_insert_with(|| host_id(server.project.as_str(), host).into());
        Arc::clone(id)
    }
}

/// Nova's `generate_hostid`: SHA-224 of project and host.
pub(in super::super) fn host_id(project: &str, host: &str) -> String {
    hex::encode(
        Sha224::new()
            .chain_update(project)
            .chain_update(host)
            .finalize(),
    )
}

fn others(services: &Services) -> BTreeMap<SitePrefix, SiteView> {
    let all = services.sites.all().into_iter();
    let others = all.filter(|view| view.site != services.site);
    others.map(|view| (view.site, view)).collect()
}

fn hosts(services: &Services, snapshot: &Snapshot) -> BTreeMap<String, HostFacts> {
    let liveness = &services.compute.liveness;
    let mut hosts: BTreeMap<String, HostFacts> = snapshot
        .all::<Host>()
        .map(|host| {
            let status = if host.forced_down {
                HostStatus::Down
            } else if host.disabled {
                HostStatus::Maintenance
            } else if liveness.is_heard(&host.name) {
                HostStatus::Up
            } else {
                HostStatus::Unknown
            };
            (
                host.name.clone(),
                HostFacts {
                    zone: host.zone.clone(),
                    status,
                },
            )
        })
        .collect();
    for aggregate in snapshot.all::<Aggregate>() {
        let Some(zone) = &aggregate.zone else {
            continue;
        };
        for name in &aggregate.hosts {
            if let Some(host) = hosts.get_mut(name) {
                host.zone.clone_from(zone);
            }
        }
    }
    hosts
}
