//! What clients need to know before they create an upload.

use app_config::Config;
use app_kit::console::CommandError;
use app_kit::members::Members;
use serde::Serialize;
use upload::settings::UploadSettings;
use utoipa::ToSchema;

/// Members that uploads add to `GET /api/v1/config`.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Rules {
    /// Limits of uploads.
    uploads: UploadRules,
}

/// Limits of uploads.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct UploadRules {
    /// Size of the largest file in bytes.
    #[schema(minimum = 1, examples(67_108_864))]
    max_size: u64,
    /// Accepted media types.
    #[schema(examples("image/jpeg"))]
    types: Vec<String>,
}

/// The rules of this configuration.
pub(super) fn members(config: &Config) -> Result<Members, CommandError> {
    let settings = config.section::<UploadSettings>()?;
    let uploads =
        UploadRules { max_size: settings.max_size.unsigned_abs(), types: settings.allowed_types.clone() };
    Members::of(&Rules { uploads })
}
