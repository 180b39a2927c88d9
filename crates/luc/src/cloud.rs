//! Founding a cloud, and what a node's data directory holds.
//!
//! ```text
//! <data_dir>/
//!   site.json      the site's name and founding public key (its prefix is in every id)
//!   site.key       the founding private key                         mode 0600
//!   signing.key    signs tokens; only its public half is a record   mode 0600
//!   join.secret    what a compute-only node shows to a controller   mode 0600
//!   store.redb     every record of the site
//!   images/        image data by content
//!   hosts/<name>/  machines: disks, consoles, sockets
//! ```
//!
//! `create` is all or nothing: `site.json` is written last, and without it there is no cloud.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use luc_api::value::Secret;
use luc_core::SitePrefix;
use luc_services::identity::Founding;
use luc_services::ports::Randomness;
use serde::{Deserialize, Serialize};

use crate::clouds::write_private;
use crate::config::Config;
use crate::host::{SystemRandomness, generated_password};

/// Where a command keeps its data: a directory of the caller's, or one that goes away.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl Kept {
    /// The directory `path`, or a temporary one.
    pub fn at(path: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(path) = path {
            std::fs::create_dir_all(path)
                .with_context(|| format!("creating the directory {}", path.display()))?;
            let path = std::path::absolute(path).context("finding the data directory")?;
            return Ok(Self {
                path,
                temporary: None,
            });
        }
        let temporary = tempfile::Builder::new().prefix("luc-").tempdir();
        let temporary = temporary.context("creating a temporary directory")?;
        Ok(Self {
            path: temporary.path().to_owned(),
            temporary: Some(temporary),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it goes away at the end.
    pub fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }
}

/// What is known of the founded site; public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The name, also that of its availability zone.
    pub name: String,
    /// The founding Ed25519 public key, base64url.
    pub founding_key: String,
}

impl Site {
    /// The prefix that stands in every id made here.
    pub fn prefix(&self) -> anyhow::Result<SitePrefix> {
        let key = BASE64
            .decode(&self.founding_key)
            .context("`founding_key` is not base64url")?;
        Ok(SitePrefix::of_key(&key))
    }

    /// The site whose data are in `data_dir`.
    pub fn read(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join("site.json");
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "reading {}: found a cloud there first with `luc cloud create --data-dir {}`",
                path.display(),
                data_dir.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))
    }

    /// Whether `data_dir` holds a founded site.
    pub fn is_founded(data_dir: &Path) -> bool {
        data_dir.join("site.json").is_file()
    }
}

/// What a founder must be told, once.
#[derive(Debug)]
pub struct Founded {
    /// The site.
    pub site: Site,
    /// The password of `admin`.
    pub admin_password: Secret,
    /// Whether it was made here: it is then kept nowhere.
    pub generated: bool,
}

/// Founds a cloud in the data directory of `config`.
pub async fn create(config: &Config, password: Option<Secret>) -> anyhow::Result<Founded> {
    let directory = &config.node.data_dir;
    if Site::is_founded(directory) {
        bail!(
            "there is a cloud in {} already; choose another --data-dir, or remove that one",
            directory.display()
        );
    }
    std::fs::create_dir_all(directory)
        .with_context(|| format!("creating the directory {}", directory.display()))?;
    let random = SystemRandomness;
    let generated = password.is_none();
    let password = password.unwrap_or_else(|| Secret::new(generated_password(&random)));
    let site = found_key(directory, &config.site.name)?;
    write_private(
        &directory.join("join.secret"),
        generated_password(&random).as_bytes(),
    )?;
    let parts = crate::node::Parts::open(config, &site).await?;
    let founding = Founding {
        password: password.clone(),
        region: config.site.region.clone(),
    };
    let bootstrapped = parts.bootstrap(&founding).await;
    parts.close().await;
    bootstrapped?;
    let text = serde_json::to_string_pretty(&site).context("rendering site.json")?;
    write_private(&directory.join("site.json"), text.as_bytes())?;
    Ok(Founded {
        site,
        admin_password: password,
        generated,
    })
}

/// Makes the founding key, or takes the one that an interrupted founding left.
fn found_key(directory: &Path, name: &str) -> anyhow::Result<Site> {
    let path = directory.join("site.key");
    if !path.is_file() {
        let mut seed = [0u8; 32];
        for chunk in seed.chunks_mut(8) {
            chunk.copy_from_slice(&SystemRandomness.next_u64().to_le_bytes());
        }
        write_private(&path, BASE64.encode(seed).as_bytes())?;
    }
    let text = std::fs::read_to_string(&path).context("reading the founding key")?;
    let seed = BASE64
        .decode(text.trim())
        .ok()
        .and_then(|seed| <[u8; 32]>::try_from(seed).ok());
    let seed = seed.with_context(|| format!("{} is not a founding key", path.display()))?;
    let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
    Ok(Site {
        name: name.to_owned(),
        founding_key: BASE64.encode(public.as_bytes()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_founding_goes_on_with_the_same_key() {
        let directory = tempfile::tempdir().unwrap();
        let first = found_key(directory.path(), "a").unwrap();
        assert_eq!(found_key(directory.path(), "a").unwrap(), first);
        assert!(!Site::is_founded(directory.path()));
        assert!(
            Site::read(directory.path())
                .unwrap_err()
                .to_string()
                .contains("cloud create")
        );
    }

    #[test]
    fn a_broken_founding_key_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("site.key"), "garbage").unwrap();
        assert!(found_key(directory.path(), "a").is_err());
    }
}
