//! Where a server may run, as far as somebody who plans moves must know: the words of the
//! controller, which reads them from the server's request, its group, its project and its flavor.
//!
//! The agent carries them and does not act on them: the controller has chosen this host. Who reads
//! them: the sampler of a node's brain. On the wire they came later than the rest of a wish, so
//! each part may be missing.

use std::collections::BTreeSet;

use luc_core::SitePrefix;
use luc_core::id::{ServerGroupId, ServerId};
use serde::{Deserialize, Serialize};

/// A host as the whole cloud knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostName {
    /// Its site.
    pub site: SitePrefix,
    /// Its name there.
    pub name: String,
}

/// How the members of a group stand to each other (Nova's server group policies).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupPolicy {
    /// All on one host.
    Affinity,
    /// Each on another host.
    AntiAffinity,
    /// On as few hosts as can be.
    SoftAffinity,
    /// On as many hosts as can be.
    SoftAntiAffinity,
}

/// What a server's group asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRule {
    /// The group.
    pub id: ServerGroupId,
    /// How its members stand to each other.
    pub policy: GroupPolicy,
    /// The hosts of the other members, as far as the controller knows them.
    #[serde(default)]
    pub mates: BTreeSet<HostName>,
}

/// Where a server may run. Empty rules allow every host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlacementRules {
    /// Its group.
    pub group: Option<GroupRule>,
    /// What a host must have, all of it: its zone, what its flavor and its image ask for.
    pub labels: BTreeSet<String>,
    /// The only hosts it may run on, because somebody named them; empty means any.
    pub hosts: BTreeSet<HostName>,
    /// The only sites its data may be at; empty means any.
    pub sites: BTreeSet<SitePrefix>,
    /// Servers that are to run on other hosts than it: those that its request named, and those
    /// whose request named it.
    pub apart: BTreeSet<ServerId>,
    /// Servers that are to run on its host: one that its request named, and those that are here
    /// because their request named it.
    pub with: BTreeSet<ServerId>,
}

/// What the controller says of the host itself in answer to a heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostPlace {
    /// What it has that servers may ask for.
    pub labels: BTreeSet<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::DesiredServer;
    use crate::testing::server;

    fn ruled() -> DesiredServer {
        let host = HostName {
            site: SitePrefix::of_key(b"a"),
            name: "node-1".to_owned(),
        };
        let rules = PlacementRules {
            group: Some(GroupRule {
                id: ServerGroupId::parse("group").expect("an id"),
                policy: GroupPolicy::SoftAntiAffinity,
                mates: BTreeSet::from([host.clone()]),
            }),
            labels: BTreeSet::from(["zone:a".to_owned()]),
            sites: BTreeSet::from([host.site]),
            hosts: BTreeSet::from([host]),
            apart: BTreeSet::from([server("s2").id]),
            with: BTreeSet::from([server("s3").id]),
        };
        DesiredServer {
            rules: Some(rules),
            ..server("s1")
        }
    }

    #[test]
    fn rules_cross_the_wire_whole() {
        let text = serde_json::to_string(&ruled()).expect("it is written");
        assert!(text.contains("soft-anti-affinity"), "{text}");
        let read: DesiredServer = serde_json::from_str(&text).expect("it is read");
        assert_eq!(read, ruled());
    }

    #[test]
    fn a_wish_of_an_older_controller_says_nothing_of_rules() {
        let mut told = serde_json::to_value(ruled()).expect("it is written");
        let taken = told.as_object_mut().and_then(|wish| wish.remove("rules"));
        assert!(taken.is_some());
        let read: DesiredServer = serde_json::from_value(told).expect("it is read");
        assert_eq!(read.rules, None);
        let empty: PlacementRules = serde_json::from_str("{}").expect("each part may be missing");
        assert_eq!(empty, PlacementRules::default());
    }
}
