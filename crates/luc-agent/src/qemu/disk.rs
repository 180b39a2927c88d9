//! A machine's disks: qcow2 overlays, made by `qemu-img` as the machine's own user.
//!
//! An image comes from a user and is not to be trusted: its header may name other files of the
//! host as its backing. So it is looked at first, with its format given and never guessed, by a
//! process that may not do more than the guest, and refused if it names any other file.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use luc_core::time::Duration;
use luc_core::units::{Bytes, DiskGib};
use serde::Deserialize;
use tokio::process::Command;

use super::isolation::Account;
use crate::desired::{DiskFormat, Shape};

/// `qemu-img` on a sane image takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a disk could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskError {
    #[error("cannot run qemu-img")]
    Run(#[source] std::io::Error),
    #[error("qemu-img took more than {PATIENCE:?}")]
    Slow,
    #[error("qemu-img failed: {said}")]
    Failed { said: String },
    #[error("the image is no sound {format} image: {said}")]
    Unsound { format: &'static str, said: String },
    #[error("the image refers to another file ({field}), which is not allowed")]
    RefersElsewhere { field: &'static str },
    #[error("the image is encrypted, which is not supported")]
    Encrypted,
    #[error("the image needs a disk of {needed} bytes, the flavor's has {given}")]
    TooSmall { needed: u64, given: u64 },
}

impl DiskError {
    /// Whether trying again is pointless.
    pub(crate) fn is_permanent(&self) -> bool {
        !matches!(self, Self::Run(_) | Self::Slow | Self::Failed { .. })
    }
}

/// One of a machine's disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Root,
    Ephemeral,
    Swap,
}

impl Role {
    pub(crate) const ALL: [Self; 3] = [Self::Root, Self::Ephemeral, Self::Swap];

    /// The disk's file in `layer`.
    pub(crate) fn file(self, layer: u32) -> String {
        let name = match self {
            Self::Root => "root",
            Self::Ephemeral => "ephemeral",
            Self::Swap => "swap",
        };
        format!("{name}-{layer}.qcow2")
    }

    /// How large it is in `shape`; zero means that there is none, or for the root disk that the
    /// image decides.
    pub(crate) fn size(self, shape: &Shape) -> Bytes {
        match self {
            Self::Root => Bytes(shape.root_disk.get() << 30),
            Self::Ephemeral => Bytes(shape.ephemeral.get() << 30),
            Self::Swap => Bytes(shape.swap.get() << 20),
        }
    }
}

/// The files of the disks of `shape` in `layer`, the root disk first.
pub(crate) fn files(shape: &Shape, layer: u32) -> Vec<String> {
    let exists = |role: &Role| *role == Role::Root || role.size(shape).get() > 0;
    Role::ALL
        .iter()
        .filter(|role| exists(role))
        .map(|role| role.file(layer))
        .collect()
}

/// Why a disk of `old` cannot become one of `new`.
pub(crate) fn shrinks(old: &Shape, new: &Shape) -> Option<String> {
    let smaller = |old: DiskGib, new: DiskGib| (new < old).then(|| format!("from {old} to {new}"));
    let root = smaller(old.root_disk, new.root_disk).filter(|_| old.root_disk.get() > 0);
    root.map(|how| format!("cannot shrink the root disk {how}"))
        .or_else(|| {
            let how = smaller(old.ephemeral, new.ephemeral)?;
            Some(format!("cannot shrink the ephemeral disk {how}"))
        })
}

/// What `qemu-img info` says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Info {
    virtual_size: u64,
    backing_filename: Option<String>,
    #[serde(default)]
    encrypted: bool,
    format_specific: Option<FormatSpecific>,
}

#[derive(Debug, Deserialize)]
struct FormatSpecific {
    #[serde(default)]
    data: serde_json::Value,
}

/// The program that makes disks, for one machine.
pub(crate) struct DiskMaker<'a> {
    pub(crate) program: &'a Path,
    /// The machine's directory.
    pub(crate) directory: PathBuf,
    /// The machine's user.
    pub(crate) account: Option<Account>,
}

