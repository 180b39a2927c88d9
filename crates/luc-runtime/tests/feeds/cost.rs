//! What the creation of a server costs on the wire, per site that follows.

use luc_core::entropy::SplitMix64;
use luc_core::{Entropy, Uuid};
use serde_json::{Value, json};

use crate::world::{Happening, Machine, World, prefix, project};

/// A server as the compute service stores it, in one of the states that its creation goes through.
fn server(id: &str, random: &mut SplitMix64, state: &str) -> Machine {
    let ids: Vec<String> = (0..3)
        .map(|_| Uuid::born_at(prefix(1), random).hyphenated())
        .collect();
    let micros = 1_790_000_000_000_000 + random.next_u64() % 1_000_000_000_000;
    let rest = json!({
        "user": "6f1c2d3e4f50818283848586878889ab",
        "name": format!("web-{}", random.next_u64() % 100_000),
        "description": null,
        "flavor": {
            "id": "2", "name": "m1.small", "vcpus": 1, "ram_mib": 2048, "disk_gib": 20,
            "ephemeral_gib": 0, "swap_mib": 0, "extra_specs": {"hw:cpu_policy": "shared"},
        },
        "image": {
            "id": "3c5d6e7f-8091-82a3-b4c5-d6e7f8091a2b", "min_disk_gib": 1, "min_ram_mib": 0,
            "size": 21_430_272, "checksum": "c8fc807773e5354afe61636071771906",
        },
        "connection": {
            "networks": "auto", "port": ids[0], "mac": format!("fa:16:3e:{:06x}",
                random.next_u64() % 0x0100_0000), "vnc": random.next_u64() % 65_536,
        },
        "personal": {"key_name": "laptop", "user_data": null, "config_drive": false},
        "wish": "running",
        "reservation": format!("r-{:08x}", random.next_u64() % 0x1_0000_0000),
        "launch_index": 0,
        "auto_disk_config": true,
        "access_ipv4": null,
        "access_ipv6": null,
        "metadata": {"role": "web", "owner": "team-a"},
        "tags": [],
        "vm_state": state,
        "task_state": if state == "active" { Value::Null } else { json!("spawning") },
        "power_state": if state == "active" { "running" } else { "no_state" },
        "progress": 0,
        "placement": {"host": format!("compute-{}", random.next_u64() % 40), "claim": ids[1]},
        "order": ids[2],
        "history": 1,
        "rebuilds": 0,
        "built": if state == "active" { json!(micros) } else { Value::Null },
        "created_at": micros,
        "updated_at": micros + 2_000_000,
    });
    Machine {
        id: id.to_owned(),
        project: project("4a5b6c7d8e9f80818283848586878889"),
        rest: rest.as_object().cloned().expect("an object"),
    }
}

fn action(id: &str, of: &str, random: &mut SplitMix64, done: bool) -> Happening {
    let micros = 1_790_000_000_000_000 + random.next_u64() % 1_000_000_000_000;
    let rest = json!({
        "server": of,
        "number": 1,
        "action": "create",
        "request_id": format!("req-{}", Uuid::born_at(prefix(1), random).hyphenated()),
        "user": "6f1c2d3e4f50818283848586878889ab",
        "user_project": "4a5b6c7d8e9f80818283848586878889",
        "started_at": micros,
        "updated_at": micros + 1_500_000,
        "message": null,
        "events": [{
            "event": "compute__do_build_and_run_instance",
            "started_at": micros,
            "finished_at": if done { json!(micros + 1_500_000) } else { Value::Null },
            "outcome": if done { json!("Success") } else { Value::Null },
            "traceback": null,
            "host": "compute-7",
        }],
    });
    Happening {
        id: id.to_owned(),
        project: project("4a5b6c7d8e9f80818283848586878889"),
        rest: rest.as_object().cloned().expect("an object"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_creation_of_a_server_costs_less_than_2_kb_per_site_that_follows() {
    let world = World::new(&[1, 2, 3]).await;
    let (home, away) = (world.site(1), world.site(2));
    let followed = "4a5b6c7d8e9f80818283848586878889";
    assert!(away.follow(followed).await && world.site(3).follow(followed).await);
    let mut random = SplitMix64::new(7);
    let before = away.status(1).bytes_in;
    let (mut plain, count) = (0, 200);
    for _ in 0..count {
        let id = Uuid::born_at(prefix(1), &mut random).hyphenated();
        let act = Uuid::born_at(prefix(1), &mut random).hyphenated();
        // Accepted, scheduled, built: three commits, and no two at the same time.
        for state in ["building", "building", "active"] {
            let server = server(&id, &mut random, state);
            let action = action(&act, &id, &mut random, state == "active");
            plain += serde_json::to_vec(&server).expect("JSON").len();
            plain += serde_json::to_vec(&action).expect("JSON").len();
            home.write(|tx| {
                tx.put(server.clone())?;
                tx.put(action.clone()).map(drop)
            })
            .await;
            away.level_with(home).await;
        }
    }
    let bytes = (away.status(1).bytes_in - before) / count;
    let plain = plain as u64 / count;
    eprintln!("{bytes} bytes per creation and site, of {plain} of JSON in three commits");
    assert!(bytes < 2048, "{bytes} bytes");
}
