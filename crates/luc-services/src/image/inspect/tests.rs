//! Headers made by hand from the formats' descriptions.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// A header of qcow2 version 3 for a disk of 1 GiB.
fn qcow2() -> Vec<u8> {
    let mut bytes = vec![0; 65_536];
    bytes[..4].copy_from_slice(b"QFI\xfb");
    bytes[4..8].copy_from_slice(&3_u32.to_be_bytes());
    bytes[24..32].copy_from_slice(&(1_u64 << 30).to_be_bytes());
    bytes
}

fn vmdk(descriptor: &str) -> Vec<u8> {
    let mut bytes = vec![0; 65_536];
    bytes[..4].copy_from_slice(b"KDMV");
    bytes[4..8].copy_from_slice(&1_u32.to_le_bytes());
    bytes[12..20].copy_from_slice(&2048_u64.to_le_bytes());
    bytes[28..36].copy_from_slice(&1_u64.to_le_bytes());
    bytes[36..44].copy_from_slice(&20_u64.to_le_bytes());
    bytes[512..512 + descriptor.len()].copy_from_slice(descriptor.as_bytes());
    bytes
}

fn iso() -> Vec<u8> {
    let mut bytes = vec![0; 40 << 10];
    bytes[32_768] = 1;
    bytes[32_769..32_774].copy_from_slice(b"CD001");
    bytes[32_768 + 80..32_768 + 84].copy_from_slice(&20_u32.to_le_bytes());
    bytes[32_768 + 128..32_768 + 130].copy_from_slice(&2048_u16.to_le_bytes());
    bytes
}

fn look(declared: &str, bytes: &[u8]) -> Result<Option<u64>, Refusal> {
    check(declared, &mut Cursor::new(bytes), bytes.len() as u64)
}

#[test]
fn the_size_of_the_disk_is_read_from_the_header() {
    assert_eq!(look("qcow2", &qcow2()).unwrap(), Some(1 << 30));
    assert_eq!(look("iso", &iso()).unwrap(), Some(40_960));
    let mut vdi = vec![0; 512];
    vdi[0x40..0x44].copy_from_slice(&0xbeda_107f_u32.to_le_bytes());
    vdi[0x170..0x178].copy_from_slice(&4096_u64.to_le_bytes());
    assert_eq!(look("vdi", &vdi).unwrap(), Some(4096));
    let mut vhd = vec![0; 512];
    vhd[..8].copy_from_slice(b"conectix");
    vhd[48..56].copy_from_slice(&8192_u64.to_be_bytes());
    assert_eq!(look("vhd", &vhd).unwrap(), Some(8192));
    let sparse = "createType=\"monolithicSparse\"\nRW 2048 SPARSE \"disk.vmdk\"\n";
    assert_eq!(look("vmdk", &vmdk(sparse)).unwrap(), Some(1 << 20));
}

#[test]
fn the_size_in_a_vhdx_is_found_through_its_two_tables() {
    let mut bytes = vec![0; 2 << 20];
    bytes[..8].copy_from_slice(b"vhdxfile");
    let regions = 192 << 10;
    bytes[regions..regions + 4].copy_from_slice(b"regi");
    let entry = regions + 16 + VHDX_ENTRY;
    bytes[entry..entry + 16].copy_from_slice(&VHDX_METADATA);
    bytes[entry + 16..entry + 24].copy_from_slice(&(1_u64 << 20).to_le_bytes());
    let table = 1 << 20;
    bytes[table..table + 8].copy_from_slice(b"metadata");
    bytes[table + 32..table + 48].copy_from_slice(&VHDX_DISK_SIZE);
    bytes[table + 48..table + 52].copy_from_slice(&65_536_u32.to_le_bytes());
    bytes[table + 65_536..table + 65_544].copy_from_slice(&(5_u64 << 30).to_le_bytes());
    assert_eq!(look("vhdx", &bytes).unwrap(), Some(5 << 30));
    bytes[regions..regions + 4].copy_from_slice(b"xxxx");
    assert_eq!(look("vhdx", &bytes).unwrap(), None);
}

