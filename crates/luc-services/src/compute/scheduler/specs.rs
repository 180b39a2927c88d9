//! What flavors and images say of the hosts they want.
//!
//! Source: Nova's `AggregateInstanceExtraSpecsFilter`, `ImagePropertiesFilter` and the operators of
//! `oslo_utils.specs_matcher` (documentation).

use std::collections::BTreeMap;

use crate::compute::host::Host;

/// The scope of extra specs that speak of aggregates; those without a scope do too.
const SCOPE: &str = "aggregate_instance_extra_specs";

/// Whether the aggregates of a host have all that `wanted` says of aggregates.
pub(super) fn aggregates_have(
    aggregates: &[&BTreeMap<String, String>],
    wanted: &BTreeMap<String, String>,
) -> bool {
    wanted.iter().all(|(name, demand)| {
        aggregate_key(name).is_none_or(|key| aggregates_meet(aggregates, key, demand))
    })
}

/// What the extra spec `name` asks aggregates for; nothing if it speaks of something else.
pub(super) fn aggregate_key(name: &str) -> Option<&str> {
    match name.split_once(':') {
        None => Some(name),
        Some((SCOPE, name)) => Some(name),
        Some(_) => None,
    }
}

/// Whether an aggregate says of `key` what `demand` asks for.
pub(super) fn aggregates_meet(
    aggregates: &[&BTreeMap<String, String>],
    key: &str,
    demand: &str,
) -> bool {
    aggregates
        .iter()
        .filter_map(|metadata| metadata.get(key))
        .flat_map(|value| value.split(','))
        .any(|value| matches_demand(value.trim(), demand))
}

/// Whether `value` is what `demand` asks for: equal to it, or as its leading operator says.
fn matches_demand(value: &str, demand: &str) -> bool {
    let mut words = demand.split_whitespace();
    let (operator, operand) = (words.next().unwrap_or_default(), words.next());
    let Some(operand) = operand else {
        return value == demand;
    };
    let numbers = || Some((value.parse::<f64>().ok()?, operand.parse::<f64>().ok()?));
    match operator {
        "=" | ">=" => numbers().is_some_and(|(have, want)| have >= want),
        "<=" => numbers().is_some_and(|(have, want)| have <= want),
        "==" => numbers().is_some_and(|(have, want)| have.total_cmp(&want).is_eq()),
        "!=" => numbers().is_some_and(|(have, want)| have.total_cmp(&want).is_ne()),
        "s==" => value == operand,
        "s!=" => value != operand,
        "s<" => value < operand,
        "s<=" => value <= operand,
        "s>" => value > operand,
        "s>=" => value >= operand,
        "<in>" => value.contains(operand),
        "<or>" => demand.split("<or>").any(|word| word.trim() == value),
        _ => value == demand,
    }
}

/// Whether `host` is of the architecture and hypervisor that an image is made for.
pub(super) fn image_fits(host: &Host, properties: &BTreeMap<String, String>) -> bool {
    let (architecture, hypervisor) = image_wants(properties);
    architecture.is_none_or(|wanted| wanted.eq_ignore_ascii_case(&host.cpu.arch))
        && hypervisor.is_none_or(|wanted| {
            hypervisor_family(wanted) == hypervisor_family(&host.hypervisor_type)
        })
}

/// The architecture and the hypervisor that an image is made for.
pub(super) fn image_wants(properties: &BTreeMap<String, String>) -> (Option<&str>, Option<&str>) {
    let wanted = |names: [&str; 2]| names.into_iter().find_map(|name| properties.get(name));
    let architecture = wanted(["hw_architecture", "architecture"]);
    let hypervisor = wanted(["img_hv_type", "hypervisor_type"]);
    (
        architecture.map(String::as_str),
        hypervisor.map(String::as_str),
    )
}

/// KVM is QEMU with an accelerator: an image for the one runs on the other.
pub(super) fn hypervisor_family(name: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "kvm" | "qemu" => "qemu".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demand_may_begin_with_an_operator() {
        let cases = [
            ("ssd", "ssd", true),
            ("ssd", "hdd", false),
            ("8", ">= 4", true),
            ("8", "<= 4", false),
            ("8", "= 8", true),
            ("8.0", "== 8", true),
            ("8", "!= 8", false),
            ("eight", ">= 4", false),
            ("b", "s> a", true),
            ("b", "s== b", true),
            ("avx512", "<in> avx", true),
            ("red", "<or> blue <or> red", true),
            ("green", "<or> blue <or> red", false),
        ];
        for (value, demand, expected) in cases {
            assert_eq!(
                matches_demand(value, demand),
                expected,
                "{value} for '{demand}'"
            );
        }
    }

    #[test]
    fn only_specs_of_aggregates_count() {
        let metadata = BTreeMap::from([("disk".to_owned(), "ssd, nvme".to_owned())]);
        let wants = |name: &str, demand: &str| {
            let wanted = BTreeMap::from([(name.to_owned(), demand.to_owned())]);
            aggregates_have(&[&metadata], &wanted)
        };
        assert!(wants("disk", "nvme"));
        assert!(wants("aggregate_instance_extra_specs:disk", "ssd"));
        assert!(!wants("aggregate_instance_extra_specs:disk", "tape"));
        assert!(!wants("colour", "red"));
        assert!(wants("hw:cpu_policy", "dedicated"));
    }
}
