//! The image service's rows of the endpoint table.

use crate::endpoint::endpoints;

endpoints! {
    /// What the image service can be asked.
    pub enum ImageOp in Image {
        /// Which API versions are there (unversioned root).
        ListVersions = Get "" .unversioned() .public(),
        /// What the API version offers.
        ShowVersion = Get "" .public(),
    }
}
