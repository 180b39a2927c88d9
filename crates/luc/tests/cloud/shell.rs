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
    let clouds = facts["clouds_yaml"].as_str().expect("its path").to_owned();
    let written = std::fs::read_to_string(&clouds).expect("it is there");
    let access = luc::clouds::Access::from_clouds(&written, "luc").expect("an entry");
    assert_eq!(access.auth_url, "http://127.0.0.1:9000/identity/v3");
    assert_eq!(facts["password"], access.password.reveal());
    let again = run(&words).await;
    assert!(!again.status.success());
    let untouched = std::fs::read_to_string(&clouds).expect("it is there");
    assert_eq!(untouched, written);
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

#[tokio::test]
async fn arguments_that_contradict_each_other_are_refused_before_anything_is_asked() {
    let nowhere = ["--url", "127.0.0.1:1", "--token", "none"];
    for (words, part) in [
        (&["site", "show", ""][..], "the site"),
        (&["node", "revoke", ""], "the node"),
        (&["quota", "show", ".."], "the project"),
        (
            &["quota", "reserve", "p", "a", "ram=1", "ram=2"],
            "ram is named twice",
        ),
        (&["site", "ticket", "--node", "--label", "edge"], "--label"),
        // What is asked is asked in whole: the error names the URL.
        (
            &["quota", "show", "../sites"],
            "http://127.0.0.1:1/luc/v1/quotas/..%2Fsites",
        ),
    ] {
        let output = run(&[words, &nowhere].concat()).await;
        let said = text(&output.stderr);
        assert!(!output.status.success(), "{words:?} succeeded");
        assert!(said.contains(part), "{words:?}: {said}");
    }
}

#[tokio::test]
async fn results_that_could_not_be_written_are_a_failure() {
    let full = std::fs::File::options().write(true).open("/dev/full");
    let full = full.expect("this machine has it");
    let mut command = luc();
    command.args(["config", "show"]).stdout(full);
    let child = command.stderr(std::process::Stdio::piped()).spawn();
    let output = child.expect("luc starts").wait_with_output().await;
    let output = output.expect("luc ends");
    assert!(!output.status.success());
    let said = text(&output.stderr);
    assert!(said.contains("writing the results"), "{said}");
}
