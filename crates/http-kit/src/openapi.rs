//! The OpenAPI document: collected from the routers, and completed with what holds for every operation, so that routers need not
//! repeat it.

use actix_web::App;
use actix_web::http::Method;
use shared_kernel::page::Limit;
use shared_kernel::principal::Scope;
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};
use utoipa::openapi::security::{Flow, Http, HttpAuthScheme, OAuth2, Password, Scopes, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr, SecurityRequirement, Server, Tag};
use utoipa_actix_web::AppExt as _;
use utoipa_actix_web::service_config::ServiceConfig;

pub use crate::answers::Problems;
use crate::answers::{self, Answers};
use crate::contract::{Contract, RouteMatch, operations_mut};
use crate::describe;
use crate::inline;
use crate::media;
use crate::problem::ProblemDocument;

/// The name of the scheme for access tokens.
const BEARER: &str = "bearer";
/// The name of the scheme behind the Authorize button of `/docs`.
const OAUTH2: &str = "oauth2";

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(Limit, ProblemDocument)))]
struct Base;

/// Description of the API as a whole.
#[derive(Debug)]
pub struct Description {
    /// Name of the API.
    pub title: String,
    /// What clients have to know before their first request, in Markdown.
    pub text: &'static str,
    /// Version of the API.
    pub version: &'static str,
    /// URL that paths are appended to, without a trailing slash.
    pub server: String,
    /// Tags with their descriptions.
    pub tags: Vec<(&'static str, &'static str)>,
    /// Path of the OAuth 2.0 token endpoint.
    pub token_url: &'static str,
    /// Problems that operations may answer with.
    pub problems: Problems,
}

/// The whole document of these routes.
#[must_use]
pub fn document(description: Description, routes: impl FnOnce(&mut ServiceConfig<'_>)) -> OpenApi {
    let mut base = Base::openapi();
    base.info.title = description.title;
    base.info.description = Some(description.text.to_owned());
    description.version.clone_into(&mut base.info.version);
    base.servers = Some(vec![Server::new(description.server)]);
    base.security = Some(vec![requirement(BEARER), requirement(OAUTH2)]);
    base.tags = Some(description.tags.iter().map(|(name, text)| described(name, text)).collect());
    let (_, mut document) = App::new().into_utoipa_app().openapi(base).configure(routes).split_for_parts();
    describe::take_schemas(&mut document);
    if let Some(components) = &mut document.components {
        components.add_security_scheme(BEARER, bearer());
        components.add_security_scheme(OAUTH2, oauth2(description.token_url));
        components.schemas.extend([answers::codes(&description.problems.catalogue)]);
        components.headers.extend(answers::headers());
    }
    inline::write_in_place(&mut document);
    complete(&mut document, &description.problems);
    document
}

fn described(name: &str, text: &str) -> Tag {
    let mut tag = Tag::new(name);
    tag.description = Some(text.to_owned());
    tag
}

fn requirement(scheme: &str) -> SecurityRequirement {
    SecurityRequirement::new(scheme, Vec::<String>::new())
}

fn bearer() -> SecurityScheme {
    let mut scheme = Http::new(HttpAuthScheme::Bearer);
    scheme.bearer_format = Some("JWT".to_owned());
    scheme.description = Some("An access token.".to_owned());
    SecurityScheme::Http(scheme)
}

fn oauth2(token_url: &str) -> SecurityScheme {
    let scopes = Scopes::from_iter([(Scope::ADMIN.as_str(), "The admin routes, for accounts of admins.")]);
    let flow = Flow::Password(Password::new(token_url, scopes));
    SecurityScheme::OAuth2(OAuth2::with_description([flow], "Sign-in with e-mail address and password."))
}

/// Adds what holds for every operation, and every error that each can answer with.
fn complete(document: &mut OpenApi, problems: &Problems) {
    let Ok(contract) = Contract::new(document, &[]) else { return };
    let components = document.components.clone().unwrap_or_default();
    let answers = Answers::new(problems, &components);
    for (path, item) in &mut document.paths.paths {
        for (name, operation) in operations_mut(item) {
            let Ok(method) = Method::from_bytes(name.as_bytes()) else { continue };
            take_null_out_of(operation);
            name_json(operation, &method);
            let RouteMatch::Operation(rule) = contract.find(&method, path) else { continue };
            answers.add_to(&method, path, operation, &rule);
        }
    }
}

/// A parameter or a body may be absent, but never `null`: headers and query strings cannot express it, and generated clients leave
/// a body out. utoipa makes every `Option` both.
fn take_null_out_of(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            parameter.schema = parameter.schema.take().map(without_null);
        }
    }
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for content in body.content.values_mut() {
        if let RefOr::T(content) = content {
            content.schema = content.schema.take().map(without_null);
        }
    }
}

/// A schema without `null`.
fn without_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    let is_null = |schema: &RefOr<Schema>| {
        matches!(schema, RefOr::T(Schema::Object(Object { schema_type: SchemaType::Type(Type::Null), .. })))
    };
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            if let SchemaType::Array(types) = &mut object.schema_type {
                types.retain(|one| *one != Type::Null);
                if let [only] = types.as_slice() {
                    object.schema_type = SchemaType::Type(only.clone());
                }
            }
            object.into()
        }
        RefOr::T(Schema::OneOf(mut one_of)) => {
            one_of.items.retain(|one| !is_null(one));
            let only = if one_of.items.len() == 1 { one_of.items.pop() } else { None };
            only.unwrap_or_else(|| Schema::OneOf(one_of).into())
        }
        other => other,
    }
}

/// Lists every media type in which a JSON body is accepted.
fn name_json(operation: &mut Operation, method: &Method) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    let Some(json) = body.content.get(media::JSON).cloned() else { return };
    for name in media::json(method) {
        body.content.entry((*name).to_owned()).or_insert_with(|| json.clone());
    }
}
