//! Fetched once, verified, whole or absent.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use luc_core::id::ImageId;
use luc_core::units;

use super::*;
use crate::desired::DiskFormat;

/// Bytes, or why there are none.
type Piece = Result<&'static [u8], &'static str>;

/// Hands out the same bytes as a slow stream, or what a test wants to go wrong.
struct Source {
    chunks: Vec<Piece>,
    opened: AtomicU64,
}

impl Source {
    fn new(chunks: Vec<Piece>) -> Self {
        Self {
            chunks,
            opened: AtomicU64::new(0),
        }
    }
}

#[async_trait]
impl Images for Source {
    async fn image(&self, _: &ImageId) -> Result<ImageData, ControllerError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let chunks = self.chunks.clone().into_iter().map(|chunk| {
            chunk
                .map(Bytes::from_static)
                .map_err(|reason| io::Error::other(reason.to_owned()))
        });
        let stream = futures::stream::iter(chunks).then(|chunk| async {
            tokio::task::yield_now().await;
            chunk
        });
        Ok(ImageData::Stream(stream.boxed()))
    }
}

fn image(bytes: &[u8]) -> ImageSource {
    ImageSource {
        id: ImageId::parse("image").unwrap(),
        sha512: hex::encode(Sha512::digest(bytes)),
        disk_format: DiskFormat::Raw,
        size: units::Bytes(bytes.len() as u64),
    }
}

fn names(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

#[tokio::test]
async fn many_who_ask_at_once_cause_one_fetch() {
    let directory = tempfile::tempdir().unwrap();
    let cache = ImageCache::open(directory.path()).unwrap();
    let source = Source::new(vec![Ok(b"some "), Ok(b"bytes")]);
    let image = image(b"some bytes");
    let all = (0..20).map(|_| cache.fetch(&image, &source));
    for path in futures::future::join_all(all).await {
        assert_eq!(fs::read(path.unwrap()).unwrap(), b"some bytes");
    }
    assert_eq!(source.opened.load(Ordering::Relaxed), 1);
    assert_eq!(names(directory.path()), std::slice::from_ref(&image.sha512));
    assert!(cache.fetching.lock().unwrap().is_empty(), "locks pile up");
}

#[tokio::test]
async fn one_who_gives_up_leaves_the_fetch_to_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let cache = ImageCache::open(directory.path()).unwrap();
    let source = Source::new(vec![Ok(b"some "), Ok(b"bytes")]);
    let image = image(b"some bytes");
    {
        let fetch = cache.fetch(&image, &source);
        tokio::pin!(fetch);
        assert!(futures::poll!(fetch.as_mut()).is_pending());
    }
    assert!(cache.fetch(&image, &source).await.is_ok());
}

#[tokio::test]
async fn a_file_of_this_host_is_copied_and_verified() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    let bytes: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
    fs::write(&original, &bytes).unwrap();
    let controller = crate::testing::MemoryController::new();
    let image = image(&bytes);
    controller.add_image(image.id.clone(), original);
    let cache = ImageCache::open(&directory.path().join("cache")).unwrap();
    let path = cache.fetch(&image, &controller).await.unwrap();
    assert_eq!(fs::read(path).unwrap(), bytes);
}

#[tokio::test]
async fn wrong_bytes_are_refused_and_nothing_is_left() {
    let right = b"some bytes";
    let cases: [(Vec<Piece>, &str); 4] = [
        (vec![Ok(b"evil bytes")], "its SHA-512 is"),
        (
            vec![Ok(b"some bytes"), Ok(b" and more")],
            "more than the 10 bytes",
        ),
        (vec![Ok(b"some")], "cut off after 4 of 10 bytes"),
        (
            vec![Ok(b"some"), Err("the link went down")],
            "cut off after 4 of 10 bytes",
        ),
    ];
    for (chunks, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        let cache = ImageCache::open(directory.path()).unwrap();
        let error = cache
            .fetch(&image(right), &Source::new(chunks))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(
            names(directory.path()).is_empty(),
            "{:?}",
            names(directory.path())
        );
    }
}

#[tokio::test]
async fn a_hash_that_is_a_path_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let cache = ImageCache::open(directory.path()).unwrap();
    let source = Source::new(vec![Ok(b"x")]);
    for bad in ["../../etc/passwd", "", &"A".repeat(128), &"0".repeat(127)] {
        let image = ImageSource {
            sha512: (*bad).to_owned(),
            ..image(b"x")
        };
        let outcome = cache.fetch(&image, &source).await;
        assert!(
            matches!(outcome, Err(ImageError::Hash { .. })),
            "{bad} was accepted"
        );
    }
    assert_eq!(source.opened.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn what_a_dead_process_left_is_removed_and_what_a_live_one_writes_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let [dead, live] = ["dead", "live"].map(|name| {
        let path = directory.path().join(format!("{UNFINISHED}{name}"));
        fs::write(&path, b"half").unwrap();
        path
    });
    let long_ago = std::time::SystemTime::now() - 2 * ABANDONED_AFTER;
    File::options()
        .write(true)
        .open(&dead)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    ImageCache::open(directory.path()).unwrap();
    assert!(!dead.exists());
    assert!(live.exists());
}
