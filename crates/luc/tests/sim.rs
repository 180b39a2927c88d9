//! `luc sim` as people call it: what it prints, what it keeps, how it fails.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs `luc sim` with these arguments in `dir`.
fn sim(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_luc"));
    command
        .env_remove("LUC_LOG")
        .current_dir(dir)
        .arg("sim")
        .args(args);
    command.output().expect("luc starts")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn good(dir: &Path, args: &[&str]) -> String {
    let output = sim(dir, args);
    assert!(output.status.success(), "{args:?}: {}", err(&output));
    out(&output)
}

fn bad(dir: &Path, args: &[&str]) -> String {
    let output = sim(dir, args);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", out(&output));
    err(&output)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A directory with a small scenario in it.
fn with_scenario() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let text = "name = \"small\"\nduration = \"600 s\"\n[topology]\nsites = 2\n\
                nodes_per_site = 8\n[load]\nstart = \"drawn\"\n";
    fs::write(dir.path().join("small.toml"), text).expect("it is written");
    dir
}

#[test]
fn the_same_seed_gives_the_same_log_byte_for_byte_and_another_one_does_not() {
    let dir = with_scenario();
    let log = |seed: &str, file: &str| {
        let args = [
            "run",
            "small.toml",
            "--json",
            "--seed",
            seed,
            "--event-log",
            file,
        ];
        let figures = json(&good(dir.path(), &args));
        assert!(
            figures["measures"]["migrations"].as_f64() > Some(0.0),
            "{figures}"
        );
        fs::read(dir.path().join(file)).expect("the log is there")
    };
    let first = log("1", "a.jsonl");
    assert_eq!(first, log("1", "b.jsonl"));
    assert_ne!(first, log("2", "c.jsonl"));
    for line in String::from_utf8(first).expect("it is text").lines() {
        json(line);
    }
}

#[test]
fn a_trace_that_was_written_is_replayed_with_the_same_figures() {
    let dir = with_scenario();
    good(dir.path(), &["trace", "small.toml", "-o", "load.jsonl"]);
    let printed = good(dir.path(), &["trace", "small.toml"]);
    let kept = fs::read_to_string(dir.path().join("load.jsonl")).expect("the trace is there");
    assert_eq!(printed, kept);
    let own = good(dir.path(), &["run", "small.toml", "--csv"]);
    let args = ["run", "small.toml", "--csv", "--trace", "load.jsonl"];
    assert_eq!(own, good(dir.path(), &args));
    assert!(own.starts_with("measure,value\n"), "{own}");
    assert!(own.lines().skip(1).all(|line| {
        let value = line.split_once(',').map(|(_, value)| value.parse::<f64>());
        matches!(value, Some(Ok(_)))
    }));
}

#[test]
fn a_wrong_scenario_is_refused_with_file_line_column_and_reason() {
    let dir = with_scenario();
    fs::write(
        dir.path().join("bad.toml"),
        "name = \"bad\"\nduration = \"5 GiB\"\n",
    )
    .expect("it is written");
    let text = bad(dir.path(), &["run", "bad.toml"]);
    assert!(
        text.contains("bad.toml:2:12: duration: `5 GiB` is not a duration"),
        "{text}"
    );
    let text = bad(dir.path(), &["run", "nowhere.toml"]);
    assert!(
        text.contains("reading nowhere.toml: No such file"),
        "{text}"
    );
}

#[test]
fn a_wrong_trace_is_refused_with_file_and_line() {
    let dir = with_scenario();
    let mut trace = good(dir.path(), &["trace", "small.toml"]);
    trace.push_str("{\"load\":{\"at_us\":1,\"vm\":999999,\"cpu\":50}}\n");
    let lines = trace.lines().count();
    fs::write(dir.path().join("bad.jsonl"), trace).expect("it is written");
    let text = bad(dir.path(), &["run", "small.toml", "--trace", "bad.jsonl"]);
    assert!(
        text.contains(&format!("bad.jsonl: line {lines}: ")),
        "{text}"
    );
    fs::write(dir.path().join("none.jsonl"), "hello\n").expect("it is written");
    let text = bad(dir.path(), &["run", "small.toml", "--trace", "none.jsonl"]);
    assert!(
        text.contains("none.jsonl: line 1: not a line of a trace"),
        "{text}"
    );
}

#[test]
fn a_sweep_keeps_its_results_goes_on_where_it_stopped_and_reports() {
    let dir = with_scenario();
    let args = [
        "sweep", "paper", "--quick", "--only", "b1,B3", "--seeds", "2", "--jobs", "2",
    ];
    good(dir.path(), &args);
    let path = dir.path().join("sweep/results.jsonl");
    let results = fs::read_to_string(&path).expect("the results are there");
    let count = results.lines().count();
    assert!(count >= 30, "{count} results");

    let again = sim(dir.path(), &args);
    assert!(err(&again).contains("Nothing to run"), "{}", err(&again));

    // Killed while it wrote: half of the last line is there, and that run is done once more.
    fs::write(&path, &results[..results.len() - 40]).expect("it is written");
    let resumed = sim(dir.path(), &args);
    assert!(err(&resumed).contains("\n1 runs on") || err(&resumed).starts_with("1 runs on"));
    let whole = fs::read_to_string(&path).expect("the results are there");
    assert_eq!(whole.lines().count(), count);
    whole.lines().for_each(|line| drop(json(line)));

    let targets = json(&good(dir.path(), &["report", "sweep", "--json"]));
    let targets = targets["targets"].as_array().expect("a list");
    assert!(targets.iter().all(|target| target["benchmark"] != "B4"));
    assert!(targets.iter().any(|target| target["verdict"] != "unknown"));
    good(dir.path(), &["report", "sweep", "-o", "page.html"]);
    let page = fs::read_to_string(dir.path().join("page.html")).expect("the page is there");
    assert!(page.starts_with("<!doctype html>") && page.contains("reference loop"));
    let csv = good(dir.path(), &["report", "sweep", "--csv"]);
    assert!(csv.lines().count() > 100);
}

#[test]
fn what_cannot_be_swept_or_reported_is_told() {
    let dir = with_scenario();
    let text = bad(dir.path(), &["sweep", "--only", "B99"]);
    assert!(
        text.contains("no benchmark \"B99\"") && text.contains("B1, B2, B3"),
        "{text}"
    );
    let text = bad(dir.path(), &["report", "nowhere"]);
    assert!(
        text.contains("is nowhere the directory of a sweep?"),
        "{text}"
    );
}

#[test]
fn a_check_counts_what_it_hit_and_a_replay_gives_the_same_log_again() {
    let dir = with_scenario();
    let checked = json(&good(dir.path(), &["check", "--seeds", "6", "--json"]));
    assert_eq!(checked["seeds"], 6);
    assert!(checked["hits"]["began"].as_u64() > Some(0), "{checked}");
    assert!(
        checked["required"]
            .as_object()
            .is_some_and(|all| all.len() > 20)
    );
    let log = |file: &str| {
        good(dir.path(), &["replay", "3", "--event-log", file]);
        fs::read(dir.path().join(file)).expect("the log is there")
    };
    assert_eq!(log("a.jsonl"), log("b.jsonl"));
}

#[test]
fn a_broken_protocol_fails_the_check_with_the_command_that_replays_it() {
    let dir = with_scenario();
    let text = bad(
        dir.path(),
        &["check", "--seeds", "40", "--broken", "ballot"],
    );
    let again = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("again: luc sim "))
        .expect("it says how to run it again");
    let args: Vec<&str> = again.split_whitespace().collect();
    let replayed = bad(dir.path(), &args);
    assert!(replayed.contains("does not hold at"), "{replayed}");
}
