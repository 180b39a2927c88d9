//! The workspace as cargo and the file system show it.
//!
//! Reads only. The checks get their input from here as values, so that their tests can make up
//! trees of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The workspace that this program was built from.
pub(crate) struct Workspace {
    /// Its root directory.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
    /// Its crates.
    pub(crate) packages: Vec<Package>,
}

/// A crate of the workspace, in the words of `cargo metadata`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// What it depends on directly.
    pub(crate) dependencies: Vec<Dependency>,
    /// Its manifest.
    pub(crate) manifest_path: PathBuf,
}

/// A direct dependency of a crate.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Dependency {
    /// Its name on crates.io or in the workspace.
    pub(crate) name: String,
    /// `dev`, `build`, or none for an ordinary one.
    pub(crate) kind: Option<String>,
    /// Its directory, if it is a crate of the workspace.
    pub(crate) path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

/// A text file of the tree.
#[derive(Clone, Debug)]
pub(crate) struct SourceFile {
    /// Its path from the root, with `/`.
    pub(crate) path: String,
    /// Its content.
    pub(crate) text: String,
}

impl SourceFile {
    /// Whether the name ends in `.extension`.
    pub(crate) fn is(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|own| own == extension)
    }
}

/// Directories that hold what is built or fetched, by their path from the root.
const OUTPUT: [&str; 6] = [
    "target",
    "guest/build",
    "fuzz/target",
    "fuzz/corpus",
    "fuzz/artifacts",
    "fuzz/coverage",
];
/// Hidden directories that belong to the source.
const HIDDEN_SOURCE: [&str; 3] = [".cargo", ".ci", ".config"];

impl Workspace {
    /// Asks cargo; needs no network.
    pub(crate) fn find() -> Result<Self> {
        let output = Command::new(cargo())
            .args([
                "metadata",
                "--format-version",
                "1",
                "--no-deps",
                "--manifest-path",
            ])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .output()
            .context("running `cargo metadata`")?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "`cargo metadata` failed: {}",
            told.trim()
        );
        let metadata: Metadata =
            serde_json::from_slice(&output.stdout).context("reading `cargo metadata`")?;
        Ok(Self {
            root: metadata.workspace_root,
            target: metadata.target_directory,
            packages: metadata.packages,
        })
    }

    /// A cargo command in the root of the workspace.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cargo());
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// The text files of the source tree, in the order of their paths.
    pub(crate) fn files(&self) -> Result<Vec<SourceFile>> {
        let mut files = Vec::new();
        collect(&self.root, &self.root, &mut files)?;
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(files)
    }
}

/// The cargo that runs this program, else the one on the path.
pub(crate) fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<SourceFile>) -> Result<()> {
    let entries = fs::read_dir(directory)
        .with_context(|| format!("reading the directory {}", directory.display()))?;
    for entry in entries {
        let entry = entry?;
        let full = entry.path();
        let path = relative(root, &full);
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let hidden = name.starts_with('.') && !HIDDEN_SOURCE.contains(&path.as_str());
            if !hidden && name != "__pycache__" && !OUTPUT.contains(&path.as_str()) {
                collect(root, &full, files)?;
            }
        } else if kind.is_file() {
            let bytes = fs::read(&full).with_context(|| format!("reading {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(SourceFile { path, text });
            }
        }
    }
    Ok(())
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_hidden_directories_and_binary_files_are_no_source() {
        let tree = tempfile::tempdir().unwrap();
        let source = [
            "a.md",
            "crates/x/src/lib.rs",
            ".cargo/config.toml",
            ".ci/run",
            "x/target/y",
        ];
        let other = [
            "target/z.rs",
            ".git/HEAD",
            ".venv/a.py",
            "guest/build/b",
            "p/__pycache__/c",
        ];
        for path in source.iter().chain(&other) {
            let full = tree.path().join(path);
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            fs::write(full, "text").unwrap();
        }
        fs::write(tree.path().join("picture.png"), [0xff, 0xfe, 0x00]).unwrap();
        let mut files = Vec::new();
        collect(tree.path(), tree.path(), &mut files).unwrap();
        let mut found: Vec<_> = files.into_iter().map(|file| file.path).collect();
        found.sort();
        let mut expected = source.map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn cargo_names_this_crate_and_its_dependencies() {
        let workspace = Workspace::find().unwrap();
        let own = workspace
            .packages
            .iter()
            .find(|package| package.name == "xtask")
            .unwrap();
        assert!(
            own.dependencies
                .iter()
                .any(|dependency| dependency.name == "anyhow")
        );
        assert!(workspace.root.join("Cargo.toml").is_file());
    }
}
