//! Executable prose: requests with their recorded answers, and what bad input does to them.
//!
//! Each `*.scn` file below this directory is a story told to a fresh cloud with a fixed clock: a
//! request, a line `---`, the recorded answer (see `script.rs` for the form). Three things are
//! checked over all of them:
//!
//! 1. every answer is as recorded (`UPDATE_GOLDEN=1` records anew; read the diff);
//! 2. every row of the endpoint table occurs with a successful answer;
//! 3. every request, made wrong in every way we can think of (`mutate.rs`), is refused with a 4xx
//!    in its service's own fault form, and changes nothing.

mod hosts;
mod mask;
mod mutate;
mod script;
mod world;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use luc_api::endpoint;

use script::Script;
use world::World;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Every scenario file, in order of its path; those whose path contains `SCENARIO`, if that is set.
fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![directory()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).expect("the scenarios are readable") {
            let path = entry.expect("the scenarios are readable").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "scn") {
                files.push(path);
            }
        }
    }
    if let Ok(part) = std::env::var("SCENARIO") {
        files.retain(|path| path.to_string_lossy().contains(&part));
    }
    files.sort();
    files
}

fn read(path: &Path) -> Script {
    let text = std::fs::read_to_string(path).expect("the scenario is readable");
    Script::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn every_answer_is_as_recorded() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for path in files() {
        let script = read(&path);
        let mut world = World::new().await;
        let mut told = script.clone();
        for (index, step) in script.steps.iter().enumerate() {
            let answer = world.tell(step).await;
            if answer != step.recorded {
                let shown = path.strip_prefix(directory()).unwrap_or(&path).display();
                wrong.push(format!(
                    "{shown}, step {}: {}\n--- recorded\n{}\n--- answered\n{answer}",
                    index + 1,
                    step.request_line,
                    step.recorded,
                ));
            }
            told.steps[index].recorded = answer;
        }
        if update {
            std::fs::write(&path, told.to_string()).expect("the scenario is writable");
        }
    }
    assert!(
        update || wrong.is_empty(),
        "{} answers differ:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}

#[tokio::test]
async fn every_endpoint_is_told_of_with_a_success() {
    let mut succeeded = BTreeSet::new();
    for path in files() {
        let mut world = World::new().await;
        for step in &read(&path).steps {
            world.tell(step).await;
        }
        succeeded.extend(world.succeeded());
    }
    let missing: Vec<_> = endpoint::all()
        .filter(|row| succeeded.contains(&row.operation) == row.not_there_yet)
        .map(|row| format!("{:?}", row.operation))
        .collect();
    assert!(
        missing.is_empty(),
        "{} endpoints without a story: {missing:?}",
        missing.len()
    );
}

#[tokio::test]
async fn bad_input_is_refused_and_changes_nothing() {
    let mut failures = Vec::new();
    let mut tried = 0;
    for path in files() {
        let script = read(&path);
        let shown = path
            .strip_prefix(directory())
            .unwrap_or(&path)
            .display()
            .to_string();
        let outcome = mutate::attack(&script).await;
        tried += outcome.tried;
        failures.extend(
            outcome
                .failures
                .into_iter()
                .map(|failure| format!("{shown}: {failure}")),
        );
    }
    assert!(tried > 0, "no mutation was tried");
    let most: Vec<_> = failures.iter().take(60).cloned().collect();
    assert!(
        failures.is_empty(),
        "{} of {tried} mutations were not refused properly:\n{}",
        failures.len(),
        most.join("\n")
    );
}
