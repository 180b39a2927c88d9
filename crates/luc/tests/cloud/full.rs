//! A controller whose disk is full: it lives, says that it is not ready and why, reads on, and
//! works again when there is room. On a small file system in memory; needs root.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use luc::client::Target;
use reqwest::Method;
use serde_json::json;

use crate::process::{Up, skip};

const LIMIT: Duration = Duration::from_secs(60);

/// A file system of 96 MiB, unmounted when it is dropped.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let at = tempfile::tempdir().expect("room for a directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=96m", "luc-full"]);
        let mounted = mount.arg(at.path()).output();
        mounted
            .is_ok_and(|done| done.status.success())
            .then(|| Self(at))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(
            done.is_ok_and(|status| status.success()),
            "it stays mounted"
        );
    }
}

/// What a path of the node's own says, and its status.
async fn plain(up: &Up, path: &str) -> (u16, String) {
    let node = up.access.auth_url.split("/identity").next();
    let answer = reqwest::get(format!("{}{path}", node.expect("a URL"))).await;
    let answer = answer.expect("the node answers");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

async fn until_ready_is(up: &Up, status: u16) -> String {
    let begun = Instant::now();
    loop {
        let (now, said) = plain(up, "/readyz").await;
        if now == status {
            return said;
        }
        assert!(begun.elapsed() < LIMIT, "still {now}: {said}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_on_a_full_disk_lives_is_not_ready_and_is_when_there_is_room() {
    let Some(disk) = Small::mount() else {
        return skip("nothing can be mounted here: no controller ran on a full disk");
    };
    let data = disk.path().join("data");
    let up = Up::start(&data, "fake", 1).await;
    let client = up.client().await;
    assert_eq!(until_ready_is(&up, 200).await, "ready\n");

    let filler = disk.path().join("filler");
    let mut file = std::fs::File::create(&filler).expect("a file");
    let full = std::io::copy(&mut std::io::repeat(1), &mut file).expect_err("the disk has an end");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
    let why = until_ready_is(&up, 503).await;
    assert!(why.contains("is full: 0 KiB are left"), "{why}");
    assert_eq!(plain(&up, "/healthz").await, (200, "ok\n".to_owned()));
    client
        .get(Target::Compute, "/flavors")
        .await
        .expect("it reads on");
    // What fits into pages that are free may still be written; else it is refused as it must be.
    let make = async |name: &str| {
        let body = json!({"domain": {"name": name, "description": "x".repeat(60_000)}});
        let made = client.ask(Method::POST, Target::Identity, "/domains", Some(body));
        made.await.expect("an answer").status.as_u16()
    };
    let mut refused = 0;
    for number in 0..40 {
        match make(&format!("d{number}")).await {
            201 => {}
            503 | 504 => {
                refused += 1;
                break;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(refused, 1, "the disk is full");
    let why = until_ready_is(&up, 503).await;
    assert!(why.contains("is full"), "{why}");

    drop(file);
    std::fs::remove_file(&filler).expect("it is there");
    assert_eq!(until_ready_is(&up, 200).await, "ready\n");
    assert_eq!(make("after").await, 201);
    up.stop().await;
}
