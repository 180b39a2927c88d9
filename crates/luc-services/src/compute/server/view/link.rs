//! Links, as every answer about servers has them.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::Frame;

/// A text that is put together while it is written.
struct Text<'a>(std::fmt::Arguments<'a>);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// One link.
struct Link<'a> {
    rel: &'static str,
    href: std::fmt::Arguments<'a>,
}

impl Serialize for Link<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("rel", self.rel)?;
        map.serialize_entry("href", &Text(self.href))?;
        map.end()
    }
}

/// The two links of a server.
pub(super) struct Links<'a> {
    pub(super) frame: &'a Frame,
    pub(super) id: &'a str,
}

impl Serialize for Links<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            frame:
                Frame {
                    root,
                    bookmark_root,
                    ..
                },
            id,
        } = self;
        let own = Link {
            rel: "self",
            href: format_args!("{root}/servers/{id}"),
        };
        let bookmark = Link {
            rel: "bookmark",
            href: format_args!("{bookmark_root}/servers/{id}"),
        };
        [own, bookmark].serialize(serializer)
    }
}

/// A thing by its id, with a bookmark.
pub(super) struct Bookmarked<'a> {
    pub(super) frame: &'a Frame,
    pub(super) collection: &'static str,
    pub(super) id: &'a str,
}

impl Serialize for Bookmarked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            frame: Frame { bookmark_root, .. },
            collection,
            id,
        } = self;
        let href = format_args!("{bookmark_root}/{collection}/{id}");
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("id", id)?;
        map.serialize_entry(
            "links",
            &[Link {
                rel: "bookmark",
                href,
            }],
        )?;
        map.end()
    }
}
