//! Many sites on one machine, from the command line: `luc up --sites` with a matrix of round trips,
//! `luc split`, `luc heal`, and the demo, on the fake driver.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use luc::client::{Client, Target};
use luc::clouds::Access;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::process::{first_line, luc};

const LIMIT: Duration = Duration::from_secs(60);
/// The round trip that the file names, in ms, and what may be measured of it.
const RTT: f64 = 40.0;
const MEASURED: std::ops::Range<f64> = 36.0..70.0;

/// What a command prints, or why it failed.
async fn done(command: &mut Command) -> Result<Value, String> {
    let output = command.output().await.expect("luc runs");
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout).expect("it is JSON"));
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}

/// The operator of the cloud whose data are in a directory.
struct Operator<'d> {
    data: &'d Path,
    clouds: String,
}

impl Operator<'_> {
    /// A command about the running process.
    async fn switch(&self, words: &[&str]) -> Result<Value, String> {
        let mut command = luc();
        command.args(words).arg("--json");
        done(command.arg("--data-dir").arg(self.data)).await
    }

    /// A command that asks `site`.
    async fn ask(&self, site: &str, words: &[&str]) -> Value {
        let mut command = luc();
        command.args(words).arg("--json").env("OS_CLOUD", site);
        let said = done(command.env("OS_CLIENT_CONFIG_FILE", &self.clouds)).await;
        said.unwrap_or_else(|error| panic!("{words:?} at {site}: {error}"))
    }

    /// Waits until what `words` list under `collection` at alpha has an entry of beta that is as
    /// it should be.
    async fn until(&self, words: &[&str], collection: &str, fits: impl Fn(&Value) -> bool) {
        let started = Instant::now();
        loop {
            let shown = self.ask("alpha", words).await;
            let all = shown[collection].as_array().expect("a list");
            let of_beta = |one: &&Value| one["name"] == "beta" || one["site"] == "beta";
            if all.iter().filter(of_beta).any(&fits) {
                return;
            }
            assert!(started.elapsed() < LIMIT, "{words:?}: {shown:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn client(&self, site: &str) -> Client {
        let text = std::fs::read_to_string(&self.clouds).expect("it is written");
        let access = Access::from_clouds(&text, site).expect("an entry for each site");
        Client::login(&access).await.expect("the admin logs in")
    }
}

async fn make_user(client: &Client, name: &str) -> luc::client::Answer {
    let user = json!({"name": name, "domain_id": "default", "password": "a long secret"});
    let body = Some(json!({ "user": user }));
    let made = client.ask(Method::POST, Target::Identity, "/users", body);
    made.await.expect("an answer")
}

fn is(member: &'static str, within: std::ops::Range<f64>) -> impl Fn(&Value) -> bool {
    move |one| one[member].as_f64().is_some_and(|it| within.contains(&it))
}

/// What the fabric at `url` counts of beta's node stands in the metrics.
async fn expect_counted(operator: &Operator<'_>, url: &str) {
    let metrics = format!("{url}/metrics");
    let metrics = reqwest::get(metrics).await.expect("an answer").text().await;
    let metrics = metrics.expect("text");
    let shown = operator.ask("alpha", &["node", "list"]).await;
    let mut listed = shown["nodes"].as_array().expect("a list").iter();
    let beta_c = listed
        .find(|node| node["name"] == "beta-c")
        .expect("its node");
    let labels = format!(
        "{{peer=\"{}\",site=\"{}\"}}",
        text(&beta_c["key"]),
        text(&beta_c["site_id"])
    );
    let of = |name: &str| -> f64 {
        let mut lines = metrics.lines().filter_map(|line| line.strip_prefix(name));
        let line = lines.find(|line| line.starts_with(&labels));
        let value = line.and_then(|line| line.rsplit_once(' '));
        let value = value.unwrap_or_else(|| panic!("no {name} in {metrics}")).1;
        value.parse().expect("a number")
    };
    assert!(of("luc_fabric_sent_bytes_total") > 1000.0, "{metrics}");
    assert!(of("luc_fabric_received_bytes_total") > 1000.0, "{metrics}");
    assert!(
        MEASURED.contains(&(of("luc_fabric_rtt_seconds") * 1e3)),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sites_in_one_process_are_as_far_as_a_file_says_and_are_cut_and_healed() {
    let directory = tempfile::tempdir().expect("room for data");
    let rtt = directory.path().join("rtt.csv");
    std::fs::write(&rtt, format!("0.1,{RTT}\n{RTT},0.1\n")).expect("the matrix is written");
    let data = directory.path().join("cloud");
    let mut command = luc();
    command.args(["up", "--json", "--sites", "alpha,beta", "--nodes", "1"]);
    command.args(["--driver", "fake", "--listen", "127.0.0.1:0", "--rtt"]);
    command.arg(&rtt).arg("--data-dir").arg(&data);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("luc starts");
    let facts = first_line(&mut child).await;
    let operator = Operator {
        data: &data,
        clouds: text(&facts["clouds_yaml"]).to_owned(),
    };
    let sites = &["site", "list"][..];
    operator.until(sites, "sites", is("rtt_ms", MEASURED)).await;
    let nodes = &["node", "list"][..];
    let known = |node: &Value| {
        let placed = node["coordinates"]
            .as_array()
            .is_some_and(|at| !at.is_empty());
        placed && is("distance_ms", MEASURED)(node) && is("lag_ms", 0.0..5000.0)(node)
    };
    operator.until(nodes, "nodes", known).await;

    expect_counted(&operator, text(&facts["sites"][0]["url"])).await;

    let cut = operator.switch(&["split", "beta"]).await;
    assert_eq!(cut.expect("it is cut off")["split"], "beta");
    let silent = |site: &Value| site["reachable"] == false;
    operator.until(sites, "sites", silent).await;
    // Nothing is known of how far copies are behind while nothing of them arrives.
    let unknown = |node: &Value| node["lag_ms"].is_null();
    operator.until(nodes, "nodes", unknown).await;
    let beta = operator.client("beta").await;
    let refused = make_user(&beta, "ada").await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    let message = refused.body["error"]["message"].as_str();
    let message = message.unwrap_or_default();
    assert!(
        message.contains("Site alpha cannot be reached"),
        "{message}"
    );
    let nowhere = operator.switch(&["split", "gamma"]).await;
    let error = nowhere.expect_err("there is no such site");
    assert!(error.contains("there are alpha, beta"), "{error}");

    operator.switch(&["heal"]).await.expect("it is healed");
    let heard = |site: &Value| site["reachable"] == true;
    operator.until(sites, "sites", heard).await;
    let started = Instant::now();
    while make_user(&beta, "ada").await.status != 201 {
        assert!(started.elapsed() < LIMIT, "beta does not reach alpha");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // With a new key beta's tokens count at alpha as before.
    let rotated = operator.ask("beta", &["identity", "rotate"]).await;
    assert!(!text(&rotated["key"]).is_empty(), "{rotated}");
    let made = make_user(&operator.client("beta").await, "bob").await;
    assert_eq!(made.status, 201, "{}", made.body);
    child.kill().await.expect("it was running");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_shows_four_sites_before_during_and_after_a_split() {
    let directory = tempfile::tempdir().expect("room for data");
    let mut command = luc();
    command.args(["demo", "--json", "--driver", "fake", "--servers", "1"]);
    // Without the stock client, which has tests of its own and takes its time.
    command.current_dir(directory.path()).env("PATH", "");
    let told = done(&mut command).await.expect("the demo ends well");
    let many = &told["facts"]["many_sites"];
    let published = ["grenoble", "luxembourg", "nancy", "rennes"];
    assert_eq!(many["sites"], json!(published));
    let refusal = many["refusal"].as_str().unwrap_or_default();
    assert!(
        refusal.starts_with("503") && refusal.contains("Site grenoble"),
        "{refusal}"
    );
    let converged = many["converged_after_heal_ms"].as_f64();
    assert!(converged.is_some_and(|ms| ms < 5000.0), "{many}");
}
