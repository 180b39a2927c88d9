//! Who is of the cloud, as the fabric needs to know it: a standing for every key, and the
//! controllers of every site.
//!
//! Records decide. Before they have arrived, and for sites whose records have not arrived yet, the
//! list that the join was answered with counts (`peers.json`); a removal or revocation that is
//! known ends that. Where a member is tried beyond what its records say: [`places`].

mod places;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use luc_core::{PeerId, SitePrefix};
use luc_runtime::NodeKey;
use luc_runtime::fabric::{Admission, Fabric, Standing};
use luc_services::sites::{Label, Member, Members, MembershipNode};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use self::places::resolved;
use self::places::{Places, is_name};

/// No more controllers of a site are told of, or believed to be.
const TOLD_MAX: usize = 16;
/// The same for the addresses of one; and how long each may be (as records have it).
const ADDRESSES_MAX: usize = 16;
const ADDRESS_MAX: usize = 255;

/// Derived from a list of members, for quick answers.
struct View {
    members: Members,
    standings: BTreeMap<NodeKey, Standing>,
    nodes: BTreeMap<PeerId, Named>,
}

/// A member as people know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its key.
    pub key: NodeKey,
    /// The name of its site.
    pub site: String,
    /// Its name.
    pub name: String,
}

/// Where a controller of a site is, as its records say at the site that tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// Its key.
    pub key: String,
    /// Where it is reached.
    pub addresses: Vec<String>,
}

/// Who is of the cloud at this moment.
pub struct Membership {
    site: SitePrefix,
    told: Option<Members>,
    others: Standing,
    view: ArcSwap<View>,
    changes: watch::Sender<u64>,
    places: Places,
}

impl Membership {
    /// For a node of `site`, which was told of `told` when it joined. A hospitable one lets
    /// strangers speak to its doorman.
    pub fn new(site: SitePrefix, told: Option<Members>, hospitable: bool) -> Self {
        let none = Members {
            cloud: told.as_ref().map_or(site, |told| told.cloud),
            sites: Vec::new(),
            revoked: std::collections::BTreeSet::new(),
            removed: std::collections::BTreeSet::new(),
        };
        let view = View::of(merged(none, told.as_ref()));
        let others = if hospitable {
            Standing::Guest
        } else {
            Standing::Refused
        };
        Self {
            site,
            told,
            others,
            view: ArcSwap::from_pointee(view),
            changes: watch::Sender::new(0),
            places: Places::default(),
        }
    }

    /// Takes over what the records say now; whether anything is different.
    pub fn learn(&self, members: Members) -> bool {
        let members = merged(members, self.told.as_ref());
        if self.view.load().members == members {
            return false;
        }
        self.view.store(Arc::new(View::of(members)));
        self.changes.send_modify(|number| *number += 1);
        true
    }

    /// The members.
    pub fn members(&self) -> Members {
        self.view.load().members.clone()
    }

    /// Works on the members without copying them.
    pub fn with<T>(&self, work: impl FnOnce(&Members) -> T) -> T {
        work(&self.view.load().members)
    }

    /// The keys of the controllers of `site`.
    pub fn controllers(&self, site: SitePrefix) -> Vec<NodeKey> {
        self.with(|members| members.site(site).map(controllers).unwrap_or_default())
    }

    /// The key of `peer`, if it is a member.
    pub fn key_of(&self, peer: PeerId) -> Option<NodeKey> {
        self.view.load().nodes.get(&peer).map(|node| node.key)
    }

    /// Who `peer` is, if it is a member.
    pub fn named(&self, peer: PeerId) -> Option<Named> {
        self.view.load().nodes.get(&peer).cloned()
    }

    /// The nodes that are members, by the names of protocols.
    pub fn nodes(&self) -> BTreeMap<PeerId, Named> {
        self.view.load().nodes.clone()
    }

    /// Counts the changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The registered sites but this one.
    pub fn others(&self) -> Vec<SitePrefix> {
        let own = self.site;
        self.with(|members| {
            let sites = members.sites.iter().map(|member| member.site);
            sites.filter(|site| *site != own).collect()
        })
    }

    /// Whether the word of `site` counts for the whole cloud.
    pub fn trusts(&self, site: SitePrefix) -> bool {
        self.with(|members| {
            let found = members.site(site);
            found.is_some_and(|member| member.label == Label::Trusted)
        })
    }

    /// Tells the fabric where the members are and whom it may no longer talk to. A name means what
    /// it was looked up to before.
    pub fn apply(&self, fabric: &dyn Fabric) {
        self.with(|members| {
            for member in &members.sites {
                for node in &member.nodes {
                    let addresses = self.ways(member.site, node);
                    if let (Ok(key), false) = (node.key.parse(), addresses.is_empty()) {
                        fabric.set_address(key, addresses);
                    }
                }
            }
        });
        fabric.admission_changed();
    }

