//! A look at uploaded bytes: which disk format they are, how big the disk is, whether it is safe.
//!
//! A host opens an image with the format that its record names. A file that says it is one thing
//! and is another, or that refers to further files, would let a user read files of the host
//! (CVE-2024-32498 and its kin). So a declared format must be the one that is found, a qcow2 may
//! have neither backing nor data file, and bytes that look like two formats at once are refused.
//! Only images in a `bare` container are looked into, as upstream does it.
//!
//! Sources: QEMU `docs/interop/qcow2.rst`, VHD and VHDX specifications, VMware VMDK 5.0 technical
//! note, ECMA-119 (ISO 9660), UEFI 2.10 section 5.

use std::io::{self, Read, Seek, SeekFrom};

/// A format that can be told by its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Qcow2,
    Qed,
    Vhd,
    Vhdx,
    Vmdk,
    Vdi,
    Iso,
    /// A disk with a partition table, MBR or GPT: raw to everybody else.
    Gpt,
    Luks,
}

impl Format {
    /// As it stands in `disk_format`.
    fn name(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Qed => "qed",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vmdk => "vmdk",
            Self::Vdi => "vdi",
            Self::Iso => "iso",
            Self::Gpt => "gpt",
            Self::Luks => "luks",
        }
    }
}

/// Why bytes are not accepted as an image.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// They are something else than declared.
    #[error("Image disk_format {declared} does not match stream data {found}")]
    Mismatch {
        /// What was declared.
        declared: String,
        /// What they are.
        found: &'static str,
    },
    /// They are two things at once.
    #[error("Image data is of more than one format: {}", formats.join(", "))]
    Ambiguous {
        /// What they are.
        formats: Vec<&'static str>,
    },
    /// A host that opens them would be led elsewhere.
    #[error("Image failed safety checks: {reason}")]
    Unsafe {
        /// Why.
        reason: &'static str,
    },
    /// They could not be read back.
    #[error("reading staged image data")]
    Disk(#[from] io::Error),
}

/// How much of the beginning is looked at: the first descriptor of an ISO ends here.
const HEAD: usize = (32 << 10) + (2 << 10);

/// The formats with a signature of which this module knows; any other is taken on trust.
const KNOWN: [&str; 7] = ["qcow2", "vhd", "vhdx", "vmdk", "vdi", "iso", "raw"];

/// Checks `data`, all `size` bytes of it, against the format `declared` for it; the size of the
/// disk in it, where it says so.
pub(super) fn check(
    declared: &str,
    data: &mut (impl Read + Seek),
    size: u64,
) -> Result<Option<u64>, Refusal> {
    let head = read_at(data, 0, HEAD)?;
    let found = found(&head);
    let format = match found.as_slice() {
        [] => None,
        [one] => Some(*one),
        // A bootable ISO may have a partition table in front.
        [Format::Iso, Format::Gpt] => Some(Format::Iso),
        several => {
            let formats = several.iter().map(|format| format.name()).collect();
            return Err(Refusal::Ambiguous { formats });
        }
    };
    if let Some(format) = format {
        check_safety(format, &head)?;
    }
    match format {
        // A raw disk may hold anything; it is opened as raw and its size is that of the file.
        _ if declared == "raw" => Ok(Some(size)),
        Some(format) if format.name() == declared => virtual_size(format, &head, data),
        // Kernels carry the signature of a boot sector.
        None | Some(Format::Gpt) if !KNOWN.contains(&declared) => Ok(None),
        other => Err(Refusal::Mismatch {
            declared: declared.to_owned(),
            found: other.map_or("raw", Format::name),
        }),
    }
}

