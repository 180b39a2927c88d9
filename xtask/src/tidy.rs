//! What the compiler does not check: the shape of the house.
//!
//! Every check is a function from values (crates, files) to [`Finding`]s, with tests that prove it
//! can fail. What a check lets pass by name stands in [`exceptions`], with the reason. Called by
//! `cargo xtask tidy` and by [`crate::ci`].

mod dependencies;
mod documents;
mod exceptions;
mod graph;
mod sources;

use std::collections::BTreeSet;
use std::fmt;

use anyhow::Result;

use crate::workspace::{SourceFile, Workspace};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// The file, from the root.
    path: String,
    /// The line, from 1, where one is to blame.
    line: Option<usize>,
    /// What is wrong, and what to do.
    text: String,
}

impl Finding {
    fn of_file(path: &str, text: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: None,
            text: text.into(),
        }
    }

    fn of_line(path: &str, index: usize, text: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: Some(index + 1),
            text: text.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.text),
            None => write!(f, "{}: {}", self.path, self.text),
        }
    }
}

/// Checks the tree, prints what is wrong, and says whether all is well.
pub(crate) fn run(workspace: &Workspace) -> Result<bool> {
    let findings = findings(workspace)?;
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => println!("tidy: all is well"),
        count => println!("tidy: {count} findings"),
    }
    Ok(findings.is_empty())
}

/// Everything that is wrong with the tree, in the order of the paths.
pub(crate) fn findings(workspace: &Workspace) -> Result<Vec<Finding>> {
    let files = workspace.files()?;
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let mut findings = graph::check(&workspace.packages);
    findings.extend(graph::check_lint_files(&workspace.packages, |package| {
        let path = package.manifest_path.with_file_name("clippy.toml");
        std::fs::read_to_string(path).ok()
    }));
    findings.extend(dependencies::check(
        &workspace.packages,
        text_of(&files, dependencies::PAGE),
    ));
    findings.extend(exceptions::stale(&files));
    for file in &files {
        findings.extend(sources::check(file));
        findings.extend(documents::machine_paths(file));
        findings.extend(documents::dead_links(file, |path| {
            paths.contains(path) || workspace.root.join(path).is_dir()
        }));
    }
    findings.sort();
    Ok(findings)
}

fn text_of<'a>(files: &'a [SourceFile], path: &str) -> Option<&'a str> {
    files
        .iter()
        .find(|file| file.path == path)
        .map(|file| file.text.as_str())
}

/// A file made up by a test.
#[cfg(test)]
fn made_up(path: &str, text: &str) -> SourceFile {
    SourceFile {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

/// What findings say, for comparison in tests.
#[cfg(test)]
fn texts(findings: impl IntoIterator<Item = Finding>) -> Vec<String> {
    findings
        .into_iter()
        .map(|finding| finding.to_string())
        .collect()
}
