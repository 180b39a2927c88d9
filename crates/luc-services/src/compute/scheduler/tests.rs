//! The scheduler: a table of filters, then properties of every choice.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::compute::model::server_group::GroupPolicy;
use crate::compute::server::fixture::{host, resources};

fn hosts(names: &[&str]) -> Vec<Host> {
    names.iter().map(|name| host(name)).collect()
}

fn view(hosts: &[Host]) -> View<'_> {
    View::new(
        hosts
            .iter()
            .map(|host| Candidate::new(host, true, &host.zone))
            .collect(),
    )
}

fn ask() -> Ask<'static> {
    Ask {
        size: resources(1, 512, 1),
        ..Ask::default()
    }
}

fn group(policy: GroupPolicy, members: &[(&str, u32)]) -> Option<GroupAsk> {
    let members = members
        .iter()
        .map(|(host, count)| ((*host).to_owned(), *count))
        .collect();
    Some(GroupAsk {
        policy,
        max_per_host: 1,
        members,
    })
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What is left of hosts a, b and c.
fn left(ask: &Ask<'_>, change: impl FnOnce(&mut [Host])) -> String {
    let mut hosts = hosts(&["a", "b", "c"]);
    change(&mut hosts);
    let view = view(&hosts);
    let passes = |candidate: &&Candidate<'_>| Filter::ALL.iter().all(|f| f.passes(candidate, ask));
    view.candidates()
        .iter()
        .filter(passes)
        .map(|c| c.host.name.as_str())
        .collect()
}

#[test]
fn each_filter_removes_what_it_is_for() {
    let specs = BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]);
    let arm = BTreeMap::from([("hw_architecture".to_owned(), "aarch64".to_owned())]);
    let cases: Vec<(&str, Ask<'_>, &str)> = vec![
        ("nothing is asked", ask(), "abc"),
        (
            "a host",
            Ask {
                host: Some("b"),
                ..ask()
            },
            "b",
        ),
        (
            "a hypervisor",
            Ask {
                hypervisor: Some("c.site"),
                ..ask()
            },
            "c",
        ),
        (
            "tried",
            Ask {
                tried: set(&["a", "b"]),
                ..ask()
            },
            "c",
        ),
        (
            "another zone",
            Ask {
                zone: Some("lyon"),
                ..ask()
            },
            "",
        ),
        (
            "the zone",
            Ask {
                zone: Some("paris"),
                ..ask()
            },
            "abc",
        ),
        (
            "specs no aggregate has",
            Ask {
                extra_specs: Some(&specs),
                ..ask()
            },
            "",
        ),
        (
            "an image for others",
            Ask {
                properties: Some(&arm),
                ..ask()
            },
            "",
        ),
        (
            "elsewhere",
            Ask {
                different: set(&["a"]),
                ..ask()
            },
            "bc",
        ),
        (
            "together with",
            Ask {
                same: Some(set(&["c"])),
                ..ask()
            },
            "c",
        ),
        (
            "apart",
            Ask {
                group: group(GroupPolicy::AntiAffinity, &[("a", 1)]),
                ..ask()
            },
            "bc",
        ),
        (
            "with the group",
            Ask {
                group: group(GroupPolicy::Affinity, &[("b", 2)]),
                ..ask()
            },
            "b",
        ),
        (
            "first of a group",
            Ask {
                group: group(GroupPolicy::Affinity, &[]),
                ..ask()
            },
            "abc",
        ),
        (
            "too much memory",
            Ask {
                size: resources(1, 4097, 1),
                ..ask()
            },
            "",
        ),
        (
            "too many processors",
            Ask {
                size: resources(5, 512, 1),
                ..ask()
            },
            "",
        ),
        (
            "too much disk",
            Ask {
                size: resources(1, 512, 41),
                ..ask()
            },
            "",
        ),
        (
            "all of a host",
            Ask {
                size: resources(4, 4096, 40),
                ..ask()
            },
            "abc",
        ),
    ];
    for (name, ask, expected) in cases {
        assert_eq!(left(&ask, |_| {}), expected, "{name}");
    }
    assert_eq!(left(&ask(), |hosts| hosts[0].disabled = true), "bc");
}

#[test]
fn a_forced_host_passes_all_but_what_cannot_be_forced() {
    let forced = Ask {
        host: Some("a"),
        forced: true,
        zone: Some("lyon"),
        different: set(&["a"]),
        ..ask()
    };
    assert_eq!(left(&forced, |_| {}), "a");
    assert_eq!(left(&forced, |hosts| hosts[0].disabled = true), "");
    assert_eq!(
        left(
            &Ask {
                size: resources(9, 1, 1),
                ..forced
            },
            |_| {}
        ),
        ""
    );
}