#[test]
fn a_raw_disk_is_as_big_as_its_file_whatever_is_on_it() {
    assert_eq!(look("raw", b"anything").unwrap(), Some(8));
    assert_eq!(look("raw", b"").unwrap(), Some(0));
    assert_eq!(look("raw", &qcow2()).unwrap(), Some(65_536));
}

#[test]
fn bytes_that_are_not_what_they_are_declared_to_be_are_refused() {
    for (declared, bytes, found) in [
        ("qcow2", b"no disk at all".to_vec(), "raw"),
        ("qcow2", b"".to_vec(), "raw"),
        ("vmdk", qcow2(), "qcow2"),
        ("iso", qcow2(), "qcow2"),
        ("ami", qcow2(), "qcow2"),
        ("qcow2", iso(), "iso"),
    ] {
        let message = look(declared, &bytes).unwrap_err().to_string();
        let expected = format!("Image disk_format {declared} does not match stream data {found}");
        assert_eq!(message, expected);
    }
}

#[test]
fn a_qcow2_that_refers_to_other_files_is_refused() {
    let mut backed = qcow2();
    backed[8..16].copy_from_slice(&104_u64.to_be_bytes());
    let mut split = qcow2();
    split[79] = 0b100;
    let mut future = qcow2();
    future[79] = 0b10_0000;
    let mut old = qcow2();
    old[7] = 1;
    for (bytes, reason) in [
        (&backed, "backing file"),
        (&split, "data file"),
        (&future, "unknown"),
        (&old, "version"),
    ] {
        for declared in ["qcow2", "raw"] {
            let message = look(declared, bytes).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
    }
}

#[test]
fn a_vmdk_that_refers_to_other_files_is_refused() {
    for descriptor in [
        "createType=\"monolithicFlat\"\nRW 1 FLAT \"/etc/shadow\" 0\n",
        "createType=\"monolithicSparse\"\nRW 1 SPARSE \"/etc/shadow\"\n",
        "createType=\"monolithicSparse\"\n",
        "",
    ] {
        let error = look("vmdk", &vmdk(descriptor)).unwrap_err();
        assert!(
            matches!(error, Refusal::Unsafe { .. }),
            "{descriptor}: {error}"
        );
    }
    let error = look(
        "vmdk",
        b"# Disk DescriptorFile\nRW 1 FLAT \"/etc/shadow\" 0\n",
    )
    .unwrap_err();
    assert!(matches!(error, Refusal::Unsafe { .. }), "{error}");
}

#[test]
fn bytes_of_two_formats_at_once_are_refused_except_a_bootable_iso() {
    let mut polyglot = iso();
    polyglot[..4].copy_from_slice(b"QFI\xfb");
    polyglot[7] = 2;
    assert!(matches!(
        look("iso", &polyglot).unwrap_err(),
        Refusal::Ambiguous { .. }
    ));
    let mut bootable = iso();
    bootable[510..512].copy_from_slice(&[0x55, 0xaa]);
    assert_eq!(look("iso", &bootable).unwrap(), Some(40_960));
}

#[test]
fn what_cannot_be_told_by_its_bytes_is_taken_on_trust() {
    let mut kernel = vec![0; 1024];
    kernel[510..512].copy_from_slice(&[0x55, 0xaa]);
    for declared in ["ami", "ari", "aki", "ploop"] {
        assert_eq!(look(declared, &kernel).unwrap(), None);
        assert_eq!(look(declared, b"cpio").unwrap(), None);
    }
}

#[test]
fn a_cut_header_is_refused_and_not_read_past_its_end() {
    for length in 4..80 {
        let bytes = &qcow2()[..length];
        assert!(
            look("qcow2", bytes).is_err(),
            "{length} bytes were accepted"
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_inspection_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..2048),
        sign in prop::sample::select(vec![
            &b"QFI\xfb"[..], b"vhdxfile", b"KDMV", b"conectix", b"LUKS\xba\xbe",
        ]),
        declared in prop::sample::select(KNOWN.to_vec()),
    ) {
        for (byte, signed) in bytes.iter_mut().zip(sign) {
            *byte = *signed;
        }
        let _ = look(declared, &bytes);
    }
}
