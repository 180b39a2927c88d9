//! Clients that we did not write, against a fresh cloud: the stock `openstack` command and, beside
//! a real Keystone, the same requests to both.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::process::{Up, skip};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs a script of `tests/conformance` and panics with what it printed unless it succeeds.
async fn run(script: &str, words: &[&str], environment: &[(&str, &str)]) {
    let script = root().join("tests/conformance").join(script);
    let mut command = Command::new("python3");
    command.arg(&script).args(words).kill_on_drop(true);
    for (name, value) in environment {
        command.env(name, value);
    }
    let output = command.output().await.expect("python3 runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}:\n{said}\n{wrong}",
        script.display()
    );
    let last = said.lines().last().unwrap_or_default();
    assert!(
        last.ends_with(" 0 failed") && !last.starts_with("0 "),
        "{last}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stock_client_runs_every_command() {
    if !root().join(".venv/bin/openstack").is_file() {
        return skip(
            "no stock client (scripts/install-openstackclient): its commands were not run",
        );
    }
    let directory = tempfile::tempdir().expect("room for data");
    let up = Up::start(directory.path(), "fake", 3).await;
    let clouds = directory.path().join("clouds.yaml").display().to_string();
    run(
        "osc.py",
        &[],
        &[("OS_CLIENT_CONFIG_FILE", &clouds), ("OS_CLOUD", "luc")],
    )
    .await;
    up.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identity_answers_as_a_real_keystone() {
    if !root().join("tests/conformance/.venv/bin/python").is_file() {
        return skip("no real keystone (scripts/install-keystone): nothing was compared with it");
    }
    let directory = tempfile::tempdir().expect("room for data");
    let up = Up::start(directory.path(), "fake", 1).await;
    let url = up.access.auth_url.trim_end_matches("/v3").to_owned();
    let password = up.access.password.reveal().to_owned();
    run(
        "keystone_diff.py",
        &["--url", &url, "--password", &password],
        &[],
    )
    .await;
    up.stop().await;
}