impl DiskMaker<'_> {
    /// Looks at an image that is not to be trusted; its size as a disk.
    pub(crate) async fn examine(
        &self,
        image: &Path,
        format: DiskFormat,
    ) -> Result<Bytes, DiskError> {
        let format = format_name(format);
        let image = image.to_string_lossy();
        let arguments = ["info", "--output=json", "-U", "-f", format, &image];
        let said = self.run(&arguments).await.map_err(|error| match error {
            DiskError::Failed { said } => DiskError::Unsound { format, said },
            other => other,
        })?;
        let info: Info = serde_json::from_str(&said).map_err(|error| DiskError::Unsound {
            format,
            said: error.to_string(),
        })?;
        if info.backing_filename.is_some() {
            return Err(DiskError::RefersElsewhere {
                field: "backing file",
            });
        }
        let data_file = info
            .format_specific
            .as_ref()
            .and_then(|specific| specific.data.get("data-file"));
        if data_file.is_some() {
            return Err(DiskError::RefersElsewhere { field: "data file" });
        }
        if info.encrypted {
            return Err(DiskError::Encrypted);
        }
        Ok(Bytes(info.virtual_size))
    }

    /// Makes `file` as an overlay on `base`, at least as large as that.
    pub(crate) async fn overlay(
        &self,
        file: &str,
        base: &Path,
        format: DiskFormat,
        size: Bytes,
    ) -> Result<(), DiskError> {
        let size = size.get().to_string();
        let (format, base) = (format_name(format), base.to_string_lossy());
        self.run(&[
            "create", "-q", "-f", "qcow2", "-b", &base, "-F", format, file, &size,
        ])
        .await?;
        Ok(())
    }

    /// Makes `file` as an empty disk.
    pub(crate) async fn blank(&self, file: &str, size: Bytes) -> Result<(), DiskError> {
        let size = size.get().to_string();
        self.run(&["create", "-q", "-f", "qcow2", file, &size])
            .await?;
        Ok(())
    }

    /// How large the disk in `file` is.
    pub(crate) async fn size(&self, file: &str) -> Result<Bytes, DiskError> {
        let said = self
            .run(&["info", "--output=json", "-f", "qcow2", file])
            .await?;
        let info: Info = serde_json::from_str(&said).map_err(|error| DiskError::Failed {
            said: error.to_string(),
        })?;
        Ok(Bytes(info.virtual_size))
    }

    async fn run(&self, arguments: &[&str]) -> Result<String, DiskError> {
        let mut command = Command::new(self.program);
        command.args(arguments).current_dir(&self.directory);
        command.stdin(Stdio::null()).kill_on_drop(true);
        if let Some(account) = self.account {
            account.apply(&mut command);
        }
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output
            .map_err(|_| DiskError::Slow)?
            .map_err(DiskError::Run)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(DiskError::Failed {
                said: format!("{}: {said}", output.status),
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn format_name(format: DiskFormat) -> &'static str {
    match format {
        DiskFormat::Qcow2 => "qcow2",
        DiskFormat::Raw => "raw",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use luc_core::units::MemoryMib;

    fn maker(directory: &Path) -> Option<DiskMaker<'static>> {
        let program = Path::new("/usr/bin/qemu-img");
        if !program.exists() {
            testing::skip("qemu-img is not installed: no disk was made");
            return None;
        }
        Some(DiskMaker {
            program,
            directory: directory.to_owned(),
            account: None,
        })
    }

    #[test]
    fn a_shape_says_which_disks_there_are() {
        let mut shape = testing::server("s").shape;
        assert_eq!(files(&shape, 0), ["root-0.qcow2"]);
        shape.swap = MemoryMib(64);
        shape.ephemeral = DiskGib(1);
        assert_eq!(
            files(&shape, 2),
            ["root-2.qcow2", "ephemeral-2.qcow2", "swap-2.qcow2"]
        );
    }

    #[test]
    fn disks_grow_but_do_not_shrink_and_swap_is_made_anew() {
        let old = testing::server("s").shape;
        let with = |root, ephemeral, swap| Shape {
            root_disk: DiskGib(root),
            ephemeral: DiskGib(ephemeral),
            swap: MemoryMib(swap),
            ..old
        };
        assert_eq!(shrinks(&with(1, 1, 9), &with(2, 1, 0)), None);
        assert!(
            shrinks(&with(2, 0, 0), &with(1, 0, 0))
                .unwrap()
                .contains("root disk from 2 GiB")
        );
        assert!(
            shrinks(&with(1, 2, 0), &with(1, 0, 0))
                .unwrap()
                .contains("ephemeral")
        );
    }

    #[tokio::test]
    async fn an_overlay_is_as_large_as_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let Some(maker) = maker(directory.path()) else {
            return;
        };
        let base = directory.path().join("base.raw");
        std::fs::write(&base, vec![1; 1 << 20]).unwrap();
        let examined = maker.examine(&base, DiskFormat::Raw).await.unwrap();
        assert_eq!(examined, Bytes(1 << 20));
        maker
            .overlay("root-0.qcow2", &base, DiskFormat::Raw, Bytes(1 << 30))
            .await
            .unwrap();
        assert_eq!(maker.size("root-0.qcow2").await.unwrap(), Bytes(1 << 30));
    }

    #[tokio::test]
    async fn an_image_that_names_a_file_of_the_host_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let Some(maker) = maker(directory.path()) else {
            return;
        };
        let secret = directory.path().join("secret");
        std::fs::write(&secret, vec![1; 1 << 20]).unwrap();
        maker
            .overlay("evil.qcow2", &secret, DiskFormat::Raw, Bytes(1 << 20))
            .await
            .unwrap();
        let evil = directory.path().join("evil.qcow2");
        let refused = maker.examine(&evil, DiskFormat::Qcow2).await.unwrap_err();
        assert!(matches!(
            refused,
            DiskError::RefersElsewhere {
                field: "backing file"
            }
        ));
        let data_file = format!("data_file={},data_file_raw=on", secret.display());
        let create = [
            "create",
            "-q",
            "-f",
            "qcow2",
            "-o",
            &data_file,
            "worse.qcow2",
            "1M",
        ];
        maker.run(&create).await.unwrap();
        let worse = directory.path().join("worse.qcow2");
        let refused = maker.examine(&worse, DiskFormat::Qcow2).await.unwrap_err();
        assert!(
            matches!(refused, DiskError::RefersElsewhere { field: "data file" }),
            "{refused}"
        );
        assert!(refused.is_permanent());
    }

    #[tokio::test]
    async fn bytes_that_are_no_qcow2_are_unsound_and_that_stays_so() {
        let directory = tempfile::tempdir().unwrap();
        let Some(maker) = maker(directory.path()) else {
            return;
        };
        let rubbish = directory.path().join("rubbish");
        std::fs::write(&rubbish, b"rubbish").unwrap();
        let refused = maker
            .examine(&rubbish, DiskFormat::Qcow2)
            .await
            .unwrap_err();
        assert!(matches!(refused, DiskError::Unsound { .. }), "{refused}");
        assert!(refused.is_permanent());
    }
}
