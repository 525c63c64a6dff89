//! The OpenAPI document of this product, with what the configuration says of this installation.

use auth::error::AuthError;
use http_kit::openapi::{self, Description, Problems};
use serde_json::Value;
use upload::settings::UploadSettings;
use utoipa::openapi::schema::{Object, Schema};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr};

use crate::config::{Config, without_slash};
use crate::routers;

/// The whole document, for an installation of this configuration.
#[must_use]
pub fn document(config: &Config) -> OpenApi {
    let description = Description {
        title: format!("{} API", config.project_name),
        text: DESCRIPTION,
        version: env!("CARGO_PKG_VERSION"),
        // As a whole URL: clients put it and the path together as they are.
        server: without_slash(&config.server.public_url).to_owned(),
        tags: routers::tags(),
        token_url: routers::auth::TOKEN_URL,
        problems: Problems {
            catalogue: routers::problems().collect(),
            unauthenticated: AuthError::INVALID_TOKEN,
        },
    };
    let mut document = openapi::document(description, routers::configure);
    limit(&mut document, &config.uploads);
    document
}

/// A field of a body whose bounds are the operator's.
struct Bounded {
    schema: &'static str,
    field: &'static str,
    /// Writes the bounds.
    bound: fn(&UploadSettings, &mut Object),
    /// The example, or one within the bounds in its place.
    example: fn(&UploadSettings, &Value) -> Value,
}

const BOUNDED: [Bounded; 2] = [
    Bounded {
        schema: "CreateUpload",
        field: "content_type",
        bound: |rules, field| {
            let types: Vec<Value> = rules.allowed_types.iter().map(|name| name.as_str().into()).collect();
            // An empty `enum` is no schema.
            field.enum_values = (!types.is_empty()).then_some(types);
            // The list says it all.
            (field.min_length, field.max_length, field.pattern) = (None, None, None);
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
        example: |rules, example| example.as_i64().unwrap_or(1).min(rules.max_size).into(),
    },
];

/// Writes the operator's bounds into the document.
fn limit(document: &mut OpenApi, rules: &UploadSettings) {
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
- Every error is `application/problem+json` (RFC 9457) with a stable `code`; the page behind `type` says what it means. Each operation \
lists the codes that it can answer with, with an example of each.
- Single resources have an `ETag`: send it as `If-None-Match` to save a transfer, as `If-Match` to avoid overwriting what \
somebody else changed meanwhile.";
