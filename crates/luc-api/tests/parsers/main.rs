//! A bounded fuzz of all parsers: random bytes, and good bodies with random damage.
//!
//! The same `attack` runs unbounded and guided by coverage in `fuzz/` (`parsers` and `policies`).

mod attack;

use luc_core::Entropy as _;
use luc_core::entropy::SplitMix64;

/// Bodies that some endpoint accepts: what damage starts from.
const GOOD: [&str; 8] = [
    r#"{"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "u",
        "password": "p"}}}, "scope": {"project": {"id": "p"}}}}"#,
    r#"{"server": {"name": "s", "imageRef": "df98623c-6501-4517-810f-66a5356ecd2d",
        "flavorRef": "1", "networks": "none", "metadata": {"a": "b"}, "tags": ["t"]},
        "os:scheduler_hints": {"group": "df98623c-6501-4517-810f-66a5356ecd2d"}}"#,
    r#"{"flavor": {"name": "f", "ram": 64, "vcpus": "1", "disk": 1, "description": null}}"#,
    r#"{"user": {"name": "u", "password": "p", "enabled": true, "extra": [1, {"a": null}]}}"#,
    r#"[{"op": "replace", "path": "/name", "value": "x"}, {"op": "remove", "path": "/a~1b"}]"#,
    r#"{"quota_set": {"instances": 10, "cores": -1, "force": "True"}}"#,
    r#"{"server_group": {"name": "g", "policy": "anti-affinity",
        "rules": {"max_server_per_host": 2}}}"#,
    "\"os_compute_api:servers:create\": \"role:admin or \
     (role:member and project_id:%(project_id)s)\"\n",
];

/// How many inputs; a few seconds with optimised dependencies.
const ROUNDS: u64 = 1_500;

#[test]
fn no_bytes_make_a_parser_panic() {
    for seed in 0..ROUNDS {
        let mut random = SplitMix64::new(seed);
        let input = input(&mut random);
        attack::attack(&input);
        attack::attack_policy(&input);
    }
}

/// Random bytes, or a good body with up to eight places changed, cut, doubled or grown.
fn input(random: &mut SplitMix64) -> Vec<u8> {
    let pick = |random: &mut SplitMix64, below: usize| (random.next_u64() as usize) % below.max(1);
    if pick(random, 8) == 0 {
        let mut bytes = vec![0; pick(random, 200)];
        random.fill(&mut bytes);
        return bytes;
    }
    let mut bytes = GOOD[pick(random, GOOD.len())].as_bytes().to_vec();
    for _ in 0..=pick(random, 8) {
        let at = pick(random, bytes.len());
        match pick(random, 5) {
            0 => bytes.truncate(at),
            1 => bytes
                .splice(at..at, b"\"\\u0000\"".iter().copied())
                .for_each(drop),
            2 => {
                let piece = bytes[at..].to_vec();
                bytes.extend(piece);
            }
            3 => bytes.splice(at..at, b"[{".iter().copied()).for_each(drop),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.next_u64() as u8;
                }
            }
        }
        bytes.truncate(10_000);
    }
    bytes
}
