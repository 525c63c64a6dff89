//! JSON objects with arbitrary fields.

use std::fmt;

use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr};
use sea_orm::{ActiveValue, ColIdx, DbErr, QueryResult, TryGetError, TryGetable, Value};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value as Json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::decimal::plain_zero;
use crate::error::Invalid;
use crate::patch::{Patch, set_if_some};

/// A JSON object with any fields: settings, metadata.
///
/// In the database it is JSON, in a column of `ColumnDef::json_binary()`. PostgreSQL preserves neither the order of the fields
/// nor the notation of numbers (`1.0e2` becomes `100`). Negative zero becomes zero, as it does there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct JsonObject(Map<String, Json>);

impl JsonObject {
    /// Its fields.
    #[must_use]
    pub fn fields(&self) -> &Map<String, Json> {
        &self.0
    }

    /// Its fields.
    #[must_use]
    pub fn into_fields(self) -> Map<String, Json> {
        self.0
    }

    /// Maximum size as JSON, in bytes: that of a body. Patches add fields, so without a limit it could grow
    /// for ever.
    pub const MAX_BYTES: usize = 1_048_576;

    /// This object, [merged](Self::merge) with `patch`.
    ///
    /// # Errors
    ///
    /// `too_long` for the field at `pointer`, if the result is larger than [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn patched(mut self, patch: Self, pointer: &str) -> Result<Self, Invalid> {
        self.merge(patch);
        let length = serde_json::to_vec(&self).map_or(usize::MAX, |json| json.len());
        if length > Self::MAX_BYTES {
            let message = format!("would have {length} bytes with this, and may have {}", Self::MAX_BYTES);
            return Err(Invalid::field(pointer, "too_long", message));
        }
        Ok(self)
    }

    /// The new value of a column with this object after a `PATCH`: [merged](Self::patched) with `patch`; not set without one.
    ///
    /// # Errors
    ///
    /// As [`patched`](Self::patched).
    pub fn merged(self, patch: Option<Self>, pointer: &str) -> Result<ActiveValue<Self>, Invalid> {
        Ok(set_if_some(patch.map(|patch| self.patched(patch, pointer)).transpose()?))
    }

    /// [`merged`](Self::merged) for a nullable column: `null` clears it.
    ///
    /// # Errors
    ///
    /// As [`patched`](Self::patched).
    pub fn merged_or_cleared(
        current: Option<Self>,
        patch: Patch<Self>,
        pointer: &str,
    ) -> Result<ActiveValue<Option<Self>>, Invalid> {
        let patch = match patch {
            Patch::Set(patch) => Patch::Set(current.unwrap_or_default().patched(patch, pointer)?),
            other => other,
        };
        Ok(patch.into_active())
    }

    /// Applies a merge patch (RFC 7396, section 2): `null` removes a field, an object is merged into the current value,
    /// anything else replaces it.
    pub fn merge(&mut self, patch: Self) {
        // One entry for each object that is still to be merged: no recursion, so depth cannot overflow the stack.
        let mut open = vec![(&mut self.0, patch.0)];
        while let Some((target, patch)) = open.pop() {
            let mut objects = Map::new();
            for (name, value) in patch {
                match value {
                    Json::Null => drop(target.remove(&name)),
                    Json::Object(_) => drop(objects.insert(name, value)),
                    _ => drop(target.insert(name, value)),
                }
            }
            for name in objects.keys() {
                if !target.get(name).is_some_and(Json::is_object) {
                    target.insert(name.clone(), Json::Object(Map::new()));
                }
            }
            open.extend(target.iter_mut().filter_map(|(name, value)| match (value, objects.remove(name)) {
                (Json::Object(target), Some(Json::Object(patch))) => Some((target, patch)),
                _ => None,
            }));
        }
    }
}

impl From<Map<String, Json>> for JsonObject {
    fn from(fields: Map<String, Json>) -> Self {
        Self(fields)
    }
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnyFields)
    }
}

/// As `serde_json`'s own, which calls an object "a map" and takes a unit for an empty one.
struct AnyFields;

impl<'de> Visitor<'de> for AnyFields {
    type Value = JsonObject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<JsonObject, A::Error> {
        let mut fields = Map::deserialize(MapAccessDeserializer::new(fields))?;
        fields.values_mut().for_each(take_sign_of_zeros);
        Ok(JsonObject(fields))
    }
}

