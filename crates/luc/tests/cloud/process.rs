//! A `luc` process under test: started on a free port, found by what it prints, ended by its id.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use luc::client::{Client, Target};
use luc::clouds::Access;
use luc_api::value::Secret;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The program.
pub(crate) fn luc() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_luc"));
    command.env_remove("LUC_LOG").kill_on_drop(true);
    command
}

/// A running `luc up`.
pub(crate) struct Up {
    child: Child,
    /// How to log in.
    pub(crate) access: Access,
}

impl Up {
    /// Starts a development cloud on the data in `data_dir` and waits until it is up.
    pub(crate) async fn start(data_dir: &Path, driver: &str, nodes: u16) -> Self {
        let mut command = luc();
        command
            .args([
                "up",
                "--json",
                "--listen",
                "127.0.0.1:0",
                "--driver",
                driver,
                "--nodes",
            ])
            .arg(nodes.to_string())
            .arg("--data-dir")
            .arg(data_dir)
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("luc starts");
        let facts = first_line(&mut child).await;
        let text = |name: &str| facts[name].as_str().expect("it is a text").to_owned();
        let access = Access {
            auth_url: text("auth_url"),
            user: text("user"),
            password: Secret::new(text("password")),
            project: text("project"),
            region: "RegionOne".to_owned(),
            domains: luc::clouds::Domains::default(),
        };
        Self { child, access }
    }

    /// A logged-in client.
    pub(crate) async fn client(&self) -> Client {
        Client::login(&self.access)
            .await
            .expect("the admin logs in")
    }

    /// Ends the process at once, as a power cut of the host would.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it was running");
    }

    /// Ends the process gracefully and waits for it.
    pub(crate) async fn stop(mut self) {
        let pid = self.child.id().expect("it is running").to_string();
        let sent = Command::new("kill")
            .arg(&pid)
            .status()
            .await
            .expect("kill runs");
        assert!(sent.success());
        let ended = tokio::time::timeout(Duration::from_secs(40), self.child.wait()).await;
        let status = ended.expect("it ends in time").expect("its status is read");
        assert!(status.success(), "it ended with {status}");
    }
}

/// The first line of a child's standard output, which is JSON.
pub(crate) async fn first_line(child: &mut Child) -> Value {
    let stdout = child.stdout.take().expect("standard output is piped");
    let mut lines = BufReader::new(stdout).lines();
    let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await;
    let line = line
        .expect("it says so in time")
        .expect("its output is read");
    let line = line.expect("it says something before it ends");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?} is not JSON: {error}"))
}

/// Uploads an image; without a file, 64 KiB of nothing for the fake driver.
pub(crate) async fn image(client: &Client, file: Option<&Path>) -> String {
    let made = tempfile::tempdir().expect("room for an image");
    let path = file.map_or_else(|| made.path().join("nothing.raw"), PathBuf::from);
    if file.is_none() {
        std::fs::write(&path, vec![0u8; 1 << 16]).expect("the image is written");
    }
    let format = if path.extension().is_some_and(|e| e == "qcow2") {
        "qcow2"
    } else {
        "raw"
    };
    let body = json!({"name": "image", "disk_format": format, "container_format": "bare"});
    let image = client
        .post(Target::Image, "/images", body)
        .await
        .expect("the image is created");
    let id = image["id"].as_str().expect("it has an id").to_owned();
    client
        .upload(&id, &path)
        .await
        .expect("the data are uploaded");
    id
}

/// The id of a flavor by its name.
pub(crate) async fn flavor(client: &Client, name: &str) -> String {
    let flavors = client
        .get(Target::Compute, "/flavors")
        .await
        .expect("flavors are listed");
    let flavors = flavors["flavors"].as_array().expect("it is a list");
    let found = flavors.iter().find(|flavor| flavor["name"] == name);
    found.expect("the flavor is there")["id"]
        .as_str()
        .expect("it has an id")
        .to_owned()
}

/// Lifts the project's quota of servers.
pub(crate) async fn lift_quota(client: &Client) {
    let path = format!("/os-quota-sets/{}", client.project());
    let body = json!({"quota_set": {"instances": -1, "cores": -1, "ram": -1}});
    let asked = client
        .ask(reqwest::Method::PUT, Target::Compute, &path, Some(body))
        .await;
    let answer = asked.expect("the quota is changed");
    assert!(
        answer.status.is_success(),
        "{} {}",
        answer.status,
        answer.body
    );
}

/// Asks for `count` servers and returns the answer's status.
pub(crate) async fn create(
    client: &Client,
    image: &str,
    flavor: &str,
    name: &str,
    count: u32,
) -> u16 {
    let body = json!({"server": {"name": name, "imageRef": image, "flavorRef": flavor,
        "networks": "none", "min_count": count, "max_count": count}});
    let asked = client
        .ask(
            reqwest::Method::POST,
            Target::Compute,
            "/servers",
            Some(body),
        )
        .await;
    asked.map_or(0, |answer| answer.status.as_u16())
}

/// All servers of the project.
pub(crate) async fn servers(client: &Client) -> Vec<Value> {
    let body = client
        .get(Target::Compute, "/servers/detail")
        .await
        .expect("servers are listed");
    body["servers"].as_array().cloned().unwrap_or_default()
}

/// Waits until `done` holds for the list of servers; panics with the list after `limit`.
pub(crate) async fn until(client: &Client, limit: Duration, done: impl Fn(&[Value]) -> bool) {
    let started = Instant::now();
    loop {
        let servers = servers(client).await;
        if done(&servers) {
            return;
        }
        if started.elapsed() > limit {
            let shown: Vec<String> = servers
                .iter()
                .map(|s| {
                    format!(
                        "{} {} {}",
                        s["name"], s["status"], s["OS-EXT-STS:task_state"]
                    )
                })
                .collect();
            panic!("not after {limit:?}: {shown:#?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether every server is in `status` with nothing left to do.
pub(crate) fn settled(servers: &[Value], status: &str) -> bool {
    servers
        .iter()
        .all(|s| s["status"] == status && s["OS-EXT-STS:task_state"].is_null())
}

/// Says that a test could not do its work here; the runner counts and prints it.
pub(crate) fn skip(reason: &str) {
    use std::io::Write as _;
    let line = format!("luc-skip: {reason}");
    let Some(path) = std::env::var_os("LUC_SKIP_LOG") else {
        let _ = writeln!(std::io::stderr(), "{line}");
        return;
    };
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    file.and_then(|mut file| writeln!(file, "{line}"))
        .expect("the skip is noted");
}
