//! The OpenAPI document: collected from the routers, and completed with what holds for every operation, so that no router
//! has to say it.

use actix_web::App;
use actix_web::http::Method;
use shared_kernel::principal::Scope;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};
use utoipa::openapi::security::{Flow, Http, HttpAuthScheme, OAuth2, Password, Scopes, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder, SecurityRequirement, Server, Tag,
};
use utoipa::{OpenApi as _, ToSchema as _};
use utoipa_actix_web::AppExt as _;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::contract::{self, Access, Contract, Credential, RouteMatch, Rule, operations_mut};
use crate::media;
use crate::problem::{CONTENT_TYPE, ProblemDocument};

/// The name of the scheme for access tokens.
const BEARER: &str = "bearer";
/// The name of the scheme behind the Authorize button of `/docs`.
const OAUTH2: &str = "oauth2";

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(ProblemDocument)))]
struct Base;

/// What a document says of the API as a whole.
#[derive(Debug)]
pub struct Description {
    /// The name of the API.
    pub title: String,
    /// What a client has to know before the first request, in Markdown.
    pub text: &'static str,
    /// The version of the API.
    pub version: &'static str,
    /// The URL that paths are put behind, without a slash at its end.
    pub server: String,
    /// The tags, each with its description.
    pub tags: Vec<(&'static str, &'static str)>,
    /// The path of the OAuth 2.0 token endpoint.
    pub token_url: &'static str,
}

/// The whole document of these routes.
#[must_use]
pub fn document(description: Description, routes: fn(&mut ServiceConfig<'_>)) -> OpenApi {
    let mut base = Base::openapi();
    base.info.title = description.title;
    base.info.description = Some(description.text.to_owned());
    description.version.clone_into(&mut base.info.version);
    base.servers = Some(vec![Server::new(description.server)]);
    base.security = Some(vec![requirement(BEARER), requirement(OAUTH2)]);
    base.tags = Some(description.tags.iter().map(|(name, text)| described(name, text)).collect());
    let (_, mut document) = App::new().into_utoipa_app().openapi(base).configure(routes).split_for_parts();
    if let Some(components) = &mut document.components {
        components.add_security_scheme(BEARER, bearer());
        components.add_security_scheme(OAUTH2, oauth2(description.token_url));
        components.responses.extend(shared_responses());
    }
    complete(&mut document);
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
    let scopes =
        Scopes::from_iter([(Scope::ADMIN.as_str(), "The admin routes, if the account is an admin's.")]);
    let flow = Flow::Password(Password::new(token_url, scopes));
    SecurityScheme::OAuth2(OAuth2::with_description([flow], "Sign in with e-mail address and password."))
}

/// The answers that many operations share: (name, status, description).
const SHARED: &[(&str, &str, &str)] = &[
    ("Malformed", "400", "The body or the query string cannot be read."),
    ("Unauthenticated", "401", "No access token, or one that is worth nothing."),
    ("Forbidden", "403", "Signed in, but this is not allowed."),
    ("NotFound", "404", "There is no such thing, or not for this user."),
    ("RequestTimeout", "408", "The body did not arrive in time."),
    ("Conflict", "409", "It contradicts what is there."),
    ("Gone", "410", "It was there, and is no longer."),
    ("PreconditionFailed", "412", "The resource was changed since it was read."),
    ("TooLarge", "413", "The body is too large."),
    ("UriTooLong", "414", "The URL is too long."),
    ("UnsupportedMediaType", "415", "The body is of a type that is not read here."),
    ("Invalid", "422", "A field or a parameter breaks a rule."),
    ("Internal", "500", "Our own fault; the log has the cause under the request id."),
    ("Unavailable", "503", "Something that the answer needs is away or busy."),
];

fn shared_responses() -> impl Iterator<Item = (String, RefOr<Response>)> {
    SHARED.iter().map(|(name, _, description)| {
        let schema = Ref::from_schema_name(ProblemDocument::name());
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response =
            ResponseBuilder::new().description(*description).content(CONTENT_TYPE, content).build();
        ((*name).to_owned(), response.into())
    })
}

/// Adds the errors that follow from what an operation is: it takes a body, it has an id in its path, it needs a sign-in.
fn complete(document: &mut OpenApi) {
    let Ok(contract) = Contract::new(document, &[]) else { return };
    for (path, item) in &mut document.paths.paths {
        for (name, operation) in operations_mut(item) {
            let Ok(method) = Method::from_bytes(name.as_bytes()) else { continue };
            take_null_out_of(operation);
            name_json(operation, &method);
            let RouteMatch::Operation(rule) = contract.find(&method, path) else { continue };
            for status in errors_of(path, operation, rule) {
                add_error(operation, status);
            }
        }
    }
}

/// A parameter or a body is there or not, but never `null`: a header or a query string has no way to say it, and clients that are
/// made of the document leave a body out. For utoipa an `Option` is both.
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

/// The same without `null`.
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

/// Names every type in which a body of JSON is read.
fn name_json(operation: &mut Operation, method: &Method) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    let Some(json) = body.content.get(media::JSON).cloned() else { return };
    for name in media::json(method) {
        body.content.entry((*name).to_owned()).or_insert_with(|| json.clone());
    }
}

fn errors_of(path: &str, operation: &Operation, rule: &Rule) -> Vec<&'static str> {
    let mut errors = vec!["414"];
    if path.starts_with("/api/") {
        errors.extend(["400", "422", "500", "503"]);
    }
    if rule.access != Access::Public {
        errors.push("401");
    }
    // What looks at the session cookie refuses it from a foreign page.
    if rule.access.is_restricted() || rule.credentials.contains(&Credential::Cookie) {
        errors.push("403");
    }
    if path.contains('{') {
        errors.push("404");
    }
    if operation.request_body.is_some() {
        errors.extend(["408", "413", "415"]);
    }
    let takes_if_match = |name: &str| name.eq_ignore_ascii_case("if-match");
    let mut headers = contract::parameters(operation, &ParameterIn::Header);
    if headers.any(|parameter| takes_if_match(&parameter.name)) {
        errors.push("412");
    }
    errors
}

fn add_error(operation: &mut Operation, status: &str) {
    let Some((name, _, _)) = SHARED.iter().find(|(_, of, _)| *of == status) else { return };
    operation
        .responses
        .responses
        .entry(status.to_owned())
        .or_insert_with(|| RefOr::Ref(Ref::from_response_name(*name)));
}