#[test]
fn a_refusal_says_which_filter_removed_how_many() {
    let hosts = hosts(&["a", "b", "c", "d", "e", "f"]);
    let mut candidates: Vec<_> = hosts
        .iter()
        .map(|host| Candidate::new(host, true, "paris"))
        .collect();
    candidates[2].up = false;
    let view = View::new(candidates);
    let refusal = view
        .choose(&Ask {
            size: resources(1, 5000, 1),
            ..ask()
        })
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "There are not enough hosts available: 6 hosts: ComputeFilter removed 1, RamFilter \
         removed 5"
    );
    let nobody = View::new(Vec::new()).choose(&ask()).unwrap_err();
    assert_eq!(
        nobody.to_string(),
        "There are not enough hosts available: 0 hosts"
    );
}

#[test]
fn servers_spread_over_equal_hosts() {
    let hosts = hosts(&["a", "b", "c"]);
    let mut view = view(&hosts);
    let mut chosen = String::new();
    for _ in 0..6 {
        let host = view.choose(&ask()).unwrap();
        view.claim(&host.name, ask().size);
        chosen.push_str(&host.name);
    }
    assert_eq!(chosen, "abcabc");
}

#[test]
fn a_soft_group_outweighs_free_room() {
    let hosts = hosts(&["a", "b", "c"]);
    let mut view = view(&hosts);
    view.claim("b", resources(3, 3000, 30));
    let with = Ask {
        group: group(GroupPolicy::SoftAffinity, &[("b", 3)]),
        ..ask()
    };
    assert_eq!(view.choose(&with).unwrap().name, "b");
    let apart = Ask {
        group: group(GroupPolicy::SoftAntiAffinity, &[("a", 1), ("c", 1)]),
        ..ask()
    };
    assert_eq!(view.choose(&apart).unwrap().name, "b");
    let full = Ask {
        size: resources(2, 512, 1),
        ..with
    };
    assert_ne!(
        view.choose(&full).unwrap().name,
        "b",
        "a soft group gives way to room"
    );
}

#[test]
fn an_aggregate_brings_zone_and_specs() {
    let hosts = hosts(&["a", "b"]);
    let metadata = BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]);
    let mut candidates: Vec<_> = hosts
        .iter()
        .map(|host| Candidate::new(host, true, "paris"))
        .collect();
    candidates[1].aggregates.push(&metadata);
    candidates[1].zone = "lyon";
    let view = View::new(candidates);
    let wanted = BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]);
    let specs = Ask {
        extra_specs: Some(&wanted),
        ..ask()
    };
    assert_eq!(view.choose(&specs).unwrap().name, "b");
    assert_eq!(
        view.choose(&Ask {
            zone: Some("lyon"),
            ..ask()
        })
        .unwrap()
        .name,
        "b"
    );
}

fn policies() -> impl Strategy<Value = Option<GroupPolicy>> {
    prop_oneof![
        Just(None),
        Just(Some(GroupPolicy::Affinity)),
        Just(Some(GroupPolicy::AntiAffinity)),
        Just(Some(GroupPolicy::SoftAffinity)),
        Just(Some(GroupPolicy::SoftAntiAffinity)),
    ]
}

proptest! {
    #[test]
    fn what_is_promised_is_never_exceeded_and_groups_hold(
        capacities in prop::collection::vec((1u64..8, 256u64..8192, 1u64..60), 1..6),
        sizes in prop::collection::vec((1u64..4, 64u64..4096, 0u64..20), 1..40),
        policy in policies(),
        ratio in 1.0f64..4.0,
    ) {
        let mut hosts: Vec<Host> = Vec::new();
        for (index, (vcpus, memory, disk)) in capacities.iter().enumerate() {
            let mut host = host(&format!("n{index}"));
            host.capacity = resources(*vcpus, *memory, *disk);
            host.ratios.vcpus = ratio;
            hosts.push(host);
        }
        let mut view = view(&hosts);
        let mut members: BTreeMap<String, u32> = BTreeMap::new();
        for (vcpus, memory, disk) in sizes {
            let group = policy.map(|policy| GroupAsk {
                policy, max_per_host: 1, members: members.clone(),
            });
            let ask = Ask { size: resources(vcpus, memory, disk), group, ..Ask::default() };
            let chosen = view.choose(&ask);
            let again = view.clone().choose(&ask);
            prop_assert_eq!(
                chosen.as_ref().map(|host| &host.name).ok(),
                again.as_ref().map(|host| &host.name).ok(),
                "the same input gave another choice"
            );
            match chosen {
                Ok(host) => {
                    view.claim(&host.name, ask.size);
                    *members.entry(host.name.clone()).or_default() += 1;
                }
                Err(none) => {
                    let removed: usize = none.removed.iter().map(|(_, count)| count).sum();
                    prop_assert_eq!(removed, hosts.len(), "every host was removed by a filter");
                }
            }
        }
        for candidate in view.candidates() {
            let promisable = candidate.host.promisable();
            prop_assert!(candidate.claimed.vcpus <= promisable.vcpus);
            prop_assert!(candidate.claimed.memory <= promisable.memory);
            prop_assert!(candidate.claimed.disk <= promisable.disk);
        }
        match policy {
            Some(GroupPolicy::Affinity) => prop_assert!(members.len() <= 1),
            Some(GroupPolicy::AntiAffinity) => {
                prop_assert!(members.values().all(|count| *count == 1));
            }
            _ => {}
        }
    }
}
