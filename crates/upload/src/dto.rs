//! What goes in and out.

use std::collections::BTreeMap;

use garde::Validate;
use sea_orm::prelude::{DeriveActiveEnum, EnumIter, StringLen};
use serde::{Deserialize, Serialize};
use shared_kernel::clock::Timestamp;
use shared_kernel::integer::BigInt;
use shared_kernel::repository::{Representation, Revision};
use shared_kernel::text::SingleLine;
pub use upload_port::{UploadId, UploadKind};
use utoipa::openapi::schema::{AnyOfBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{IntoParams, ToSchema};

use crate::fields::{FileName, Sha256Checksum};

/// A file that is to be uploaded.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUpload {
    /// What the file is called: a label, and the name that a download suggests, which gets an ending that fits the type if it
    /// has another. No path: `/` and `\` are refused, and a dot at its start.
    #[garde(dive)]
    pub filename: FileName,
    /// Media type of the file: one of those that this installation takes. The bytes must agree. Case does not matter, another
    /// name of the type is taken for it (`image/jpg`), and `charset` and `codecs` are taken and left out.
    #[garde(dive)]
    pub content_type: SingleLine<1, 100>,
    /// How many bytes it has, exactly. They count against your quota at once, and after a deletion until they are removed
    /// for good.
    #[garde(dive)]
    pub size: BigInt<1, { i64::MAX }>,
    /// Its SHA-256 in standard base64. When given, the store takes these bytes and no others.
    #[garde(dive)]
    pub checksum_sha256: Option<Sha256Checksum>,
    /// Who may read and download it.
    #[garde(skip)]
    #[serde(default)]
    #[schema(required = false, default = "private", examples("private"))]
    pub visibility: UploadVisibility,
}

/// Who may read and download an upload.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(10))", rename_all = "snake_case")]
pub enum UploadVisibility {
    /// Its owner.
    #[default]
    Private,
    /// Anyone who has its id, signed in or not, from its completion on and while its owner's account is in use.
    Public,
}

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(20))", rename_all = "snake_case")]
pub enum UploadStatus {
    /// Its bytes are awaited.
    Pending,
    /// Its bytes are there and checked.
    Completed,
}

/// An upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// What the file is called.
    #[schema(examples("harbour.png"))]
    pub filename: String,
    /// Media type of the file: its one name, in lower case and without parameters.
    #[schema(examples("image/png"))]
    pub content_type: String,
    /// How many bytes it has.
    #[schema(minimum = 1, examples(48_213))]
    pub size: i64,
    /// Its SHA-256 in standard base64, if the client declared it or the store knows it.
    #[schema(required, examples("n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="))]
    pub checksum_sha256: Option<String>,
    /// Who may read and download it.
    pub visibility: UploadVisibility,
    /// How far it is.
    pub status: UploadStatus,
    /// Of a completed image: its width in pixels as viewers show it, turned as its metadata ask for.
    #[schema(required, minimum = 1, examples(1_600))]
    pub width: Option<i32>,
    /// Of a completed image: its height in pixels as viewers show it.
    #[schema(required, minimum = 1, examples(1_200))]
    pub height: Option<i32>,
    /// A tiny picture to show while the image loads. Always `null` in this version.
    #[schema(required)]
    pub placeholder: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its bytes were found to be there and right.
    #[schema(required)]
    pub completed_at: Option<Timestamp>,
    /// Counts the changes; with the id it is the `ETag`.
    #[serde(skip)]
    pub version: i64,
}

impl Representation for Upload {
    const HOLDS_SIGNED_URLS: bool = false;

    fn revision(&self) -> Revision {
        Revision::new(self.id, self.version)
    }
}

/// A public upload, as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PublicUpload {
    /// Its id.
    pub id: UploadId,
    /// What the file is called.
    #[schema(examples("harbour.png"))]
    pub filename: String,
    /// Media type of the file, without parameters.
    #[schema(examples("image/png"))]
    pub content_type: String,
    /// How many bytes it has.
    #[schema(minimum = 1, examples(48_213))]
    pub size: i64,
    /// Always `public`.
    pub visibility: UploadVisibility,
    /// Of an image: its width in pixels as viewers show it.
    #[schema(required, minimum = 1, examples(1_600))]
    pub width: Option<i32>,
    /// Of an image: its height in pixels as viewers show it.
    #[schema(required, minimum = 1, examples(1_200))]
    pub height: Option<i32>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// An upload, as whoever asks may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ShownUpload {
    /// To its owner: all of it.
    Own(Upload),
    /// To anyone else, if it is public.
    Public(PublicUpload),
}

// Whatever fits `Upload` fits `PublicUpload` too, so it is not one of them.
impl utoipa::PartialSchema for ShownUpload {
    fn schema() -> RefOr<Schema> {
        AnyOfBuilder::new()
            .description(Some("All of an upload for its owner, and less of it for anyone else."))
            .item(Ref::from_schema_name(Upload::name()))
            .item(Ref::from_schema_name(PublicUpload::name()))
            .into()
    }
}

impl ToSchema for ShownUpload {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Upload::schemas(schemas);
        PublicUpload::schemas(schemas);
        schemas.push((Upload::name().into(), <Upload as utoipa::PartialSchema>::schema()));
        schemas.push((PublicUpload::name().into(), <PublicUpload as utoipa::PartialSchema>::schema()));
    }
}

