//! What was acknowledged survives SIGKILL, and what was under way is finished by the next start.

use std::path::Path;
use std::time::Duration;

use luc::client::{Client, Target};
use serde_json::json;

use crate::process::{Up, create, flavor, image, lift_quota, servers, settled, skip, until};

const LIMIT: Duration = Duration::from_secs(60);

/// Kills the cloud in the middle of many creations, at a different point each time; how many were
/// acknowledged.
async fn create_and_kill(mut up: Up, directory: &Path, image: &str, flavor: &str) -> (Up, usize) {
    let mut accepted = 0;
    for (round, delay) in [5u64, 25, 60].into_iter().enumerate() {
        let client = up.client().await;
        let mut asked = tokio::task::JoinSet::new();
        for number in 0..20 {
            let (client, image, flavor) = (client.clone(), image.to_owned(), flavor.to_owned());
            let name = format!("r{round}-{number}");
            asked.spawn(async move { create(&client, &image, &flavor, &name, 1).await });
        }
        tokio::time::sleep(Duration::from_millis(delay)).await;
        up.kill().await;
        let statuses = asked.join_all().await;
        let good = statuses.iter().all(|status| [0, 202].contains(status));
        assert!(good, "{statuses:?}");
        accepted += statuses.iter().filter(|status| **status == 202).count();
        up = Up::start(directory, "fake", 3).await;
    }
    (up, accepted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_under_way_are_finished_after_a_sigkill() {
    let directory = tempfile::tempdir().expect("room for data");
    let up = Up::start(directory.path(), "fake", 3).await;
    let client = up.client().await;
    lift_quota(&client).await;
    let image = image(&client, None).await;
    let flavor = flavor(&client, "m1.nano").await;

    let (up, accepted) = create_and_kill(up, directory.path(), &image, &flavor).await;
    let client = up.client().await;
    until(&client, LIMIT, |servers| settled(servers, "ACTIVE")).await;
    let found = servers(&client).await.len();
    // A creation that was cut off may have happened; one that was acknowledged must have.
    assert!(
        found >= accepted,
        "{accepted} were acknowledged, {found} are there"
    );

    // The same with deletions.
    let mut asked = tokio::task::JoinSet::new();
    for server in servers(&client).await {
        let (client, id) = (
            client.clone(),
            server["id"].as_str().expect("an id").to_owned(),
        );
        asked.spawn(async move {
            client
                .delete(Target::Compute, &format!("/servers/{id}"))
                .await
                .map(|()| id)
        });
    }
    tokio::time::sleep(Duration::from_millis(15)).await;
    up.kill().await;
    let deleted: Vec<String> = asked.join_all().await.into_iter().flatten().collect();
    let up = Up::start(directory.path(), "fake", 3).await;
    let client = up.client().await;
    until(&client, LIMIT, |servers| settled(servers, "ACTIVE")).await;
    let left = servers(&client).await;
    assert!(
        !left
            .iter()
            .any(|s| deleted.iter().any(|id| s["id"] == id.as_str()))
    );

    // Nothing is left claimed once everything is gone.
    for server in left {
        let path = format!("/servers/{}", server["id"].as_str().expect("an id"));
        client
            .delete(Target::Compute, &path)
            .await
            .expect("it is deleted");
    }
    until(&client, LIMIT, <[serde_json::Value]>::is_empty).await;
    let limits = client
        .get(Target::Compute, "/limits")
        .await
        .expect("limits are shown");
    let used = &limits["limits"]["absolute"];
    for name in ["totalInstancesUsed", "totalCoresUsed", "totalRAMUsed"] {
        assert_eq!(used[name], 0, "{name}: {used}");
    }
    up.stop().await;
}

/// The id of the process that runs `server`, if one does.
fn qemu_pid(server: &str) -> Option<u32> {
    let entries = std::fs::read_dir("/proc").ok()?;
    entries.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (line.contains("qemu-system") && line.contains(server)).then_some(pid)
    })
}

async fn console(client: &Client, id: &str) -> String {
    let body = json!({"os-getConsoleOutput": {}});
    let answer = client
        .post(Target::Compute, &format!("/servers/{id}/action"), body)
        .await;
    let answer = answer.unwrap_or_default();
    answer["output"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_guest_outlives_luc_and_is_found_again() {
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest/build/luc-guest.qcow2");
    if !luc::up::qemu_installed() {
        return skip("QEMU is not installed: no guest was kept over a SIGKILL");
    }
    if !guest.is_file() {
        return skip("guest/build/luc-guest.qcow2 is not built: no guest was kept over a SIGKILL");
    }
    let directory = tempfile::tempdir().expect("room for data");
    let up = Up::start(directory.path(), "qemu", 1).await;
    let client = up.client().await;
    let image = image(&client, Some(&guest)).await;
    let flavor = flavor(&client, "m1.nano").await;
    assert_eq!(create(&client, &image, &flavor, "survivor", 1).await, 202);
    until(&client, LIMIT, |servers| {
        servers.len() == 1 && settled(servers, "ACTIVE")
    })
    .await;
    let id = servers(&client).await[0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let pid = qemu_pid(&id).expect("QEMU runs the server");
    up.kill().await;
    assert_eq!(qemu_pid(&id), Some(pid), "the guest died with luc");

    let up = Up::start(directory.path(), "qemu", 1).await;
    let client = up.client().await;
    until(&client, LIMIT, |servers| {
        servers.len() == 1 && settled(servers, "ACTIVE")
    })
    .await;
    assert_eq!(
        qemu_pid(&id),
        Some(pid),
        "another process runs the guest now"
    );
    let started = std::time::Instant::now();
    while !console(&client, &id)
        .await
        .contains("luc-guest: user space is up")
    {
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "{}",
            console(&client, &id).await
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    client
        .delete(Target::Compute, &format!("/servers/{id}"))
        .await
        .expect("it is deleted");
    until(&client, LIMIT, <[serde_json::Value]>::is_empty).await;
    assert_eq!(qemu_pid(&id), None, "the guest outlived its server");
    up.stop().await;
}
