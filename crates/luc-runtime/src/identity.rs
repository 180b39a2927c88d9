//! Who a node is: an Ed25519 key pair (RFC 8032), drawn once and kept in a file of mode 0600.
//!
//! The public half, [`NodeKey`], *is* the node's identity: no certificate authority names it, so
//! nothing can expire. The private half, [`NodeSecret`], proves it in the fabric's handshakes and
//! signs tickets. A site's signing key for tokens is another key and lives in `luc-services`.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use luc_core::{PeerId, SitePrefix};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The public key of a node: its name on the fabric. Written as 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey([u8; 32]);

/// A text that is no node key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a node key: expected 64 hexadecimal digits")]
pub struct NodeKeyError;

impl NodeKey {
    /// The key with these very bytes, whether or not they are a point of the curve.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes, as RFC 8032 encodes them.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight digits: enough for logs, never for a decision.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..4])
    }

    /// The name by which pure protocols address the node of this key at `site`.
    pub fn peer_id(&self, site: SitePrefix) -> PeerId {
        PeerId::of_key(site, &self.0)
    }

    /// Whether `signature` is this node's over `message` (strict, RFC 8032 section 5.1.7).
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({})", self.short())
    }
}

impl FromStr for NodeKey {
    type Err = NodeKeyError;

    fn from_str(text: &str) -> Result<Self, NodeKeyError> {
        let mut bytes = [0u8; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NodeKeyError)?;
        Ok(Self(bytes))
    }
}

impl Serialize for NodeKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The private key of a node. Wiped from memory when dropped; never printed.
#[derive(Clone)]
pub struct NodeSecret(SigningKey);

impl NodeSecret {
    /// A new key from the kernel's randomness.
    pub fn generate() -> Result<Self, NodeSecretError> {
        let mut seed = [0u8; 32];
        getrandom::fill(&mut seed).map_err(|error| NodeSecretError::Randomness(error.into()))?;
        Ok(Self::from_seed(&seed))
    }

    /// The key of a seed: for tests and simulated clouds, where the seed is no secret.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public half.
    pub fn key(&self) -> NodeKey {
        NodeKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message`. The caller puts the purpose in front of it, so that a signature made for
    /// one purpose is worth nothing for another.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The private key as PKCS #8 (RFC 8410 section 7), as TLS wants it.
    pub(crate) fn to_pkcs8(&self) -> Vec<u8> {
        let mut der = vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03];
        der.extend_from_slice(&[0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20]);
        der.extend_from_slice(self.0.as_bytes());
        der
    }

    /// Reads the key in the file at `path`, or draws one and writes it there.
    ///
    /// A file that is there is never replaced: one that cannot be read, holds no key or may be
    /// read by others is an error.
    pub fn load_or_create(path: &Path) -> Result<Self, NodeSecretError> {
        match Self::load(path) {
            Err(NodeSecretError::Read { source, .. })
                if source.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let drawn = Self::generate()?;
        match drawn.save_new(path) {
            // Another process was quicker: its key counts.
            Err(NodeSecretError::Write { source, .. })
                if source.kind() == io::ErrorKind::AlreadyExists =>
            {
                Self::load(path)
            }
            Err(error) => Err(error),
            Ok(()) => Ok(drawn),
        }
    }

    /// Reads the key in the file at `path`.
    pub fn load(path: &Path) -> Result<Self, NodeSecretError> {
        let failed = |source| NodeSecretError::Read {
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = path.to_owned();
            return Err(NodeSecretError::Open { path, mode });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let mut seed = [0u8; 32];
        hex::decode_to_slice(text.trim_end(), &mut seed).map_err(|_| NodeSecretError::Garbage {
            path: path.to_owned(),
        })?;
        Ok(Self::from_seed(&seed))
    }

    /// Writes the key to a new file of mode 0600 that appears whole or not at all.
    fn save_new(&self, path: &Path) -> Result<(), NodeSecretError> {
        let partial = path.with_extension(format!("partial-{}", std::process::id()));
        let write = || -> io::Result<()> {
            let _ = std::fs::remove_file(&partial);
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&partial)?;
            writeln!(file, "{}", hex::encode(self.0.as_bytes()))?;
            file.sync_all()?;
            // Unlike a rename, a link fails where a file is already.
            std::fs::hard_link(&partial, path)?;
            if let Some(directory) = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty())
            {
                File::open(directory)?.sync_all()?;
            }
            Ok(())
        };
        let written = write();
        let _ = std::fs::remove_file(&partial);
        written.map_err(|source| NodeSecretError::Write {
            path: path.to_owned(),
            source,
        })
    }
}

impl fmt::Debug for NodeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeSecret({}, ***)", self.key().short())
    }
}

/// Why a node has no private key.
#[derive(Debug, thiserror::Error)]
pub enum NodeSecretError {
    /// The kernel gives no randomness.
    #[error("drawing a node key")]
    Randomness(#[source] io::Error),
    /// The file is not there or cannot be read.
    #[error("reading the node key {}", path.display())]
    Read {
        /// The key's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file may be read by others than its owner.
    #[error("the node key {} has mode {mode:03o}; expected 600", path.display())]
    Open {
        /// The key's file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds something else.
    #[error("{} is no node key: expected 64 hexadecimal digits", path.display())]
    Garbage {
        /// The key's file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("writing the node key {}", path.display())]
    Write {
        /// The key's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(number: u8) -> NodeSecret {
        NodeSecret::from_seed(&[number; 32])
    }

    #[test]
    fn a_key_is_read_as_it_is_printed() {
        let key = secret(1).key();
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(key.to_string().len(), 64);
        for wrong in ["", "00", &"g".repeat(64), &"0".repeat(66)] {
            assert_eq!(wrong.parse::<NodeKey>(), Err(NodeKeyError), "{wrong}");
        }
    }

    #[test]
    fn the_key_of_a_seed_is_the_one_of_rfc_8032() {
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let mut bytes = [0u8; 32];
        hex::decode_to_slice(seed, &mut bytes).unwrap();
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(NodeSecret::from_seed(&bytes).key().to_string(), public);
    }

    #[test]
    fn a_signature_holds_for_one_key_and_one_message() {
        let signature = secret(1).sign(b"ticket");
        assert!(secret(1).key().verifies(b"ticket", &signature));
        assert!(!secret(2).key().verifies(b"ticket", &signature));
        assert!(!secret(1).key().verifies(b"tickets", &signature));
    }

    #[test]
    fn a_key_file_is_private_and_stays_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.key");
        let first = NodeSecret::load_or_create(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = NodeSecret::load_or_create(&path).unwrap();
        assert_eq!(again.key(), first.key());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        let error = secret(3).save_new(&path).unwrap_err();
        assert!(matches!(error, NodeSecretError::Write { .. }), "{error}");
        assert_eq!(NodeSecret::load(&path).unwrap().key(), first.key());
    }

    #[test]
    fn a_broken_or_open_key_file_is_refused_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.key");
        secret(3).save_new(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = NodeSecret::load_or_create(&path).unwrap_err();
        assert!(error.to_string().contains("has mode 640"), "{error}");
        std::fs::write(&path, "garbage").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let error = NodeSecret::load_or_create(&path).unwrap_err();
        assert!(matches!(error, NodeSecretError::Garbage { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "garbage");
    }

    #[test]
    fn a_private_key_is_not_printed() {
        let text = format!("{:?}", secret(4));
        assert!(text.contains("***") && !text.contains("0404"), "{text}");
    }
}
