//! A field of a JSON merge patch (RFC 7396): absent is not `null`.

use garde::error::NoKey;
use garde::rules::inner::Inner;
use sea_orm::ActiveValue;
use serde::{Deserialize, Deserializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

/// What a `PATCH` says of a field that may be empty. The field needs `#[serde(default)]`.
///
/// A field that may not be empty is an `Option<T>` with `#[serde(default, deserialize_with = "patch::required")]`:
/// `null` is refused there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Absent: leave it as it is.
    #[default]
    Keep,
    /// `null`: empty it.
    Clear,
    /// Set it to this.
    Set(T),
}

impl<T> Patch<T> {
    /// The same with `f` applied to a value that is to be set.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(f(value)),
        }
    }

    /// What sea-orm writes: nothing, `NULL`, or the value.
    pub fn into_active(self) -> ActiveValue<Option<T>>
    where
        Option<T>: Into<sea_orm::Value>,
    {
        match self {
            Self::Keep => ActiveValue::NotSet,
            Self::Clear => ActiveValue::Set(None),
            Self::Set(value) => ActiveValue::Set(Some(value)),
        }
    }
}

/// The value of a field that a patch may leave out but not empty, as sea-orm writes it.
pub fn set_if_some<T: Into<sea_orm::Value>>(value: Option<T>) -> ActiveValue<T> {
    value.map_or(ActiveValue::NotSet, ActiveValue::Set)
}

/// For `deserialize_with` on an `Option<T>` field of a patch: a value is `Some`, `null` is an error.
///
/// # Errors
///
/// What `T` refuses.
pub fn required<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

impl<T> Inner<T> for Patch<T> {
    type Key = NoKey;

    fn validate_inner<F: FnMut(&T, &NoKey)>(&self, mut f: F) {
        if let Self::Set(value) = self {
            f(value, &NoKey::default());
        }
    }
}

impl<T> PartialSchema for Patch<T>
where
    Option<T>: PartialSchema,
{
    fn schema() -> RefOr<Schema> {
        Option::<T>::schema()
    }
}

impl<T> ToSchema for Patch<T>
where
    Option<T>: ToSchema,
{
    fn name() -> std::borrow::Cow<'static, str> {
        Option::<T>::name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        phone: Patch<String>,
        #[serde(default, deserialize_with = "required")]
        name: Option<String>,
    }

    #[test]
    fn absent_null_and_value_are_three_things() {
        let phone = |json| serde_json::from_str::<Body>(json).unwrap().phone;
        assert_eq!(phone("{}"), Patch::Keep);
        assert_eq!(phone(r#"{"phone": null}"#), Patch::Clear);
        assert_eq!(phone(r#"{"phone": "1"}"#), Patch::Set("1".into()));
    }

    #[test]
    fn a_required_field_may_be_absent_but_not_null() {
        assert_eq!(serde_json::from_str::<Body>("{}").unwrap().name, None);
        assert!(serde_json::from_str::<Body>(r#"{"name": null}"#).is_err());
    }
}
