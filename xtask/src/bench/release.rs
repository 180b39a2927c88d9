//! The release build of `luc`, which measurements of the product start.
//!
//! With `LUC_BENCH_PROGRAM` in the environment that program is measured instead, and nothing is
//! built: to compare two builds, or to measure what another machine has built.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// The variable that names another program.
const PROGRAM: &str = "LUC_BENCH_PROGRAM";

/// Builds it.
pub(super) fn build(workspace: &Workspace) -> Result<()> {
    if std::env::var_os(PROGRAM).is_some() {
        return Ok(());
    }
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
    std::env::var_os(PROGRAM).map_or_else(|| workspace.target.join("release/luc"), PathBuf::from)
}
