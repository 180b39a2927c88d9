//! What operators are shown of sites and nodes, as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use luc_core::{PeerId, SitePrefix};
use luc_overlay::Coordinate;
use luc_runtime::NodeKey;
use luc_runtime::fabric::PeerState;
use luc_runtime::feeds::Feeds;
use luc_services::ports::sites::{SiteView, Sites as _};
use luc_services::sites::NodeInfo;
use serde_json::{Value, json};

use super::{Operators, conflicts, shown};
use crate::config::Role;

impl Operators {
    /// The sites as seen from here.
    pub(super) fn site_views(&self) -> Vec<Value> {
        let views = self.peering.sites.all();
        let pulse = self.peering.sites.pulse();
        let own = self.services.site;
        let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
        let status = self.peering.feeds().map(Feeds::status).unwrap_or_default();
        let lags: BTreeMap<SitePrefix, Duration> =
            status.iter().map(|feed| (feed.site, feed.lag)).collect();
        let stopped: BTreeMap<SitePrefix, String> = status
            .iter()
            .filter(|feed| !feed.connected)
            .filter_map(|feed| Some((feed.site, note(feed.ended.as_deref()?))))
            .collect();
        let aside = conflicts::counted(&self.services.store.snapshot());
        let noted = |view: &SiteView| {
            let aside = aside.get(&view.site);
            let aside = aside.map(|count| conflicts::note(*count, &view.name));
            stopped.get(&view.site).cloned().or(aside)
        };
        self.peering.membership.with(|members| {
            views
                .iter()
                .map(|view| {
                    let member = members.site(view.site);
                    let rtt = if view.site == own {
                        Some(Duration::ZERO)
                    } else {
                        pulse.rtt(view.site)
                    };
                    json!({
                        "id": view.site.to_string(),
                        "name": view.name,
                        "here": view.site == own,
                        "label": member.map(|member| member.label),
                        "domains": member.and_then(|member| member.domains.clone()),
                        "api_url": member.and_then(|member| member.api_url.clone()),
                        "reachable": view.reachable,
                        "age_ms": millis(view.age),
                        "rtt_ms": rtt.map(millis),
                        "lag_ms": lags.get(&view.site).copied().map(millis),
                        "note": noted(view),
                        "withheld": aside.get(&view.site).copied().unwrap_or_default(),
                        "room": view.room.map(|room| json!({
                            "vcpus": room.vcpus,
                            "memory_mib": room.memory_mib,
                            "disk_gib": room.disk_gib,
                        })),
                    })
                })
                .collect()
        })
    }

    /// The nodes of all sites as seen from here.
    pub(super) async fn node_views(&self) -> Vec<Value> {
        let placed = self.placed().await;
        let peers = self.peering.started.fabric.peers();
        let me = self.peering.started.fabric.me().to_string();
        let own = self.services.site;
        let leads = |node: &NodeInfo| {
            node.roles
                .iter()
                .any(|role| role == Role::Controller.name())
        };
        let snapshot = self.services.store.snapshot();
        let names = |site: SitePrefix| self.name_of(site);
        snapshot
            .all::<NodeInfo>()
            .map(|node| {
                let peer = peers.iter().find(|peer| peer.key.to_string() == node.key);
                let state = match peer {
                    _ if node.revoked_at.is_some() => "revoked".to_owned(),
                    _ if node.key == me => "here".to_owned(),
                    // Only controllers keep a line to other sites; its own knows how it is.
                    Some(peer)
                        if node.site != own
                            && !leads(&node)
                            && peer.state != PeerState::Connected =>
                    {
                        "unknown".to_owned()
                    }
                    Some(peer) => format!("{:?}", peer.state).to_lowercase(),
                    None if node.site != own && !leads(&node) => "unknown".to_owned(),
                    None => "not called".to_owned(),
                };
                let rtt = peer.and_then(|peer| peer.rtt);
                let key = node.key.parse::<NodeKey>().ok();
                let id = key.map(|key| key.peer_id(node.site));
                let place = id.and_then(|id| placed.get(&id));
                // Who has failed or left has no place any more.
                let seen = id.and_then(|id| self.brains.seen(id));
                let health = place.map(|place| place.health.as_str());
                json!({
                    "id": node.id.as_str(),
                    "name": node.name,
                    "site": names(node.site),
                    "site_id": node.site.to_string(),
                    "roles": node.roles,
                    "key": node.key,
                    "addresses": node.addresses,
                    "joined_at": shown(node.joined_at),
                    "state": state,
                    "rtt_ms": rtt.map(|rtt| rtt.as_secs_f64() * 1e3),
                    "health": health.or(seen.as_ref().map(|seen| seen.standing)),
                    "seen_secs_ago": seen.and_then(|seen| seen.ago).map(|ago| ago.as_secs_f64()),
                    "distance_ms": place.and_then(|place| place.distance_ms),
                    "coordinates": place.map(|place| place.coordinates.clone()),
                })
            })
            .collect()
    }

    /// The nodes that this node's brain keeps an eye on: its site, and delegates of others.
    async fn placed(&self) -> BTreeMap<PeerId, Place> {
        let Some(brain) = self.brains.own() else {
            return BTreeMap::new();
        };
        let Some(status) = brain.status().await else {
            return BTreeMap::new();
        };
        let own = Place {
            health: "awake".to_owned(),
            distance_ms: Some(0.0),
            coordinates: in_millis(&status.coordinate),
        };
        let others = status.members.into_iter().map(|member| {
            let place = Place {
                health: format!("{:?}", member.standing).to_lowercase(),
                distance_ms: member.distance.map(|seconds| seconds * 1e3),
                coordinates: member
                    .coordinate
                    .as_ref()
                    .map(in_millis)
                    .unwrap_or_default(),
            };
            (member.peer, place)
        });
        others.chain([(status.me, own)]).collect()
    }
}

/// Why a feed is down.
fn note(reason: &str) -> String {
    format!("its records are not followed: {reason}")
}

/// Where a node is in the network, as the brain of this one sees it.
struct Place {
    health: String,
    distance_ms: Option<f64>,
    coordinates: Vec<f64>,
}

/// The vector of a coordinate and its height, in milliseconds.
fn in_millis(coordinate: &Coordinate) -> Vec<f64> {
    let seconds = coordinate.vector.iter().chain([&coordinate.height]);
    seconds
        .map(|part| (f64::from(*part) * 1e5).round() / 1e2)
        .collect()
}
