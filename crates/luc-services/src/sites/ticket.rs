//! Tickets as text that a person copies: `luc1-` and the base 32 (RFC 4648, lower case, no
//! padding) of a JSON object.
//!
//! The text is a secret until it is used: whoever has it may join. It names the key of the node
//! that made it, so that the joining side talks to that node and to nobody else.

use luc_core::SitePrefix;
use luc_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::model::{Label, Purpose};

/// What every ticket of this version begins with.
const VERSION: &str = "luc1-";

/// No ticket is longer; nothing longer is looked at.
const LENGTH_MAX: usize = 8192;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// What a ticket says to the one who joins with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketText {
    /// The prefix of the site that founded the cloud.
    pub cloud: SitePrefix,
    /// The prefix of the inviting site.
    pub site: SitePrefix,
    /// The name of the inviting site.
    pub site_name: String,
    /// The fabric key of the inviting node, 64 hexadecimal digits.
    pub key: String,
    /// Where that node is reached on the fabric.
    pub addresses: Vec<String>,
    /// What proves that the holder was invited, 52 letters.
    pub secret: String,
    /// What it is for.
    pub purpose: Purpose,
    /// What a site becomes that joins with it.
    pub label: Label,
    /// From when it is worth nothing.
    pub expires: Timestamp,
}

impl std::fmt::Debug for TicketText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TicketText({} of {}, ***)", self.purpose, self.site_name)
    }
}

/// A text that is no ticket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// It does not begin as tickets do.
    #[error("not a ticket: it begins with \"{VERSION}\"; copy all of it")]
    Version,
    /// It is cut off or mistyped.
    #[error("this ticket is damaged: copy all of it, without spaces")]
    Damaged,
}

impl TicketText {
    /// The text.
    pub fn encode(&self) -> String {
        // A struct of texts and numbers is always JSON.
        let json = serde_json::to_vec(self).unwrap_or_default();
        format!("{VERSION}{}", base32(&json))
    }

    /// Reads what [`Self::encode`] wrote; letter case and space at the ends do not matter.
    pub fn decode(text: &str) -> Result<Self, TicketError> {
        let text = text.trim().to_ascii_lowercase();
        let body = text.strip_prefix(VERSION).ok_or(TicketError::Version)?;
        if body.len() > LENGTH_MAX {
            return Err(TicketError::Damaged);
        }
        let bytes = unbase32(body).ok_or(TicketError::Damaged)?;
        serde_json::from_slice(&bytes).map_err(|_| TicketError::Damaged)
    }
}

/// What is stored of a secret.
pub(super) fn hash(secret: &str) -> String {
    let digest = Sha256::new()
        .chain_update("luc ticket\0")
        .chain_update(secret);
    hex::encode(digest.finalize())
}

/// Base 32 in lower case without padding.
pub(super) fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut word = [0u8; 8];
        word[3..3 + chunk.len()].copy_from_slice(chunk);
        let word = u64::from_be_bytes(word);
        let letters = (chunk.len() * 8).div_ceil(5);
        for at in 0..letters {
            let index = (word >> (35 - at * 5)) as usize & 31;
            text.push(char::from(ALPHABET[index]));
        }
    }
    text
}

fn unbase32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    for chunk in text.as_bytes().chunks(8) {
        let mut word = 0u64;
        for (at, letter) in chunk.iter().enumerate() {
            let value = ALPHABET.iter().position(|known| known == letter)?;
            word |= (value as u64) << (35 - at * 5);
        }
        let length = chunk.len() * 5 / 8;
        bytes.extend_from_slice(&word.to_be_bytes()[3..3 + length]);
    }
    // What was written would be written again: no second spelling of the same ticket.
    (base32(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ticket() -> TicketText {
        TicketText {
            cloud: SitePrefix::of_key(b"cloud"),
            site: SitePrefix::of_key(b"site"),
            site_name: "grenoble".to_owned(),
            key: "ab".repeat(32),
            addresses: vec!["10.0.0.1:9443".to_owned()],
            secret: "s".repeat(52),
            purpose: Purpose::Site,
            label: Label::Edge,
            expires: Timestamp::from_unix_secs(1_800_000_000),
        }
    }

    #[test]
    fn the_test_vectors_of_rfc_4648_hold() {
        for (bytes, text) in [
            ("", ""),
            ("f", "my"),
            ("fo", "mzxq"),
            ("foo", "mzxw6"),
            ("foob", "mzxw6yq"),
            ("fooba", "mzxw6ytb"),
            ("foobar", "mzxw6ytboi"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
            assert_eq!(unbase32(text).as_deref(), Some(bytes.as_bytes()));
        }
    }

    #[test]
    fn a_ticket_is_read_as_it_was_written_in_any_letter_case() {
        let text = ticket().encode();
        assert_eq!(TicketText::decode(&text), Ok(ticket()));
        let shouted = format!(" {}\n", text.to_ascii_uppercase());
        assert_eq!(TicketText::decode(&shouted), Ok(ticket()));
    }

    #[test]
    fn a_damaged_ticket_is_refused() {
        let text = ticket().encode();
        assert_eq!(TicketText::decode(""), Err(TicketError::Version));
        assert_eq!(TicketText::decode("luc2-aaaa"), Err(TicketError::Version));
        let long = format!("luc1-{}", "a".repeat(LENGTH_MAX + 1));
        for damaged in [&text[..text.len() - 3], "luc1-", "luc1-1!", &long] {
            assert_eq!(TicketText::decode(damaged), Err(TicketError::Damaged));
        }
    }

    #[test]
    fn the_secret_is_not_printed() {
        let shown = format!("{:?}", ticket());
        assert!(!shown.contains("ssss"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_bytes_survive_base_32(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(unbase32(&base32(&bytes)), Some(bytes));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,80}") {
            let _ = TicketText::decode(&text);
            let _ = TicketText::decode(&format!("luc1-{text}"));
        }
    }
}
