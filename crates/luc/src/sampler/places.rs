//! The rules of a wish in the scheduler's terms: hosts become peers, texts become labels.
//!
//! What is not known is taken for the stricter: a machine whose controller has said nothing of
//! rules, or names only hosts that nobody here knows, stays where it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use luc_agent::desired::{DesiredServer, GroupPolicy, GroupRule, HostName, PlacementRules};
use luc_core::id::ServerId;
use luc_core::{PeerId, SitePrefix, Uuid};
use luc_dvms::Rules;
use luc_dvms::host::{self, GroupId, Label, VmId};
use tokio::sync::watch;

use crate::sites::Membership;

/// Which peers the hosts of the cloud are.
pub(super) struct Places {
    me: PeerId,
    membership: Arc<Membership>,
    changes: watch::Receiver<u64>,
    peers: BTreeMap<(SitePrefix, String), PeerId>,
}

impl Places {
    /// As `membership` says; `me` is the host of the machines.
    pub(super) fn new(me: PeerId, membership: Arc<Membership>) -> Self {
        let mut changes = membership.changes();
        changes.mark_changed();
        Self {
            me,
            membership,
            changes,
            peers: BTreeMap::new(),
        }
    }

    /// Looks again who is a member, if that has changed.
    pub(super) fn refresh(&mut self) {
        if !self.changes.has_changed().unwrap_or(true) {
            return;
        }
        self.changes.borrow_and_update();
        let nodes = self.membership.nodes().into_iter();
        let named = nodes.map(|(peer, node)| ((peer.site, node.name), peer));
        self.peers = named.collect();
    }

    /// Where a machine of this host may run.
    pub(super) fn rules(&self, wish: Option<&DesiredServer>) -> Option<Arc<Rules>> {
        let rules = match wish.and_then(|wish| Some((&wish.id, wish.rules.as_ref()?))) {
            Some((id, rules)) => told(rules, (id, self.me), |host| self.peer(host)),
            None => Rules {
                hosts: vec![self.me],
                ..Rules::default()
            },
        };
        (rules != Rules::default()).then(|| Arc::new(rules))
    }

    /// The rules of a machine that does not run here and stays; nothing if nobody counts it.
    pub(super) fn rules_of_absent(&self, wish: &DesiredServer) -> Option<Arc<Rules>> {
        let groups = groups_of(wish.rules.as_ref()?, &wish.id);
        let rules = Rules {
            groups,
            hosts: vec![self.me],
            ..Rules::default()
        };
        (!rules.groups.is_empty()).then(|| Arc::new(rules))
    }

    fn peer(&self, host: &HostName) -> Option<PeerId> {
        let key = (host.site, host.name.clone());
        self.peers.get(&key).copied()
    }
}

fn membership_of(group: &GroupRule) -> Option<Vec<(GroupId, host::GroupPolicy)>> {
    let policy = match group.policy {
        GroupPolicy::Affinity => host::GroupPolicy::Affinity,
        GroupPolicy::AntiAffinity => host::GroupPolicy::AntiAffinity,
        GroupPolicy::SoftAffinity => host::GroupPolicy::SoftAffinity,
        GroupPolicy::SoftAntiAffinity => host::GroupPolicy::SoftAntiAffinity,
    };
    let id = Uuid::parse(group.id.as_str()).ok()?;
    Some(vec![(GroupId(id), policy)])
}

/// All groups of the server `id`: its server group, and one with each server that a hint ties it
/// to.
fn groups_of(rules: &PlacementRules, id: &ServerId) -> Vec<(GroupId, host::GroupPolicy)> {
    let of_group = rules.group.as_ref().and_then(membership_of);
    let mut groups = of_group.unwrap_or_default();
    let machine = |id: &ServerId| Uuid::parse(id.as_str()).ok().map(VmId);
    if let Some(own) = machine(id) {
        for (others, policy) in [
            (&rules.apart, host::GroupPolicy::AntiAffinity),
            (&rules.with, host::GroupPolicy::Affinity),
        ] {
            let mates = others.iter().filter_map(machine);
            groups.extend(mates.map(|mate| (GroupId::of_hint(own, mate, policy), policy)));
        }
    }
    groups
}

