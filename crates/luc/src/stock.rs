//! The stock `openstack` client as a child process.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tokio::process::Command;

/// A found client and the cloud it talks to.
#[derive(Clone, Debug)]
pub struct Stock {
    path: PathBuf,
    clouds_yaml: PathBuf,
}

impl Stock {
    /// The client to use: the one that was named, the project's own, or the one in the `PATH`.
    pub fn find(named: Option<&Path>, clouds_yaml: &Path) -> Option<Self> {
        let named = named.map(Path::to_owned);
        let own = PathBuf::from(".venv/bin/openstack");
        let in_path = std::env::var_os("PATH").into_iter().flat_map(|path| {
            std::env::split_paths(&path)
                .map(|d| d.join("openstack"))
                .collect::<Vec<_>>()
        });
        let mut places = named.into_iter().chain([own]).chain(in_path);
        let path = places.find(|path| path.is_file())?;
        Some(Self {
            path,
            clouds_yaml: clouds_yaml.to_owned(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs one command and returns what it printed; an error with its own words if it failed.
    pub async fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        let shown = format!("openstack {}", words.join(" "));
        tracing::debug!(command = %shown, "the stock client is asked");
        let mut command = Command::new(&self.path);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("OS_")) {
                command.env_remove(name);
            }
        }
        let output = command
            .args(words)
            .env("OS_CLIENT_CONFIG_FILE", &self.clouds_yaml)
            .env("OS_CLOUD", "luc")
            .env("PYTHONWARNINGS", "ignore")
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("running {}", self.path.display()))?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("`{shown}` failed: {}", words.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned())
    }
}
