//! What operators are shown of sites and nodes, as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use luc_core::{PeerId, SitePrefix};
use luc_overlay::Coordinate;
use luc_runtime::NodeKey;
use luc_runtime::brain::Member;
use luc_runtime::fabric::PeerState;
use luc_runtime::feeds::{FeedStatus, Feeds};
use luc_services::ports::sites::{SiteView, Sites as _};
use luc_services::sites::{NodeInfo, Parting};
use serde_json::{Value, json};

use super::{Operators, conflicts, shown};
use crate::config::Role;
use crate::sites::skew::Skew;

/// How long the others of the site may take to say where those of other sites are.
const TOLD: Duration = Duration::from_millis(500);

impl Operators {
    /// The sites as seen from here.
    pub(super) fn site_views(&self) -> Vec<Value> {
        let views = self.peering.sites.all();
        let own = self.services.site;
        let status = self.peering.feeds().map(Feeds::status).unwrap_or_default();
        let feeds: BTreeMap<SitePrefix, FeedStatus> =
            status.into_iter().map(|feed| (feed.site, feed)).collect();
        let aside = conflicts::counted(&self.services.store.snapshot());
        let parting = self.peering.sites.pulse().parting();
        let noted = |view: &SiteView| {
            if let Some(Parting { by, reason, at }) = parting.filter(|_| view.site == own) {
                let at = shown(*at);
                return Some(format!(
                    "not of the cloud any more, as {by} says: {reason} ({at})"
                ));
            }
            let aside = aside.get(&view.site);
            let aside = aside.map(|count| conflicts::note(*count, &view.name));
            let clock = self.peering.sites.pulse().skew(view.site);
            let notes = [
                feeds.get(&view.site).and_then(stopped),
                clock.and_then(Skew::note),
                aside,
            ];
            let notes: Vec<String> = notes.into_iter().flatten().collect();
            (!notes.is_empty()).then(|| notes.join("; "))
        };
        let seen = views.iter().map(|view| {
            let mut seen = self.site_view(view, feeds.get(&view.site));
            seen["note"] = noted(view).into();
            seen["withheld"] = aside.get(&view.site).copied().unwrap_or_default().into();
            seen
        });
        seen.collect()
    }

    /// What is known of a site, whose `feed` comes here unless it is this one.
    fn site_view(&self, view: &SiteView, feed: Option<&FeedStatus>) -> Value {
        let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
        let here = view.site == self.services.site;
        let rtt = if here {
            Some(Duration::ZERO)
        } else {
            self.peering.sites.pulse().rtt(view.site)
        };
        let known = here || rtt.is_some() || view.room.is_some();
        let lag = feed.filter(|_| view.reachable).and_then(lag);
        let clock = self.peering.sites.pulse().skew(view.site);
        self.peering.membership.with(|members| {
            let member = members.site(view.site);
            json!({
                "id": view.site.to_string(),
                "name": view.name,
                "here": here,
                "label": member.map(|member| member.label),
                "domains": member.and_then(|member| member.domains.clone()),
                "api_url": member.and_then(|member| member.api_url.clone()),
                "reachable": view.reachable,
                "age_ms": age(view, known || feed.is_some_and(was_heard)).map(millis),
                "rtt_ms": rtt.map(millis),
                "lag_ms": lag.map(millis),
                "clock_ahead_ms": clock.map(Skew::ahead_ms),
                "room": view.room.map(|room| json!({
                    "vcpus": room.vcpus,
                    "memory_mib": room.memory_mib,
                    "disk_gib": room.disk_gib,
                })),
            })
        })
    }

    /// How far copies of each site are behind, in milliseconds, where that is known.
    fn lags(&self) -> BTreeMap<SitePrefix, f64> {
        let status = self.peering.feeds().map(Feeds::status).unwrap_or_default();
        let own = (self.services.site, Duration::ZERO);
        let others = status
            .iter()
            .filter_map(|feed| Some((feed.site, lag(feed)?)));
        let all = std::iter::once(own).chain(others);
        all.map(|(site, lag)| (site, lag.as_secs_f64() * 1e3))
            .collect()
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
        let lags = self.lags();
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
                let place = id.and_then(|id| placed.nodes.get(&id));
                let far = id.and_then(|id| placed.expected(id));
                // Who has failed or left has no place any more.
                let seen = id.and_then(|id| self.brains.seen(id));
                let health = place.and_then(|place| place.health.as_deref());
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
                    "lag_ms": lags.get(&node.site),
                    "seen_secs_ago": seen.and_then(|seen| seen.ago).map(|ago| ago.as_secs_f64()),
                    "distance_ms": far.map(|far| far.millis),
                    "distance_of_site": far.map(|far| far.of_site),
                    "expected": far.map(Far::shown),
                    "coordinates": place.map(|place| place.coordinates.clone()),
                })
            })
            .collect()
    }

    /// The nodes that this node's brain keeps an eye on: its site, and delegates of others. Unless
    /// it is a delegate itself those of its site say where the delegates of others are.
    async fn placed(&self) -> Places {
        let Some(brain) = self.brains.own() else {
            return Places::default();
        };
        let Some(status) = brain.status().await else {
            return Places::default();
        };
        let mut places = Places::default();
        let own = Place {
            health: Some("awake".to_owned()),
            distance_ms: Some(0.0),
            coordinates: in_millis(&status.coordinate),
        };
        places.nodes.insert(status.me, own);
        if !status.is_delegate {
            let told = self.brains.of_site_within(TOLD).await.into_iter();
            let told = told.filter_map(|report| report.status);
            for member in told.flat_map(|status| status.members) {
                places.tell(&status.coordinate, &member);
            }
        }
        for member in &status.members {
            let place = Place {
                health: Some(format!("{:?}", member.standing).to_lowercase()),
                distance_ms: member.distance.map(|seconds| seconds * 1e3),
                coordinates: member
                    .coordinate
                    .as_ref()
                    .map(in_millis)
                    .unwrap_or_default(),
            };
            places.nodes.insert(member.peer, place);
        }
        places
    }
}

