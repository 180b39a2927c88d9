//! The hypervisor drivers of a node's hosts, made from the configuration.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use luc_agent::driver::Driver;
use luc_agent::fake::{FakeConfig, FakeDriver};
use luc_agent::image_cache::ImageCache;
use luc_agent::qemu::{Accelerator, QemuConfig, QemuDriver};

use crate::config::{ComputeConfig, DriverKind};

/// Makes drivers; the hosts of one process share a cache of images.
pub struct Drivers {
    compute: ComputeConfig,
    cache: Option<Arc<ImageCache>>,
}

impl Drivers {
    /// Drivers of the configured kind, with shared things below `directory`.
    pub fn open(compute: &ComputeConfig, directory: &Path) -> anyhow::Result<Self> {
        let cache = match compute.driver {
            DriverKind::Fake => None,
            DriverKind::Qemu => {
                let path = directory.join("image-cache");
                let cache = ImageCache::open(&path)
                    .with_context(|| format!("opening the image cache {}", path.display()))?;
                Some(Arc::new(cache))
            }
        };
        Ok(Self {
            compute: compute.clone(),
            cache,
        })
    }

    /// The driver of `host`, which keeps its machines in `directory`.
    pub async fn of(&self, host: &str, directory: &Path) -> anyhow::Result<Arc<dyn Driver>> {
        match &self.cache {
            Some(cache) => self.qemu(host, directory, Arc::clone(cache)).await,
            None => Self::fake(host, directory),
        }
    }

    fn fake(host: &str, directory: &Path) -> anyhow::Result<Arc<dyn Driver>> {
        let config = FakeConfig {
            hostname: host.to_owned(),
            directory: Some(directory.to_owned()),
            ..FakeConfig::default()
        };
        let driver = FakeDriver::open(config)
            .with_context(|| format!("opening the fake driver of host {host}"))?;
        Ok(Arc::new(driver))
    }

    async fn qemu(
        &self,
        host: &str,
        directory: &Path,
        cache: Arc<ImageCache>,
    ) -> anyhow::Result<Arc<dyn Driver>> {
        let config = QemuConfig {
            accelerator: match self.compute.accel.as_str() {
                "kvm" => Accelerator::Kvm,
                "tcg" => Accelerator::Tcg,
                _ => Accelerator::Auto,
            },
            parallel_starts: Some(self.compute.concurrent_boots_max),
            ..QemuConfig::new(directory)
        };
        let driver = QemuDriver::open_with_cache(&config, cache)
            .await
            .with_context(|| format!("opening the QEMU driver of host {host}"))?;
        Ok(Arc::new(driver))
    }
}
