//! What pages need to know of this installation before anybody has signed in. The same rules stand in the OpenAPI document as
//! the bounds of the fields that they are about. Each domain has its own [`Members`].

use actix_web::{HttpRequest, HttpResponse, get, web};
use http_kit::asset::Asset;
use http_kit::routes::Routes;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{Components, OpenApi, RefOr};

use crate::config::Config;
use crate::console::CommandError;
use crate::members::Members;
use crate::routers::MODULES;

/// The tag of these routes.
pub const TAG: &str = "installation";

/// How long a page may go without asking again. A new configuration needs a restart, so it is seldom another.
const CACHE_CONTROL: &str = "public, max-age=300";

/// Registers the route.
pub fn configure(routes: &mut Routes<'_, '_>) {
    routes.handle(get_config);
}

// Modules add their members.
/// What this installation allows.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Installation)]
struct OwnMembers {
    /// The languages that mails and pages are written in (BCP 47).
    #[schema(examples("en"))]
    locales: Vec<&'static str>,
}

/// What this installation allows, as the members of all modules.
#[derive(Clone)]
pub(crate) struct Installation(Members);

impl Installation {
    /// What `config` allows.
    pub(crate) fn new(config: &Config) -> Result<Self, CommandError> {
        let mut all = Members::default();
        for module in MODULES {
            all.add((module.installation)(config)?);
        }
        all.add(Members::of(&OwnMembers { locales: vec!["en"] })?);
        Ok(Self(all))
    }

    /// The document as it is sent.
    pub(crate) fn asset(&self) -> Result<InstallationAsset, CommandError> {
        let text = serde_json::to_string(&self.0.values)?;
        Ok(InstallationAsset(Asset::new("application/json", CACHE_CONTROL, text.into())))
    }

    /// Adds the members of the modules to the schema.
    pub(crate) fn describe(self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_with(Components::default);
        components.schemas.extend(self.0.components);
        if let Some(RefOr::T(Schema::Object(schema))) = components.schemas.get_mut("Installation") {
            schema.properties = self.0.schema.properties;
            schema.required = self.0.schema.required;
        }
    }
}

/// What this installation allows, as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct InstallationAsset(Asset);

/// What this installation allows
///
/// What a page needs to know before anybody has signed in: what a password must be like, how to sign in, and what else domains tell.
#[utoipa::path(tag = "installation", operation_id = "getConfig", security(()),
    params(("If-None-Match" = Option<String>, Header, description = "The ETag that the client has.")),
    responses(
        (status = 200, description = "What is allowed.", body = OwnMembers,
            headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "The client has it."),
    ))]
#[get("/api/v1/config")]
async fn get_config(installation: web::Data<InstallationAsset>, request: HttpRequest) -> HttpResponse {
    installation.0.answer(&request)
}
