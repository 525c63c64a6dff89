//! Rules of fields in the OpenAPI document: the schema of a field's type is written into each field of that type, so that readers
//! find the rule at the field and generated clients have no type for each pair of bounds.

use std::collections::BTreeMap;

use shared_kernel::field::INLINE;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, Object, OneOf, Schema, SchemaType, Type};
use utoipa::openapi::{Content, OpenApi, RefOr};

use crate::contract::operations_mut;

/// The schemas that are written into fields, by where they are referred to.
type Types = BTreeMap<String, Object>;

/// Writes the schemas that are marked with [`INLINE`] where they are referred to, and drops them from the components.
pub(crate) fn write_in_place(document: &mut OpenApi) {
    let Some(components) = &mut document.components else { return };
    let mut types = Types::new();
    components.schemas.retain(|name, schema| match schema {
        RefOr::T(Schema::Object(object)) if is_marked(object) => {
            let mut object = object.clone();
            object.extensions = None;
            types.insert(format!("#/components/schemas/{name}"), object);
            false
        }
        _ => true,
    });
    components.schemas.values_mut().for_each(|schema| write(schema, &types));
    for item in document.paths.paths.values_mut() {
        operations_mut(item).for_each(|(_, operation)| write_in_operation(operation, &types));
    }
}

fn is_marked(object: &Object) -> bool {
    object.extensions.as_ref().is_some_and(|extensions| extensions.contains_key(INLINE))
}

fn write_in_operation(operation: &mut Operation, types: &Types) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && let Some(schema) = &mut parameter.schema
        {
            write(schema, types);
            // "Try it out" pages fill in parameters that have an example, and hardly anybody wants all of them at once.
            if let RefOr::T(Schema::Object(object)) = schema
                && parameter.parameter_in == ParameterIn::Query
            {
                object.examples.clear();
            }
        }
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        write_in_content(body.content.values_mut(), types);
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            write_in_content(response.content.values_mut(), types);
        }
    }
}

fn write_in_content<'c>(content: impl Iterator<Item = &'c mut RefOr<Content>>, types: &Types) {
    for content in content {
        if let RefOr::T(content) = content
            && let Some(schema) = &mut content.schema
        {
            write(schema, types);
        }
    }
}

fn write(schema: &mut RefOr<Schema>, types: &Types) {
    match schema {
        RefOr::Ref(reference) => {
            if let Some(object) = types.get(&reference.ref_location) {
                let mut object = object.clone();
                if !reference.description.is_empty() {
                    object.description = Some(reference.description.clone());
                }
                object.default = reference.default.clone().or(object.default);
                *schema = object.into();
            }
        }
        RefOr::T(Schema::Object(object)) => {
            object.extensions =
                object.extensions.take().filter(|extensions| !extensions.contains_key(INLINE));
            object.properties.values_mut().for_each(|property| write(property, types));
            if let Some(AdditionalProperties::RefOr(other)) = object.additional_properties.as_deref_mut() {
                write(other, types);
            }
        }
        RefOr::T(Schema::Array(array)) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                write(items, types);
            }
        }
        RefOr::T(Schema::OneOf(one_of)) => {
            one_of.items.iter_mut().for_each(|item| write(item, types));
            if let Some(nullable) = nullable(one_of) {
                *schema = nullable.into();
            }
        }
        RefOr::T(Schema::AllOf(all_of)) => all_of.items.iter_mut().for_each(|item| write(item, types)),
        RefOr::T(Schema::AnyOf(any_of)) => any_of.items.iter_mut().for_each(|item| write(item, types)),
        RefOr::T(_) => {}
    }
}

/// A string or a number, or `null`: one schema of two types.
fn nullable(one_of: &OneOf) -> Option<Object> {
    let scalar = |item: &RefOr<Schema>| match item {
        RefOr::T(Schema::Object(Object { schema_type: SchemaType::Type(of), .. })) => Some(of.clone()),
        _ => None,
    };
    let [first, second] = one_of.items.as_slice() else { return None };
    let (value, of) = match (scalar(first)?, scalar(second)?) {
        (Type::Null, of) => (second, of),
        (of, Type::Null) => (first, of),
        _ => return None,
    };
    let (RefOr::T(Schema::Object(object)), Type::String | Type::Integer | Type::Number) = (value, &of) else {
        return None;
    };
    let mut object = object.clone();
    object.schema_type = SchemaType::Array(vec![of, Type::Null]);
    object.description = one_of.description.clone().or(object.description);
    object.default = one_of.default.clone().or(object.default);
    Some(object)
}
