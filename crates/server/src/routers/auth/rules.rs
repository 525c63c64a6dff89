//! What clients need to know before sign-up and sign-in.

use app_config::Config;
use app_kit::console::CommandError;
use app_kit::members::Members;
use auth::dto::NewPassword;
use serde::Serialize;
use utoipa::ToSchema;

/// Members that sign-in adds to `GET /api/v1/config`.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Rules {
    /// Requirements for a new password. Common passwords are refused as well.
    password: PasswordRules,
    /// Whether sign-up is open to anyone.
    #[schema(examples(true))]
    signup: bool,
    /// Ways to sign in.
    methods: Vec<Method>,
    /// External identity providers.
    providers: Vec<Provider>,
}

/// Requirements for a password.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct PasswordRules {
    /// Minimum length in Unicode code points.
    #[schema(minimum = 1, examples(8))]
    min_length: usize,
    /// Maximum length in Unicode code points.
    #[schema(minimum = 1, examples(128))]
    max_length: usize,
}

/// A way to sign in.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Method {
    /// E-mail address, user name or phone number, and a password.
    Password,
}

/// An external identity provider.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Provider {
    /// Id of the provider, as in paths.
    #[schema(examples("github"))]
    id: String,
    /// Display name of the provider.
    #[schema(examples("GitHub"))]
    name: String,
}

/// The rules of this version.
pub(super) fn members(_: &Config) -> Result<Members, CommandError> {
    Members::of(&Rules {
        password: PasswordRules { min_length: NewPassword::MIN_LENGTH, max_length: NewPassword::MAX_LENGTH },
        signup: true,
        methods: vec![Method::Password],
        providers: Vec::new(),
    })
}
