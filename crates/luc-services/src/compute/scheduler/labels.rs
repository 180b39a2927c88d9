//! What a host must be for a server, as labels: texts that the server asks for and the host has.
//!
//! The distributed scheduler plans moves without the records that the filters of this scheduler
//! read, also to hosts of other sites; it compares labels. A host has the labels of its zone, its
//! processor and hypervisor and its aggregates, and each demand of a known flavor that it meets. A
//! demand with an operator of a flavor that is gone is met nowhere: such a server stays.
//! Called by `luc`, which tells each host its labels and each server's. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::specs;
use crate::compute::host::Host;
use crate::compute::model::server::Server;

/// What `server` asks of its host.
pub fn of_server(server: &Server) -> BTreeSet<String> {
    let mut labels: BTreeSet<String> = of_specs(&server.flavor.extra_specs).collect();
    labels.extend(server.wish.zone.as_deref().map(of_zone));
    let (architecture, hypervisor) = specs::image_wants(&server.image.properties);
    labels.extend(architecture.map(of_architecture));
    labels.extend(hypervisor.map(of_hypervisor));
    labels
}

/// What `host` has that servers may ask for. It is in `zone` and in aggregates with this metadata;
/// `flavors` are the extra specs of the flavors that are known.
pub fn of_host<'a>(
    host: &Host,
    zone: &str,
    aggregates: &[&BTreeMap<String, String>],
    flavors: impl Iterator<Item = &'a BTreeMap<String, String>>,
) -> BTreeSet<String> {
    let mut labels = BTreeSet::from([
        of_zone(zone),
        of_architecture(&host.cpu.arch),
        of_hypervisor(&host.hypervisor_type),
    ]);
    let traits = traits_of(host, aggregates);
    labels.extend(traits.iter().map(|name| format!("trait:{name}=required")));
    for (name, values) in aggregates.iter().flat_map(|metadata| metadata.iter()) {
        let values = values.split(',').map(str::trim);
        labels.extend(values.map(|value| format!("aggregate:{name}={value}")));
    }
    for (name, demand) in flavors.flatten() {
        let met = match asked(name, demand) {
            Some(Asked::Aggregate(name)) => specs::aggregates_meet(aggregates, name, demand),
            Some(Asked::Forbidden(name)) => !traits.contains(name),
            Some(Asked::Required(_)) | None => false,
        };
        if met {
            labels.extend(of_spec(name, demand));
        }
    }
    labels
}

/// What an extra spec asks of a host.
enum Asked<'a> {
    /// An aggregate that says something of this.
    Aggregate(&'a str),
    /// A trait.
    Required(&'a str),
    /// That it has not this trait.
    Forbidden(&'a str),
}

fn asked<'a>(name: &'a str, demand: &str) -> Option<Asked<'a>> {
    if let Some(name) = name.strip_prefix("trait:") {
        return match demand {
            "required" => Some(Asked::Required(name)),
            "forbidden" => Some(Asked::Forbidden(name)),
            _ => None,
        };
    }
    specs::aggregate_key(name).map(Asked::Aggregate)
}

fn of_spec(name: &str, demand: &str) -> Option<String> {
    Some(match asked(name, demand)? {
        Asked::Aggregate(name) => format!("aggregate:{name}={demand}"),
        Asked::Required(name) => format!("trait:{name}=required"),
        Asked::Forbidden(name) => format!("trait:{name}=forbidden"),
    })
}

fn of_specs(specs: &BTreeMap<String, String>) -> impl Iterator<Item = String> {
    specs
        .iter()
        .filter_map(|(name, demand)| of_spec(name, demand))
}

fn of_zone(zone: &str) -> String {
    format!("zone:{zone}")
}

fn of_architecture(name: &str) -> String {
    format!("architecture:{}", name.to_ascii_lowercase())
}

fn of_hypervisor(name: &str) -> String {
    format!("hypervisor:{}", specs::hypervisor_family(name))
}

