//! Who may depend on whom, and what pure crates may use.
//!
//! The table is the one of `ARCHITECTURE.md`. Ordinary and build dependencies are checked; tests
//! may use any crate that does not depend on the one they test.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use crate::workspace::Package;

/// One crate of the house.
struct Place {
    name: &'static str,
    /// The crates of the workspace that it may depend on.
    uses: &'static [&'static str],
    /// Whether it is pure: no clock, socket, thread, file, global randomness or hash order.
    pure: bool,
}

const fn pure(name: &'static str, uses: &'static [&'static str]) -> Place {
    Place {
        name,
        uses,
        pure: true,
    }
}

const fn place(name: &'static str, uses: &'static [&'static str]) -> Place {
    Place {
        name,
        uses,
        pure: false,
    }
}

/// Every crate that the architecture knows, built or not yet.
const PLACES: &[Place] = &[
    pure("luc-core", &[]),
    pure("luc-overlay", &["luc-core"]),
    pure("luc-dvms", &["luc-core"]),
    pure("luc-state", &["luc-core"]),
    pure(
        "luc-node",
        &["luc-core", "luc-overlay", "luc-dvms", "luc-state"],
    ),
    pure(
        "luc-sim",
        &[
            "luc-core",
            "luc-overlay",
            "luc-dvms",
            "luc-state",
            "luc-node",
        ],
    ),
    place("luc-engines", &["luc-core", "luc-state"]),
    place(
        "luc-runtime",
        &[
            "luc-core",
            "luc-state",
            "luc-overlay",
            "luc-dvms",
            "luc-node",
        ],
    ),
    place("luc-api", &["luc-core"]),
    place("luc-services", &["luc-core", "luc-state", "luc-api"]),
    place("luc-agent", &["luc-core", "luc-api"]),
    place(
        "luc",
        &[
            "luc-core",
            "luc-overlay",
            "luc-dvms",
            "luc-state",
            "luc-node",
            "luc-sim",
            "luc-engines",
            "luc-runtime",
            "luc-api",
            "luc-services",
            "luc-agent",
        ],
    ),
    place("xtask", &[]),
];

/// External crates that pure crates may use: data structures, codecs, hashes, and futures without a
/// runtime. None of them reads a clock, a file, a socket or the system's randomness on its own.
const PURE_EXTERNAL: &[&str] = &[
    "arc-swap",
    "async-trait",
    "bytes",
    "equivalent",
    "foca",
    "futures",
    "hex",
    "imbl",
    "rand_core",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
    "toml",
];

/// The lint file that makes clippy keep a crate pure.
const LINT_FILE: &str = "clippy.toml";

/// Checks the edges between crates and what pure crates use.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let manifest = manifest(package);
        let Some(place) = PLACES.iter().find(|place| place.name == package.name) else {
            let text = "this crate has no place in the table of xtask/src/tidy/graph.rs";
            findings.push(Finding::of_file(&manifest, text));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let inside = dependency.path.is_some();
            let for_tests = dependency.kind.as_deref() == Some("dev");
            if for_tests {
                if inside && reaches(packages, name, &package.name) {
                    let text = format!("its tests use {name}, which depends on it");
                    findings.push(Finding::of_file(&manifest, text));
                }
            } else if inside && !place.uses.contains(&name) {
                let may = place.uses.join(", ");
                let may = if may.is_empty() {
                    "nothing of the workspace"
                } else {
                    &may
                };
                let text = format!("must not depend on {name}; it may depend on {may}");
                findings.push(Finding::of_file(&manifest, text));
            } else if !inside && place.pure && !PURE_EXTERNAL.contains(&name) {
                let text = format!("is pure and must not use {name}; see PURE_EXTERNAL in xtask");
                findings.push(Finding::of_file(&manifest, text));
            }
        }
    }
    findings
}

/// Checks that every pure crate has the lint file, with the rules of `luc-core`'s.
pub(super) fn check_lint_files(
    packages: &[Package],
    lint_file: impl Fn(&Package) -> Option<String>,
) -> Vec<Finding> {
    let pure: Vec<_> = packages
        .iter()
        .filter(|package| {
            PLACES
                .iter()
                .any(|place| place.pure && place.name == package.name)
        })
        .collect();
    let rules_of = |package: &Package| lint_file(package).map(|text| rules(&text));
    let model = pure
        .iter()
        .find(|package| package.name == "luc-core")
        .and_then(|core| rules_of(core));
    let mut findings = Vec::new();
    for package in pure {
        let path = manifest(package).replace("Cargo.toml", LINT_FILE);
        match (rules_of(package), &model) {
            (None, _) => findings.push(Finding::of_file(&path, "a pure crate needs this file")),
            (Some(own), Some(model)) => {
                for rule in model.difference(&own) {
                    findings.push(Finding::of_file(
                        &path,
                        format!("lacks luc-core's rule: {rule}"),
                    ));
                }
            }
            (Some(_), None) => {}
        }
    }
    findings
}

