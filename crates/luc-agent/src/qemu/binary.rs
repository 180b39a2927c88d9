//! The installed QEMU: where it is and which version.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use luc_core::time::Duration;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

/// QEMU's version, as it orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QemuVersion {
    /// Major.
    pub major: u16,
    /// Minor.
    pub minor: u16,
    /// Micro.
    pub micro: u16,
}

impl QemuVersion {
    /// The number in the hypervisor record: 10.0.2 is 10 000 002.
    pub fn number(self) -> u64 {
        u64::from(self.major) * 1_000_000 + u64::from(self.minor) * 1_000 + u64::from(self.micro)
    }

    /// Reads `QEMU emulator version 10.0.2 (Debian …)`.
    fn parse(output: &str) -> Option<Self> {
        let (_, rest) = output.split_once("version ")?;
        let word = rest.split([' ', '\n', '(']).next()?;
        let mut parts = word.split('.').map(|part| part.parse().ok());
        let (major, minor) = (parts.next()??, parts.next()??);
        Some(Self {
            major,
            minor,
            micro: parts.next().flatten().unwrap_or(0),
        })
    }
}

impl std::fmt::Display for QemuVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// Why QEMU cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    /// A program is not there.
    #[error("'{name}' is not installed (Debian packages qemu-system-x86 and qemu-utils)")]
    Missing {
        /// The program.
        name: String,
    },
    /// It did not say what it is.
    #[error("'{path}' does not tell its version: {output}")]
    Version {
        /// The program.
        path: PathBuf,
        /// What it said.
        output: String,
    },
}

/// The programs of an installed QEMU.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    pub(crate) system: PathBuf,
    /// Arguments that the program needs before all others (a private installation's `-L`).
    pub(crate) system_arguments: Vec<String>,
    pub(crate) image: PathBuf,
    pub(crate) version: QemuVersion,
    /// What the machine type `pc` stands for in this version, so that a suspended guest comes back
    /// to the same one after an upgrade.
    pub(crate) machine: String,
}

impl Binaries {
    /// Looks for QEMU: `system` may be a name on the path or a path.
    pub(crate) async fn find(
        system: &Path,
        system_arguments: &[String],
        image: &Path,
    ) -> Result<Self, BinaryError> {
        let system = on_path(system)?;
        let image = on_path(image)?;
        let run = async |argument: &[&str]| {
            let mut command = Command::new(&system);
            command
                .args(system_arguments)
                .args(argument)
                .stdin(Stdio::null());
            let output = tokio::time::timeout(Duration::from_secs(10), command.output()).await;
            match output {
                Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer within 10 s".to_owned(),
            }
        };
        let said = run(&["--version"]).await;
        let version = QemuVersion::parse(&said).ok_or_else(|| BinaryError::Version {
            path: system.clone(),
            output: said,
        })?;
        let machine = machine_behind_pc(&run(&["-machine", "help"]).await);
        Ok(Self {
            system_arguments: system_arguments.to_vec(),
            machine: machine.unwrap_or_else(|| "pc".to_owned()),
            system,
            image,
            version,
        })
    }
}

fn on_path(name: &Path) -> Result<PathBuf, BinaryError> {
    if name.components().count() > 1 {
        let found = name.is_file().then(|| name.to_owned());
        return found.ok_or_else(|| BinaryError::Missing {
            name: name.display().to_string(),
        });
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| BinaryError::Missing {
            name: name.display().to_string(),
        })
}

/// Reads `pc   Standard PC (…) (alias of pc-i440fx-10.0)`.
fn machine_behind_pc(help: &str) -> Option<String> {
    let line = help
        .lines()
        .find(|line| line.split_whitespace().next() == Some("pc"))?;
    let (_, rest) = line.split_once("alias of ")?;
    rest.split(')').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_distributions_are_read_and_ordered() {
        let parse = |text: &str| QemuVersion::parse(text).unwrap();
        let ten = parse("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright");
        let seven = parse("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\n");
        let short = parse("QEMU emulator version 9.1\n");
        assert_eq!(ten.number(), 10_000_002);
        assert!(seven < short && short < ten);
        assert_eq!(QemuVersion::parse("command not found"), None);
    }

    #[test]
    fn the_machine_behind_pc_is_read() {
        let help = "Supported machines are:\nmicrovm   microvm (i386)\n\
            pc       Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-10.0)\n\
            pc-i440fx-10.0       Standard PC (i440FX + PIIX, 1996) (default)\n";
        assert_eq!(machine_behind_pc(help).as_deref(), Some("pc-i440fx-10.0"));
        assert_eq!(machine_behind_pc("none"), None);
    }

    #[tokio::test]
    async fn a_missing_qemu_is_named_with_its_package() {
        let nowhere = Path::new("/nowhere/qemu-system-x86_64");
        let error = Binaries::find(nowhere, &[], nowhere).await.unwrap_err();
        assert!(error.to_string().contains("qemu-system-x86"), "{error}");
    }
}
