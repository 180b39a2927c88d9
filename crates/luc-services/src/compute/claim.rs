//! Claims: which host a server gets, and the bookkeeping of what is claimed of each host.
//!
//! Everything here runs inside the transaction that creates, moves or deletes the server, so what
//! is claimed never exceeds what may be promised at any revision. The choice itself is made by the
//! pure [`super::scheduler`]; this module reads what it looks at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use luc_core::id::ServerId;
use luc_state::{Stored, Tx, TxError};

use super::host::{Host, HostUsage, Liveness, Resources};
use super::model::aggregate::Aggregate;
use super::model::server::{Placement, Server};
use super::model::server_group::ServerGroup;
use super::scheduler::{Ask, Candidate, GroupAsk, NoValidHost, View};

/// What the scheduler looks at, as one transaction sees it.
pub(super) struct Site {
    hosts: Vec<Arc<Stored<Host>>>,
    usages: BTreeMap<String, HostUsage>,
    aggregates: Vec<Arc<Stored<Aggregate>>>,
}

impl Site {
    /// Reads hosts, claims and aggregates.
    pub(super) fn read(tx: &Tx<'_>) -> Self {
        let usages = tx.all::<HostUsage>();
        Self {
            hosts: tx.all(),
            usages: usages
                .iter()
                .map(|u| (u.host.clone(), u.value().clone()))
                .collect(),
            aggregates: tx.all(),
        }
    }

    /// The scheduler's view of it.
    pub(super) fn view(&self, liveness: &Liveness) -> View<'_> {
        let mut candidates: Vec<Candidate<'_>> = self
            .hosts
            .iter()
            .map(|host| Candidate::new(host, liveness.is_up(host), &host.zone))
            .collect();
        for candidate in &mut candidates {
            candidate.expected = liveness.is_expected(&candidate.host.name);
            if let Some(usage) = self.usages.get(&candidate.host.name) {
                candidate.claimed = usage.claimed;
                candidate.instances = usage.instances;
            }
            for aggregate in &self.aggregates {
                if aggregate.hosts.contains(&candidate.host.name) {
                    candidate.aggregates.push(&aggregate.metadata);
                    candidate.zone = aggregate.zone.as_deref().unwrap_or(candidate.zone);
                }
            }
        }
        View::new(candidates)
    }
}

/// What to ask the scheduler for `server`, of size `size`.
pub(super) fn ask_for<'a>(tx: &Tx<'_>, server: &'a Server, size: Resources) -> Ask<'a> {
    let wish = &server.wish;
    let hosts = |ids: &[ServerId]| -> BTreeSet<String> {
        let servers = ids.iter().filter_map(|id| host_here(tx, id));
        servers.collect()
    };
    Ask {
        size,
        zone: wish.zone.as_deref(),
        host: wish.host.as_deref(),
        hypervisor: wish.hypervisor.as_deref(),
        forced: wish.forced,
        extra_specs: Some(&server.flavor.extra_specs),
        properties: Some(&server.image.properties),
        different: hosts(&wish.different_host),
        same: (!wish.same_host.is_empty()).then(|| hosts(&wish.same_host)),
        group: wish.group.as_ref().and_then(|id| {
            let group = tx.get::<ServerGroup>(id)?;
            Some(group_ask(tx, &group, &server.id))
        }),
        tried: server
            .attempts
            .iter()
            .map(|attempt| attempt.host.clone())
            .collect(),
    }
}

/// The host of a server, if it is one of this site.
fn host_here(tx: &Tx<'_>, id: &ServerId) -> Option<String> {
    let server = tx.get::<Server>(id)?;
    let name = server.host()?;
    let host = tx.get::<Host>(name)?;
    (host.home() == server.home()).then(|| name.to_owned())
}

fn group_ask(tx: &Tx<'_>, group: &ServerGroup, except: &ServerId) -> GroupAsk {
    let mut members = BTreeMap::new();
    for id in group.members.iter().filter(|id| *id != except) {
        if let Some(host) = host_here(tx, id) {
            *members.entry(host).or_default() += 1;
        }
    }
    GroupAsk {
        policy: group.policy,
        max_per_host: group.max_per_host.unwrap_or(1),
        members,
    }
}

/// Chooses a host for what is asked and claims it in `view` and in the store.
pub(super) fn take(
    tx: &mut Tx<'_>,
    view: &mut View<'_>,
    ask: &Ask<'_>,
) -> Result<Result<Placement, NoValidHost>, TxError> {
    let host = match view.choose(ask) {
        Ok(host) => host,
        Err(reason) => return Ok(Err(reason)),
    };
    view.claim(&host.name, ask.size);
    change(tx, &host.name, Resources::default(), ask.size, 1)?;
    Ok(Ok(Placement {
        host: host.name.clone(),
        hypervisor_hostname: host.hypervisor_hostname.clone(),
        claim: ask.size,
    }))
}

/// Gives back what `placement` claims.
pub(super) fn give_back(tx: &mut Tx<'_>, placement: &Placement) -> Result<(), TxError> {
    change(
        tx,
        &placement.host,
        placement.claim,
        Resources::default(),
        -1,
    )
}

/// Claims `new` instead of `old` on `host`.
pub(super) fn swap(
    tx: &mut Tx<'_>,
    host: &str,
    old: Resources,
    new: Resources,
) -> Result<(), TxError> {
    change(tx, host, old, new, 0)
}

fn change(
    tx: &mut Tx<'_>,
    host: &str,
    old: Resources,
    new: Resources,
    servers: i64,
) -> Result<(), TxError> {
    let stored = tx.get::<HostUsage>(host);
    let usage = stored.map_or_else(|| HostUsage::none(host), |stored| stored.value().clone());
    tx.put(HostUsage {
        claimed: usage.claimed.minus(old).plus(new),
        instances: usage.instances.saturating_add_signed(servers),
        ..usage
    })
    .map(drop)
}