/// The paths that a lint file forbids.
fn rules(text: &str) -> BTreeSet<String> {
    let paths = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("{ path = \""));
    paths
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect()
}

/// Whether `from` depends on `to` through ordinary and build dependencies.
fn reaches(packages: &[Package], from: &str, to: &str) -> bool {
    let by_name: BTreeMap<&str, &Package> = packages
        .iter()
        .map(|package| (package.name.as_str(), package))
        .collect();
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        if let Some(package) = by_name.get(name).filter(|_| seen.insert(name)) {
            let next = package
                .dependencies
                .iter()
                .filter(|one| one.kind.as_deref() != Some("dev"));
            open.extend(next.map(|dependency| dependency.name.as_str()));
        }
    }
    false
}

fn manifest(package: &Package) -> String {
    if package.name == "xtask" {
        "xtask/Cargo.toml".to_owned()
    } else {
        format!("crates/{}/Cargo.toml", package.name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::texts;
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|(name, kind)| Dependency {
                name: (*name).to_owned(),
                kind: kind.map(str::to_owned),
                path: name.starts_with("luc").then(|| name.into()),
            })
            .collect();
        Package {
            name: name.to_owned(),
            dependencies,
            manifest_path: "Cargo.toml".into(),
        }
    }

    #[test]
    fn an_edge_that_the_table_does_not_have_is_found() {
        let services = package("luc-services", &[("luc-state", None), ("luc-agent", None)]);
        assert_eq!(
            texts(check(&[services])),
            [
                "crates/luc-services/Cargo.toml: must not depend on luc-agent; it may depend on \
                 luc-core, luc-state, luc-api"
            ]
        );
        let core = package("luc-core", &[("luc-api", Some("build"))]);
        assert_eq!(
            texts(check(&[core])),
            [
                "crates/luc-core/Cargo.toml: must not depend on luc-api; it may depend on nothing \
                 of the workspace"
            ]
        );
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        let found = texts(check(&[package("luc-util", &[])]));
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("has no place in the table"), "{found:?}");
    }

    #[test]
    fn a_pure_crate_uses_only_what_is_listed() {
        let state = |name: &str, kind| package("luc-state", &[("serde", None), (name, kind)]);
        assert_eq!(
            texts(check(&[state("tokio", None)])),
            [
                "crates/luc-state/Cargo.toml: is pure and must not use tokio; see PURE_EXTERNAL in \
                 xtask"
            ]
        );
        assert_eq!(texts(check(&[state("proptest", Some("dev"))])), [""; 0]);
        assert_eq!(
            texts(check(&[package("luc-api", &[("tokio", None)])])),
            [""; 0]
        );
    }

    #[test]
    fn tests_may_use_what_does_not_use_them() {
        let state = package("luc-state", &[("luc-core", None)]);
        let engines = package("luc-engines", &[("luc-state", None)]);
        let core = |uses| package("luc-core", &[(uses, Some("dev"))]);
        let found = texts(check(&[
            core("luc-engines"),
            state.clone(),
            engines.clone(),
        ]));
        assert_eq!(
            found,
            ["crates/luc-core/Cargo.toml: its tests use luc-engines, which depends on it"]
        );
        let services = package("luc-services", &[("luc-engines", Some("dev"))]);
        assert_eq!(texts(check(&[services, state, engines])), [""; 0]);
    }

    #[test]
    fn the_table_itself_has_no_ring() {
        for (index, place) in PLACES.iter().enumerate() {
            for used in place.uses {
                assert!(
                    PLACES[..index].iter().any(|earlier| earlier.name == *used),
                    "{used}"
                );
            }
            let impure = |name: &&str| PLACES.iter().any(|one| one.name == *name && !one.pure);
            assert!(
                !place.pure || !place.uses.iter().any(impure),
                "{}",
                place.name
            );
        }
    }

    #[test]
    fn a_pure_crate_keeps_the_lint_file_of_the_core() {
        let packages = [
            package("luc-core", &[]),
            package("luc-state", &[]),
            package("luc", &[]),
        ];
        let model = "disallowed-methods = [\n  { path = \"std::fs::read\", reason = \"r\" },\n]";
        let whole = check_lint_files(&packages, |_| Some(model.to_owned()));
        assert_eq!(texts(whole), [""; 0]);
        let missing = |package: &Package| (package.name == "luc-core").then(|| model.to_owned());
        assert_eq!(
            texts(check_lint_files(&packages, missing)),
            ["crates/luc-state/clippy.toml: a pure crate needs this file"]
        );
        let empty = |package: &Package| {
            Some(if package.name == "luc-core" {
                model.to_owned()
            } else {
                String::new()
            })
        };
        assert_eq!(
            texts(check_lint_files(&packages, empty)),
            ["crates/luc-state/clippy.toml: lacks luc-core's rule: std::fs::read"]
        );
    }
}
