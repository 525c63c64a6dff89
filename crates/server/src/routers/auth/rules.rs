//! What pages need to know of signing up and in.

use app_config::Config;
use app_kit::console::CommandError;
use app_kit::members::Members;
use auth::dto::NewPassword;
use serde::Serialize;
use utoipa::ToSchema;

/// What sign-in adds to `GET /api/v1/config`.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Rules {
    /// What a new password must be like. Those that anybody would guess are refused besides.
    password: PasswordRules,
    /// Whether anybody may sign up.
    #[schema(examples(true))]
    signup: bool,
    /// The ways to sign in.
    methods: Vec<Method>,
    /// Other services that one can sign in with.
    providers: Vec<Provider>,
}

/// What a password must be like.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct PasswordRules {
    /// The shortest, in Unicode code points.
    #[schema(minimum = 1, examples(8))]
    min_length: usize,
    /// The longest, in Unicode code points.
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

/// Another service that one can sign in with.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Provider {
    /// Its name in paths.
    #[schema(examples("github"))]
    id: String,
    /// Its name for people.
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