/// Every format whose signature `head` has, in the order of [`Format`].
fn found(head: &[u8]) -> Vec<Format> {
    let at = |offset: usize, signature: &[u8]| {
        head.get(offset..)
            .is_some_and(|rest| rest.starts_with(signature))
    };
    let iso = 32 << 10;
    let signs = [
        (Format::Qcow2, at(0, b"QFI\xfb")),
        (Format::Qed, at(0, b"QED\0")),
        (Format::Vhd, at(0, b"conectix")),
        (Format::Vhdx, at(0, b"vhdxfile")),
        (
            Format::Vmdk,
            at(0, b"KDMV") || at(0, b"COWD") || at(0, b"# Disk DescriptorFile"),
        ),
        (Format::Vdi, at(0x40, &0xbeda_107f_u32.to_le_bytes())),
        (
            Format::Iso,
            [&b"CD001"[..], b"NSR02", b"NSR03"]
                .iter()
                .any(|id| at(iso + 1, id)),
        ),
        (Format::Gpt, at(510, &[0x55, 0xaa]) && !is_fat(head)),
        (Format::Luks, at(0, b"LUKS\xba\xbe")),
    ];
    signs
        .into_iter()
        .filter(|(_, is)| *is)
        .map(|(format, _)| format)
        .collect()
}

/// A FAT file system begins like a partition table: two FATs on a fixed disk.
fn is_fat(head: &[u8]) -> bool {
    head.get(0x10) == Some(&2) && head.get(0x15) == Some(&0xf8)
}

fn check_safety(format: Format, head: &[u8]) -> Result<(), Refusal> {
    let reason = match format {
        Format::Qcow2 => return check_qcow2(head),
        Format::Vmdk => return check_vmdk(head),
        Format::Qed => "QED is not supported",
        Format::Luks if head.get(6..8) != Some(&[0, 1]) => "only LUKS version 1 is supported",
        _ => return Ok(()),
    };
    Err(Refusal::Unsafe { reason })
}

/// The incompatible features of qcow2 that this cloud's hosts know: dirty, corrupt, external data
/// file (refused below), compression type, extended L2 entries.
const QCOW2_FEATURES: u64 = 0b1_1111;
const QCOW2_DATA_FILE: u64 = 0b100;

fn check_qcow2(head: &[u8]) -> Result<(), Refusal> {
    let refuse = |reason| Err(Refusal::Unsafe { reason });
    let (Some(version), Some(backing)) = (be_u32(head, 4), be_u64(head, 8)) else {
        return refuse("the qcow2 header is cut short");
    };
    if backing != 0 {
        return refuse("it has a backing file");
    }
    match version {
        2 => Ok(()),
        3 => match be_u64(head, 72) {
            None => refuse("the qcow2 header is cut short"),
            Some(features) if features & QCOW2_DATA_FILE != 0 => {
                refuse("it has an external data file")
            }
            Some(features) if features & !QCOW2_FEATURES != 0 => {
                refuse("it has unknown qcow2 features")
            }
            Some(_) => Ok(()),
        },
        _ => refuse("this version of qcow2 is not supported"),
    }
}

/// A VMDK may be made of several files. Only the two kinds are accepted that are one file.
fn check_vmdk(head: &[u8]) -> Result<(), Refusal> {
    let refuse = |reason| Err(Refusal::Unsafe { reason });
    let sector = 512_u64;
    let (Some(first), Some(count)) = (le_u64(head, 28), le_u64(head, 36)) else {
        return refuse("the VMDK header is cut short");
    };
    if !head.starts_with(b"KDMV") || first != 1 {
        return refuse("only VMDK files with an embedded descriptor are supported");
    }
    let end = sector.saturating_add(count.saturating_mul(sector));
    let end = usize::try_from(end).unwrap_or(usize::MAX).min(head.len());
    let descriptor = head.get(512..end).unwrap_or_default();
    let text = descriptor
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default();
    let Ok(text) = std::str::from_utf8(text) else {
        return refuse("the VMDK descriptor is not text");
    };
    let text = text.to_ascii_lowercase();
    let single = [
        "createtype=\"monolithicsparse\"",
        "createtype=\"streamoptimized\"",
    ];
    if !single.iter().any(|kind| text.contains(kind)) {
        return refuse("only monolithicSparse and streamOptimized VMDK files are supported");
    }
    let extents = text.lines().map(str::trim).filter(|line| {
        ["rw ", "rdonly ", "noaccess "]
            .iter()
            .any(|access| line.starts_with(access))
    });
    let extents: Vec<_> = extents.collect();
    if extents.is_empty() || extents.iter().any(|line| line.contains('/')) {
        return refuse("the VMDK descriptor names no extents, or extents elsewhere");
    }
    Ok(())
}

