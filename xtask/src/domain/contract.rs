//! What generated requests cannot know of generated domains, so that the step `contract` takes 422 for an answer there.

use anyhow::Result;

use super::spec::{Field, Kind, Spec};
use super::survey::Survey;
use super::view::route;
use crate::workspace::Workspace;

/// Tables for Schemathesis, one for each domain, with the operations whose requests can fit their schema and still be refused.
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
    // A cursor is signed, so one that is made up is refused, and so is one together with an offset.
    let mut operations = vec![format!("GET {route}")];
    if spec.fields.iter().any(is_beyond_a_schema) {
        operations.push(format!("POST {route}"));
        operations.push(format!("PATCH {route}/{{{}_id}}", spec.name));
    }
    format!(
        "\n[[operations]]\ninclude-name = {operations:?}\nchecks.positive_data_acceptance.expected-statuses = [\"2xx\", \"3xx\", \"400\", \"401\", \"403\", \"404\", \"409\", \"410\", \"412\", \"422\", \"429\"]\n"
    )
}

/// An id has to be there and visible, the texts in an object have no control characters, and a string schema has no bounds for
/// the number in it.
fn is_beyond_a_schema(field: &Field) -> bool {
    match field.kind {
        Kind::Ref(_) => !field.owner,
        Kind::Upload | Kind::Json => true,
        Kind::Decimal { .. } => field.range.min.is_some() || field.range.max.is_some(),
        _ => false,
    }
}
