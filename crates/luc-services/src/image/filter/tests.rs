//! Filters as clients write them.

use super::*;
use crate::image::model::Data;
use crate::image::model::tests::image_named;

fn wants(query: &str, image: &Image) -> bool {
    let filter = Filter::of(&Query::parse(query).unwrap()).unwrap();
    filter.wants(image, image.status.as_str())
}

fn image() -> Image {
    let mut image = image_named("i1");
    image.data = Some(Data {
        sha512: "5a39".to_owned(),
        md5: "f566".to_owned(),
        size: 1024,
        virtual_size: Some(4096),
    });
    image.tags = ["x86".to_owned(), "64bit".to_owned()].into();
    image
        .properties
        .insert("os_distro".to_owned(), Some("debian".to_owned()));
    image
}

#[test]
fn an_image_is_wanted_if_every_condition_holds() {
    let image = image();
    for query in [
        "",
        "name=cirros",
        "name=eq:cirros",
        "name=in:\"a,b\",cirros",
        "id=in:i0,i1",
        "status=queued",
        "disk_format=in:raw,qcow2&container_format=bare",
        "owner=p1&checksum=f566&os_hash_value=5a39&os_hash_algo=sha512",
        "size_min=1024&size_max=1024&size=1024",
        "virtual_size=4096&min_ram=0&min_disk=0&min_ram_max=5",
        "tag=x86&tag=64bit",
        "protected=false&os_hidden=false",
        "os_distro=debian",
        "created_at=gte:1970-01-01T00:16:40Z",
        "created_at=1970-01-01T00:16:40",
        "updated_at=lt:1970-01-01T01:16:41%2B01:00",
        "limit=1&marker=x&sort=name&member_status=all",
    ] {
        assert!(wants(query, &image), "{query}");
    }
    for query in [
        "name=debian",
        "name=in:",
        "id=in:i0,i2",
        "status=active",
        "size_min=1025",
        "size_max=1023",
        "size=abc",
        "tag=x86&tag=arm",
        "protected=true",
        "os_hidden=true",
        "os_distro=arch",
        "os_version=12",
        "created_at=neq:1970-01-01T00:16:40Z",
        "created_at=gt:1970-01-01T00:16:40Z",
    ] {
        assert!(!wants(query, &image), "{query}");
    }
}

#[test]
fn a_filter_that_means_nothing_is_refused() {
    for bad in [
        "visibility=secret",
        "os_hidden=perhaps",
        "protected=yes",
        "changes-since=2026-01-01",
        "name=like:c",
        "name=in:\"a",
        "name=in:\"a\"b",
        "name=in:a\"b\"",
        "size_min=big",
        "created_at=yesterday",
        "created_at=after:2026-01-01T00:00:00Z",
    ] {
        let error = Filter::of(&Query::parse(bad).unwrap()).unwrap_err();
        assert_eq!(error.status().as_u16(), 400, "{bad}");
    }
}

#[test]
fn quotes_keep_commas_and_quotes() {
    assert_eq!(
        split_quoted(r#""a,b",c,"d\"e""#).unwrap(),
        ["a,b", "c", "d\"e"]
    );
    assert_eq!(split_quoted("a,,b").unwrap(), ["a", "", "b"]);
}

#[test]
fn nothing_is_as_small_as_what_has_no_size_yet() {
    let mut image = image();
    image.data = None;
    assert!(!wants("size_max=5", &image));
    assert!(!wants("size_min=0", &image));
}

#[test]
fn the_visibilities_are_told_apart() {
    let shown = |query: &str| Filter::of(&Query::parse(query).unwrap()).unwrap().shown;
    assert_eq!(shown(""), Shown::Usual);
    assert_eq!(shown("visibility=all"), Shown::All);
    assert_eq!(
        shown("visibility=community"),
        Shown::Only(Visibility::Community)
    );
}