/// As deep as the value was read, which has an end.
fn take_sign_of_zeros(value: &mut Json) {
    match value {
        Json::Number(number) => {
            let plain = number.as_f64().filter(|number| *number == 0.0 && number.is_sign_negative());
            if let Some(zero) = plain.and_then(|zero| Number::from_f64(plain_zero(zero))) {
                *number = zero;
            }
        }
        Json::Array(items) => items.iter_mut().for_each(take_sign_of_zeros),
        Json::Object(fields) => fields.values_mut().for_each(take_sign_of_zeros),
        Json::Null | Json::Bool(_) | Json::String(_) => {}
    }
}

impl PartialSchema for JsonObject {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("An object with any fields."))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .into()
    }
}

// Not `Object`: in a field whose type is written so, utoipa takes the word for one of its own and never asks. Its own says only
// `type: object`, of which typed clients make an object that may have no field.
impl ToSchema for JsonObject {
    fn name() -> std::borrow::Cow<'static, str> {
        "JsonObject".into()
    }
}

impl From<JsonObject> for Value {
    fn from(JsonObject(fields): JsonObject) -> Self {
        Self::Json(Some(Box::new(Json::Object(fields))))
    }
}

impl TryGetable for JsonObject {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        match Json::try_get_by(row, index)? {
            Json::Object(fields) => Ok(Self(fields)),
            _ => Err(TryGetError::DbErr(DbErr::Type("the column holds JSON that is no object".to_owned()))),
        }
    }
}

impl ValueType for JsonObject {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        match <Json as ValueType>::try_from(value)? {
            Json::Object(fields) => Ok(Self(fields)),
            _ => Err(ValueTypeErr),
        }
    }

    fn type_name() -> String {
        "Object".to_owned()
    }

    fn array_type() -> ArrayType {
        ArrayType::Json
    }

    fn column_type() -> ColumnType {
        ColumnType::JsonBinary
    }
}