/// A new upload, and how to send its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CreatedUpload {
    /// The upload, pending.
    pub upload: Upload,
    /// The request that sends the bytes to the store.
    pub request: PresignedRequest,
    /// Until when that request works.
    pub expires_at: Timestamp,
}

/// Of the upload in it: that is what was made.
impl Representation for CreatedUpload {
    const HOLDS_SIGNED_URLS: bool = true;

    fn revision(&self) -> Revision {
        self.upload.revision()
    }
}

/// A request to the object store that is signed already: whoever has it can send it, and nothing else.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(examples(json!({
    "method": "PUT",
    "url": "https://files.example.com/ashlar/uploads/3f0c?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=9e1b",
    "headers": {"content-length": "48213", "content-type": "image/png", "if-none-match": "*"},
})))]
pub struct PresignedRequest {
    /// The method.
    #[schema(examples("PUT"))]
    pub method: String,
    /// Where to.
    #[schema(
        format = Uri,
        examples("https://files.example.com/ashlar/uploads/3f0c?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=9e1b")
    )]
    pub url: String,
    /// The headers, all of which must be sent with exactly these values. (A browser sets `content-length` by itself.)
    pub headers: BTreeMap<String, String>,
}

impl std::fmt::Debug for PresignedRequest {
    /// Without the URL: who reads it in a log could use it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PresignedRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Where a file can be downloaded for a short time.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Download {
    /// A presigned URL in the object store.
    #[schema(
        format = Uri,
        examples("https://files.example.com/ashlar/uploads/3f0c?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=9e1b")
    )]
    pub url: String,
    /// Until when it works.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Download {
    /// Without the URL: who reads it in a log could use it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// What a client says with a completion: nothing yet.
#[derive(Clone, Copy, Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteUpload {}

/// How a download is wanted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DownloadQuery {
    /// Whether the browser saves the file (when absent) or shows it. What it could run is saved in any case.
    #[garde(skip)]
    #[serde(default)]
    #[param(inline, required = false)]
    pub disposition: Disposition,
}

/// What a browser does with a download (RFC 6266).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Saves it.
    #[default]
    Attachment,
    /// Shows it, if it is an image, a video, a sound or plain text.
    Inline,
}

/// Which uploads their owner wants to see.
#[derive(Clone, Debug, Default, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UploadFilter {
    /// Only with this status.
    #[garde(skip)]
    #[param(inline)]
    pub status: Option<UploadStatus>,
    /// Only of this type. Case and parameters do not matter, and another name of the type means it.
    #[garde(dive)]
    #[param(inline, example = "image/png")]
    pub content_type: Option<SingleLine<1, 100>>,
}

#[cfg(test)]
mod tests {
    use shared_kernel::error::Invalid;
    use shared_kernel::json::{self, JsonError};

    use super::*;

    fn refused(body: &serde_json::Value) -> Vec<(String, String)> {
        match json::parse::<CreateUpload>(body.to_string().as_bytes()) {
            Ok(_) => Vec::new(),
            Err(JsonError::Invalid(Invalid(fields))) => {
                fields.into_iter().map(|field| (field.pointer, field.code.into_owned())).collect()
            }
            Err(error) => panic!("{body}: {error}"),
        }
    }

    fn body(field: &str, value: impl Into<serde_json::Value>) -> serde_json::Value {
        let mut body = serde_json::json!({"filename": "a.png", "content_type": "image/png", "size": 1});
        body[field] = value.into();
        body
    }

    fn one(pointer: &str, code: &str) -> Vec<(String, String)> {
        vec![(pointer.into(), code.into())]
    }

    #[test]
    fn a_file_name_is_a_label_and_not_a_path() {
        for name in ["a", "Hafen – Übersicht (2).png", "a..b", "文件.txt", &"ß".repeat(255)] {
            assert_eq!(refused(&body("filename", name)), [], "{name}");
        }
        for name in ["../a", "/etc/passwd", r"..\a", r"C:\a", ".", "..", ".htaccess", "a\u{202e}gpj.exe"] {
            assert_eq!(refused(&body("filename", name)), one("/filename", "filename"), "{name:?}");
        }
        assert_eq!(refused(&body("filename", "  ")), one("/filename", "too_short"));
        assert_eq!(refused(&body("filename", "a".repeat(256))), one("/filename", "too_long"));
        assert_eq!(refused(&body("filename", "a\r\nb")), one("/filename", "control_characters"));
    }

    #[test]
    fn a_checksum_is_the_base64_of_32_bytes() {
        assert_eq!(refused(&body("checksum_sha256", "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=")), []);
        assert_eq!(refused(&body("checksum_sha256", serde_json::Value::Null)), []);
        let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let unpadded = "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg";
        let not_canonical = "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgh=";
        let url_safe = "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg=";
        for text in ["", "AAAA", hex, unpadded, not_canonical, url_safe] {
            assert_eq!(
                refused(&body("checksum_sha256", text)),
                one("/checksum_sha256", "checksum"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_size_is_at_least_one_byte() {
        for size in [0, -1] {
            assert_eq!(refused(&body("size", size)), one("/size", "too_small"), "{size}");
        }
        assert_eq!(refused(&body("size", u64::MAX)), one("/size", "too_large"));
        assert_eq!(refused(&body("size", "1")), one("/size", "type"));
        assert_eq!(refused(&body("is_admin", true)), one("/is_admin", "unknown_field"));
        assert_eq!(refused(&body("visibility", "secret")), one("/visibility", "choice"));
    }
}
