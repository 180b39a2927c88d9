//! Keys of SSH: new ones, and the fingerprints of given ones.

use std::fmt::Write as _;

use luc_api::ApiError;
use luc_api::value::Secret;
use luc_core::Entropy as _;
use md5::{Digest as _, Md5};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{Algorithm, LineEnding, PrivateKey, PublicKey};

use crate::ports::{Drawn, Randomness};

/// A new key pair.
pub(super) struct NewPair {
    /// As in an `authorized_keys` file.
    pub(super) public_key: String,
    /// In OpenSSH's PEM.
    pub(super) private_key: Secret,
    /// See [`fingerprint`].
    pub(super) fingerprint: String,
}

/// A new Ed25519 pair.
pub(super) fn generate(random: &dyn Randomness) -> Result<NewPair, ApiError> {
    let mut seed = [0u8; 32];
    Drawn(random).fill(&mut seed);
    let failed = |error: ssh_key::Error| ApiError::internal(format!("making a key pair: {error}"));
    let data = KeypairData::from(Ed25519Keypair::from_seed(&seed));
    let key = PrivateKey::new(data, "Generated-by-LUC").map_err(failed)?;
    let private_key = key.to_openssh(LineEnding::LF).map_err(failed)?;
    Ok(NewPair {
        public_key: key.public_key().to_openssh().map_err(failed)?,
        private_key: Secret::new(private_key.as_str()),
        fingerprint: digest(key.public_key()).map_err(failed)?,
    })
}

/// The MD5 of a public key in hexadecimal with colons; a 400 if it is not one.
pub(super) fn fingerprint(public_key: &str) -> Result<String, ApiError> {
    let refused = |reason: &str| {
        let reason = format!("Keypair data is invalid: failed to generate fingerprint ({reason})");
        ApiError::invalid("keypair.public_key", reason)
    };
    let key =
        PublicKey::from_openssh(public_key.trim()).map_err(|error| refused(&error.to_string()))?;
    if let Algorithm::Other(name) = key.algorithm() {
        return Err(refused(&format!("unknown algorithm {}", name.as_str())));
    }
    digest(&key).map_err(|error| refused(&error.to_string()))
}

fn digest(key: &PublicKey) -> Result<String, ssh_key::Error> {
    let bytes = key.to_bytes()?;
    let mut text = String::with_capacity(47);
    for byte in Md5::digest(bytes) {
        let colon = if text.is_empty() { "" } else { ":" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{colon}{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;

    impl Randomness for Counting {
        fn next_u64(&self) -> u64 {
            0x0123_4567_89ab_cdef
        }
    }

    /// A public key of each kind that OpenSSH 9.2 makes, with what `ssh-keygen -l -E md5` says.
    const KNOWN: [(&str, &str); 3] = [
        (
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPYZDYFLAIinwluNx2w741g4Ky/RLkfeF1dcLZX0w8k6",
            "db:56:62:d2:d7:81:c8:89:59:f8:7b:cb:4b:24:3a:5b",
        ),
        (
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDI2bZ7FAyzbMQlAS+RoUNYsUgSCCNx5WkHD//vzSiQ\
             ItGIMEnzeSECsW1MXWjeAnfx9mrgJIQHghXLYXsRhTxPhRbDwv+t6HgsX4pap0cFAiirusvP/mfZHfz0\
             Yy26xyaY5kJ/E22T9u9zC4z0lek6JgGaZ4/hMRBHpLPK96wOSoqAAKXOZShZSfnFJEG0u9KB7Ewoa++p\
             SBp0CJLyn8VA5wyUZmQs6+99K2/gP5n350zVA+EbeAWDVU0esdH73P46T117ZlYKxbk9rcEY1tG/Czw8\
             F40mcWciKoVtmPLlAoYI7/5c79cUVBN9h975cRLYB9z9Nhyt+P+jabuYAtoX",
            "04:10:6a:d3:63:c8:41:85:68:f5:73:43:77:65:12:81",
        ),
        (
            "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHci2cuq\
             aoKcmzwno20i5meagnywN+JKYB8p1ViOwadOo5bm/RwQ2P19I0qyNA94Sdmi1Abr39ywkQOla+GFVwg=",
            "73:b8:a4:b3:24:49:46:4c:bc:df:b2:f0:29:40:74:9a",
        ),
    ];

    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        for (public_key, md5) in KNOWN {
            assert_eq!(fingerprint(public_key).unwrap(), md5);
            assert_eq!(fingerprint(&format!("{public_key}\n")).unwrap(), md5);
        }
    }

    #[test]
    fn what_is_no_public_key_is_refused_by_name() {
        for bad in [
            "",
            "ssh-rsa",
            "ssh-rsa JUNK",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==",
            "x y",
        ] {
            let error = fingerprint(bad).unwrap_err().to_string();
            assert!(error.contains("keypair.public_key"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_new_pair_is_read_by_its_own_public_half() {
        let pair = generate(&Counting).unwrap();
        assert_eq!(fingerprint(&pair.public_key).unwrap(), pair.fingerprint);
        let private = PrivateKey::from_openssh(pair.private_key.reveal()).unwrap();
        assert_eq!(private.public_key().to_openssh().unwrap(), pair.public_key);
    }
}
