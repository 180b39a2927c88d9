//! The site's key for tokens: made once, kept in a file that only its owner reads.

use std::path::Path;

use anyhow::Context as _;
use luc_core::SitePrefix;
use luc_services::identity::SigningKey;

use crate::clouds::write_private;
use crate::host::SystemRandomness;

/// The key in `directory`, made on the first call.
pub fn signing_key(directory: &Path, site: SitePrefix) -> anyhow::Result<SigningKey> {
    let path = directory.join("signing.key");
    if !path.is_file() {
        let key = SigningKey::generate(site, &SystemRandomness);
        write_private(&path, key.to_text().reveal().as_bytes())?;
    }
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("reading the token key {}", path.display()))?;
    SigningKey::from_text(site, text.trim())
        .with_context(|| format!("{} is not a token key", path.display()))
}

/// A new key in place of the one in `directory`. It is there before anything is signed with it.
pub fn new_signing_key(directory: &Path, site: SitePrefix) -> anyhow::Result<SigningKey> {
    let key = SigningKey::generate(site, &SystemRandomness);
    let path = directory.join("signing.key");
    write_private(&path, key.to_text().reveal().as_bytes())?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_the_same_and_a_broken_one_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let site = SitePrefix::of_key(b"site");
        let first = signing_key(directory.path(), site).unwrap().id().to_owned();
        assert_eq!(signing_key(directory.path(), site).unwrap().id(), first);
        std::fs::write(directory.path().join("signing.key"), "garbage").unwrap();
        assert!(signing_key(directory.path(), site).is_err());
    }
}