impl Nullable for JsonObject {
    fn null() -> Value {
        Value::Json(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(value: Json) -> JsonObject {
        serde_json::from_value(value).unwrap()
    }

    /// A typed client makes an object without fields of one that says nothing about them.
    #[test]
    fn as_a_field_it_is_said_to_have_any_fields() {
        #[derive(ToSchema)]
        #[expect(dead_code, reason = "only its shape is used")]
        struct Settings {
            data: JsonObject,
            more: Option<JsonObject>,
        }
        let json = |schema: RefOr<Schema>| serde_json::to_value(schema).unwrap();
        let fields = &json(Settings::schema())["properties"];
        let reference = json!({"$ref": "#/components/schemas/JsonObject"});
        assert_eq!(fields["data"], reference);
        assert_eq!(fields["more"]["oneOf"], json!([reference, {"type": "null"}]));
        assert_eq!(json(JsonObject::schema())["additionalProperties"], true);
    }

    #[test]
    fn a_patched_object_has_a_largest_size() {
        let text = |letter: &str, count: usize| json!(letter.repeat(count));
        let half = object(json!({"a": text("a", JsonObject::MAX_BYTES / 2)}));
        let fits = half.clone().patched(object(json!({"b": text("b", 1_000)})), "/data").unwrap();
        assert_eq!(fits.fields().len(), 2);
        let Err(Invalid(fields)) =
            half.patched(object(json!({"b": text("b", JsonObject::MAX_BYTES / 2)})), "/data")
        else {
            panic!("it fits")
        };
        assert_eq!((&*fields[0].pointer, &*fields[0].code), ("/data", "too_long"));
    }

    #[test]
    fn zero_has_no_sign() {
        let read = object(serde_json::from_str(r#"{"a":-0.0,"b":[-0,{"c":-0e5}],"d":-1.0,"e":0}"#).unwrap());
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"{"a":0.0,"b":[0.0,{"c":0.0}],"d":-1.0,"e":0}"#);
    }

    fn merged(target: Json, patch: Json) -> Json {
        let mut target = object(target);
        target.merge(object(patch));
        Json::Object(target.into_fields())
    }

    /// RFC 7396, appendix A, without those whose target or patch is no object; and the one of section 3.
    #[test]
    fn the_examples_of_the_rfc_hold() {
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
            (
                json!({
                    "title": "Goodbye!",
                    "author": {"givenName": "John", "familyName": "Doe"},
                    "tags": ["example", "sample"],
                    "content": "This will be unchanged"
                }),
                json!({
                    "title": "Hello!",
                    "phoneNumber": "+01-123-456-7890",
                    "author": {"familyName": null},
                    "tags": ["example"]
                }),
                json!({
                    "title": "Hello!",
                    "author": {"givenName": "John"},
                    "tags": ["example"],
                    "content": "This will be unchanged",
                    "phoneNumber": "+01-123-456-7890"
                }),
            ),
        ] {
            assert_eq!(merged(target.clone(), patch.clone()), result, "{target} {patch}");
        }
    }

    #[test]
    fn a_value_gives_way_to_an_object_and_an_array_is_not_looked_into() {
        assert_eq!(merged(json!({"a": 1}), json!({"a": {"b": null, "c": 2}})), json!({"a": {"c": 2}}));
        assert_eq!(merged(json!({"a": null}), json!({"a": {"b": 1}})), json!({"a": {"b": 1}}));
        assert_eq!(
            merged(json!({"a": [1]}), json!({"a": [null, {"b": null}]})),
            json!({"a": [null, {"b": null}]})
        );
        assert_eq!(
            merged(json!({"a": {"b": 1}, "c": {"d": 2}, "e": 3}), json!({"a": {"x": 1}, "c": {"d": null}})),
            json!({"a": {"b": 1, "x": 1}, "c": {}, "e": 3})
        );
    }

    #[test]
    fn however_deep_it_is_the_stack_does_not_grow() {
        let deep = |leaf: Json| (0..100).fold(leaf, |inner, _| json!({"a": inner}));
        assert_eq!(merged(deep(json!(1)), deep(json!({"b": null}))), deep(json!({})));
        // Far deeper than can be read, and taken apart by hand: dropping it would need that stack.
        let mut patch = Map::new();
        for _ in 0..200_000 {
            patch = Map::from_iter([("a".to_owned(), Json::Object(patch))]);
        }
        let mut target = JsonObject::default();
        target.merge(JsonObject(patch));
        let (mut levels, mut fields) = (0, target.into_fields());
        while let Some(Json::Object(inner)) = fields.remove("a") {
            (levels, fields) = (levels + 1, inner);
        }
        assert_eq!(levels, 200_000);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for value in [json!(null), json!(1), json!("a"), json!([]), json!([["a", 1]]), json!(true)] {
            for error in [
                serde_json::from_value::<JsonObject>(value.clone()).unwrap_err(),
                serde_json::from_str::<JsonObject>(&value.to_string()).unwrap_err(),
            ] {
                let error = error.to_string();
                assert!(error.starts_with("invalid type") && error.contains("a JSON object"), "{error}");
            }
            assert!(<JsonObject as ValueType>::try_from(Value::Json(Some(Box::new(value)))).is_err());
        }
        let fields = object(json!({"b": [1, {"c": null}], "a": 0.1}));
        assert_eq!(<JsonObject as ValueType>::try_from(Value::from(fields.clone())).unwrap(), fields);
        assert_eq!(serde_json::to_string(&fields).unwrap(), r#"{"a":0.1,"b":[1,{"c":null}]}"#);
    }

    /// As the RFC has it, word for word.
    fn merge_patch(target: Option<Json>, patch: Json) -> Json {
        let Json::Object(patch) = patch else { return patch };
        let mut target = match target {
            Some(Json::Object(fields)) => fields,
            _ => Map::new(),
        };
        for (name, value) in patch {
            if value.is_null() {
                target.remove(&name);
            } else {
                let old = target.get(&name).cloned();
                target.insert(name, merge_patch(old, value));
            }
        }
        Json::Object(target)
    }

    fn any_object() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![Just(Json::Null), (0..3).prop_map(Json::from), Just(json!([null]))];
        let name = || prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("c".to_owned())];
        let fields = move |inner| {
            let fields = proptest::collection::vec((name(), inner), 0..4);
            fields.prop_map(|fields| Json::Object(fields.into_iter().collect()))
        };
        fields(leaf.prop_recursive(4, 32, 4, fields).boxed())
    }

    proptest! {
        #[test]
        fn it_does_what_the_rfc_says(target in any_object(), patch in any_object()) {
            let expected = merge_patch(Some(target.clone()), patch.clone());
            prop_assert_eq!(merged(target, patch), expected);
        }
    }
}
