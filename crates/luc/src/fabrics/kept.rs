//! The UDP port that the system drew for a node whose configuration leaves it open: kept in the
//! data directory, so that a node that restarts is where the others know it to be.
//!
//! Not for ports that the configuration names. [`super::Fabrics`] reads it before it listens, and
//! [`super::Started::keep_port`] writes it.

use std::path::{Path, PathBuf};

use crate::clouds::write_private;

/// The file with the port, as a number.
const FILE: &str = "fabric.port";

/// The port that was drawn before, if there was one.
pub(super) fn read(directory: &Path) -> Option<u16> {
    let path = path(directory);
    let text = std::fs::read_to_string(&path).ok()?;
    let port = text.trim().parse().ok().filter(|port| *port != 0);
    if port.is_none() {
        tracing::warn!(file = %path.display(), "this is no port; another is drawn");
    }
    port
}

/// Keeps `port` for the next start.
pub(super) fn write(directory: &Path, port: u16) -> anyhow::Result<()> {
    write_private(&path(directory), format!("{port}\n").as_bytes())
}

fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_read_as_it_was_written_and_nothing_else_is_one() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path()), None);
        write(directory.path(), 40_123).unwrap();
        assert_eq!(read(directory.path()), Some(40_123));
        for wrong in ["", "0", "70000", "port"] {
            std::fs::write(path(directory.path()), wrong).unwrap();
            assert_eq!(read(directory.path()), None, "{wrong:?}");
        }
    }
}
