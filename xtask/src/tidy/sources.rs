//! Rust files: header, size, name, and marks of unfinished work.

use super::Finding;
use super::exceptions::LARGE_FILES;
use crate::workspace::SourceFile;

/// Above this many lines a file needs a reason.
pub(super) const LINES_WANTED: usize = 500;
/// Above this many lines a file is split.
const LINES_MAX: usize = 800;

/// Columns of a line. rustfmt keeps code to it, not comments and long texts.
const COLUMNS_MAX: usize = 100;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "common", "types", "helper", "helpers", "manager", "misc",
];

/// Checks one file; files that are not Rust pass.
pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    check_with(file, LARGE_FILES)
}

fn check_with(file: &SourceFile, large: &[(&str, &str)]) -> Vec<Finding> {
    let path = file.path.as_str();
    if !file.is("rs") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if !file.text.starts_with("//!") {
        let text = "opens with `//!`: what it is, what it is not, who calls it";
        findings.push(Finding::of_line(path, 0, text));
    }
    let lines = file.text.lines().count();
    if lines > LINES_MAX {
        let text = format!("has {lines} lines; split it, {LINES_MAX} are too many");
        findings.push(Finding::of_file(path, text));
    } else if lines > LINES_WANTED && !large.iter().any(|(known, _)| *known == path) {
        let text = format!("has {lines} lines; split it, or give the reason in LARGE_FILES");
        findings.push(Finding::of_file(path, text));
    }
    findings.extend(names(path).map(|text| Finding::of_file(path, text)));
    for (index, line) in file.text.lines().enumerate() {
        let faults = marks(line).chain(length(line));
        findings.extend(faults.map(|text| Finding::of_line(path, index, text)));
    }
    findings
}

/// What is wrong with the names in a path.
fn names(path: &str) -> impl Iterator<Item = String> {
    let file_name = path.rsplit('/').next().unwrap_or(path);
    let old_form = (file_name == "mod.rs").then(|| "name the file after its module".to_owned());
    let empty = path
        .trim_end_matches(".rs")
        .split('/')
        .filter(|name| EMPTY_NAMES.contains(name));
    let empty = empty.map(|name| format!("`{name}` says nothing; name it after what it holds"));
    old_form.into_iter().chain(empty.collect::<Vec<_>>())
}

/// What is wrong with the length of a line; an address cannot be broken.
fn length(line: &str) -> Option<String> {
    let columns = line.chars().count();
    (columns > COLUMNS_MAX && !line.contains("://"))
        .then(|| format!("has {columns} columns; break the line at {COLUMNS_MAX}"))
}

/// What is wrong with a line of code. The needles are cut in two so that this file passes.
fn marks(line: &str) -> impl Iterator<Item = String> {
    let code = line.split("//").next().unwrap_or(line);
    let unfinished = [concat!("to", "do!("), concat!("unimpl", "emented!(")]
        .into_iter()
        .filter(|mark| code.contains(mark))
        .map(|mark| format!("`{mark}…)` is not finished work"));
    let ignored = (code.trim() == concat!("#[ign", "ore]"))
        .then(|| "an ignored test says why: `#[ignore = \"reason\"]`".to_owned());
    let inline = code
        .trim_start()
        .trim_start_matches("pub ")
        .strip_prefix("mod ")
        .and_then(|rest| {
            let name = rest
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()?;
            EMPTY_NAMES
                .contains(&name)
                .then(|| format!("a module called `{name}` says nothing"))
        });
    unfinished
        .chain(ignored)
        .chain(inline)
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::super::{made_up, texts};
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        texts(check_with(
            &made_up(path, text),
            &[("crates/a/src/large.rs", "a table of facts")],
        ))
    }

    #[test]
    fn a_small_file_with_a_header_is_fine() {
        assert_eq!(
            found("crates/a/src/lib.rs", "//! What it is.\n\npub mod quota;\n"),
            [""; 0]
        );
        assert_eq!(found("README.md", "no header"), [""; 0]);
    }

    #[test]
    fn a_file_without_a_header_is_found() {
        for text in [
            "",
            "use std::fs;\n//! late\n",
            "/// not a header\n",
            "// neither\n",
        ] {
            let found = found("crates/a/src/lib.rs", text);
            assert_eq!(found.len(), 1, "{text}");
            assert!(
                found[0].starts_with("crates/a/src/lib.rs:1: opens with"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn large_files_need_a_reason_and_very_large_ones_have_none() {
        let lines = |count: usize| format!("//! x\n{}", "x\n".repeat(count - 1));
        assert_eq!(found("crates/a/src/b.rs", &lines(500)), [""; 0]);
        assert_eq!(
            found("crates/a/src/b.rs", &lines(501)),
            ["crates/a/src/b.rs: has 501 lines; split it, or give the reason in LARGE_FILES"]
        );
        assert_eq!(found("crates/a/src/large.rs", &lines(800)), [""; 0]);
        assert_eq!(
            found("crates/a/src/large.rs", &lines(801)),
            ["crates/a/src/large.rs: has 801 lines; split it, 800 are too many"]
        );
    }

    #[test]
    fn long_lines_are_found_unless_they_hold_an_address() {
        let line = |mark: &str| format!("//! {mark}{}\n", "é".repeat(96 - mark.len()));
        assert_eq!(found("crates/a/src/b.rs", &line("")), [""; 0]);
        let long = line("").replace("//!", "//!!");
        assert_eq!(
            found("crates/a/src/b.rs", &long),
            ["crates/a/src/b.rs:1: has 101 columns; break the line at 100"]
        );
        let address = line("https://").replace("//!", "//!!");
        assert_eq!(found("crates/a/src/b.rs", &address), [""; 0]);
    }

    #[test]
    fn empty_names_and_the_old_file_form_are_found() {
        assert_eq!(
            found("crates/a/src/quota/mod.rs", "//! x\n"),
            ["crates/a/src/quota/mod.rs: name the file after its module"]
        );
        for path in [
            "crates/a/src/utils.rs",
            "crates/a/src/types/b.rs",
            "crates/common/src/b.rs",
        ] {
            let found = found(path, "//! x\n");
            assert!(
                found.len() == 1 && found[0].contains("says nothing"),
                "{path}: {found:?}"
            );
        }
        let inline = "//! x\npub mod helpers {\n}\n";
        assert_eq!(
            found("crates/a/src/b.rs", inline),
            ["crates/a/src/b.rs:2: a module called `helpers` says nothing"]
        );
        assert_eq!(found("crates/a/src/b.rs", "//! x\nmod utility;\n"), [""; 0]);
    }

    #[test]
    fn unfinished_work_and_silent_ignores_are_found() {
        let text = format!(
            "//! x\nfn a() {{ {}\"later\") }}\n{}\nfn b() {{}}\n// a remark on {})\n",
            concat!("to", "do!("),
            concat!("#[ign", "ore]"),
            concat!("to", "do!("),
        );
        assert_eq!(
            found("crates/a/src/b.rs", &text),
            [
                concat!("crates/a/src/b.rs:2: `to", "do!(…)` is not finished work"),
                "crates/a/src/b.rs:3: an ignored test says why: `#[ignore = \"reason\"]`",
            ]
        );
        let reasoned = "//! x\n#[ignore = \"needs a real KVM\"]\nfn b() {}\n";
        assert_eq!(found("crates/a/src/b.rs", reasoned), [""; 0]);
    }
}
