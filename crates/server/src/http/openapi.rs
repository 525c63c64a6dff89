//! The OpenAPI document: collected from the routers, and completed with what holds for every operation, so that no router
//! has to say it, and with what the configuration says of this installation.

use actix_web::App;
use actix_web::http::Method;
use serde_json::Value;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};
use utoipa::openapi::security::{Flow, Http, HttpAuthScheme, OAuth2, Password, Scopes, SecurityScheme};
use utoipa::openapi::{
    Content, ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder, SecurityRequirement, Server, Tag,
};
use utoipa::{OpenApi as _, ToSchema as _};
use utoipa_actix_web::AppExt as _;

use super::contract::{self, ADMIN, Access, Contract, Credential, Found, Rule};
use super::media;
use super::problem::{CONTENT_TYPE, ProblemDocument};
use crate::config::{self, Config, without_slash};
use crate::routers;

/// The name of the scheme for access tokens.
const BEARER: &str = "bearer";
/// The name of the scheme behind the Authorize button of `/docs`.
const OAUTH2: &str = "oauth2";

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(ProblemDocument)))]
struct Base;

/// The whole document, for an installation of this configuration.
#[must_use]
pub fn document(config: &Config) -> OpenApi {
    let mut base = Base::openapi();
    base.info.title = format!("{} API", config.project_name);
    base.info.description = Some(DESCRIPTION.to_owned());
    env!("CARGO_PKG_VERSION").clone_into(&mut base.info.version);
    // As a whole URL: clients put it and the path together as they are.
    base.servers = Some(vec![Server::new(without_slash(&config.server.public_url))]);
    base.security = Some(vec![requirement(BEARER), requirement(OAUTH2)]);
    base.tags = Some(routers::tags().iter().map(|(name, text)| described(name, text)).collect());
    let (_, mut document) =
        App::new().into_utoipa_app().openapi(base).configure(routers::configure).split_for_parts();
    if let Some(components) = &mut document.components {
        components.add_security_scheme(BEARER, bearer());
        components.add_security_scheme(OAUTH2, oauth2());
        components.responses.extend(shared_responses());
    }
    super::inline::write_in_place(&mut document);
    complete(&mut document);
    limit(&mut document, &config.uploads);
    document
}

/// A field of a body whose bounds are the operator's.
struct Bounded {
    schema: &'static str,
    field: &'static str,
    /// Writes the bounds.
    bound: fn(&config::Uploads, &mut Object),
    /// The example, or one within the bounds in its place.
    example: fn(&config::Uploads, &Value) -> Value,
}

const BOUNDED: [Bounded; 2] = [
    Bounded {
        schema: "CreateUpload",
        field: "content_type",
        bound: |rules, field| {
            let types: Vec<Value> = rules.allowed_types.iter().map(|name| name.as_str().into()).collect();
            // An empty `enum` is no schema.
            field.enum_values = (!types.is_empty()).then_some(types);
            (field.min_length, field.max_length) = (None, None);
        },
        example: |rules, example| {
            let is_taken = |name: &str| rules.allowed_types.iter().any(|taken| taken == name);
            if example.as_str().is_some_and(is_taken) {
                return example.clone();
            }
            rules.allowed_types.first().map_or(Value::Null, |name| name.as_str().into())
        },
    },
    Bounded {
        schema: "CreateUpload",
        field: "size",
        bound: |rules, field| field.maximum = Some(rules.max_size.into()),
        example: |rules, example| example.as_u64().unwrap_or(1).min(rules.max_size).into(),
    },
];

/// Writes the operator's bounds into the document.
fn limit(document: &mut OpenApi, rules: &config::Uploads) {
    for bounded in BOUNDED {
        let schemas = document.components.as_mut().map(|components| &mut components.schemas);
        if let Some(RefOr::T(Schema::Object(schema))) =
            schemas.and_then(|schemas| schemas.get_mut(bounded.schema))
            && let Some(RefOr::T(Schema::Object(field))) = schema.properties.get_mut(bounded.field)
        {
            (bounded.bound)(rules, field);
            field.examples.iter_mut().for_each(|example| *example = (bounded.example)(rules, example));
        }
        for content in bodies(document, bounded.schema) {
            let example = content.example.as_mut().and_then(|example| example.get_mut(bounded.field));
            if let Some(example) = example {
                *example = (bounded.example)(rules, example);
            }
        }
    }
}

/// The request bodies that are of this schema.
fn bodies<'d>(document: &'d mut OpenApi, schema: &str) -> impl Iterator<Item = &'d mut Content> {
    let schema = Some(RefOr::Ref(Ref::from_schema_name(schema)));
    let operations = document.paths.paths.values_mut().filter_map(|item| item.post.as_mut());
    let bodies = operations.filter_map(|operation| match &mut operation.request_body {
        Some(RefOr::T(body)) => Some(body),
        Some(RefOr::Ref(_)) | None => None,
    });
    bodies.flat_map(|body| body.content.values_mut()).filter_map(move |content| match content {
        RefOr::T(content) if content.schema == schema => Some(content),
        RefOr::T(_) | RefOr::Ref(_) => None,
    })
}

const DESCRIPTION: &str = "\
Sign up or log in at `/api/v1/auth`, then send the access token as `Authorization: Bearer …`.

- Ids are opaque strings with a prefix. Times are RFC 3339 in UTC.
- Unknown body fields and unknown query parameters are refused.
- `PATCH` is a JSON merge patch (RFC 7396): absent keeps, `null` clears. It may be called `application/json` or \
`application/merge-patch+json`.
- Lists come in pages: follow `next_cursor`, or the `Link` header.
- An answer takes 5 seconds at most, or as long as the operation's `x-deadline-seconds` says; what takes longer is a 503 with \
`Retry-After`. The time in which you send the body does not count.
- Every error is `application/problem+json` (RFC 9457) with a stable `code`; the page behind `type` says what it means.
- Single resources have an `ETag`: send it as `If-None-Match` to save a transfer, as `If-Match` to avoid overwriting what \
somebody else changed meanwhile.";

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

fn oauth2() -> SecurityScheme {
    let scopes = Scopes::from_iter([(ADMIN, "The admin routes, if the account is an admin's.")]);
    let flow = Flow::Password(Password::new("/api/v1/auth/token", scopes));
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
        let methods = [
            (Method::DELETE, &mut item.delete),
            (Method::GET, &mut item.get),
            (Method::PATCH, &mut item.patch),
            (Method::POST, &mut item.post),
            (Method::PUT, &mut item.put),
        ];
        for (method, operation) in methods {
            let Some(operation) = operation else { continue };
            take_null_out_of(operation);
            name_json(operation, &method);
            let Found::Rule(rule) = contract.find(&method, path) else { continue };
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
    if rule.access == Access::Admin || rule.credentials.contains(&Credential::Cookie) {
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
