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

fn group(policy: GroupPolicy, members: &[(&str, u32)]) -> GroupAsk {
    let members = members
        .iter()
        .map(|(host, count)| ((*host).to_owned(), *count));
    GroupAsk {
        policy,
        max_per_host: 1,
        members: members.collect(),
    }
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

/// What is left of them for a small server of which something more is asked.
fn left_for(change: impl FnOnce(&mut Ask<'_>)) -> String {
    let mut ask = ask();
    change(&mut ask);
    left(&ask, |_| {})
}

#[test]
fn a_host_that_was_asked_for_is_the_only_one() {
    assert_eq!(left_for(|_| {}), "abc");
    assert_eq!(left_for(|ask| ask.host = Some("b")), "b");
    assert_eq!(left_for(|ask| ask.hypervisor = Some("c.site")), "c");
    assert_eq!(left_for(|ask| ask.zone = Some("paris")), "abc");
    assert_eq!(left_for(|ask| ask.zone = Some("lyon")), "");
}

#[test]
fn hosts_that_cannot_or_must_not_are_removed() {
    assert_eq!(left(&ask(), |hosts| hosts[0].disabled = true), "bc");
    assert_eq!(left_for(|ask| ask.tried = set(&["a", "b"])), "c");
    assert_eq!(left_for(|ask| ask.different = set(&["a"])), "bc");
    assert_eq!(left_for(|ask| ask.same = Some(set(&["c"]))), "c");
    let specs = BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]);
    let picky = Ask {
        extra_specs: Some(&specs),
        ..ask()
    };
    assert_eq!(left(&picky, |_| {}), "");
    let arm = BTreeMap::from([("hw_architecture".to_owned(), "aarch64".to_owned())]);
    let foreign = Ask {
        properties: Some(&arm),
        ..ask()
    };
    assert_eq!(left(&foreign, |_| {}), "");
}

#[test]
fn a_group_is_kept_together_or_apart() {
    let with = |policy, members: &[(&str, u32)]| {
        let group = group(policy, members);
        left_for(|ask| ask.group = Some(group))
    };
    assert_eq!(with(GroupPolicy::AntiAffinity, &[("a", 1)]), "bc");
    assert_eq!(with(GroupPolicy::Affinity, &[("b", 2)]), "b");
    assert_eq!(with(GroupPolicy::Affinity, &[]), "abc");
    assert_eq!(with(GroupPolicy::SoftAntiAffinity, &[("a", 1)]), "abc");
}

#[test]
fn a_host_is_full_in_every_dimension() {
    assert_eq!(left_for(|ask| ask.size = resources(4, 4096, 40)), "abc");
    assert_eq!(left_for(|ask| ask.size = resources(1, 4097, 1)), "");
    assert_eq!(left_for(|ask| ask.size = resources(5, 512, 1)), "");
    assert_eq!(left_for(|ask| ask.size = resources(1, 512, 41)), "");
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
        group: Some(group(GroupPolicy::SoftAffinity, &[("b", 3)])),
        ..ask()
    };
    assert_eq!(view.choose(&with).unwrap().name, "b");
    let apart = Ask {
        group: Some(group(GroupPolicy::SoftAntiAffinity, &[("a", 1), ("c", 1)])),
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

#[test]
fn a_host_that_is_only_expected_is_taken_when_none_that_was_heard_has_room() {
    let mut hosts = hosts(&["a", "b"]);
    hosts[1].capacity = resources(1, 1024, 10);
    let mut candidates: Vec<Candidate<'_>> = hosts
        .iter()
        .map(|host| Candidate::new(host, true, &host.zone))
        .collect();
    candidates[0].expected = true;
    let mut view = View::new(candidates);
    let ask = ask();
    let heard = view.choose(&ask).unwrap().name.clone();
    assert_eq!(heard, "b", "although a has more room");
    view.claim(&heard, ask.size);
    assert_eq!(view.choose(&ask).unwrap().name, "a");
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
