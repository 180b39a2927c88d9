//! `tests/netns/lab.py` as the test sees it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use luc::clouds::Access;
use luc::many::Plan;
use luc_api::value::Secret;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::process;

/// A running cloud of several sites. Ended by [`Lab::down`], or when it is dropped.
pub(crate) struct Lab {
    directory: tempfile::TempDir,
    facts: Value,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/netns/lab.py")
}

/// What the machine lacks for this test.
pub(crate) fn missing() -> Option<String> {
    let has = |program: &str, argument: &str| {
        let mut command = std::process::Command::new(program);
        let quiet = command
            .arg(argument)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    };
    let lacking = [("ip", "-V"), ("nft", "--version"), ("python3", "--version")]
        .into_iter()
        .find(|(program, argument)| !has(program, argument));
    if let Some((program, _)) = lacking {
        return Some(format!("no {program}: a split of real sites was not tried"));
    }
    let probe = format!("lucprobe{}", std::process::id());
    let made = std::process::Command::new("ip")
        .args(["netns", "add", &probe])
        .output();
    if !made.is_ok_and(|output| output.status.success()) {
        let reason = "no right to make network namespaces: a split of real sites was not tried";
        return Some(reason.to_owned());
    }
    let _ = std::process::Command::new("ip")
        .args(["netns", "del", &probe])
        .output();
    (!Path::new("/dev/net/tun").exists())
        .then(|| "no /dev/net/tun: a split of real sites was not tried".to_owned())
}

/// Prints a line for whoever runs the test by hand.
pub(crate) fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}

impl Lab {
    /// Starts sites of these names, each with a controller and `computes` more nodes.
    pub(crate) async fn up(names: &[&str], computes: u16) -> Self {
        let directory = tempfile::tempdir().expect("room for a lab");
        let rtt = directory.path().join("rtt.json");
        let sites: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        std::fs::write(&rtt, json!(Plan::round_trips(&sites)).to_string())
            .expect("the matrix is written");
        let mut lab = Self {
            directory,
            facts: Value::Null,
        };
        let rtt = rtt.display().to_string();
        let computes = computes.to_string();
        let program = std::env::var("LUC_SPLIT_PROGRAM");
        let program = program.unwrap_or_else(|_| env!("CARGO_BIN_EXE_luc").to_owned());
        let said = lab
            .run(&[
                "up",
                "--luc",
                &program,
                "--names",
                &names.join(","),
                "--computes",
                &computes,
                "--rtt",
                &rtt,
            ])
            .await;
        lab.facts = serde_json::from_str(&said).expect("the lab says what it started");
        lab
    }

    async fn run(&self, words: &[&str]) -> String {
        let mut command = Command::new("python3");
        command
            .arg(script())
            .args(words)
            .arg("--dir")
            .arg(self.directory.path().join("lab"));
        let output = command.output().await.expect("python3 runs");
        assert!(
            output.status.success(),
            "lab.py {}: {}{}",
            words.join(" "),
            String::from_utf8_lossy(&output.stderr),
            self.logs(),
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The last lines of every node's log, for a failure's message.
    pub(crate) fn logs(&self) -> String {
        let mut text = String::new();
        let nodes = std::fs::read_dir(self.directory.path().join("lab"));
        for node in nodes.into_iter().flatten().flatten() {
            let name = node.file_name().to_string_lossy().into_owned();
            let log = node.path().join(format!("{name}.log"));
            let Ok(log) = std::fs::read_to_string(log) else {
                continue;
            };
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(5);
            text.extend(["\n--- ", &name, "\n", &lines[last..].join("\n")]);
        }
        text
    }

    /// How many sites there are.
    pub(crate) fn sites(&self) -> usize {
        self.facts["sites"].as_array().map_or(0, Vec::len)
    }

    /// The name of a site.
    pub(crate) fn name(&self, site: usize) -> &str {
        self.facts["sites"][site]["name"]
            .as_str()
            .expect("a site has a name")
    }

    /// The names of a site's compute hosts.
    pub(crate) fn hosts(&self, site: usize) -> Vec<String> {
        let nodes = self.facts["sites"][site]["nodes"]
            .as_array()
            .expect("a list");
        let names = nodes
            .iter()
            .skip(1)
            .filter_map(|node| node["name"].as_str());
        names.map(str::to_owned).collect()
    }

    /// How to log in at a site.
    pub(crate) fn access(&self, site: usize) -> Access {
        let url = self.facts["sites"][site]["url"]
            .as_str()
            .expect("a site has a URL");
        Access {
            auth_url: format!("{url}/identity/v3"),
            user: "admin".to_owned(),
            password: Secret::new(self.facts["password"].as_str().expect("a password")),
            project: "admin".to_owned(),
            region: "RegionOne".to_owned(),
            domains: luc::clouds::Domains::default(),
        }
    }

    /// Cuts a site off from all others.
    pub(crate) async fn cut(&self, site: usize) {
        let name = self.name(site).to_owned();
        self.run(&["cut", &name]).await;
    }

    /// Lets nobody hear of a site any more, which itself hears of all.
    pub(crate) async fn silence(&self, site: usize) {
        let name = self.name(site).to_owned();
        self.run(&["cut", &name, "--one-way", "out"]).await;
    }

    /// What the program prints for these words about a site, asked as the administrator.
    pub(crate) async fn ask(&self, site: usize, words: &[&str]) -> Value {
        let url = self.facts["sites"][site]["url"].as_str();
        let password = self.directory.path().join("lab/admin.password");
        let mut command = process::luc();
        command
            .args(words)
            .args(["--json", "--url", url.expect("a site has a URL")])
            .arg("--password-file")
            .arg(password);
        let output = command.output().await.expect("luc runs");
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {wrong}");
        serde_json::from_slice(&output.stdout).expect("it is JSON")
    }

    /// Ends every split.
    pub(crate) async fn heal(&self) {
        self.run(&["heal"]).await;
    }

    /// Ends everything.
    pub(crate) async fn down(self) {
        self.run(&["down"]).await;
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Does nothing after `down`.
        let mut command = std::process::Command::new("python3");
        let _ = command
            .arg(script())
            .args(["down", "--dir"])
            .arg(self.directory.path().join("lab"))
            .output();
    }
}
