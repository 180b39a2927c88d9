//! The body that makes a key pair.
//!
//! Source: Nova 30 `schemas/keypairs.py` (shapes only).

use serde::Deserialize;

use super::parameter::check_name;
use super::reference::given;
use crate::body::{InvalidField, Member, RequestBody};
use crate::version::Microversion;

/// `POST /os-keypairs`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateKeypair {
    /// The key pair.
    pub keypair: NewKeypair,
}

/// A key pair to be made, or to be taken over.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKeypair {
    /// Its name.
    pub name: String,
    /// What kind of key it is (from 2.2).
    #[serde(default, rename = "type", deserialize_with = "given")]
    pub kind: Option<KeyKind>,
    /// The public key to take over; if absent, a pair is generated.
    #[serde(default, deserialize_with = "given")]
    pub public_key: Option<String>,
    /// Whose it is, if not the caller's (from 2.10).
    #[serde(default, deserialize_with = "given")]
    pub user_id: Option<String>,
}

/// What kind of key a key pair holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// A key of SSH.
    Ssh,
    /// A certificate, for guests with WinRM.
    X509,
}

impl RequestBody for CreateKeypair {
    const MEMBERS: &'static [Member] = &[
        Member::since("keypair.type", 2, 2),
        Member::since("keypair.user_id", 2, 10),
    ];

    fn validate(&self, _version: Microversion) -> Result<(), InvalidField> {
        let name = &self.keypair.name;
        check_name("keypair.name", name)?;
        if name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_- ".contains(&byte))
        {
            return Ok(());
        }
        let reason = "Only expected characters: letters, digits, '_', '-' and space";
        Err(InvalidField::new("keypair.name", reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    #[test]
    fn members_came_with_their_microversions() {
        let body = br#"{"keypair": {"name": "k", "type": "ssh", "user_id": "u"}}"#;
        assert!(parse::<CreateKeypair>(body, Microversion::new(2, 1)).is_err());
        assert!(parse::<CreateKeypair>(body, Microversion::new(2, 2)).is_err());
        let pair = parse::<CreateKeypair>(body, Microversion::new(2, 10))
            .unwrap()
            .keypair;
        assert_eq!(
            (pair.kind, pair.user_id.as_deref()),
            (Some(KeyKind::Ssh), Some("u"))
        );
    }

    #[test]
    fn a_name_has_no_special_characters() {
        for bad in ["a@b", "a.b", "a/b", "é", "", " a"] {
            let body = format!(r#"{{"keypair": {{"name": "{bad}"}}}}"#);
            let error = parse::<CreateKeypair>(body.as_bytes(), Microversion::new(2, 1));
            assert!(
                error.unwrap_err().to_string().contains("keypair.name"),
                "{bad}"
            );
        }
    }
}
