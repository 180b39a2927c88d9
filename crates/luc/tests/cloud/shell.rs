//! The command line as a person meets it: results on standard output, errors that say what to do.

use std::process::Output;

use crate::process::luc;

async fn run(words: &[&str]) -> Output {
    luc().args(words).output().await.expect("luc runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn errors_say_what_to_do_and_exit_with_failure() {
    let directory = tempfile::tempdir().expect("room for files");
    let bad = directory.path().join("bad.toml");
    std::fs::write(&bad, "[node]\nroles = [\"compute\"]\n").expect("the file is written");
    let bad = bad.display().to_string();
    let missing = directory.path().join("none.toml").display().to_string();
    for (words, part) in [
        (
            &["node", "--config", &missing][..],
            "reading the configuration",
        ),
        (&["node", "--config", &bad], "controller_url"),
        (&["up", "--nodes", "0"], "1..=1000"),
        (&["frobnicate"], "unrecognized"),
        (&["policy", "check", &missing], "reading"),
        (&["demo", "--driver", "vmware"], "possible values"),
    ] {
        let output = run(words).await;
        let said = text(&output.stderr);
        assert!(!output.status.success(), "{words:?} succeeded");
        assert!(said.contains(part), "{words:?}: {said}");
        assert!(
            output.stdout.is_empty(),
            "{words:?}: {}",
            text(&output.stdout)
        );
    }
}

#[tokio::test]
async fn a_cloud_is_founded_once() {
    let directory = tempfile::tempdir().expect("room for data");
    let data = directory.path().join("data").display().to_string();
    let words = [
        "cloud",
        "create",
        "--json",
        "--site",
        "lab",
        "--data-dir",
        &data,
    ];
    let output = run(&words).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let facts: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(facts["site"], "lab");
    assert_eq!(facts["password"].as_str().map(str::len), Some(24));
    let again = run(&words).await;
    assert!(!again.status.success());
    assert!(
        text(&again.stderr).contains("already"),
        "{}",
        text(&again.stderr)
    );
}

#[tokio::test]
async fn the_configuration_is_shown_in_both_forms() {
    let shown = run(&["config", "show"]).await;
    let config = luc::config::Config::parse(&text(&shown.stdout)).expect("it is read back");
    assert_eq!(config, luc::config::Config::default());
    let json = run(&["config", "show", "--json"]).await;
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(value["api"]["listen"], "127.0.0.1:9000");
}

#[tokio::test]
async fn every_shell_has_its_completion() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completion", shell]).await;
        assert!(
            output.status.success() && text(&output.stdout).contains("luc"),
            "{shell}"
        );
    }
}