/// The traits of a host: those that its aggregates give it (`trait:NAME=required` in their
/// metadata, as in Nova's isolation of aggregates), and its processor's features under the names
/// of `os-traits` (`HW_CPU_X86_SSE41` is the flag `sse4_1`).
fn traits_of(host: &Host, aggregates: &[&BTreeMap<String, String>]) -> BTreeSet<String> {
    let given = aggregates.iter().flat_map(|metadata| metadata.iter());
    let given = given.filter(|(_, value)| *value == "required");
    let mut traits: BTreeSet<String> = given
        .filter_map(|(name, _)| name.strip_prefix("trait:"))
        .map(str::to_owned)
        .collect();
    if host.cpu.arch == "x86_64" {
        let features = host.cpu.features.iter();
        traits.extend(features.map(|flag| {
            let name = flag.to_ascii_uppercase().replace(['_', '.'], "");
            format!("HW_CPU_X86_{name}")
        }));
    }
    traits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::host::CpuInfo;
    use crate::compute::server::fixture::host;

    type Texts<'a> = &'a [(&'a str, &'a str)];

    fn map(texts: Texts<'_>) -> BTreeMap<String, String> {
        let texts = texts.iter();
        texts
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    /// Whether a host in an aggregate with `metadata` has what `flavor` asks for, as a filter of
    /// this scheduler would say and as labels say.
    fn fits(metadata: Texts<'_>, flavor: Texts<'_>) -> (bool, bool) {
        let (metadata, flavor) = (map(metadata), map(flavor));
        let mut host = host("a");
        host.cpu = CpuInfo {
            arch: "x86_64".to_owned(),
            features: vec!["avx2".to_owned(), "sse4_1".to_owned()],
            ..CpuInfo::default()
        };
        let has = of_host(&host, "paris", &[&metadata], [&flavor].into_iter());
        let filtered = specs::aggregates_have(&[&metadata], &flavor);
        (
            filtered,
            of_specs(&flavor).all(|label| has.contains(&label)),
        )
    }

    #[test]
    fn labels_say_of_aggregates_what_the_filter_says() {
        let cases: [(Texts<'_>, Texts<'_>, bool); 7] = [
            (&[("disk", "ssd, nvme")], &[("disk", "nvme")], true),
            (&[("disk", "hdd")], &[("disk", "ssd")], false),
            (&[], &[("disk", "ssd")], false),
            (&[("cores", "8")], &[("cores", ">= 4")], true),
            (&[("cores", "2")], &[("cores", ">= 4")], false),
            (
                &[("disk", "ssd")],
                &[("aggregate_instance_extra_specs:disk", "ssd")],
                true,
            ),
            (&[], &[("hw:cpu_policy", "dedicated")], true),
        ];
        for (metadata, flavor, expected) in cases {
            assert_eq!(fits(metadata, flavor), (expected, expected), "{flavor:?}");
        }
    }

    #[test]
    fn traits_are_features_of_the_processor_and_gifts_of_aggregates() {
        let gold: Texts<'_> = &[("trait:CUSTOM_GOLD", "required")];
        assert!(fits(&[], &[("trait:HW_CPU_X86_SSE41", "required")]).1);
        assert!(!fits(&[], &[("trait:HW_CPU_X86_AVX512F", "required")]).1);
        assert!(fits(&[], &[("trait:HW_CPU_X86_AVX512F", "forbidden")]).1);
        assert!(!fits(&[], &[("trait:HW_CPU_X86_AVX2", "forbidden")]).1);
        assert!(fits(gold, gold).1);
        assert!(!fits(&[], gold).1);
    }

    #[test]
    fn a_host_has_the_labels_of_its_zone_and_of_what_images_ask_for() {
        let mut host = host("a");
        host.hypervisor_type = "QEMU".to_owned();
        host.cpu.arch = "x86_64".to_owned();
        let has = of_host(&host, "paris", &[], std::iter::empty());
        let expected = ["architecture:x86_64", "hypervisor:qemu", "zone:paris"];
        assert_eq!(has, expected.map(str::to_owned).into());
        assert_eq!(of_hypervisor("kvm"), "hypervisor:qemu");
    }
}
