//! The identity service's rows of the endpoint table.

use crate::endpoint::endpoints;

endpoints! {
    /// What the identity service can be asked.
    pub enum IdentityOp in Identity {
        /// Which API versions are there (unversioned root).
        ListVersions = Get "" .unversioned() .public(),
        /// What the API version offers.
        ShowVersion = Get "" .public(),
    }
}
