//! Configured bounds of uploads in the OpenAPI document.

use app_config::Config;
use app_kit::console::CommandError;
use serde_json::Value;
use upload::settings::UploadSettings;
use utoipa::openapi::schema::{Object, Schema};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr};

/// A field with configured bounds.
struct Bounded {
    schema: &'static str,
    field: &'static str,
    /// Writes the bounds.
    bound: fn(&UploadSettings, &mut Object),
    /// The example, or another one within the bounds.
    example: fn(&UploadSettings, &Value) -> Value,
}

const BOUNDED: [Bounded; 2] = [
    Bounded {
        schema: "CreateUpload",
        field: "content_type",
        bound: |rules, field| {
            let types: Vec<Value> = rules.allowed_types.iter().map(|name| name.as_str().into()).collect();
            // An empty `enum` is not a valid schema.
            field.enum_values = (!types.is_empty()).then_some(types);
            // The enumeration makes other rules superfluous.
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

/// Writes the configured bounds into the document.
pub(super) fn write(config: &Config, document: &mut OpenApi) -> Result<(), CommandError> {
    let rules = config.section::<UploadSettings>()?;
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
    Ok(())
}

/// Request bodies of this schema.
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
