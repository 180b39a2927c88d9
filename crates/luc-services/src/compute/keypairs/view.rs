//! Key pairs as JSON, by microversion. 2.2 adds the type.

use std::sync::Arc;

use luc_api::value::Secret;
use luc_state::Stored;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::compute::model::keypair::Keypair;
use crate::compute::wire_time::Micros;
use crate::request::Request;

/// What every view shows.
fn brief(request: &Request, pair: &Keypair) -> Value {
    let mut shown = json!({
        "name": pair.name,
        "public_key": pair.public_key,
        "fingerprint": pair.fingerprint,
    });
    if request.version.at_least(2, 2) {
        shown["type"] = json!(pair.kind.as_str());
    }
    shown
}

/// Many.
pub(super) fn list(request: &Request, pairs: &[Arc<Stored<Keypair>>]) -> Value {
    let one = |pair: &Arc<Stored<Keypair>>| json!({"keypair": brief(request, pair)});
    json!({"keypairs": pairs.iter().map(one).collect::<Vec<_>>()})
}

/// One.
pub(super) fn whole(request: &Request, pair: &Keypair) -> Value {
    let mut shown = brief(request, pair);
    shown["user_id"] = json!(pair.user);
    shown["id"] = json!(number(pair));
    shown["created_at"] = json!(Micros(pair.created_at));
    shown["updated_at"] = Value::Null;
    shown["deleted"] = json!(false);
    shown["deleted_at"] = Value::Null;
    json!({"keypair": shown})
}

/// A new one, with its private half if it was generated here.
pub(super) fn made(request: &Request, pair: &Keypair, private_key: Option<&Secret>) -> Value {
    let mut shown = brief(request, pair);
    shown["user_id"] = json!(pair.user);
    if let Some(private_key) = private_key {
        shown["private_key"] = json!(private_key.reveal());
    }
    json!({"keypair": shown})
}

/// Nova shows the number of a row of its database. Clients can do nothing with it but compare, so
/// here it is derived from the id: 31 bits, the same for the whole life of the key pair.
fn number(pair: &Keypair) -> u32 {
    let digest = Sha256::digest(pair.id.as_bytes());
    u32::from_be_bytes([digest[0] & 0x7f, digest[1], digest[2], digest[3]])
}
