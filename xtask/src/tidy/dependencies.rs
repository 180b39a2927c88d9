//! Every external crate has a line that says why it is here.

use std::collections::BTreeSet;

use super::Finding;
use crate::workspace::Package;

/// The page with the lines.
pub(super) const PAGE: &str = "docs/dependencies.md";

/// Compares the external crates that the workspace uses with the lines of the page, whose form is
/// `- **name** (licence): reason`.
pub(super) fn check(packages: &[Package], page: Option<&str>) -> Vec<Finding> {
    let Some(page) = page else {
        return vec![Finding::of_file(PAGE, "is missing")];
    };
    let used: BTreeSet<&str> = packages
        .iter()
        .flat_map(|package| &package.dependencies)
        .filter(|dependency| dependency.path.is_none())
        .map(|dependency| dependency.name.as_str())
        .collect();
    let mut findings = Vec::new();
    let mut lines = BTreeSet::new();
    for (index, line) in page.lines().enumerate() {
        let Some(entry) = line.strip_prefix("- **") else {
            continue;
        };
        match parts(entry) {
            Some((name, _)) if !lines.insert(name) => {
                findings.push(Finding::of_line(
                    PAGE,
                    index,
                    format!("{name} has two lines"),
                ));
            }
            Some((name, _)) if !used.contains(name) => {
                let text = format!("no crate of the workspace uses {name} directly");
                findings.push(Finding::of_line(PAGE, index, text));
            }
            Some((_, reason)) if !reason.is_empty() => {}
            _ => {
                let text = "the form is `- **name** (licence): reason`";
                findings.push(Finding::of_line(PAGE, index, text));
            }
        }
    }
    for name in used.difference(&lines) {
        let text = format!("{name} is used and has no line `- **{name}** (licence): reason`");
        findings.push(Finding::of_file(PAGE, text));
    }
    findings
}

/// The name and the reason of a line whose first `- **` is cut off.
fn parts(entry: &str) -> Option<(&str, &str)> {
    let (name, rest) = entry.split_once("** (")?;
    let (licence, reason) = rest.split_once("): ")?;
    (!licence.is_empty()).then(|| (name, reason.trim()))
}

#[cfg(test)]
mod tests {
    use super::super::texts;
    use super::*;
    use crate::workspace::Dependency;

    fn packages() -> Vec<Package> {
        let dependency = |name: &str, path: Option<&str>| Dependency {
            name: name.to_owned(),
            kind: None,
            path: path.map(Into::into),
        };
        let dependencies = vec![dependency("serde", None), dependency("luc-core", Some("x"))];
        vec![Package {
            name: "luc".to_owned(),
            dependencies,
            manifest_path: "Cargo.toml".into(),
        }]
    }

    #[test]
    fn a_used_crate_with_a_line_is_fine() {
        let page = "# Dependencies\n\n- **serde** (MIT/Apache-2.0): JSON.\n";
        assert_eq!(texts(check(&packages(), Some(page))), [""; 0]);
    }

    #[test]
    fn missing_stale_double_and_malformed_lines_are_found() {
        assert_eq!(
            texts(check(&packages(), None)),
            ["docs/dependencies.md: is missing"]
        );
        assert_eq!(
            texts(check(&packages(), Some("# Dependencies\n"))),
            [
                "docs/dependencies.md: serde is used and has no line `- **serde** (licence): \
                 reason`"
            ]
        );
        let line = "- **serde** (MIT): JSON.\n";
        let page = format!("{line}{line}- **tokio** (MIT): runs.\n- **luc-core**: no licence\n");
        assert_eq!(
            texts(check(&packages(), Some(&page))),
            [
                "docs/dependencies.md:2: serde has two lines",
                "docs/dependencies.md:3: no crate of the workspace uses tokio directly",
                "docs/dependencies.md:4: the form is `- **name** (licence): reason`",
            ]
        );
    }
}
