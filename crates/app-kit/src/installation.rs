//! What clients need to know of this installation before sign-in. The OpenAPI document has the same rules as the bounds of the
//! fields that they apply to. Each domain adds its own [`Members`].

use actix_web::{HttpRequest, HttpResponse, get, web};
use app_config::Config;
use http_kit::asset::Asset;
use http_kit::routes::Routes;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{Components, OpenApi, RefOr};

use crate::console::CommandError;
use crate::members::Members;
use crate::module::Module;

/// The tag of this route, with its description.
pub const TAG: (&str, &str) = ("installation", "Configuration that clients need to know.");

/// Time for which clients may cache the answer. A new configuration needs a restart, so it rarely changes.
const CACHE_CONTROL: &str = "public, max-age=300";

/// Registers the route.
pub fn configure(routes: &mut Routes<'_, '_>) {
    routes.handle(get_config);
}

// Modules add their members.
/// Configuration of this installation, for clients.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Installation)]
struct OwnMembers {
    /// Languages of mails and pages (BCP 47).
    #[schema(examples("en"))]
    locales: Vec<&'static str>,
}

/// Configuration of this installation for clients: the members of all modules.
#[derive(Clone)]
pub(crate) struct Installation(Members);

impl Installation {
    /// Collects the members of all modules for a configuration.
    pub(crate) fn new(config: &Config, modules: &[&Module]) -> Result<Self, CommandError> {
        let mut all = Members::default();
        for module in modules {
            all.add((module.installation)(config)?);
        }
        all.add(Members::of(&OwnMembers { locales: vec!["en"] })?);
        Ok(Self(all))
    }

    /// The JSON document, as it is sent.
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

/// The JSON document of an [`Installation`], as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct InstallationAsset(Asset);

/// Get the configuration for clients
///
/// What a client needs to know before sign-in: limits, requirements for passwords, ways to sign in.
#[utoipa::path(tag = "installation", operation_id = "getConfig", security(()),
    params(("If-None-Match" = Option<String>, Header, description = "ETag of the version that the client has.")),
    responses(
        (status = 200, description = "The configuration for clients.", body = OwnMembers,
            headers(("ETag" = String, description = "Version of the configuration."))),
        (status = 304, description = "The version that the client has is current."),
    ))]
#[get("/api/v1/config")]
async fn get_config(installation: web::Data<InstallationAsset>, request: HttpRequest) -> HttpResponse {
    installation.0.answer(&request)
}
