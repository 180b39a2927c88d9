//! Servers that cannot be: the fault says why, and nothing is left behind.

use std::process::Command;

use luc_agent::desired::{DiskFormat, ImageSource, Nic, Presence};
use luc_agent::observed::Phase;
use luc_core::id::ImageId;
use luc_core::units::Bytes;

use crate::bench;
use crate::house::House;

/// Puts bytes into the image service under a name.
pub(crate) fn add(house: &House, name: &str, bytes: &[u8], disk_format: DiskFormat) -> ImageSource {
    let path = house.bench.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let id = ImageId::parse(name).unwrap();
    house.bench.controller.add_image(id.clone(), path);
    let size = Bytes(bytes.len() as u64);
    ImageSource {
        id,
        sha512: bench::sha512(bytes),
        disk_format,
        size,
    }
}

/// The bytes that `qemu-img create` makes with these arguments.
fn made(house: &House, arguments: &[&str]) -> Vec<u8> {
    let path = house.bench.path().join("made.qcow2");
    let mut command = Command::new("qemu-img");
    command
        .args(["create", "-q", "-f", "qcow2"])
        .args(arguments)
        .current_dir(house.bench.path());
    assert!(command.status().unwrap().success());
    std::fs::read(path).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_is_wrong_or_too_large_or_absent_is_a_fault_that_says_why() {
    let Some(house) = House::new().await else {
        return;
    };
    let evil = made(&house, &["-b", "/etc/passwd", "-F", "raw", "made.qcow2"]);
    let large = made(&house, &["made.qcow2", "2G"]);
    let qcow2 = |name: &str, bytes: &[u8]| add(&house, name, bytes, DiskFormat::Qcow2);
    let absent = ImageSource {
        id: ImageId::parse("absent").unwrap(),
        sha512: "0".repeat(128),
        ..house.bench.image.clone()
    };
    let other = ImageSource {
        sha512: "1".repeat(128),
        ..house.bench.image.clone()
    };
    for (image, expected) in [
        (
            qcow2("evil", &evil),
            "refers to another file (backing file)",
        ),
        (
            qcow2("large", &large),
            "a disk of 2147483648 bytes, the flavor's has 1073741824",
        ),
        (qcow2("rubbish", b"not a disk"), "no sound qcow2 image"),
        (absent, "cannot be fetched"),
        (other, "is not what the wish says"),
    ] {
        let observed = house.want("bad", |wish| wish.image = Some(image)).await;
        assert_eq!(observed.phase, Phase::Failed);
        let fault = observed.fault.unwrap();
        assert!(fault.message.contains(expected), "{}", fault.message);
        house
            .change("bad", |wish| wish.presence = Presence::Deleted)
            .await;
    }
    house.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hardware_address_with_an_option_in_it_is_a_fault() {
    let Some(house) = House::new().await else {
        return;
    };
    let mac = Some("00:00:00:00:00:00,script=/bin/sh".into());
    let nic = Nic::UserMode {
        mac,
        forward: vec![],
    };
    let observed = house.want("bad", |wish| wish.nic = nic).await;
    assert!(
        observed
            .fault
            .unwrap()
            .message
            .contains("is not a hardware address")
    );
    house.clear().await;
}
