//! Founding a cloud, and what a node's data directory holds.
//!
//! ```text
//! <data_dir>/
//!   site.json      the site's name and founding public key (its prefix is in every id)
//!   site.key       the founding private key                         mode 0600
//!   signing.key    signs tokens; only its public half is a record   mode 0600
//!   node.key       who the node is on the fabric                    mode 0600
//!   peers.json     what the join was told of the cloud's members    mode 0600
//!   join.secret    what a node without fabric shows a controller    mode 0600
//!   store.redb     every record of the site; with it belongs store.redb.journal, what was
//!                  committed since the file was last written
//!   images/        image data by content
//!   brain.json     what the node's brain has promised, and where it is in the network
//!   brains/<name>/ the same, and a key, for each further host of a development cloud
//!   hosts/<name>/  machines: disks, consoles, sockets
//! ```
//!
//! `create` is all or nothing: `site.json` is written last, and without it there is no cloud.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ed25519_dalek::Signer as _;
use luc_api::value::Secret;
use luc_core::SitePrefix;
use luc_services::identity::Founding;
use luc_services::ports::Randomness as _;
use luc_services::ports::sites::SingleSite;
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
    /// The prefix of the site that founded the cloud; `None` if that is this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<SitePrefix>,
}

impl Site {
    /// The prefix that stands in every id made here.
    pub fn prefix(&self) -> anyhow::Result<SitePrefix> {
        let key = BASE64
            .decode(&self.founding_key)
            .context("`founding_key` is not base64url")?;
        Ok(SitePrefix::of_key(&key))
    }

    /// The founding public key as records have it: 64 hexadecimal digits.
    pub fn founding_key_hex(&self) -> anyhow::Result<String> {
        let key = BASE64
            .decode(&self.founding_key)
            .context("`founding_key` is not base64url")?;
        Ok(hex::encode(key))
    }

    /// Writes it down: from then on there is a site in `data_dir`.
    pub fn write(&self, data_dir: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self).context("rendering site.json")?;
        write_private(&data_dir.join("site.json"), text.as_bytes())
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
    let (site, _) = found_key(directory, &config.site.name)?;
    make_join_secret(directory)?;
    let alone = SingleSite::new(site.prefix()?, &site.name);
    let parts = crate::node::Parts::open(config, &site, Arc::new(alone)).await?;
    let founding = Founding {
        password: password.clone(),
        region: config.site.region.clone(),
    };
    let bootstrapped = parts.bootstrap(&founding).await;
    parts.close().await;
    bootstrapped?;
    site.write(directory)?;
    Ok(Founded {
        site,
        admin_password: password,
        generated,
    })
}

/// Makes what a compute-only node that is not on the fabric shows.
pub(crate) fn make_join_secret(directory: &Path) -> anyhow::Result<()> {
    let path = directory.join("join.secret");
    if path.is_file() {
        return Ok(());
    }
    write_private(&path, generated_password(&SystemRandomness).as_bytes())
}

/// The signature of a founding key over `message`, 128 hexadecimal digits.
pub(crate) fn signed(key: &ed25519_dalek::SigningKey, message: &[u8]) -> String {
    hex::encode(key.sign(message).to_bytes())
}

/// Makes the founding key, or takes the one that an interrupted founding left.
pub(crate) fn found_key(
    directory: &Path,
    name: &str,
) -> anyhow::Result<(Site, ed25519_dalek::SigningKey)> {
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
    let key = ed25519_dalek::SigningKey::from_bytes(&seed);
    let site = Site {
        name: name.to_owned(),
        founding_key: BASE64.encode(key.verifying_key().as_bytes()),
        cloud: None,
    };
    Ok((site, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_founding_goes_on_with_the_same_key() {
        let directory = tempfile::tempdir().unwrap();
        let (first, _) = found_key(directory.path(), "a").unwrap();
        assert_eq!(found_key(directory.path(), "a").unwrap().0, first);
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
