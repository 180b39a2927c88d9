//! Tokens that were tampered with, in every way we know of.

use luc_core::SitePrefix;
use serde_json::{Value, json};

use super::*;
use crate::identity::signing::verifying_key;

const SITE: SitePrefix = SitePrefix::from_bytes([1; 6]);

fn key(seed: u8) -> SigningKey {
    let text = BASE64.encode([seed; 32]);
    SigningKey::from_text(SITE, &text).unwrap()
}

fn claims() -> Claims {
    let now = Timestamp::from_unix_secs(1_000);
    let user = UserId::parse("ada").unwrap();
    let mut claims = Claims::new(user, now, Timestamp::from_unix_secs(4_600));
    claims.audit_ids = vec!["own".to_owned(), "root".to_owned()];
    claims.methods = vec!["password".to_owned()];
    claims.scope = Claim::Project(ProjectId::parse("p1").unwrap());
    claims.epochs = Epochs {
        user: 3,
        ..Epochs::default()
    };
    claims
}

fn verify(token: &str) -> Result<Claims, TokenError> {
    let known = key(7).public();
    Claims::verify(token, |kid| {
        (kid == known.id).then(|| verifying_key(&known)).flatten()
    })
}

fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<_> = token.split('.').collect();
    parts.try_into().unwrap()
}

fn encoded(value: &Value) -> String {
    BASE64.encode(value.to_string())
}

/// A token with this header that is properly signed by a known key.
fn signed_with_header(header: &Value) -> String {
    let token = claims().sign(&key(7)).unwrap();
    let message = format!("{}.{}", encoded(header), parts(&token)[1]);
    let signature = BASE64.encode(key(7).sign(message.as_bytes()));
    format!("{message}.{signature}")
}

#[test]
fn what_was_signed_is_read_back() {
    let token = claims().sign(&key(7)).unwrap();
    assert_eq!(verify(&token).unwrap(), claims());
    assert!(token.len() < 600, "{} bytes", token.len());
}

#[test]
fn every_changed_byte_is_noticed() {
    let token = claims().sign(&key(7)).unwrap();
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(verify(&changed).is_err(), "byte {at} was changed unnoticed");
    }
}

#[test]
fn a_token_that_is_cut_or_continued_is_refused() {
    let token = claims().sign(&key(7)).unwrap();
    for end in 0..token.len() {
        assert!(verify(&token[..end]).is_err(), "cut at {end}");
    }
    for more in ["A", "=", ".", " ", "\n"] {
        assert!(
            verify(&format!("{token}{more}")).is_err(),
            "continued by {more:?}"
        );
        assert!(
            verify(&format!("{more}{token}")).is_err(),
            "preceded by {more:?}"
        );
    }
    assert_eq!(verify(&"A".repeat(5_000)), Err(TokenError::Malformed));
}

#[test]
fn the_key_of_another_is_not_believed() {
    let token = claims().sign(&key(8)).unwrap();
    assert_eq!(verify(&token), Err(TokenError::UnknownKey));
    // Signed by another key, but naming a known one.
    let [_, claims_part, _] = parts(&token);
    let header = encoded(&json!({"alg": "EdDSA", "kid": key(7).id(), "typ": "JWT"}));
    let message = format!("{header}.{claims_part}");
    let signature = BASE64.encode(key(8).sign(message.as_bytes()));
    assert_eq!(
        verify(&format!("{message}.{signature}")),
        Err(TokenError::Signature)
    );
}

#[test]
fn no_other_algorithm_is_taken() {
    let kid = key(7).public().id;
    let public = key(7).public().public_key;
    for header in [
        json!({"alg": "none", "kid": kid, "typ": "JWT"}),
        json!({"alg": "HS256", "kid": kid, "typ": "JWT"}),
        json!({"alg": "eddsa", "kid": kid, "typ": "JWT"}),
        json!({"alg": "EdDSA", "kid": kid, "typ": "JWT", "crit": ["exp"]}),
        json!({"alg": "EdDSA", "kid": kid, "typ": "JWT", "jwk": {"x": public}}),
        json!({"alg": "EdDSA", "kid": kid, "typ": "JWT", "jku": "http://evil.example"}),
        json!({"alg": "EdDSA", "typ": "JWT"}),
        json!(["EdDSA", kid, "JWT"]),
    ] {
        assert_eq!(
            verify(&signed_with_header(&header)),
            Err(TokenError::Malformed),
            "{header}"
        );
    }
    let good = json!({"alg": "EdDSA", "kid": kid, "typ": "JWT"});
    assert!(verify(&signed_with_header(&good)).is_ok());
}

#[test]
fn an_unsigned_token_is_refused() {
    let token = claims().sign(&key(7)).unwrap();
    let [header, claims, _] = parts(&token);
    for signature in ["", "AA", &BASE64.encode([0u8; 64])] {
        assert!(
            verify(&format!("{header}.{claims}.{signature}")).is_err(),
            "{signature:?}"
        );
    }
}
