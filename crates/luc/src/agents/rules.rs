//! Where a server may run, and what a host has that servers ask for: read from the records of
//! server, group, project, flavor and aggregate, for whoever plans moves. Pure.
//!
//! The same records decide in the compute service where a server is made; here they become the
//! words of a wish ([`PlacementRules`]). Some of them change without the server: [`Touched`] finds
//! whose rules a commit may have changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use luc_agent::desired::{GroupPolicy, GroupRule, HostName, HostPlace, PlacementRules};
use luc_core::SitePrefix;
use luc_core::id::{ProjectId, ServerGroupId, ServerId};
use luc_services::Services;
use luc_services::compute::host::Host;
use luc_services::compute::model::aggregate::Aggregate;
use luc_services::compute::model::flavor::Flavor;
use luc_services::compute::model::server::Server;
use luc_services::compute::model::server_group::{self, ServerGroup};
use luc_services::compute::scheduler::labels;
use luc_services::identity::model::Project;
use luc_services::identity::residency::Residency;
use luc_state::{Change, Snapshot, Stored, key};

/// Where `server` of this site may run.
pub(super) fn of_server(
    services: &Services,
    snapshot: &Snapshot,
    server: &Server,
) -> PlacementRules {
    let mut hosts = hosts(services.site, snapshot, server);
    if !server.wish.same_host.is_empty() && company(snapshot, server).is_none() {
        // Nobody is here whom it was to be with; where it might be is nowhere, or another's host.
        hosts = host_of(snapshot, &server.id).into_iter().collect();
    }
    PlacementRules {
        group: group(snapshot, server),
        labels: labels::of_server(server),
        hosts,
        sites: sites(services, snapshot, &server.project),
        apart: apart(snapshot, server),
        with: with(snapshot, server),
    }
}

/// The servers whose request named `server` in a hint.
fn naming(snapshot: &Snapshot, server: &ServerId) -> impl Iterator<Item = Arc<Stored<Server>>> {
    snapshot.find(&Server::BY_HINT, &key(&[server.as_str()]))
}

/// Who is not to be where `server` is, by the hint of either.
fn apart(snapshot: &Snapshot, server: &Server) -> BTreeSet<ServerId> {
    let named = server.wish.different_host.iter().cloned();
    let others = naming(snapshot, &server.id);
    let others = others.filter(|other| other.wish.different_host.contains(&server.id));
    let all = named.chain(others.map(|other| other.id.clone()));
    all.filter(|id| *id != server.id).collect()
}

/// Who is to be where `server` is, by the hint of either. Of several that were named one is
/// enough.
fn with(snapshot: &Snapshot, server: &Server) -> BTreeSet<ServerId> {
    let others = naming(snapshot, &server.id);
    let others = others.filter(|other| company(snapshot, other).as_ref() == Some(&server.id));
    let all = company(snapshot, server).into_iter();
    all.chain(others.map(|other| other.id.clone())).collect()
}

/// The first of those that `server` was to be with that is on its host.
fn company(snapshot: &Snapshot, server: &Server) -> Option<ServerId> {
    let mut named = server.wish.same_host.iter();
    let here = host_of(snapshot, &server.id)?;
    let found = named.find(|id| host_of(snapshot, id).as_ref() == Some(&here));
    found.filter(|id| **id != server.id).cloned()
}

/// A group that is gone rules nobody. How many members one host may have is not told: whoever
/// plans moves keeps them apart strictly, which every such group allows.
fn group(snapshot: &Snapshot, server: &Server) -> Option<GroupRule> {
    let group = snapshot.get::<ServerGroup>(server.wish.group.as_ref()?)?;
    let policy = match group.policy {
        server_group::GroupPolicy::Affinity => GroupPolicy::Affinity,
        server_group::GroupPolicy::AntiAffinity => GroupPolicy::AntiAffinity,
        server_group::GroupPolicy::SoftAffinity => GroupPolicy::SoftAffinity,
        server_group::GroupPolicy::SoftAntiAffinity => GroupPolicy::SoftAntiAffinity,
    };
    let others = group.members.iter().filter(|id| **id != server.id);
    let mates = others.filter_map(|id| host_of(snapshot, id));
    Some(GroupRule {
        id: group.id.clone(),
        mates: match policy {
            GroupPolicy::Affinity => mates.collect(),
            // Whether a host has a member is said by that host.
            _ => BTreeSet::new(),
        },
        policy,
    })
}

fn host_of(snapshot: &Snapshot, server: &ServerId) -> Option<HostName> {
    let server = snapshot.get::<Server>(server)?;
    Some(HostName {
        site: server.home(),
        name: server.host()?.to_owned(),
    })
}

/// The host that was named when the server was made.
fn hosts(site: SitePrefix, snapshot: &Snapshot, server: &Server) -> BTreeSet<HostName> {
    let name = match (&server.wish.host, &server.wish.hypervisor) {
        (Some(host), _) => Some(host.clone()),
        (None, Some(hypervisor)) => {
            let mut known = snapshot.all::<Host>().filter(|host| host.home() == site);
            let named = known.find(|host| host.hypervisor_hostname == *hypervisor);
            let name = named.map(|host| host.name.clone());
            // Where nobody has that name now, the server stays.
            name.or_else(|| server.host().map(str::to_owned))
        }
        (None, None) => None,
    };
    name.map(|name| HostName { site, name })
        .into_iter()
        .collect()
}

