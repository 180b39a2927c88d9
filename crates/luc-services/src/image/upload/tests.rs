//! Uploads over a real store and a real disk, without HTTP: what is left when they end in every
//! way they can.

use std::path::Path;

use axum::body::Body;
use futures::StreamExt as _;
use futures::stream;
use luc_core::SitePrefix;
use luc_core::entropy::SplitMix64;
use luc_state::{MemoryEngine, StoreOptions};
use tempfile::TempDir;

use super::*;
use crate::image::blob::DiskBlobs;
use crate::image::model::tests::image_named;

fn formats(disk: &str) -> Formats {
    Formats {
        disk: disk.to_owned(),
        container: "bare".to_owned(),
    }
}

struct Site {
    directory: TempDir,
    images: Images,
    store: Store,
}

impl Site {
    /// A site with the queued images `ids`.
    async fn with(ids: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let images = Images::new(Arc::new(DiskBlobs::open(directory.path()).unwrap()));
        let options = StoreOptions::new(SitePrefix::of_key(b"site"), SplitMix64::new(1));
        let engine = Arc::new(MemoryEngine::new());
        let (store, driver) = Store::open(engine, Images::tables(), options)
            .await
            .unwrap();
        tokio::spawn(driver);
        for id in ids {
            let image = image_named(id);
            transact(&store, |tx| Ok(tx.insert(image.clone()).map(drop)?))
                .await
                .unwrap();
        }
        Self {
            directory,
            images,
            store,
        }
    }

    fn image(&self, id: &str) -> Option<Image> {
        self.store
            .snapshot()
            .get::<Image>(id)
            .map(|image| image.value().clone())
    }

    /// Everything up to the last steps.
    async fn staged(&self, id: &str, data: &'static [u8]) -> Finish {
        let claim = self
            .images
            .uploads
            .claim(&ImageId::parse(id).unwrap())
            .unwrap();
        let payload = Payload::from(Body::from(data));
        let staged = stage(&self.images, payload).await.unwrap();
        let now = Timestamp::from_unix_secs(2_000);
        Finish {
            claim,
            staged,
            virtual_size: None,
            formats: formats("raw"),
            now,
        }
    }

    async fn upload(&self, id: &str, data: &'static [u8]) -> Result<(), ApiError> {
        self.staged(id, data)
            .await
            .run(&self.images, &self.store)
            .await
    }

    async fn delete(&self, id: &str) {
        let blob = self.image(id).unwrap().blob();
        transact(&self.store, |tx| Ok(tx.delete::<Image>(id).map(drop)?))
            .await
            .unwrap();
        if let Some(blob) = blob {
            garbage::collect(&self.images, &self.store, &blob).await;
        }
    }

    fn files(&self) -> usize {
        fn count(path: &Path) -> usize {
            let entries = std::fs::read_dir(path)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            entries
                .map(|path| if path.is_dir() { count(&path) } else { 1 })
                .sum()
        }
        count(self.directory.path())
    }
}

#[tokio::test]
async fn a_whole_upload_makes_the_image_active_and_its_data_findable() {
    let site = Site::with(&["i1"]).await;
    site.upload("i1", b"abc").await.unwrap();
    let image = site.image("i1").unwrap();
    let data = image.data.as_ref().unwrap();
    assert_eq!((image.status, data.size), (Status::Active, 3));
    assert_eq!(data.md5, "900150983cd24fb0d6963f7d28e17f72");
    let path = site
        .images
        .data_path(&site.store.snapshot(), "i1")
        .await
        .unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"abc");
    assert!(!site.images.uploads.holds(&image.id));
}