/// Since when nothing was heard of a site. Of one that never was heard this is not known: the age
/// of the view is how long this node has run.
fn age(view: &SiteView, ever_heard: bool) -> Option<Duration> {
    ever_heard.then_some(view.age)
}

fn was_heard(feed: &FeedStatus) -> bool {
    feed.bytes_in > 0
}

/// How far the copies of a site are behind; unknown while nothing of it arrives.
fn lag(feed: &FeedStatus) -> Option<Duration> {
    feed.connected.then_some(feed.lag)
}

/// Why a feed is down, if it is.
fn stopped(feed: &FeedStatus) -> Option<String> {
    let reason = feed.ended.as_deref().filter(|_| !feed.connected)?;
    Some(format!("its records are not followed: {reason}"))
}

/// Where nodes are in the network, as the brain of this one sees it.
#[derive(Default)]
struct Places {
    nodes: BTreeMap<PeerId, Place>,
}

struct Place {
    /// How it is; unknown of those that only others of this site keep an eye on.
    health: Option<String>,
    distance_ms: Option<f64>,
    coordinates: Vec<f64>,
}

/// How far a node is expected to be.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Far {
    millis: f64,
    /// Whether this is known of another node of its site alone.
    of_site: bool,
}

impl Far {
    fn shown(self) -> String {
        let mark = if self.of_site { "~" } else { "" };
        format!("{mark}{:.2}", self.millis)
    }
}

impl Places {
    /// Takes over where another node of this site says that `member` is; `own` is this node's
    /// place.
    fn tell(&mut self, own: &Coordinate, member: &Member) {
        if let Some(coordinate) = &member.coordinate {
            let place = Place {
                health: None,
                distance_ms: Some(own.seconds(coordinate) * 1e3),
                coordinates: in_millis(coordinate),
            };
            self.nodes.entry(member.peer).or_insert(place);
        }
    }

    /// How far `peer` is expected to be: by its own place, else by the nearest of its site, which
    /// is a LAN apart from it.
    fn expected(&self, peer: PeerId) -> Option<Far> {
        let itself = self.nodes.get(&peer).and_then(|place| place.distance_ms);
        if let Some(millis) = itself {
            let of_site = false;
            return Some(Far { millis, of_site });
        }
        let of_site = self.nodes.iter().filter(|(one, _)| one.site == peer.site);
        let known = of_site.filter_map(|(_, place)| place.distance_ms);
        let millis = known.min_by(f64::total_cmp)?;
        let of_site = true;
        Some(Far { millis, of_site })
    }
}

/// The vector of a coordinate and its height, in milliseconds.
fn in_millis(coordinate: &Coordinate) -> Vec<f64> {
    let seconds = coordinate.vector.iter().chain([&coordinate.height]);
    seconds
        .map(|part| (f64::from(*part) * 1e5).round() / 1e2)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_nobody_knows_the_place_of_is_as_far_as_its_site() {
        let site = SitePrefix::of_key(b"far");
        let (known, other) = (PeerId::new(site, 1), PeerId::new(site, 2));
        let mut places = Places::default();
        assert_eq!(places.expected(other), None);
        let place = Place {
            health: None,
            distance_ms: Some(12.0),
            coordinates: Vec::new(),
        };
        places.nodes.insert(known, place);
        let shown = |peer| places.expected(peer).map(Far::shown);
        assert_eq!(shown(known).as_deref(), Some("12.00"));
        assert_eq!(shown(other).as_deref(), Some("~12.00"));
        assert_eq!(shown(PeerId::new(SitePrefix::of_key(b"x"), 1)), None);
    }
}
