//! Tokens: what they say, how they are signed and verified.
//!
//! A token is a JWS in compact form (RFC 7515) signed by EdDSA (RFC 8037). It says who, for what,
//! until when, and in which epochs of user, project and domains it was issued; never which roles:
//! those are read from the assignments each time. Verification here is of form, signature and
//! nothing else; whether the token still counts is the matter of [`super::standing`]. To clients
//! it is opaque.
//!
//! ```text
//! base64url({"alg":"EdDSA","kid":…,"typ":"JWT"}) . base64url(claims) . base64url(signature)
//! ```
//!
//! The header is read by a closed type: one with another algorithm, with a key inside or with a
//! `crit` is refused before any key is looked for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ed25519_dalek::{Signature, VerifyingKey};
use luc_core::SitePrefix;
use luc_core::id::{AppCredId, DomainId, ProjectId, UserId};
use luc_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::signing::{ALGORITHM, SigningKey};

/// The longest token that is looked at, in bytes; ours have about 500.
const LENGTH_MAX: usize = 4096;

/// What a token is good for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Claim {
    /// To be exchanged.
    #[default]
    Unscoped,
    /// A project.
    Project(ProjectId),
    /// A domain.
    Domain(DomainId),
    /// The system.
    System,
}

/// The epochs in which a token was issued; it ends when one of them does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Epochs {
    /// Of the user.
    #[serde(rename = "u", default)]
    pub(super) user: u32,
    /// Of the user's domain.
    #[serde(rename = "ud", default)]
    pub(super) user_domain: u32,
    /// Of the project.
    #[serde(rename = "p", default)]
    pub(super) project: u32,
    /// Of the project's domain, or of the domain that the token is for.
    #[serde(rename = "d", default)]
    pub(super) domain: u32,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// The user.
    #[serde(rename = "sub")]
    pub(super) user: UserId,
    /// When it was issued, in seconds.
    #[serde(rename = "iat")]
    issued_at: i64,
    /// When it ends, in seconds.
    #[serde(rename = "exp")]
    expires_at: i64,
    /// Its audit id, and that of the first one of its chain if that is another.
    #[serde(rename = "aid")]
    pub(super) audit_ids: Vec<String>,
    /// How the user authenticated.
    #[serde(rename = "mth")]
    pub(super) methods: Vec<String>,
    /// What it is good for.
    #[serde(rename = "for", default)]
    pub(super) scope: Claim,
    /// The application credential that it was obtained with.
    #[serde(rename = "apc", default, skip_serializing_if = "Option::is_none")]
    pub(super) app_cred: Option<AppCredId>,
    /// The domains of user and scope, so that a site that does not hold them knows what it lacks.
    #[serde(rename = "dms", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) domains: Vec<DomainId>,
    /// When it was issued, as those count who may end it.
    #[serde(rename = "epo", default)]
    pub(super) epochs: Epochs,
    /// The site on whose word it rests besides that of its signer: one that is not trusted signed
    /// the token that it was exchanged for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) via: Option<SitePrefix>,
}

/// Why a text is no token of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenError {
    /// It has not the form of one.
    Malformed,
    /// No key of its id is known.
    UnknownKey,
    /// It is not signed by the key it names.
    Signature,
}

impl TokenError {
    /// Why, for the log.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "the token is malformed",
            Self::UnknownKey => "the token names an unknown key",
            Self::Signature => "the signature of the token is wrong",
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

impl Claims {
    /// What a token issued at `now` says of `user`; whole seconds, as Keystone's.
    pub(super) fn new(user: UserId, now: Timestamp, expires_at: Timestamp) -> Self {
        Self {
            user,
            issued_at: now.unix_secs(),
            expires_at: expires_at.unix_secs(),
            audit_ids: Vec::new(),
            methods: Vec::new(),
            scope: Claim::Unscoped,
            app_cred: None,
            domains: Vec::new(),
            epochs: Epochs::default(),
            via: None,
        }
    }

    /// When it was issued.
    pub(super) fn issued_at(&self) -> Timestamp {
        Timestamp::from_unix_secs(self.issued_at)
    }

    /// When it ends.
    pub(super) fn expires_at(&self) -> Timestamp {
        Timestamp::from_unix_secs(self.expires_at)
    }

    /// The audit id of the first token of its chain.
    pub(super) fn chain(&self) -> Option<&String> {
        self.audit_ids.last()
    }

    /// The signed token.
    pub(super) fn sign(&self, key: &SigningKey) -> Result<String, serde_json::Error> {
        let header = Header {
            alg: ALGORITHM.to_owned(),
            kid: key.id().to_owned(),
            typ: "JWT".to_owned(),
        };
        let mut token = BASE64.encode(serde_json::to_vec(&header)?);
        token.push('.');
        BASE64.encode_string(serde_json::to_vec(self)?, &mut token);
        let signature = key.sign(token.as_bytes());
        token.push('.');
        BASE64.encode_string(signature, &mut token);
        Ok(token)
    }

    /// Reads a token that is signed by the key that `key_of` knows under its `kid`.
    pub(super) fn verify(
        token: &str,
        key_of: impl FnOnce(&str) -> Option<VerifyingKey>,
    ) -> Result<Self, TokenError> {
        if token.len() > LENGTH_MAX {
            return Err(TokenError::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenError::Malformed)?;
        let header: Header = object(header)?;
        if header.alg != ALGORITHM || header.typ != "JWT" {
            return Err(TokenError::Malformed);
        }
        let key = key_of(&header.kid).ok_or(TokenError::UnknownKey)?;
        let signature = BASE64
            .decode(signature)
            .map_err(|_| TokenError::Malformed)?;
        let signature = Signature::from_slice(&signature).map_err(|_| TokenError::Malformed)?;
        key.verify_strict(message.as_bytes(), &signature)
            .map_err(|_| TokenError::Signature)?;
        object(claims)
    }
}

/// The JSON object of a part of a token; an array of its members, which serde would take, is none.
fn object<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let bytes = BASE64.decode(part).map_err(|_| TokenError::Malformed)?;
    if bytes.first() != Some(&b'{') {
        return Err(TokenError::Malformed);
    }
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)
}

#[cfg(test)]
mod tests;