/// The sites where the project may live, if it has a rule.
fn sites(services: &Services, snapshot: &Snapshot, project: &ProjectId) -> BTreeSet<SitePrefix> {
    let Some(rule) = Residency::of(snapshot, project.as_str()) else {
        return BTreeSet::new();
    };
    let known = services.sites.all().into_iter().map(|view| view.site);
    let known = known.chain([services.site]);
    let allowed: BTreeSet<_> = known.filter(|site| rule.allows(services, *site)).collect();
    if allowed.is_empty() {
        // The rule names sites that nobody knows: what is here stays here.
        return BTreeSet::from([services.site]);
    }
    allowed
}

/// What `host` of this site has that servers may ask for; nothing before it has registered.
pub(super) fn of_host(services: &Services, snapshot: &Snapshot, host: &str) -> HostPlace {
    let here = services.site;
    let Some(host) = snapshot
        .get::<Host>(host)
        .filter(|host| host.home() == here)
    else {
        return HostPlace::default();
    };
    let aggregates: Vec<_> = snapshot
        .all::<Aggregate>()
        .filter(|aggregate| aggregate.home() == here && aggregate.hosts.contains(&host.name))
        .collect();
    let zone = aggregates
        .iter()
        .rev()
        .find_map(|aggregate| aggregate.zone.as_deref());
    let metadata: Vec<_> = aggregates
        .iter()
        .map(|aggregate| &aggregate.metadata)
        .collect();
    let flavors: Vec<_> = snapshot.all::<Flavor>().collect();
    let specs = flavors.iter().map(|flavor| &flavor.extra_specs);
    HostPlace {
        labels: labels::of_host(&host, zone.unwrap_or(&host.zone), &metadata, specs),
    }
}

/// Whose rules may have changed although the servers' own records have not.
#[derive(Default)]
pub(super) struct Touched {
    groups: BTreeSet<ServerGroupId>,
    projects: BTreeSet<ProjectId>,
    servers: BTreeSet<ServerId>,
}

impl Touched {
    /// By these changes, which led to `snapshot`.
    pub(super) fn by<'a>(changes: impl Iterator<Item = &'a Change>, snapshot: &Snapshot) -> Self {
        let mut touched = Self::default();
        for change in changes {
            touched.add_group(change);
            touched.add_mates(change, snapshot);
            touched.add_project(change);
        }
        touched
    }

    /// A group that went, or an affinity group whose members came or went.
    fn add_group(&mut self, change: &Change) {
        let after = change.after::<ServerGroup>();
        let gone = change.before::<ServerGroup>().filter(|_| after.is_none());
        let affine = after.filter(|group| group.policy == server_group::GroupPolicy::Affinity);
        self.groups
            .extend(gone.or(affine).map(|group| group.id.clone()));
    }

    /// The affinity group of a server that is at another host now, and whom hints tie to it.
    fn add_mates(&mut self, change: &Change, snapshot: &Snapshot) {
        let (before, after) = (change.before::<Server>(), change.after::<Server>());
        let was = before.as_ref().and_then(|server| server.host());
        let is = after.as_ref().and_then(|server| server.host());
        if was == is {
            return;
        }
        let Some(server) = after.or(before) else {
            return;
        };
        let mut tied = vec![Arc::clone(&server)];
        tied.extend(naming(snapshot, &server.id));
        for one in tied.iter().filter(|one| is_tied(one)) {
            let named = one.wish.different_host.iter().chain(&one.wish.same_host);
            self.servers.extend(named.cloned().chain([one.id.clone()]));
        }
        let group = server.wish.group.clone();
        let affine = |id: &ServerGroupId| {
            let group = snapshot.get::<ServerGroup>(id);
            group.is_some_and(|group| group.policy == server_group::GroupPolicy::Affinity)
        };
        self.groups.extend(group.filter(affine));
    }

    /// A project whose tags, which hold its residency rule, are others now.
    fn add_project(&mut self, change: &Change) {
        let (before, after) = (change.before::<Project>(), change.after::<Project>());
        let was = before.as_ref().map(|project| &project.tags);
        let is = after.as_ref().map(|project| &project.tags);
        if was != is {
            self.projects
                .extend(after.or(before).map(|project| project.id.clone()));
        }
    }

    /// Whether nobody's have.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.projects.is_empty() && self.servers.is_empty()
    }

    /// Whether those of `server` may have.
    pub(super) fn concerns(&self, server: &Server) -> bool {
        let group = server.wish.group.as_ref();
        group.is_some_and(|group| self.groups.contains(group))
            || self.projects.contains(&server.project)
            || self.servers.contains(&server.id)
    }
}

/// Whether the request of `server` named others in a hint.
fn is_tied(server: &Server) -> bool {
    !server.wish.different_host.is_empty() || !server.wish.same_host.is_empty()
}
