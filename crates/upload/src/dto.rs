//! Data transfer objects: bodies, parameters and answers.

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

/// A file to be uploaded.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUpload {
    /// Name of the file: a label, and the name that a download suggests, with an extension that fits the media type. It is not a
    /// path: `/`, `\` and a leading dot are refused.
    #[garde(dive)]
    pub filename: FileName,
    /// Media type of the file: one of those that this installation accepts. The content must match. Case does not matter; aliases
    /// such as `image/jpg` are accepted, and so are the parameters `charset` and `codecs`, which are ignored.
    #[garde(dive)]
    pub content_type: SingleLine<1, 100>,
    /// Exact size of the file in bytes. It counts against your quota at once, and after a deletion until the bytes are removed.
    #[garde(dive)]
    pub size: BigInt<1, { i64::MAX }>,
    /// SHA-256 of the file in standard base64. If given, the store accepts no other bytes.
    #[garde(dive)]
    pub checksum_sha256: Option<Sha256Checksum>,
    /// Who may read and download the upload.
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
    /// Anyone who knows its id, signed in or not, once it is completed and as long as its owner's account is active.
    Public,
}

/// State of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(20))", rename_all = "snake_case")]
pub enum UploadStatus {
    /// The file has not been sent, or not been examined.
    Pending,
    /// The file is in the store and matches what was declared.
    Completed,
}

/// An upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Upload {
    /// Id of the upload.
    pub id: UploadId,
    /// Name of the file.
    #[schema(examples("harbour.png"))]
    pub filename: String,
    /// Media type of the file: its canonical name, in lower case and without parameters.
    #[schema(examples("image/png"))]
    pub content_type: String,
    /// Size of the file in bytes.
    #[schema(minimum = 1, examples(48_213))]
    pub size: i64,
    /// SHA-256 of the file in standard base64, if the client declared it or the store computed it.
    #[schema(required, examples("n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="))]
    pub checksum_sha256: Option<String>,
    /// Who may read and download the upload.
    pub visibility: UploadVisibility,
    /// State of the upload.
    pub status: UploadStatus,
    /// Width of a completed image in pixels, as viewers show it: rotated as its metadata say.
    #[schema(required, minimum = 1, examples(1_600))]
    pub width: Option<i32>,
    /// Height of a completed image in pixels, as viewers show it: rotated as its metadata say.
    #[schema(required, minimum = 1, examples(1_200))]
    pub height: Option<i32>,
    /// Tiny preview to show while the image loads. Always `null` in this version.
    #[schema(required)]
    pub placeholder: Option<String>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of completion.
    #[schema(required)]
    pub completed_at: Option<Timestamp>,
    /// Number of changes; together with the id it makes the `ETag`.
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
    /// Id of the upload.
    pub id: UploadId,
    /// Name of the file.
    #[schema(examples("harbour.png"))]
    pub filename: String,
    /// Media type of the file, without parameters.
    #[schema(examples("image/png"))]
    pub content_type: String,
    /// Size of the file in bytes.
    #[schema(minimum = 1, examples(48_213))]
    pub size: i64,
    /// Always `public`.
    pub visibility: UploadVisibility,
    /// Width of an image in pixels, as viewers show it.
    #[schema(required, minimum = 1, examples(1_600))]
    pub width: Option<i32>,
    /// Height of an image in pixels, as viewers show it.
    #[schema(required, minimum = 1, examples(1_200))]
    pub height: Option<i32>,
    /// Time of creation.
    pub created_at: Timestamp,
}

/// An upload, as far as the client may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ShownUpload {
    /// All fields, for its owner.
    Own(Upload),
    /// Fewer fields, for anyone else, if it is public.
    Public(PublicUpload),
}

// What matches `Upload` matches `PublicUpload` too, so `oneOf` would refuse it.
impl utoipa::PartialSchema for ShownUpload {
    fn schema() -> RefOr<Schema> {
        AnyOfBuilder::new()
            .description(Some("All fields of an upload for its owner, fewer fields for anyone else."))
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

/// A new upload, with the request that sends its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CreatedUpload {
    /// The pending upload.
    pub upload: Upload,
    /// Request that sends the file to the object store.
    pub request: PresignedRequest,
    /// Time at which the request expires.
    pub expires_at: Timestamp,
}

// The `ETag` is that of the upload in it, which is the resource that was created.
impl Representation for CreatedUpload {
    const HOLDS_SIGNED_URLS: bool = true;

    fn revision(&self) -> Revision {
        self.upload.revision()
    }
}

/// A presigned request to the object store: whoever has it can send exactly this request.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(examples(json!({
    "method": "PUT",
    "url": "https://files.example.com/ashlar/uploads/3f0c?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=9e1b",
    "headers": {"content-length": "48213", "content-type": "image/png", "if-none-match": "*"},
})))]
pub struct PresignedRequest {
    /// HTTP method.
    #[schema(value_type = UploadMethod)]
    pub method: String,
    /// URL of the request.
    #[schema(
        format = Uri,
        examples("https://files.example.com/ashlar/uploads/3f0c?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=9e1b")
    )]
    pub url: String,
    /// Headers, all of which must be sent with exactly these values. (Browsers set `content-length` themselves.)
    pub headers: BTreeMap<String, String>,
}

/// HTTP methods of requests that send a file.
#[derive(ToSchema)]
#[schema(rename_all = "UPPERCASE")]
#[expect(dead_code, reason = "only its shape is used, by the document")]
enum UploadMethod {
    /// The whole file is the body.
    Put,
}

impl std::fmt::Debug for PresignedRequest {
    /// Without the URL, which would give access to anyone who reads the log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PresignedRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

/// A short-lived URL of a file.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Download {
    /// Presigned URL in the object store.
    #[schema(
        format = Uri,
        examples("https://files.example.com/ashlar/uploads/3f0c?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=9e1b")
    )]
    pub url: String,
    /// Time at which the URL expires.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Download {
    /// Without the URL, which would give access to anyone who reads the log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// The body of a completion, which has no members yet.
#[derive(Clone, Copy, Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteUpload {}

/// Parameters of a download.
#[derive(Clone, Copy, Debug, Default, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DownloadQuery {
    /// Whether the browser saves the file (the default) or shows it. Files that a browser could execute are always saved.
    #[garde(skip)]
    #[serde(default)]
    #[param(inline, required = false)]
    pub disposition: Disposition,
}

/// What a browser does with a download (RFC 6266).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Save the file.
    #[default]
    Attachment,
    /// Show the file, if it is an image, video, audio or plain text.
    Inline,
}

/// Filters of a list of uploads.
#[derive(Clone, Debug, Default, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UploadFilter {
    /// Only uploads with this status.
    #[garde(skip)]
    #[param(inline)]
    pub status: Option<UploadStatus>,
    /// Only uploads of this media type. Case and parameters do not matter; aliases are accepted.
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
