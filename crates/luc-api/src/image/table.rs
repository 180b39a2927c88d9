//! The image service's rows of the endpoint table.

use crate::endpoint::endpoints;
use crate::image::patch::Patch;
use crate::image::request::{AddMember, CreateImage, UpdateMember};

endpoints! {
    /// What the image service can be asked.
    pub enum ImageOp in Image {
        /// Which API versions are there (unversioned root).
        ListVersions = Get "" .unversioned() .public(),
        /// The same, answered with 200 instead of 300.
        ListVersionsPlainly = Get "/versions" .unversioned() .public(),
        /// What the API version offers.
        ShowVersion = Get "" .public(),

        /// Lists images.
        ListImages = Get "/images" .rule("get_images"),
        /// Creates an image without data.
        CreateImage = Post "/images" .rule("add_image") .body::<CreateImage>() .answers(201),
        /// Shows an image.
        ShowImage = Get "/images/{image_id}" .rule("get_image"),
        /// Changes attributes and properties of an image.
        UpdateImage = Patch "/images/{image_id}" .rule("modify_image") .body::<Patch>(),
        /// Deletes an image with its data.
        DeleteImage = Delete "/images/{image_id}" .rule("delete_image") .answers(204),

        /// Takes the data of an image.
        UploadData = Put "/images/{image_id}/file" .rule("upload_image") .stream() .answers(204),
        /// Gives the data of an image, whole or in part.
        DownloadData = Get "/images/{image_id}/file" .rule("download_image"),
        /// Withholds the data of an image from all but administrators.
        DeactivateImage = Post "/images/{image_id}/actions/deactivate"
            .rule("deactivate") .answers(204),
        /// Gives the data out again.
        ReactivateImage = Post "/images/{image_id}/actions/reactivate"
            .rule("reactivate") .answers(204),

        /// Adds a tag.
        AddTag = Put "/images/{image_id}/tags/{tag}" .rule("modify_image") .answers(204),
        /// Removes a tag.
        RemoveTag = Delete "/images/{image_id}/tags/{tag}" .rule("modify_image") .answers(204),

        /// Lists the projects that an image is shared with.
        ListMembers = Get "/images/{image_id}/members" .rule("get_members"),
        /// Shares an image with a project.
        AddMember = Post "/images/{image_id}/members" .rule("add_member") .body::<AddMember>(),
        /// Shows how a project stands to an image.
        ShowMember = Get "/images/{image_id}/members/{member_id}" .rule("get_member"),
        /// Accepts or rejects an image that is shared with the caller's project.
        UpdateMember = Put "/images/{image_id}/members/{member_id}"
            .rule("modify_member") .body::<UpdateMember>(),
        /// Stops sharing an image with a project.
        RemoveMember = Delete "/images/{image_id}/members/{member_id}"
            .rule("delete_member") .answers(204),

        /// The schema of an image.
        ShowImageSchema = Get "/schemas/image" .any_token(),
        /// The schema of a list of images.
        ShowImagesSchema = Get "/schemas/images" .any_token(),
        /// The schema of a member of an image.
        ShowMemberSchema = Get "/schemas/member" .any_token(),
        /// The schema of a list of members.
        ShowMembersSchema = Get "/schemas/members" .any_token(),
        /// The ways, beside the upload, in which data may come in: none.
        ShowImportMethods = Get "/info/import" .any_token(),
    }
}
