//! The compute service's rows of the endpoint table.

use crate::endpoint::endpoints;

endpoints! {
    /// What the compute service can be asked.
    pub enum ComputeOp in Compute {
        /// Which API versions are there (unversioned root).
        ListVersions = Get "" .unversioned() .public(),
        /// What the API version offers.
        ShowVersion = Get "" .public(),
    }
}
