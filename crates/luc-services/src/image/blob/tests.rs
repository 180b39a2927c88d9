//! Blobs: whole or not there, whatever happens on the way.

use futures::stream;
use tempfile::TempDir;

use super::*;

/// SHA-512 and MD5 of `abc`, from FIPS 180-4 and RFC 1321.
const ABC_SHA512: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                          2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
const ABC_MD5: &str = "900150983cd24fb0d6963f7d28e17f72";

fn blobs() -> (TempDir, DiskBlobs) {
    let directory = TempDir::new().unwrap();
    let blobs = DiskBlobs::open(directory.path()).unwrap();
    (directory, blobs)
}

fn data(chunks: &[&'static str]) -> DataStream {
    let chunks: Vec<_> = chunks
        .iter()
        .map(|text| Ok(Bytes::from_static(text.as_bytes())))
        .collect();
    Box::pin(stream::iter(chunks))
}

async fn read(blobs: &DiskBlobs, blob: &BlobId, range: Range<u64>) -> Vec<u8> {
    let mut stream = blobs.open(blob, range).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    bytes
}

fn staged_files(directory: &TempDir) -> usize {
    fs::read_dir(directory.path().join("staging"))
        .unwrap()
        .count()
}

#[tokio::test]
async fn bytes_are_measured_as_they_come_and_found_by_their_hash() {
    let (_directory, blobs) = blobs();
    let staged = blobs.stage(data(&["a", "", "bc"]), 3).await.unwrap();
    let measured = staged.measured.clone();
    assert_eq!(
        (measured.blob.as_str(), measured.md5.as_str()),
        (ABC_SHA512, ABC_MD5)
    );
    assert_eq!(measured.size, 3);
    assert_eq!(blobs.size(&measured.blob).await.unwrap(), None);
    blobs.keep(staged).await.unwrap();
    assert_eq!(blobs.size(&measured.blob).await.unwrap(), Some(3));
    assert_eq!(read(&blobs, &measured.blob, 0..3).await, b"abc");
    assert_eq!(read(&blobs, &measured.blob, 1..2).await, b"b");
    assert_eq!(blobs.list().await.unwrap(), [measured.blob]);
}

#[tokio::test]
async fn the_same_bytes_are_kept_once() {
    let (directory, blobs) = blobs();
    for _ in 0..2 {
        let staged = blobs.stage(data(&["abc"]), 3).await.unwrap();
        blobs.keep(staged).await.unwrap();
    }
    assert_eq!(blobs.list().await.unwrap().len(), 1);
    assert_eq!(staged_files(&directory), 0);
}

#[tokio::test]
async fn too_many_bytes_leave_nothing_behind() {
    let (directory, blobs) = blobs();
    let error = blobs.stage(data(&["ab", "c"]), 2).await.unwrap_err();
    assert!(matches!(error, StageError::TooLarge { limit: 2 }));
    assert_eq!(staged_files(&directory), 0);
    assert!(blobs.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_sender_that_breaks_off_leaves_nothing_behind() {
    let (directory, blobs) = blobs();
    let broken = stream::iter([
        Ok(Bytes::from_static(b"ab")),
        Err(io::Error::from(io::ErrorKind::ConnectionReset)),
    ]);
    let error = blobs.stage(Box::pin(broken), 100).await.unwrap_err();
    assert!(matches!(error, StageError::Sender(_)));
    assert_eq!(staged_files(&directory), 0);
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing_behind() {
    let (directory, blobs) = blobs();
    let endless = data(&["ab"]).chain(stream::pending());
    let mut upload = Box::pin(blobs.stage(Box::pin(endless), 100));
    assert!(futures::poll!(&mut upload).is_pending());
    assert_eq!(staged_files(&directory), 1);
    drop(upload);
    assert_eq!(staged_files(&directory), 0);
}

#[tokio::test]
async fn what_a_killed_process_had_staged_is_swept_at_the_next_start() {
    let (directory, blobs) = blobs();
    let kept = blobs.stage(data(&["abc"]), 3).await.unwrap();
    let blob = kept.measured.blob.clone();
    blobs.keep(kept).await.unwrap();
    std::mem::forget(blobs.stage(data(&["torn"]), 10).await.unwrap());
    assert_eq!(staged_files(&directory), 1);
    let reopened = DiskBlobs::open(directory.path()).unwrap();
    assert_eq!(staged_files(&directory), 0);
    assert_eq!(read(&reopened, &blob, 0..3).await, b"abc");
}

#[tokio::test]
async fn a_blob_cut_short_by_a_broken_disk_is_replaced_when_its_bytes_come_again() {
    let (_directory, blobs) = blobs();
    let staged = blobs.stage(data(&["abc"]), 3).await.unwrap();
    let blob = staged.measured.blob.clone();
    blobs.keep(staged).await.unwrap();
    fs::write(blobs.path(&blob), b"ab").unwrap();
    let again = blobs.stage(data(&["abc"]), 3).await.unwrap();
    blobs.keep(again).await.unwrap();
    assert_eq!(read(&blobs, &blob, 0..3).await, b"abc");
}

#[tokio::test]
async fn deleting_twice_is_no_error_and_opening_after_it_is() {
    let (_directory, blobs) = blobs();
    let staged = blobs.stage(data(&["abc"]), 3).await.unwrap();
    let blob = staged.measured.blob.clone();
    blobs.keep(staged).await.unwrap();
    blobs.delete(&blob).await.unwrap();
    blobs.delete(&blob).await.unwrap();
    let error = blobs.open(&blob, 0..3).await.err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn nothing_is_a_blob_too() {
    let (_directory, blobs) = blobs();
    let staged = blobs.stage(data(&[]), 0).await.unwrap();
    let blob = staged.measured.blob.clone();
    blobs.keep(staged).await.unwrap();
    assert_eq!(read(&blobs, &blob, 0..0).await, b"");
}

/// 64 MiB in chunks of 64 KiB, made as they are asked for.
#[tokio::test]
async fn a_big_upload_is_never_held_whole() {
    static HELD: AtomicU64 = AtomicU64::new(0);
    static HELD_MAX: AtomicU64 = AtomicU64::new(0);
    /// A chunk that counts the bytes of all chunks that are alive.
    struct Counted(Vec<u8>);
    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            HELD.fetch_sub(self.0.len() as u64, Ordering::SeqCst);
        }
    }
    let chunks = (0..1024_u64).map(|number| {
        let held = HELD.fetch_add(64 << 10, Ordering::SeqCst) + (64 << 10);
        HELD_MAX.fetch_max(held, Ordering::SeqCst);
        Ok(Bytes::from_owner(Counted(vec![number as u8; 64 << 10])))
    });
    let (_directory, blobs) = blobs();
    let staged = blobs
        .stage(Box::pin(stream::iter(chunks)), 1 << 30)
        .await
        .unwrap();
    assert_eq!(staged.measured.size, 64 << 20);
    let held_max = HELD_MAX.load(Ordering::SeqCst);
    assert!(
        held_max <= 2 * GATHERED as u64,
        "{held_max} bytes were held at once"
    );
    assert_eq!(HELD.load(Ordering::SeqCst), 0);
}
