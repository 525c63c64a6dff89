//! What pages need to know of uploads before they send one.

use app_config::Config;
use app_kit::console::CommandError;
use app_kit::members::Members;
use serde::Serialize;
use upload::settings::UploadSettings;
use utoipa::ToSchema;

/// What uploads add to `GET /api/v1/config`.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Rules {
    /// What can be uploaded.
    uploads: UploadRules,
}

/// What can be uploaded.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct UploadRules {
    /// The largest file, in bytes.
    #[schema(minimum = 1, examples(67_108_864))]
    max_size: u64,
    /// The media types that are taken.
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
