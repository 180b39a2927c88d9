//! The release build of `luc`, which measurements of the product start.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// Builds it.
pub(super) fn build(workspace: &Workspace) -> Result<()> {
    let built = Command::new("cargo")
        .args([
            "build",
            "--release",
            "--quiet",
            "--package",
            "luc",
            "--bin",
            "luc",
        ])
        .current_dir(&workspace.root)
        .status()
        .context("running cargo")?;
    ensure!(built.success(), "the release build failed");
    Ok(())
}

/// Where it is.
pub(super) fn program(workspace: &Workspace) -> PathBuf {
    workspace.target.join("release/luc")
}
