//! The project's own guest, a whole Linux, where it has been built (`guest/make-image`): it reads
//! the config drive, answers through a forwarded port, obeys the power button, and survives being
//! suspended.

use std::path::Path;

use luc_agent::desired::{DesiredPower, DesiredServer, DiskFormat, ImageSource, Nic, PublicKey};
use luc_agent::driver::Driver as _;
use luc_agent::observed::{Observed, PowerState};
use luc_core::time::Duration;
use luc_core::units::{DiskGib, MemoryMib};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::house::{House, settled};
use crate::refusal::add;

const IMAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../guest/build/luc-guest.qcow2"
);

/// What the guest answers on its port 80, once it does.
async fn get(observed: &Observed, path: &str) -> String {
    let host = observed.forwards[0].host;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
    loop {
        let ask = async {
            let mut stream = tokio::net::TcpStream::connect(host).await?;
            let request = format!("GET {path} HTTP/1.0\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer)
        };
        let answer = tokio::time::timeout(Duration::from_secs(5), ask).await;
        if let Ok(Ok(answer)) = answer
            && answer.contains(" 200 ")
        {
            return answer;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "no answer to {path}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A server whose guest can tell what it was told.
fn describe(wish: &mut DesiredServer, image: ImageSource) {
    wish.image = Some(image);
    wish.shape.memory = MemoryMib(128);
    wish.shape.root_disk = DiskGib(1);
    wish.nic = Nic::UserMode {
        mac: None,
        forward: vec![80],
    };
    wish.boot.hostname = "told-by-the-drive".into();
    wish.boot.user_data = Some(b"#!/bin/sh\necho user data ran\n".to_vec());
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMZWj0HvGXXJ1U1XHX test".to_owned();
    wish.boot.keys = vec![PublicKey {
        name: "mine".into(),
        key,
    }];
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_linux_knows_itself_answers_obeys_and_survives_a_suspend() {
    let Some(house) = House::new().await else {
        return;
    };
    if !Path::new(IMAGE).exists() {
        luc_agent::testing::skip("guest/build/luc-guest.qcow2 is not built: no Linux was booted");
        return;
    }
    let image = add(
        &house,
        "luc-guest",
        &std::fs::read(IMAGE).unwrap(),
        DiskFormat::Qcow2,
    );
    let running = house.want("linux", |wish| describe(wish, image)).await;
    assert_eq!(settled(&running), PowerState::Running);
    let hello = get(&running, "/").await;
    assert!(hello.contains("told-by-the-drive"), "{hello}");
    let console = house
        .driver
        .console(&house.id("linux"), None)
        .await
        .unwrap();
    assert!(
        console.contains("user space is up hostname=told-by-the-drive"),
        "{console}"
    );

    until_console_says(&house, "linux", "user data ran").await;

    let before = uptime(&get(&running, "/cgi-bin/status").await);
    house
        .change("linux", |wish| wish.power = DesiredPower::Suspended)
        .await;
    let resumed = house
        .change("linux", |wish| wish.power = DesiredPower::Running)
        .await;
    assert_eq!(settled(&resumed), PowerState::Running);
    let status = get(&resumed, "/cgi-bin/status").await;
    assert!(uptime(&status) >= before, "it was booted anew: {status}");
    let console = house
        .driver
        .console(&house.id("linux"), None)
        .await
        .unwrap();
    assert_eq!(console.matches("user space is up").count(), 1, "{console}");

    let stopped = house
        .change("linux", |wish| wish.power = DesiredPower::Stopped)
        .await;
    assert_eq!(settled(&stopped), PowerState::Shutdown);
    let console = house
        .driver
        .console(&house.id("linux"), None)
        .await
        .unwrap();
    assert!(
        console.contains("going down for poweroff"),
        "it was cut off: {console}"
    );
    house.clear().await;
}

/// Waits until the console shows `words`: user space goes on starting things after it is up.
async fn until_console_says(house: &House, name: &str, words: &str) {
    for _ in 0..300 {
        let console = house.driver.console(&house.id(name), None).await.unwrap();
        if console.contains(words) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let console = house.driver.console(&house.id(name), None).await.unwrap();
    panic!("not within 30 s: {words:?}\n{console}");
}

/// The `uptime` in the guest's status.
fn uptime(status: &str) -> f64 {
    let (_, body) = status.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let uptime = body
        .as_object()
        .unwrap()
        .iter()
        .find(|(key, _)| key.starts_with("uptime"));
    uptime.unwrap().1.as_f64().unwrap()
}
