//! Text that points somewhere: links in Markdown, and paths of somebody's machine.

use super::Finding;
use crate::workspace::SourceFile;

/// Finds links of a Markdown file to files that do not exist, and to headings that the file itself
/// does not have. `exists` is asked with paths from the root.
pub(super) fn dead_links(file: &SourceFile, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    if !file.is("md") {
        return Vec::new();
    }
    let anchors: Vec<String> = prose(&file.text)
        .filter_map(|(_, line)| heading(line))
        .collect();
    let mut findings = Vec::new();
    for (index, line) in prose(&file.text) {
        for link in links(line) {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let dead = if path.is_empty() {
                !anchors.iter().any(|known| known == anchor)
            } else {
                !joined(&file.path, path).is_some_and(|path| exists(&path))
            };
            if dead {
                findings.push(Finding::of_line(
                    &file.path,
                    index,
                    format!("dead link: {link}"),
                ));
            }
        }
    }
    findings
}

/// The lines of a Markdown text that are not in fenced code, with their indexes.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The targets of the links of a line that lead into the tree.
fn links(line: &str) -> Vec<String> {
    // Inline code holds no links: drop every second piece between backticks.
    let text: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
    let inline = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let reference = text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "))
        .map(|(_, target)| target.trim());
    inline
        .chain(reference)
        .map(|target| target.split(' ').next().unwrap_or(target).to_owned())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .filter(|target| !target.is_empty())
        .collect()
}

/// The anchor that GitHub gives to a heading.
fn heading(line: &str) -> Option<String> {
    let title = line
        .strip_prefix('#')?
        .trim_start_matches('#')
        .strip_prefix(' ')?;
    let kept = title
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
}

/// `target` seen from the directory of `file`, as a path from the root; `None` if it leads outside.
fn joined(file: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Directories that exist on one person's or one build's machine only. Cut in two, as above.
const MACHINE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/tm", "p/"),
];

/// Finds absolute paths of a particular machine. What stands in `guest/` describes the guest's own
/// file system and passes.
pub(super) fn machine_paths(file: &SourceFile) -> Vec<Finding> {
    if file.path.starts_with("guest/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for path in MACHINE.iter().filter(|path| names_path(line, path)) {
            let text = format!("names a path of one machine: {path}…");
            findings.push(Finding::of_line(&file.path, index, text));
        }
    }
    findings
}

/// Whether `line` holds the absolute `path`, rather than a longer one (`/var/tmp/`) or part of an
/// address.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | ')' | '/'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{made_up, texts};
    use super::*;

    fn dead(path: &str, text: &str) -> Vec<String> {
        let exists = |path: &str| matches!(path, "README.md" | "docs/glossary.md" | "docs");
        texts(dead_links(&made_up(path, text), exists))
    }

    #[test]
    fn links_that_lead_somewhere_are_fine() {
        let text = "# A word: here\n[a](../README.md) [b](glossary.md#x \"title\")\n\
                    [c](#a-word-here) [d](https://example.org/x) `[e](nowhere)` [f](.)\n\
                    ```\n[g](nowhere)\n```\n";
        assert_eq!(dead("docs/a.md", text), [""; 0]);
        assert_eq!(dead("docs/a.rs", "[a](nowhere)"), [""; 0]);
    }

    #[test]
    fn links_to_nothing_are_found() {
        let text = "[a](gone.md) and [b](../glossary.md)\n\n[c](#no-such)\n[d]: gone/too.md\n\
                    [e](../../README.md)\n";
        assert_eq!(
            dead("docs/a.md", text),
            [
                "docs/a.md:1: dead link: gone.md",
                "docs/a.md:1: dead link: ../glossary.md",
                "docs/a.md:3: dead link: #no-such",
                "docs/a.md:4: dead link: gone/too.md",
                "docs/a.md:5: dead link: ../../README.md",
            ]
        );
    }

    #[test]
    fn paths_of_a_machine_are_found_everywhere_but_in_the_guest() {
        let text = format!("cd {}main\nx=\"{}x\"\n", MACHINE[0], MACHINE[3]);
        let found = texts(machine_paths(&made_up("scripts/x", &text)));
        assert_eq!(found.len(), 2);
        assert!(
            found[0].starts_with("scripts/x:1: names a path of one machine"),
            "{found:?}"
        );
        assert_eq!(texts(machine_paths(&made_up("guest/init", &text))), [""; 0]);
    }

    #[test]
    fn longer_paths_and_urls_are_no_paths_of_a_machine() {
        let text = format!(
            "/var{0}x https://x.org{0} $D{0} ${{D}}{0} ../net{0}\n",
            MACHINE[3]
        );
        assert_eq!(texts(machine_paths(&made_up("a.md", &text))), [""; 0]);
    }
}
