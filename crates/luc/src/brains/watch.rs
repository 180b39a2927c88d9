//! What the services of a node learn from its brains: which hosts have failed, how far sites and
//! nodes are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use luc_core::{PeerId, SitePrefix};
use luc_overlay::{Coordinate, Standing};
use luc_runtime::brain::Sight;
use luc_services::Services;
use tokio_util::sync::CancellationToken;

use super::Brains;
use super::port::Report;
use crate::sites::adapter::Places;

/// How often what the brains know is looked at.
const EVERY: Duration = Duration::from_secs(2);

/// What the brains of this process knew lately.
#[derive(Debug, Default)]
pub(super) struct Latest {
    reports: Vec<Report>,
    places: BTreeMap<SitePrefix, Coordinate>,
}

/// What is known of another node.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The round trip that coordinates predict.
    pub expected: Option<Duration>,
    /// `awake`, `asleep`, `left` or `failed`.
    pub standing: &'static str,
    /// How long ago a message of it came in, or it was missed.
    pub ago: Option<Duration>,
}

impl Latest {
    fn of(reports: Vec<Report>) -> Self {
        let mut places: BTreeMap<SitePrefix, Coordinate> = BTreeMap::new();
        let statuses = reports.iter().filter_map(|report| report.status.as_ref());
        let known = statuses.flat_map(|status| {
            let members = status.members.iter();
            let others = members.filter_map(|one| Some((one.peer.site, one.coordinate?)));
            others.chain([(status.me.site, status.coordinate)])
        });
        for (site, coordinate) in known {
            let better = places
                .get(&site)
                .is_none_or(|place| coordinate.error < place.error);
            if better {
                places.insert(site, coordinate);
            }
        }
        Self { reports, places }
    }

    fn seen(&self, peer: PeerId) -> Option<Seen> {
        let statuses = self
            .reports
            .iter()
            .filter_map(|report| report.status.as_ref());
        for status in statuses {
            let ago = |at: f64| Duration::try_from_secs_f64(status.now - at).ok();
            let members = &status.members;
            if let Some(known) = members.iter().find(|known| known.peer == peer) {
                return Some(Seen {
                    expected: known
                        .distance
                        .and_then(|secs| Duration::try_from_secs_f64(secs).ok()),
                    standing: match known.standing {
                        Standing::Awake => "awake",
                        Standing::Asleep => "asleep",
                    },
                    ago: known.heard.and_then(ago),
                });
            }
            if let Some(gone) = status.gone.iter().find(|gone| gone.peer == peer) {
                return Some(Seen {
                    expected: None,
                    standing: if gone.failed { "failed" } else { "left" },
                    ago: ago(gone.at),
                });
            }
        }
        None
    }
}

impl Places for Brains {
    fn between(&self, a: SitePrefix, b: SitePrefix) -> Option<Duration> {
        let latest = self.latest.load();
        let (a, b) = (latest.places.get(&a)?, latest.places.get(&b)?);
        Some(a.distance(b))
    }
}

impl Brains {
    /// What the brains of this process knew lately of `peer`, the node's own first.
    pub fn seen(&self, peer: PeerId) -> Option<Seen> {
        self.latest.load().seen(peer)
    }

    /// Looks at the brains now and then, until `stopping`.
    pub async fn look_on(self: Arc<Self>, stopping: CancellationToken) {
        loop {
            let latest = Latest::of(self.reports().await);
            self.latest.store(Arc::new(latest));
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stopping.cancelled() => return,
            }
        }
    }

    /// Takes the word of the node's own brain for which hosts of the site are gone, so that their
    /// services are down at once and not only when heartbeats are missed. Until `stopping`.
    pub async fn mark_hosts(self: Arc<Self>, services: Arc<Services>, stopping: CancellationToken) {
        let Some(own) = self.own() else { return };
        let mut sights = own.follow().await;
        loop {
            let sight = tokio::select! {
                sight = sights.recv() => sight,
                () = stopping.cancelled() => return,
            };
            let gone = match sight {
                Some(Sight::Failed(peer) | Sight::Left(peer)) => peer,
                Some(Sight::Joined(_)) => continue,
                None => return,
            };
            // Hosts of this process are watched from nearer.
            if gone.site != self.site || self.is_here(gone) {
                continue;
            }
            if let Some(node) = self.membership.named(gone) {
                tracing::warn!(node = node.name, "its compute service counts as down");
                services.compute.liveness.forget(&node.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use luc_runtime::brain::{Gone, Member, Status};

    fn peer(site: u8, node: u64) -> PeerId {
        PeerId::new(SitePrefix::of_key(&[site]), node)
    }

    fn at(x: f32, error: f32) -> Coordinate {
        let mut place = Coordinate::origin(0.0, error);
        place.vector[0] = x;
        place
    }

    fn status() -> Status {
        let member = |peer, x, error| Member {
            peer,
            distance: Some(f64::from(x)),
            coordinate: Some(at(x, error)),
            standing: Standing::Awake,
            room: 100,
            heard: Some(8.0),
        };
        Status {
            me: peer(1, 1),
            coordinate: at(0.0, 0.2),
            samples: 9,
            is_delegate: true,
            is_free: true,
            members: vec![
                member(peer(2, 1), 0.01, 0.1),
                member(peer(2, 2), 0.05, 0.9),
                member(peer(3, 1), 0.03, 0.1),
            ],
            gone: vec![Gone {
                peer: peer(1, 7),
                failed: true,
                at: 7.0,
            }],
            load: None,
            now: 10.0,
            stories: Vec::new(),
            dropped: 0,
        }
    }

    #[test]
    fn the_surest_node_of_a_site_says_where_the_site_is() {
        let report = Report {
            site: "a".to_owned(),
            node: "n".to_owned(),
            peer: None,
            status: Some(status()),
            error: None,
        };
        let latest = Latest::of(vec![report]);
        let place = |number: u8| latest.places[&SitePrefix::of_key(&[number])];
        let millis = place(2).distance(&place(3)).as_secs_f64() * 1e3;
        assert!((millis - 20.0).abs() < 0.1, "{millis}");

        let seen = latest.seen(peer(2, 1)).expect("it is a member");
        assert_eq!(
            (seen.standing, seen.ago),
            ("awake", Some(Duration::from_secs(2)))
        );
        let gone = latest.seen(peer(1, 7)).expect("it was one");
        assert_eq!(
            (gone.standing, gone.ago),
            ("failed", Some(Duration::from_secs(3)))
        );
        assert_eq!(latest.seen(peer(9, 9)), None);
    }
}
