//! Images are read back by a reader written from the standard, not from the writer, and by
//! `isoinfo` where that is installed.

use std::collections::BTreeMap;
use std::process::Command;

use super::*;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let both: [u8; 8] = bytes[at..at + 8].try_into().unwrap();
    let little = u32::from_le_bytes(both[..4].try_into().unwrap());
    let big = u32::from_be_bytes(both[4..].try_into().unwrap());
    assert_eq!(little, big, "the two byte orders differ");
    little
}

/// What the reader found of one file.
#[derive(Debug, PartialEq)]
struct Found {
    mode: Option<u32>,
    data: Vec<u8>,
}

/// Reads all files below the volume descriptor in `sector`; names from Rock Ridge or Joliet.
fn read(image: &[u8], sector: usize) -> BTreeMap<String, Found> {
    let volume = &image[sector * SECTOR..][..SECTOR];
    assert_eq!(&volume[1..6], b"CD001");
    let joliet = volume[0] == 2;
    let mut found = BTreeMap::new();
    read_directory(image, &volume[156..190], "", joliet, &mut found);
    found
}

fn read_directory(
    image: &[u8],
    record: &[u8],
    path: &str,
    joliet: bool,
    found: &mut BTreeMap<String, Found>,
) {
    let (start, size) = (u32_at(record, 2) as usize, u32_at(record, 10) as usize);
    let bytes = &image[start * SECTOR..][..size];
    let mut before: Option<Vec<u8>> = None;
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at] as usize;
        if length == 0 {
            at = (at / SECTOR + 1) * SECTOR;
            continue;
        }
        let record = &bytes[at..at + length];
        at += length;
        let identifier = record[33..33 + record[32] as usize].to_vec();
        if identifier == [0] || identifier == [1] {
            continue;
        }
        assert!(
            before.as_ref().is_none_or(|before| *before < identifier),
            "not sorted"
        );
        before = Some(identifier.clone());
        let (name, mode) = if joliet {
            let units: Vec<u16> = identifier
                .chunks(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            (
                String::from_utf16(&units)
                    .unwrap()
                    .trim_end_matches(";1")
                    .to_owned(),
                None,
            )
        } else {
            system_use(&record[(33 + identifier.len()).next_multiple_of(2)..])
        };
        let path = format!("{path}/{name}");
        if record[25] & 2 == 2 {
            read_directory(image, record, &path, joliet, found);
        } else {
            let (start, size) = (u32_at(record, 2) as usize, u32_at(record, 10) as usize);
            let data = image[start * SECTOR..][..size].to_vec();
            found.insert(path, Found { mode, data });
        }
    }
}

fn system_use(mut fields: &[u8]) -> (String, Option<u32>) {
    let (mut name, mut mode) = (String::new(), None);
    while fields.len() >= 4 {
        let (field, rest) = fields.split_at(fields[2] as usize);
        match &field[..2] {
            b"NM" => name = String::from_utf8(field[5..].to_vec()).unwrap(),
            b"PX" => mode = Some(u32_at(field, 4)),
            other => panic!("unknown field {other:?}"),
        }
        fields = rest;
    }
    (name, mode)
}

fn sample() -> Vec<(String, Vec<u8>)> {
    let mut files = vec![
        ("meta-data".to_owned(), b"hostname".to_vec()),
        (
            "openstack/latest/meta_data.json".to_owned(),
            vec![b'm'; 5000],
        ),
        (
            "openstack/latest/vendor_data.json".to_owned(),
            b"{}".to_vec(),
        ),
        (
            "openstack/latest/vendor_data2.json".to_owned(),
            b"{}".to_vec(),
        ),
        ("openstack/content/0000".to_owned(), Vec::new()),
    ];
    // Enough files that a directory needs more than one sector.
    files.extend((0..100).map(|n| (format!("many/file-with-a-long-name-{n}"), vec![n; 10])));
    files
}

fn image(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(path, data)| (path.as_str(), data.as_slice()))
        .collect();
    write("config-2", &files).unwrap()
}

#[test]
fn every_file_is_found_in_both_trees_with_its_bytes() {
    let files = sample();
    let image = image(&files);
    assert_eq!(image.len() % SECTOR, 0);
    assert_eq!(
        u32_at(&image, 16 * SECTOR + 80) as usize * SECTOR,
        image.len()
    );
    for (sector, mode) in [(16, Some(FILE_MODE)), (17, None)] {
        let found = read(&image, sector);
        assert_eq!(found.len(), files.len());
        for (path, data) in &files {
            let expected = Found {
                mode,
                data: data.clone(),
            };
            assert_eq!(found[&format!("/{path}")], expected, "{path}");
        }
    }
}

#[test]
fn the_label_is_written_as_given() {
    let image = image(&sample());
    assert_eq!(&image[16 * SECTOR + 40..][..9], b"config-2 ");
    assert_eq!(&image[17 * SECTOR + 40..][..16], &ucs2("config-2")[..]);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(image(&sample()), image(&sample()));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for path in [
        "../etc/passwd",
        "a//b",
        "/a",
        "a/",
        "",
        ".hidden",
        "a b",
        "é",
    ] {
        let outcome = write("config-2", &[(path, b"x".as_slice())]);
        assert!(
            matches!(outcome, Err(IsoError::Name { .. })),
            "{path} gave {outcome:?}"
        );
    }
    let both = [("a", b"file".as_slice()), ("a/b", b"below it".as_slice())];
    assert!(write("config-2", &both).is_err());
    assert!(matches!(write("", &[]), Err(IsoError::Label { .. })));
}

#[test]
fn another_program_reads_the_image_too() {
    if Command::new("isoinfo").arg("-version").output().is_err() {
        crate::testing::skip("isoinfo is not installed: no other program read the image");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.iso");
    std::fs::write(&path, image(&sample())).unwrap();
    for option in ["-R", "-J"] {
        let listed = Command::new("isoinfo")
            .args([option, "-f", "-i"])
            .arg(&path)
            .output()
            .unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        for (name, _) in sample() {
            assert!(
                listed.lines().any(|line| line == format!("/{name}")),
                "{option}: {listed}"
            );
        }
    }
}
