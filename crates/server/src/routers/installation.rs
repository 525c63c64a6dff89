//! What pages need to know of this installation before anybody has signed in. The same rules stand in the OpenAPI document as
//! the bounds of the fields that they are about.

use actix_web::{HttpRequest, HttpResponse, get, web};
use auth::dto::NewPassword;
use http_kit::routes::Routes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::Config;
use crate::context::Context;

/// The tag of these routes.
pub const TAG: &str = "installation";

/// How long a page may go without asking again. A new configuration needs a restart, so it is seldom another.
pub(crate) const CACHE_CONTROL: &str = "public, max-age=300";

/// Registers the route.
pub fn configure(routes: &mut Routes<'_, '_>) {
    routes.handle(get_config);
}

/// What this installation allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Installation {
    /// What can be uploaded.
    pub uploads: UploadRules,
    /// What a new password must be like. Those that anybody would guess are refused besides.
    pub password: PasswordRules,
    /// Whether anybody may sign up.
    #[schema(examples(true))]
    pub signup: bool,
    /// The ways to sign in.
    pub methods: Vec<Method>,
    /// Other services that one can sign in with.
    pub providers: Vec<Provider>,
    /// The languages that mails and pages are written in (BCP 47).
    #[schema(examples("en"))]
    pub locales: Vec<&'static str>,
}

/// What can be uploaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UploadRules {
    /// The largest file, in bytes.
    #[schema(minimum = 1, examples(67_108_864))]
    pub max_size: u64,
    /// The media types that are taken.
    #[schema(examples("image/jpeg"))]
    pub types: Vec<String>,
}

/// What a password must be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PasswordRules {
    /// The shortest, in Unicode code points.
    #[schema(minimum = 1, examples(8))]
    pub min_length: usize,
    /// The longest, in Unicode code points.
    #[schema(minimum = 1, examples(128))]
    pub max_length: usize,
}

/// A way to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// E-mail address, user name or phone number, and a password.
    Password,
}

/// Another service that one can sign in with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Provider {
    /// Its name in paths.
    #[schema(examples("github"))]
    pub id: String,
    /// Its name for people.
    #[schema(examples("GitHub"))]
    pub name: String,
}

impl Installation {
    /// What `config` allows.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            uploads: UploadRules {
                max_size: config.uploads.max_size.unsigned_abs(),
                types: config.uploads.allowed_types.clone(),
            },
            password: PasswordRules {
                min_length: NewPassword::MIN_LENGTH,
                max_length: NewPassword::MAX_LENGTH,
            },
            signup: true,
            methods: vec![Method::Password],
            providers: Vec::new(),
            locales: vec!["en"],
        }
    }
}

/// What this installation allows
///
/// What a page needs to know before anybody has signed in: what can be uploaded, what a password must be like, how to sign in.
#[utoipa::path(tag = "installation", operation_id = "getConfig", security(()),
    params(("If-None-Match" = Option<String>, Header, description = "The ETag that the client has.")),
    responses(
        (status = 200, description = "What is allowed.", body = Installation,
            headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "The client has it."),
    ))]
#[get("/api/v1/config")]
async fn get_config(context: web::Data<Context>, request: HttpRequest) -> HttpResponse {
    context.installation.answer(&request)
}