#[tokio::test]
async fn the_same_data_is_kept_until_its_last_image_goes() {
    let site = Site::with(&["i1", "i2"]).await;
    site.upload("i1", b"abc").await.unwrap();
    site.upload("i2", b"abc").await.unwrap();
    assert_eq!(site.files(), 1);
    site.delete("i1").await;
    assert_eq!(site.files(), 1);
    assert!(
        site.images
            .data_path(&site.store.snapshot(), "i2")
            .await
            .is_some()
    );
    site.delete("i2").await;
    assert_eq!(site.files(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_leaves_the_image_queued_and_no_bytes() {
    let site = Site::with(&["i1"]).await;
    let id = ImageId::parse("i1").unwrap();
    let claim = site.images.uploads.claim(&id).unwrap();
    assert_eq!(
        site.images.uploads.status(&site.image("i1").unwrap()),
        "saving"
    );
    let begun = stream::iter([Ok::<_, io::Error>(Bytes::from(vec![0; 3 << 20]))]);
    let payload = Payload::from(Body::from_stream(begun.chain(stream::pending())));
    let upload = async {
        let _claim = claim;
        stage(&site.images, payload).await.map(drop)
    };
    let patience = tokio::time::timeout(std::time::Duration::from_millis(50), upload);
    assert!(
        patience.await.is_err(),
        "an upload without an end has ended"
    );
    assert_eq!(
        site.images.uploads.status(&site.image("i1").unwrap()),
        "queued"
    );
    assert_eq!(site.files(), 0);
}

#[tokio::test]
async fn an_image_that_is_deleted_meanwhile_is_gone_and_so_are_the_bytes() {
    let site = Site::with(&["i1"]).await;
    let finish = site.staged("i1", b"abc").await;
    site.delete("i1").await;
    let error = finish.run(&site.images, &site.store).await.unwrap_err();
    assert_eq!(error.status().as_u16(), 410);
    assert_eq!(site.files(), 0);
}

#[tokio::test]
async fn of_two_uploads_the_second_is_told_of_the_first() {
    let site = Site::with(&["i1"]).await;
    let id = ImageId::parse("i1").unwrap();
    let first = site.staged("i1", b"abc").await;
    assert!(site.images.uploads.claim(&id).is_none());
    // A second node has a list of its own, so there the record decides.
    let claim = Uploads::default().claim(&id).unwrap();
    let staged = stage(&site.images, Payload::Bytes(Bytes::from_static(b"xyz")))
        .await
        .unwrap();
    let (virtual_size, now) = (None, Timestamp::from_unix_secs(1));
    let second = Finish {
        claim,
        staged,
        virtual_size,
        formats: formats("raw"),
        now,
    };
    first.run(&site.images, &site.store).await.unwrap();
    let error = second.run(&site.images, &site.store).await.unwrap_err();
    assert_eq!(error.status().as_u16(), 409);
    assert_eq!(
        site.image("i1").unwrap().data.unwrap().md5,
        "900150983cd24fb0d6963f7d28e17f72"
    );
    assert_eq!(site.files(), 1);
}

#[tokio::test]
async fn a_format_that_changed_meanwhile_is_not_taken_for_inspected() {
    let site = Site::with(&["i1"]).await;
    let finish = Finish {
        formats: formats("iso"),
        ..site.staged("i1", b"abc").await
    };
    let error = finish.run(&site.images, &site.store).await.unwrap_err();
    assert_eq!(error.status().as_u16(), 409);
    assert_eq!(site.files(), 0);
}

#[tokio::test]
async fn bytes_that_were_kept_but_not_recorded_are_swept_at_the_next_start() {
    let site = Site::with(&["i1"]).await;
    site.upload("i1", b"abc").await.unwrap();
    let orphan = stage(&site.images, Payload::Bytes(Bytes::from_static(b"xyz")))
        .await
        .unwrap();
    site.images.blobs.keep(orphan).await.unwrap();
    assert_eq!(site.files(), 2);
    let snapshot = site.store.snapshot();
    assert_eq!(site.images.collect_garbage(&snapshot).await.unwrap(), 1);
    assert_eq!(site.files(), 1);
    assert!(site.images.data_path(&snapshot, "i1").await.is_some());
}

#[tokio::test]
async fn more_bytes_than_accepted_are_refused() {
    let site = Site::with(&["i1"]).await;
    let images = site.images.size_max(2);
    let error = stage(&images, Payload::Bytes(Bytes::from_static(b"abc")))
        .await
        .unwrap_err();
    assert_eq!(error.status().as_u16(), 413);
}

#[tokio::test]
async fn an_image_gets_data_only_when_it_waits_for_it_and_its_formats_are_known() {
    let mut image = image_named("i1");
    assert_eq!(check_ready(&image).unwrap(), formats("raw"));
    image.container_format = None;
    let message = check_ready(&image).unwrap_err().to_string();
    assert_eq!(
        message,
        "Property container_format must be set prior to saving data."
    );
    image.disk_format = None;
    assert!(
        check_ready(&image)
            .unwrap_err()
            .to_string()
            .starts_with("Properties")
    );
    image.status = Status::Active;
    assert_eq!(check_ready(&image).unwrap_err().status().as_u16(), 409);
}

#[tokio::test]
async fn what_is_declared_and_found_to_be_a_disk_is_looked_into() {
    let site = Site::with(&[]).await;
    let qcow2 = |backing: u8| {
        let mut bytes = vec![0; 512];
        bytes[..8].copy_from_slice(b"QFI\xfb\0\0\0\x02");
        bytes[15] = backing;
        bytes[28] = 64;
        Payload::Bytes(Bytes::from(bytes))
    };
    let staged = stage(&site.images, qcow2(0)).await.unwrap();
    let (_, bytes) = inspected(staged, &formats("qcow2")).await.unwrap();
    assert_eq!(bytes, Some(64 << 24));
    let staged = stage(&site.images, qcow2(104)).await.unwrap();
    let error = inspected(staged, &formats("qcow2")).await.unwrap_err();
    assert_eq!(error.status().as_u16(), 415);
    assert_eq!(site.files(), 0);
    let packed = Formats {
        container: "ova".to_owned(),
        ..formats("qcow2")
    };
    let staged = stage(&site.images, qcow2(104)).await.unwrap();
    assert!(inspected(staged, &packed).await.is_ok());
}
