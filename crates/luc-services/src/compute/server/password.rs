//! Made-up passwords and reservation ids, and the password that a guest has left for its owner.

use luc_api::ApiError;
use luc_core::Entropy;
use serde_json::json;

use super::access;
use crate::Services;
use crate::reply::Reply;
use crate::request::Request;

/// Nova's `password_length`.
const LENGTH: usize = 12;

/// Nova's `DEFAULT_PASSWORD_SYMBOLS`: no characters that look like each other.
const GROUPS: [&[u8]; 3] = [
    b"23456789",
    b"ABCDEFGHJKLMNPQRSTUVWXYZ",
    b"abcdefghijkmnopqrstuvwxyz",
];

/// A password of an administrator, with at least one character of each group.
pub(super) fn generate(entropy: &mut impl Entropy) -> String {
    let all: Vec<u8> = GROUPS.concat();
    let mut password: Vec<u8> = GROUPS.iter().map(|group| pick(entropy, group)).collect();
    while password.len() < LENGTH {
        password.push(pick(entropy, &all));
    }
    // Fisher and Yates: nobody is to know which group stands where.
    for last in (1..password.len()).rev() {
        password.swap(last, below(entropy, last + 1));
    }
    password.into_iter().map(char::from).collect()
}

/// Such as `r-0kf8odm1`.
pub(super) fn reservation_id(entropy: &mut impl Entropy) -> String {
    let symbols = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let random = (0..8).map(|_| char::from(pick(entropy, symbols)));
    "r-".chars().chain(random).collect()
}

fn pick(entropy: &mut impl Entropy, symbols: &[u8]) -> u8 {
    symbols[below(entropy, symbols.len())]
}

/// A number below `bound`, each as likely as the others.
fn below(entropy: &mut impl Entropy, bound: usize) -> usize {
    let bound = bound as u64;
    let fair = u64::MAX - u64::MAX % bound;
    loop {
        let drawn = entropy.next_u64();
        if drawn < fair {
            return (drawn % bound) as usize;
        }
    }
}

/// `GET /servers/{id}/os-server-password`: what the guest has left, encrypted, which needs a
/// metadata service to be left with; so always nothing.
pub(in crate::compute) fn show(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    Reply::json(&json!({"password": ""}))
}

/// `DELETE /servers/{id}/os-server-password`: forgets it.
pub(in crate::compute) fn clear(services: &Services, request: &Request) -> Result<Reply, ApiError> {
    access::authorized(&services.store.snapshot(), request)?;
    Ok(Reply::empty())
}

#[cfg(test)]
mod tests {
    use luc_core::entropy::SplitMix64;

    use super::*;

    #[test]
    fn a_password_has_a_character_of_each_group() {
        let mut entropy = SplitMix64::new(1);
        for _ in 0..200 {
            let password = generate(&mut entropy);
            assert_eq!(password.len(), LENGTH);
            for group in GROUPS {
                assert!(
                    password.bytes().any(|byte| group.contains(&byte)),
                    "{password}"
                );
            }
        }
    }

    #[test]
    fn draws_are_fair() {
        let mut entropy = SplitMix64::new(2);
        let mut counts = [0u32; 5];
        for _ in 0..50_000 {
            counts[below(&mut entropy, 5)] += 1;
        }
        assert!(
            counts.iter().all(|count| (9_000..11_000).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn a_reservation_is_named_as_nova_names_them() {
        let id = reservation_id(&mut SplitMix64::new(3));
        assert!(id.starts_with("r-") && id.len() == 10, "{id}");
    }
}