    /// Looks up all names among the addresses of members; whether there are any.
    pub async fn look_up(&self) -> bool {
        let names = self.names();
        if names.is_empty() {
            return false;
        }
        self.places.look_up(names).await;
        self.places.keep(&self.names());
        true
    }

    /// [`Self::apply`] after names were looked up.
    pub async fn place(&self, fabric: &dyn Fabric) {
        self.look_up().await;
        self.apply(fabric);
    }

    /// Where the nodes are that `wanted` picks, as their records say.
    pub fn addresses(&self, wanted: impl Fn(&Member, &MembershipNode) -> bool) -> Vec<SocketAddr> {
        self.with(|members| {
            let nodes = members.sites.iter().flat_map(|member| {
                let nodes = member.nodes.iter();
                nodes.filter(|node| wanted(member, node))
            });
            nodes
                .flat_map(|node| self.places.known(&node.addresses))
                .collect()
        })
    }

    /// Where the controllers of `site` are, for another site that asks.
    pub fn whereabouts(&self, site: SitePrefix) -> Vec<Whereabouts> {
        let whereabouts = |node: &MembershipNode| Whereabouts {
            key: node.key.clone(),
            addresses: bounded(node.addresses.clone()),
        };
        self.with(|members| {
            let nodes = members.site(site).into_iter().flat_map(|site| &site.nodes);
            let controllers = nodes.filter(|node| node.controller);
            controllers.take(TOLD_MAX).map(whereabouts).collect()
        })
    }

    /// Takes what another site told of where the controllers of `site` are, in place of what was
    /// told before. It counts beside what the records say, and for keys that are members already.
    pub fn tell(&self, site: SitePrefix, told: Vec<Whereabouts>) {
        let members = self.controllers(site);
        let told = told.into_iter().take(TOLD_MAX).filter_map(|node| {
            let key = node.key.parse().ok()?;
            members
                .contains(&key)
                .then(|| (key, bounded(node.addresses)))
        });
        self.places.tell(site, told.collect());
    }

    /// Forgets what was told of where `site` is; whether there was anything.
    pub fn forget_told(&self, site: SitePrefix) -> bool {
        self.places.forget(site)
    }