/// The size of the disk in an image, as its header says it.
fn virtual_size(
    format: Format,
    head: &[u8],
    data: &mut (impl Read + Seek),
) -> Result<Option<u64>, Refusal> {
    Ok(match format {
        Format::Qcow2 => be_u64(head, 24),
        Format::Vhd => be_u64(head, 48),
        Format::Vhdx => vhdx_size(data)?,
        Format::Vmdk => le_u64(head, 12).and_then(|sectors| sectors.checked_mul(512)),
        Format::Vdi => le_u64(head, 0x170),
        Format::Iso => iso_size(head),
        Format::Qed | Format::Gpt | Format::Luks => None,
    })
}

/// Blocks times block size, from the primary volume descriptor.
fn iso_size(head: &[u8]) -> Option<u64> {
    let descriptor = head.get(32 << 10..)?;
    let block = u16::from_le_bytes(descriptor.get(128..130)?.try_into().ok()?);
    let blocks = u32::from_le_bytes(descriptor.get(80..84)?.try_into().ok()?);
    (descriptor.first() == Some(&1)).then(|| u64::from(blocks) * u64::from(block))
}

/// Where the region table of a VHDX is, and how long.
const VHDX_REGIONS: (u64, usize) = (192 << 10, 64 << 10);
/// GUID 8B7CA206-4790-4B9A-B8FE-575F050F886E: the metadata region.
const VHDX_METADATA: [u8; 16] = [
    6, 162, 124, 139, 144, 71, 154, 75, 184, 254, 87, 95, 5, 15, 136, 110,
];
/// GUID 2FA54224-CD1B-4876-B211-5DBED83BF4B8: the size of the disk.
const VHDX_DISK_SIZE: [u8; 16] = [
    36, 66, 165, 47, 27, 205, 118, 72, 178, 17, 93, 190, 216, 59, 244, 184,
];
/// How long an entry of either table is.
const VHDX_ENTRY: usize = 32;

fn vhdx_size(data: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    let regions = read_at(data, VHDX_REGIONS.0, VHDX_REGIONS.1)?;
    let entries = regions
        .get(16..)
        .unwrap_or_default()
        .chunks_exact(VHDX_ENTRY);
    let Some(metadata) = entries
        .into_iter()
        .find(|entry| regions.starts_with(b"regi") && entry.starts_with(&VHDX_METADATA))
        .and_then(|entry| le_u64(entry, 16))
    else {
        return Ok(None);
    };
    let table = read_at(data, metadata, 64 << 10)?;
    let entries = table.get(32..).unwrap_or_default().chunks_exact(VHDX_ENTRY);
    let Some(offset) = entries
        .into_iter()
        .find(|entry| table.starts_with(b"metadata") && entry.starts_with(&VHDX_DISK_SIZE))
        .and_then(|entry| entry.get(16..20)?.try_into().ok())
        .map(u32::from_le_bytes)
    else {
        return Ok(None);
    };
    let size = read_at(data, metadata.saturating_add(u64::from(offset)), 8)?;
    Ok(le_u64(&size, 0))
}

/// Up to `length` bytes from `offset` on; fewer where the data ends.
fn read_at(data: &mut (impl Read + Seek), offset: u64, length: usize) -> io::Result<Vec<u8>> {
    // No file is longer than this, and seeking further is an error on some systems.
    if offset > i64::MAX as u64 {
        return Ok(Vec::new());
    }
    data.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::with_capacity(length);
    data.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn be_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn be_u64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn le_u64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
