//! Operations of generated domains for which the step `contract` accepts 422, because generated requests can't satisfy all rules.

use anyhow::Result;

use super::spec::{Field, Kind, Spec};
use super::survey::Survey;
use super::view::route;
use crate::workspace::Workspace;

/// Tables for Schemathesis, one for each domain, with the operations whose requests can match their schema and still be rejected.
///
/// # Errors
///
/// A `domain.toml` cannot be read.
pub(crate) fn exceptions(workspace: &Workspace) -> Result<String> {
    let survey = Survey::of(&workspace.root)?;
    Ok(survey.specs().values().map(table).collect())
}

fn table(spec: &Spec) -> String {
    let route = route(spec);
    // A cursor is signed, so a generated one is rejected, and so is a cursor together with an offset.
    let mut operations = vec![format!("GET {route}")];
    if spec.fields.iter().any(is_beyond_a_schema) {
        operations.push(format!("POST {route}"));
        operations.push(format!("PATCH {route}/{{{}_id}}", spec.name));
    }
    format!(
        "\n[[operations]]\ninclude-name = {operations:?}\nchecks.positive_data_acceptance.expected-statuses = [\"2xx\", \"3xx\", \"400\", \"401\", \"403\", \"404\", \"409\", \"410\", \"412\", \"422\", \"429\"]\n"
    )
}

/// Ids must refer to visible rows, texts in an object must not have control characters, and the schema of a decimal string does not
/// express the bounds of its number.
fn is_beyond_a_schema(field: &Field) -> bool {
    match field.kind {
        Kind::Ref(_) => !field.owner,
        Kind::Upload | Kind::Json => true,
        Kind::Decimal { .. } => field.range.min.is_some() || field.range.max.is_some(),
        _ => false,
    }
}
