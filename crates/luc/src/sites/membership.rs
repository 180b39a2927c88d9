//! Who is of the cloud, as the fabric needs to know it: a standing for every key, and the
//! controllers of every site.
//!
//! Records decide. Before they have arrived, and for sites whose records have not arrived yet, the
//! list that the join was answered with counts (`peers.json`); a removal or revocation that is
//! known ends that.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use arc_swap::ArcSwap;
use luc_core::{PeerId, SitePrefix};
use luc_runtime::NodeKey;
use luc_runtime::fabric::{Admission, Fabric, Standing};
use luc_services::sites::{Label, Member, Members};
use tokio::sync::watch;

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

/// Who is of the cloud at this moment.
pub struct Membership {
    site: SitePrefix,
    told: Option<Members>,
    others: Standing,
    view: ArcSwap<View>,
    changes: watch::Sender<u64>,
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

    /// Tells the fabric where the members are and whom it may no longer talk to.
    pub fn apply(&self, fabric: &dyn Fabric) {
        self.with(|members| {
            for node in members.sites.iter().flat_map(|member| &member.nodes) {
                let addresses = resolved(&node.addresses);
                if let (Ok(key), false) = (node.key.parse(), addresses.is_empty()) {
                    fabric.set_address(key, addresses);
                }
            }
        });
        fabric.admission_changed();
    }
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

/// Addresses as the fabric wants them; a name is looked up.
pub fn resolved(addresses: &[String]) -> Vec<SocketAddr> {
    addresses
        .iter()
        .flat_map(|address| match address.parse::<SocketAddr>() {
            Ok(address) => vec![address],
            Err(_) => address
                .to_socket_addrs()
                .map(Iterator::collect)
                .unwrap_or_default(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use luc_services::sites::MembershipNode;

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
}
