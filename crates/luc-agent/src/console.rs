//! A guest's serial console on disk: the end of it, never more than a bound.
//!
//! Guests write what they like, as much as they like; the file keeps between half of
//! [`CONSOLE_MAX`] and all of it. Who calls it: the QEMU driver appends what it takes out of QEMU's
//! ring buffer, both drivers cut the lines that somebody asks for.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// The most bytes of a console that are kept.
pub(crate) const CONSOLE_MAX: u64 = 1 << 20;

/// Appends `bytes`; when the file would grow above [`CONSOLE_MAX`], its older half goes.
pub(crate) fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let length = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    if length + bytes.len() as u64 <= CONSOLE_MAX {
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        return file.write_all(bytes);
    }
    let keep = (CONSOLE_MAX / 2).saturating_sub(bytes.len() as u64);
    let mut kept = tail(path, keep)?;
    kept.extend_from_slice(bytes);
    let from = kept.len().saturating_sub((CONSOLE_MAX / 2) as usize);
    // Losing the console in a power cut is acceptable, so no sync.
    let fresh = path.with_extension("new");
    fs::write(&fresh, &kept[from..])?;
    fs::rename(&fresh, path)
}

/// The last `length` bytes of the file; nothing if there is none.
pub(crate) fn tail(path: &Path, length: u64) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(length)))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The last `lines` lines of `log`, or all of it.
pub(crate) fn last_lines(log: &str, lines: Option<usize>) -> &str {
    let Some(lines) = lines else { return log };
    if lines == 0 {
        return "";
    }
    let body = log.strip_suffix('\n').unwrap_or(log);
    let start = body
        .rmatch_indices('\n')
        .nth(lines - 1)
        .map_or(0, |(at, _)| at + 1);
    &log[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_counted_from_the_end() {
        assert_eq!(last_lines("a\nb\nc\n", Some(2)), "b\nc\n");
        assert_eq!(last_lines("a\nb\nc", Some(1)), "c");
        assert_eq!(last_lines("a\nb\n", Some(9)), "a\nb\n");
        assert_eq!(last_lines("a\nb\n", Some(0)), "");
        assert_eq!(last_lines("a\nb\n", None), "a\nb\n");
        assert_eq!(last_lines("", Some(3)), "");
    }

    #[test]
    fn a_guest_that_writes_for_ever_fills_no_disk_and_its_last_words_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("console.log");
        for number in 0..40_000 {
            append(
                &path,
                format!("a line of noise with the number {number:08}\n").as_bytes(),
            )
            .unwrap();
            if number % 1000 == 0 {
                assert!(fs::metadata(&path).unwrap().len() <= CONSOLE_MAX);
            }
        }
        let kept = fs::read_to_string(&path).unwrap();
        assert!(kept.len() as u64 >= CONSOLE_MAX / 2 - 64);
        assert!(kept.ends_with("00039999\n"));
    }

    #[test]
    fn one_piece_above_the_bound_is_cut_to_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("console.log");
        let mut piece = vec![b'x'; 3 << 20];
        piece.extend_from_slice(b"the end");
        append(&path, &piece).unwrap();
        let kept = fs::read(&path).unwrap();
        assert_eq!(kept.len() as u64, CONSOLE_MAX / 2);
        assert!(kept.ends_with(b"the end"));
    }
}
