//! What the checks let pass by name, each with its reason.
//!
//! An entry that nothing needs any more is itself a finding.

use super::Finding;
use super::sources::LINES_WANTED;
use crate::workspace::SourceFile;

/// Files with more than [`LINES_WANTED`] lines, and why they are not split.
pub(super) const LARGE_FILES: &[(&str, &str)] = &[
    (
        "crates/luc-api/src/image/attribute.rs",
        "one table: the attributes of an image, row by row",
    ),
    (
        "crates/luc-services/src/identity/projects.rs",
        "the five handlers of projects and their rules",
    ),
];

/// Entries that are no longer needed.
pub(super) fn stale(files: &[SourceFile]) -> Vec<Finding> {
    stale_in(LARGE_FILES, files)
}

fn stale_in(large: &[(&str, &str)], files: &[SourceFile]) -> Vec<Finding> {
    let needed = |path: &str| {
        files
            .iter()
            .any(|file| file.path == path && file.text.lines().count() > LINES_WANTED)
    };
    large
        .iter()
        .filter(|(path, _)| !needed(path))
        .map(|(path, _)| {
            Finding::of_file(
                path,
                "stands in LARGE_FILES of xtask and is not large (any more)",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{made_up, texts};
    use super::*;

    #[test]
    fn an_exception_without_a_large_file_is_stale() {
        let large = &[("a.rs", "a table"), ("b.rs", "gone")];
        let files = [
            made_up("a.rs", &"x\n".repeat(LINES_WANTED + 1)),
            made_up("b.rs", "x\n"),
        ];
        assert_eq!(
            texts(stale_in(large, &files)),
            ["b.rs: stands in LARGE_FILES of xtask and is not large (any more)"]
        );
    }

    #[test]
    fn every_exception_has_a_reason() {
        assert!(LARGE_FILES.iter().all(|(_, reason)| reason.len() > 10));
    }
}
