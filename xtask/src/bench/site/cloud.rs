//! A cloud under measurement: the process, and a client of it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use ureq::Agent;

use crate::workspace::Workspace;

/// A running cloud.
pub(super) struct Cloud {
    child: Child,
    client: Client,
    url: String,
    password: String,
    token: String,
    /// An image to boot.
    pub(super) image: String,
    /// A small flavor.
    pub(super) flavor: String,
}

/// One client with connections of its own.
pub(super) struct Client(Agent);

impl Client {
    fn new() -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)));
        Self(config.build().into())
    }

    /// Posts JSON; an error for anything but success.
    pub(super) fn post(&self, cloud: &Cloud, path: &str, body: &Value) -> Result<Value> {
        let request = self.0.post(format!("{}{path}", cloud.url));
        let request = request
            .header("X-Auth-Token", &cloud.token)
            .header("OpenStack-API-Version", "compute 2.79");
        let answer = request
            .send_json(body)
            .with_context(|| format!("POST {path}"))?;
        read(answer, path)
    }
}

/// Reads an answer; an error with its words for anything but success.
fn read(mut answer: ureq::http::Response<ureq::Body>, path: &str) -> Result<Value> {
    let status = answer.status();
    let text = answer
        .body_mut()
        .with_config()
        .limit(64 << 20)
        .read_to_vec()
        .context("reading")?;
    if !status.is_success() {
        bail!("{path}: {status}: {}", String::from_utf8_lossy(&text));
    }
    Ok(serde_json::from_slice(&text).unwrap_or_default())
}

impl Cloud {
    /// Founds a cloud in a directory that goes away, and makes it ready for the measurement.
    pub(super) fn start(workspace: &Workspace) -> Result<Self> {
        let program = super::super::release::program(workspace);
        let mut child = Command::new(&program)
            .args([
                "up",
                "--json",
                "--ephemeral",
                "--driver",
                "fake",
                "--nodes",
                "6",
            ])
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let facts: Value = serde_json::from_str(&line).context("the cloud did not start")?;
        let text = |name: &str| facts[name].as_str().unwrap_or_default().to_owned();
        let mut cloud = Self {
            child,
            client: Client::new(),
            url: text("url"),
            password: text("password"),
            token: String::new(),
            image: String::new(),
            flavor: String::new(),
        };
        cloud.prepare()?;
        Ok(cloud)
    }

    fn prepare(&mut self) -> Result<()> {
        let (token, project) = self.login()?;
        self.token = token;
        let quota = json!({"quota_set": {"instances": -1, "cores": -1, "ram": -1}});
        let path = format!("/compute/v2.1/os-quota-sets/{project}");
        let request = self.client.0.put(format!("{}{path}", self.url));
        read(
            request
                .header("X-Auth-Token", &self.token)
                .send_json(&quota)?,
            &path,
        )?;
        let body = json!({"name": "nothing", "disk_format": "raw", "container_format": "bare"});
        let image = self.client.post(self, "/image/v2/images", &body)?;
        image["id"]
            .as_str()
            .context("the image has an id")?
            .clone_into(&mut self.image);
        let path = format!("/image/v2/images/{}/file", self.image);
        let request = self.client.0.put(format!("{}{path}", self.url));
        let request = request
            .header("X-Auth-Token", &self.token)
            .header("Content-Type", "application/octet-stream");
        read(request.send(&[0u8; 4096][..])?, &path)?;
        let flavors = self.get("/compute/v2.1/flavors")?;
        let flavors = flavors["flavors"].as_array().cloned().unwrap_or_default();
        let nano = flavors.iter().find(|flavor| flavor["name"] == "m1.nano");
        let nano = nano.context("there is a flavor m1.nano")?;
        nano["id"]
            .as_str()
            .context("the flavor has an id")?
            .clone_into(&mut self.flavor);
        Ok(())
    }

    fn login(&self) -> Result<(String, String)> {
        let domain = json!({"id": "default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": "admin", "domain": domain, "password": self.password,
            }}},
            "scope": {"project": {"name": "admin", "domain": domain}},
        }});
        let path = "/identity/v3/auth/tokens";
        let answer = self
            .client
            .0
            .post(format!("{}{path}", self.url))
            .send_json(&body)?;
        let token = answer
            .headers()
            .get("x-subject-token")
            .and_then(|v| v.to_str().ok());
        let token = token.context("there is a token")?.to_owned();
        let body = read(answer, path)?;
        let project = body["token"]["project"]["id"]
            .as_str()
            .context("there is a project")?;
        Ok((token, project.to_owned()))
    }

    /// Authenticates with a password.
    pub(super) fn issue_token(&self) -> Result<()> {
        self.login().map(drop)
    }

    /// A client with connections of its own.
    pub(super) fn another_client(&self) -> Client {
        let _ = self;
        Client::new()
    }

    /// Gets JSON.
    pub(super) fn get(&self, path: &str) -> Result<Value> {
        let request = self.client.0.get(format!("{}{path}", self.url));
        let request = request
            .header("X-Auth-Token", &self.token)
            .header("OpenStack-API-Version", "compute 2.79");
        read(request.call().with_context(|| format!("GET {path}"))?, path)
    }

    /// Gets what needs no token and is no JSON.
    pub(super) fn get_plain(&self, path: &str) -> Result<()> {
        read(
            self.client.0.get(format!("{}{path}", self.url)).call()?,
            path,
        )
        .map(drop)
    }

    /// Deletes.
    pub(super) fn delete(&self, path: &str) -> Result<()> {
        let request = self.client.0.delete(format!("{}{path}", self.url));
        read(request.header("X-Auth-Token", &self.token).call()?, path).map(drop)
    }

    /// The ids in a list of servers.
    pub(super) fn ids_of(&self, path: &str) -> Result<Vec<String>> {
        let body = self.get(path)?;
        let servers = body["servers"].as_array().cloned().unwrap_or_default();
        Ok(servers
            .iter()
            .filter_map(|s| s["id"].as_str().map(str::to_owned))
            .collect())
    }

    /// The ids of all servers.
    pub(super) fn server_ids(&self) -> Result<Vec<String>> {
        self.ids_of("/compute/v2.1/servers")
    }

    /// User and system time of the cloud's process so far, in seconds.
    pub(super) fn cpu_secs(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after_name = stat
            .rsplit_once(") ")
            .context("/proc/PID/stat has a name")?
            .1;
        let fields: Vec<&str> = after_name.split(' ').collect();
        // utime and stime are the 14th and 15th fields; the name was the 2nd. In units of 10 ms.
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        Ok(ticks as f64 / 100.0)
    }

    /// Resident memory of the cloud's process.
    pub(super) fn resident_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line
            .and_then(|line| line.split_whitespace().next())
            .context("VmRSS is there")?;
        Ok(kib.parse::<f64>()? / 1024.0)
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        // SIGTERM, so that its directory is removed; by its own id.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}
