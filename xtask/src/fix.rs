//! Repairs what a machine can repair, then says what is left.
//!
//! Changes files in place: formatting, and what clippy offers as a sure replacement. What `tidy`
//! finds needs a person.

use anyhow::{Context, Result};

use crate::tidy;
use crate::workspace::Workspace;

/// Runs the repairs and says whether nothing is left to do by hand.
pub(crate) fn run(workspace: &Workspace) -> Result<bool> {
    let clippy = [
        "clippy",
        "--fix",
        "--allow-dirty",
        "--allow-staged",
        "--workspace",
        "--all-targets",
    ];
    for arguments in [&["fmt", "--all"][..], &clippy, &["fmt", "--all"]] {
        println!("── cargo {}", arguments.join(" "));
        let status = workspace.cargo(arguments).status();
        if !status
            .with_context(|| format!("running cargo {}", arguments[0]))?
            .success()
        {
            return Ok(false);
        }
    }
    println!("── tidy");
    tidy::run(workspace)
}