    /// Where a node of `site` is tried: what its records say, then what was told.
    fn ways(&self, site: SitePrefix, node: &MembershipNode) -> Vec<SocketAddr> {
        let mut ways = self.places.known(&node.addresses);
        let told = node.key.parse().map(|key| self.places.told(site, key));
        for way in self.places.known(&told.unwrap_or_default()) {
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        ways
    }

    /// The names among the addresses of members.
    fn names(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = self.with(|members| {
            let nodes = members.sites.iter().flat_map(|member| &member.nodes);
            let addresses = nodes.flat_map(|node| &node.addresses);
            addresses.filter(|text| is_name(text)).cloned().collect()
        });
        let told = self.places.all_told();
        names.extend(told.into_iter().filter(|text| is_name(text)));
        names
    }
}

/// No more addresses than a record may have.
fn bounded(mut addresses: Vec<String>) -> Vec<String> {
    addresses.retain(|address| address.len() <= ADDRESS_MAX);
    addresses.truncate(ADDRESSES_MAX);
    addresses
}

impl Admission for Membership {
    fn standing(&self, key: &NodeKey) -> Standing {
        let view = self.view.load();
        view.standings.get(key).copied().unwrap_or(self.others)
    }
}

impl View {
    fn of(members: Members) -> Self {
        let mut standings = BTreeMap::new();
        let mut nodes = BTreeMap::new();
        for member in &members.sites {
            for node in &member.nodes {
                let Ok(key) = node.key.parse::<NodeKey>() else {
                    continue;
                };
                let (peer, site, name) = (
                    key.peer_id(member.site),
                    member.name.clone(),
                    node.name.clone(),
                );
                standings.insert(key, Standing::Member(peer));
                nodes.insert(peer, Named { key, site, name });
            }
        }
        for key in members.revoked.iter().filter_map(|key| key.parse().ok()) {
            standings.insert(key, Standing::Refused);
            nodes.retain(|_, node| node.key != key);
        }
        Self {
            members,
            standings,
            nodes,
        }
    }
}

/// What the records say, and what the join said of sites that they do not speak of yet.
fn merged(mut members: Members, told: Option<&Members>) -> Members {
    let told = told.into_iter().flat_map(|told| &told.sites);
    for site in told {
        if members.removed.contains(&site.site) || members.site(site.site).is_some() {
            continue;
        }
        let mut site = site.clone();
        site.nodes
            .retain(|node| !members.revoked.contains(&node.key));
        members.sites.push(site);
    }
    members
        .sites
        .sort_by(|left, right| (&left.name, left.site).cmp(&(&right.name, right.site)));
    members
}

fn controllers(member: &Member) -> Vec<NodeKey> {
    let nodes = member.nodes.iter().filter(|node| node.controller);
    nodes.filter_map(|node| node.key.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> NodeKey {
        luc_runtime::NodeSecret::from_seed(&[number; 32]).key()
    }

    fn member(number: u8) -> Member {
        Member {
            site: SitePrefix::of_key(&[number]),
            name: format!("site-{number}"),
            label: Label::Trusted,
            domains: None,
            admitted_by: SitePrefix::of_key(&[1]),
            api_url: None,
            nodes: vec![MembershipNode {
                key: key(number).to_string(),
                name: "n".to_owned(),
                addresses: Vec::new(),
                controller: true,
            }],
        }
    }

    fn members(numbers: &[u8]) -> Members {
        Members {
            cloud: SitePrefix::of_key(&[1]),
            sites: numbers.iter().map(|number| member(*number)).collect(),
            revoked: std::collections::BTreeSet::new(),
            removed: std::collections::BTreeSet::new(),
        }
    }

    #[test]
    fn what_the_join_said_counts_until_records_end_it() {
        let own = SitePrefix::of_key(&[3]);
        let membership = Membership::new(own, Some(members(&[1, 2])), true);
        assert!(matches!(
            membership.standing(&key(2)),
            Standing::Member(id) if id.site == SitePrefix::of_key(&[2])
        ));
        assert_eq!(membership.standing(&key(9)), Standing::Guest);

        let mut known = members(&[1]);
        known.removed.insert(SitePrefix::of_key(&[2]));
        assert!(membership.learn(known.clone()));
        assert!(!membership.learn(known));
        assert_eq!(membership.standing(&key(2)), Standing::Guest);
        assert_eq!(membership.others(), [SitePrefix::of_key(&[1])]);
    }

    #[test]
    fn a_revoked_key_is_refused_even_by_a_hospitable_node() {
        let membership = Membership::new(SitePrefix::of_key(&[1]), None, true);
        let mut known = members(&[1, 2]);
        known.revoked.insert(key(2).to_string());
        membership.learn(known);
        assert_eq!(membership.standing(&key(2)), Standing::Refused);
        let closed = Membership::new(SitePrefix::of_key(&[1]), None, false);
        assert_eq!(closed.standing(&key(7)), Standing::Refused);
    }

    fn told(key: &NodeKey, address: &str) -> Vec<Whereabouts> {
        vec![Whereabouts {
            key: key.to_string(),
            addresses: vec![address.to_owned()],
        }]
    }

    #[test]
    fn what_others_tell_is_tried_after_what_the_records_say_and_for_members_only() {
        let site = SitePrefix::of_key(&[2]);
        let membership = Membership::new(SitePrefix::of_key(&[1]), None, true);
        let mut known = members(&[1, 2]);
        known.sites[1].nodes[0].addresses = vec!["192.0.2.2:7000".to_owned()];
        let node = known.sites[1].nodes[0].clone();
        membership.learn(known);
        let ways = || {
            let ways = membership.ways(site, &node).into_iter();
            ways.map(|way| way.to_string()).collect::<Vec<_>>()
        };
        membership.tell(site, told(&key(2), "192.0.2.9:7000"));
        assert_eq!(ways(), ["192.0.2.2:7000", "192.0.2.9:7000"]);
        // It is not passed on.
        let passed_on = membership.whereabouts(site);
        assert_eq!(passed_on, told(&key(2), "192.0.2.2:7000"));
        // Another word takes its place; one about the key of another site or a stranger is none.
        for wrong in [key(1), key(9)] {
            membership.tell(site, told(&wrong, "192.0.2.8:7000"));
            assert_eq!(ways(), ["192.0.2.2:7000"]);
            assert!(membership.places.all_told().is_empty());
        }
        membership.tell(site, told(&key(2), "192.0.2.7:7000"));
        assert!(membership.forget_told(site) && !membership.forget_told(site));
        assert_eq!(ways(), ["192.0.2.2:7000"]);
    }

    #[test]
    fn no_more_is_believed_than_a_record_may_hold() {
        let site = SitePrefix::of_key(&[2]);
        let membership = Membership::new(SitePrefix::of_key(&[1]), None, true);
        membership.learn(members(&[1, 2]));
        let mut many = told(&key(2), &"a".repeat(ADDRESS_MAX + 1));
        many[0]
            .addresses
            .extend((1..100).map(|port| format!("192.0.2.1:{port}")));
        membership.tell(site, many);
        assert_eq!(membership.places.all_told().len(), ADDRESSES_MAX);
        let node = &members(&[2]).sites[0].nodes[0];
        assert_eq!(membership.ways(site, node).len(), ADDRESSES_MAX);
    }
}
