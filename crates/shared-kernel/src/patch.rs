//! Fields of a JSON merge patch (RFC 7396), which distinguishes an absent field from `null`.

use garde::error::{NoKey, Path};
use garde::rules::inner::Inner;
use garde::{Report, Validate};
pub use kernel_derive::MergePatch;
use sea_orm::ActiveValue;
use serde::{Deserialize, Deserializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

/// A nullable field of a `PATCH`. The field needs `#[serde(default)]`.
///
/// A field that is not nullable is an `Option<T>` with `#[serde(default, deserialize_with = "patch::required")]`:
/// `null` is refused there. [The derive](derive@MergePatch) generates such a struct.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Absent: the field is left unchanged.
    #[default]
    Keep,
    /// `null`: the field is cleared.
    Clear,
    /// The field is set to this value.
    Set(T),
}

impl<T> Patch<T> {
    /// The new value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }

    /// The same with `f` applied to the new value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(f(value)),
        }
    }

    /// The value for sea-orm: not set, `NULL`, or the new value.
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

/// Sets the value; `None` clears the field.
impl<T> From<Option<T>> for Patch<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Clear, Self::Set)
    }
}

/// The value for sea-orm of a field that a patch may omit but not clear.
pub fn set_if_some<T: Into<sea_orm::Value>>(value: Option<T>) -> ActiveValue<T> {
    value.map_or(ActiveValue::NotSet, ActiveValue::Set)
}

/// For `deserialize_with` on an `Option<T>` field of a patch: a value is `Some`, `null` is an error.
///
/// # Errors
///
/// Errors of deserializing `T`, and `null`.
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

/// Validates the new value, if there is one.
impl<T: Validate> Validate for Patch<T> {
    type Context = T::Context;

    fn validate_into(&self, context: &T::Context, parent: &mut dyn FnMut() -> Path, report: &mut Report) {
        if let Some(value) = self.value() {
            value.validate_into(context, parent, report);
        }
    }
}

impl<T> Inner<T> for Patch<T> {
    type Key = NoKey;

    fn validate_inner<F: FnMut(&T, &NoKey)>(&self, mut f: F) {
        if let Some(value) = self.value() {
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
    use crate::contact::WebAddress;
    use crate::field::range;
    use crate::integer::Int;
    use crate::text::SingleLine;

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
    fn only_a_value_that_is_to_be_set_is_held_against_the_rules() {
        #[derive(Debug, Default, Deserialize, Validate)]
        #[serde(default, deny_unknown_fields)]
        struct Changes {
            #[garde(dive)]
            rank: Patch<Int<1, 10>>,
            #[garde(inner(custom(range(None, Some(0.5)))))]
            share: Patch<f64>,
            #[garde(dive)]
            name: Patch<SingleLine<2, 3>>,
            #[garde(dive)]
            page: Patch<WebAddress<20>>,
        }

        let refused = |body: &str| match crate::json::parse::<Changes>(body.as_bytes()) {
            Ok(_) => Vec::new(),
            Err(crate::json::JsonError::Invalid(invalid)) => {
                invalid.0.into_iter().map(|field| (field.pointer, field.code.into_owned())).collect()
            }
            Err(other) => panic!("{body}: {other:?}"),
        };
        let fields = |fields: &[(&str, &str)]| {
            fields.iter().map(|(at, code)| ((*at).to_owned(), (*code).to_owned())).collect::<Vec<_>>()
        };
        for fits in [
            "{}",
            r#"{"rank": null, "share": null, "name": null, "page": null}"#,
            r#"{"rank": 2, "share": 0.5, "name": " äöü ", "page": "https://example.com"}"#,
        ] {
            assert_eq!(refused(fits), [], "{fits}");
        }
        let mut all = refused(r#"{"rank": 0, "share": 0.6, "name": "a"}"#);
        all.sort();
        assert_eq!(all, fields(&[("/name", "too_short"), ("/rank", "too_small"), ("/share", "too_large")]));
        assert_eq!(refused(r#"{"rank": 11, "name": "äöüß"}"#).len(), 2);
        assert_eq!(refused(r#"{"page": "x"}"#), fields(&[("/page", "url")]));
        assert_eq!(refused(r#"{"page": "http://example.com/abc"}"#), fields(&[("/page", "too_long")]));
        assert_eq!(
            (Patch::Set(1).value(), Patch::<i64>::Clear.value(), Patch::<i64>::Keep.value()),
            (Some(&1), None, None)
        );
    }

    #[test]
    fn a_required_field_may_be_absent_but_not_null() {
        assert_eq!(serde_json::from_str::<Body>("{}").unwrap().name, None);
        assert!(serde_json::from_str::<Body>(r#"{"name": null}"#).is_err());
    }
}
