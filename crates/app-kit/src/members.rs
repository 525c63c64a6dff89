//! Members of a JSON object that several modules contribute to.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, Schema};

use crate::console::CommandError;

/// Members of a JSON object with their schemas.
#[derive(Clone, Default)]
pub struct Members {
    pub(crate) values: Map<String, Value>,
    pub(crate) schema: Object,
    pub(crate) components: Vec<(String, RefOr<Schema>)>,
}

impl Members {
    /// The fields of a struct.
    ///
    /// # Errors
    ///
    /// The value is not a struct, or cannot be serialised: bugs.
    pub fn of<T: Serialize + ToSchema>(fields: &T) -> Result<Self, CommandError> {
        let value = serde_json::to_value(fields)?;
        let (Value::Object(values), RefOr::T(Schema::Object(schema))) = (value, T::schema()) else {
            return Err(CommandError::message(format!("{} has no fields", T::name())));
        };
        let mut components = Vec::new();
        T::schemas(&mut components);
        Ok(Self { values, schema, components })
    }

    pub(crate) fn add(&mut self, others: Self) {
        self.values.extend(others.values);
        self.schema.properties.extend(others.schema.properties);
        self.schema.required.extend(others.schema.required);
        self.components.extend(others.components);
    }
}