/// The rules of the server `id` on `me`; which peers hosts are is told by `peer_of`.
fn told(
    rules: &PlacementRules,
    (id, me): (&ServerId, PeerId),
    peer_of: impl Fn(&HostName) -> Option<PeerId>,
) -> Rules {
    let group = rules.group.as_ref();
    let affine = group.filter(|group| group.policy == GroupPolicy::Affinity);
    let mut mates = affine.into_iter().flat_map(|group| &group.mates);
    // A solver that does not see the others' host would not know that it parts them.
    let split = mates.any(|mate| peer_of(mate) != Some(me));
    let mut hosts: Vec<PeerId> = rules.hosts.iter().filter_map(&peer_of).collect();
    if split || (hosts.is_empty() && !rules.hosts.is_empty()) {
        hosts = vec![me];
    }
    Rules {
        groups: groups_of(rules, id),
        labels: rules.labels.iter().map(|text| Label::named(text)).collect(),
        hosts,
        sites: rules.sites.iter().copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use luc_agent::testing::server;
    use luc_core::id::ServerGroupId;

    const ONE: &str = "66666666-2222-8333-8444-000000000001";
    const TWO: &str = "66666666-2222-8333-8444-000000000002";
    const GROUP: &str = "66666666-2222-8333-8444-555555555555";

    fn site(name: &str) -> SitePrefix {
        SitePrefix::of_key(name.as_bytes())
    }

    fn named(name: &str) -> HostName {
        HostName {
            site: site("a"),
            name: name.to_owned(),
        }
    }

    fn peer(node: u64) -> PeerId {
        PeerId::new(site("a"), node)
    }

    /// Hosts are called by their numbers; this one is 1.
    fn of(rules: &PlacementRules) -> Rules {
        let id = ServerId::parse(ONE).expect("an id");
        told(rules, (&id, peer(1)), |host| {
            host.name.parse().ok().map(peer)
        })
    }

    fn grouped(policy: GroupPolicy, mates: &[&str]) -> PlacementRules {
        PlacementRules {
            group: Some(GroupRule {
                id: ServerGroupId::parse(GROUP).expect("an id"),
                policy,
                mates: mates.iter().map(|name| named(name)).collect(),
            }),
            ..PlacementRules::default()
        }
    }

    #[test]
    fn no_rules_allow_every_host() {
        assert_eq!(of(&PlacementRules::default()), Rules::default());
    }

    #[test]
    fn every_kind_of_rule_is_told() {
        let rules = PlacementRules {
            labels: BTreeSet::from(["zone:a".to_owned()]),
            hosts: [named("1"), named("3")].into(),
            sites: [site("a"), site("b")].into(),
            ..grouped(GroupPolicy::SoftAntiAffinity, &[])
        };
        let group = GroupId(Uuid::parse(GROUP).expect("an id"));
        let told = of(&rules);
        assert_eq!(told.groups, [(group, host::GroupPolicy::SoftAntiAffinity)]);
        assert_eq!(told.labels, [Label::named("zone:a")]);
        assert_eq!(told.hosts, [peer(1), peer(3)]);
        assert_eq!(BTreeSet::from_iter(told.sites), rules.sites);
    }

    #[test]
    fn both_servers_of_a_hint_are_told_the_same_pair() {
        let [one, two] = [ONE, TWO].map(|id| ServerId::parse(id).expect("an id"));
        let tied = |to: &ServerId| PlacementRules {
            apart: [to.clone()].into(),
            with: [to.clone()].into(),
            ..grouped(GroupPolicy::SoftAffinity, &[])
        };
        let groups = groups_of(&tied(&two), &one);
        assert_eq!(groups_of(&tied(&one), &two), groups);
        let [of_group, apart, with] = groups.as_slice() else {
            panic!("{groups:?}");
        };
        assert!(!of_group.0.is_hint() && apart.0.is_hint() && with.0.is_hint());
        assert_ne!(apart.0, with.0);
        assert_eq!(apart.1, host::GroupPolicy::AntiAffinity);
        assert_eq!(with.1, host::GroupPolicy::Affinity);
        assert_eq!(of(&tied(&two)).groups, groups);
    }

    #[test]
    fn a_pin_to_hosts_that_nobody_knows_is_no_freedom() {
        let rules = PlacementRules {
            hosts: [named("elsewhere")].into(),
            ..PlacementRules::default()
        };
        assert_eq!(of(&rules).hosts, [peer(1)]);
    }

    #[test]
    fn an_affinity_group_on_one_host_may_move_and_a_split_one_stays() {
        assert_eq!(of(&grouped(GroupPolicy::Affinity, &[])).hosts, []);
        assert_eq!(of(&grouped(GroupPolicy::Affinity, &["1"])).hosts, []);
        for mates in [&["2"][..], &["1", "2"], &["unknown"]] {
            let told = of(&grouped(GroupPolicy::Affinity, mates));
            assert_eq!(told.hosts, [peer(1)], "{mates:?}");
        }
        assert_eq!(of(&grouped(GroupPolicy::AntiAffinity, &["2"])).hosts, []);
    }

    #[tokio::test]
    async fn a_machine_of_which_nothing_is_said_stays() {
        let membership = Arc::new(Membership::new(site("a"), None, false));
        let places = Places::new(peer(1), membership);
        let stays = Rules {
            hosts: vec![peer(1)],
            ..Rules::default()
        };
        let silent = server("s1");
        for wish in [None, Some(&silent)] {
            assert_eq!(places.rules(wish).as_deref(), Some(&stays));
        }
        let mut free = silent.clone();
        free.rules = Some(PlacementRules::default());
        assert_eq!(places.rules(Some(&free)), None);
        assert_eq!(places.rules_of_absent(&free), None);
        free.rules = Some(grouped(GroupPolicy::AntiAffinity, &[]));
        let absent = places.rules_of_absent(&free).expect("its group counts it");
        assert_eq!(
            (absent.hosts.as_slice(), absent.groups.len()),
            (&[peer(1)][..], 1)
        );
    }
}
