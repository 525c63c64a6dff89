//! Description of a field of a resource, from which [its tests](super::resource) are derived.

use std::cmp::Ordering;

use serde_json::Value;

use crate::resource::OnDelete;

/// The value with that number, from 1; the values repeat.
///
/// # Panics
///
/// `values` is empty.
#[must_use]
pub fn pick<T: Clone + Into<Value>>(values: &[T], number: i64) -> Value {
    let index = usize::try_from(number - 1).unwrap_or(0) % values.len();
    values[index].clone().into()
}

/// A field, with its name in bodies.
#[derive(Clone, Debug)]
pub struct Field {
    pub(crate) name: &'static str,
    pub(crate) presence: Presence,
    /// A value for each number from 1; they differ as far as the rules allow.
    pub(crate) value: fn(i64) -> Value,
    pub(crate) good: Vec<Value>,
    pub(crate) bad: Vec<(Value, &'static str)>,
    /// Error code of the conflict.
    pub(crate) unique: Option<&'static str>,
    pub(crate) target: Option<Target>,
    /// Column in which the row agrees with the one that it refers to by this field.
    pub(crate) within: Option<&'static str>,
    pub(crate) sorted: Option<Sorting>,
    pub(crate) filters: Vec<(&'static str, Comparison)>,
    pub(crate) is_searched: bool,
    pub(crate) is_merged: bool,
    /// Field of answers with the file.
    pub(crate) file: Option<&'static str>,
}

/// Whether a body must have the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Required,
    Optional,
    Default(Value),
}

/// Target of a reference.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) table: &'static str,
    pub(crate) prefix: &'static str,
    pub(crate) on_delete: OnDelete,
}

impl Target {
    /// A well-formed id that does not exist.
    pub(crate) fn nothing(&self) -> Value {
        format!("{}_01J9ZC3V8T5Q4X2M7N6P0R1S2T", self.prefix).into()
    }
}

/// How values of a field are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sorting {
    ByValue,
    ByEngine,
}

/// Comparison of a filter with the value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal.
    Equal,
    /// Equal or greater.
    AtLeast,
    /// Equal or less.
    AtMost,
    /// Later.
    After,
    /// Earlier.
    Before,
}

impl Comparison {
    pub(crate) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::AtLeast => order.is_ge(),
            Self::AtMost => order.is_le(),
            Self::After => order.is_gt(),
            Self::Before => order.is_lt(),
        }
    }
}

/// The order of two values of one field in a database.
pub(crate) fn compare(one: &Value, other: &Value) -> Ordering {
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        _ => one.to_string().cmp(&other.to_string()),
    }
}

impl Field {
    fn new(name: &'static str, presence: Presence, value: fn(i64) -> Value) -> Self {
        Self {
            name,
            presence,
            value,
            good: Vec::new(),
            bad: Vec::new(),
            unique: None,
            target: None,
            within: None,
            sorted: None,
            filters: Vec::new(),
            is_searched: false,
            is_merged: false,
            file: None,
        }
    }

    /// A field that a new row must have and that is never `null`.
    #[must_use]
    pub fn required(name: &'static str, value: fn(i64) -> Value) -> Self {
        Self::new(name, Presence::Required, value)
    }

    /// A field that may be `null`.
    #[must_use]
    pub fn optional(name: &'static str, value: fn(i64) -> Value) -> Self {
        Self::new(name, Presence::Optional, value)
    }

    /// A field that is never `null` and has a default.
    #[must_use]
    pub fn default(name: &'static str, default: impl Into<Value>, value: fn(i64) -> Value) -> Self {
        Self::new(name, Presence::Default(default.into()), value)
    }

    /// A reference to a row of `table`, whose ids have the prefix `prefix`.
    #[must_use]
    pub fn reference(
        name: &'static str,
        (table, prefix): (&'static str, &'static str),
        on_delete: OnDelete,
    ) -> Self {
        let target = Some(Target { table, prefix, on_delete });
        Self { target, ..Self::new(name, Presence::Required, |_| Value::Null) }
    }

    /// A reference that may be `null`.
    #[must_use]
    pub fn optional_reference(
        name: &'static str,
        to: (&'static str, &'static str),
        on_delete: OnDelete,
    ) -> Self {
        Self { presence: Presence::Optional, ..Self::reference(name, to, on_delete) }
    }

    /// It refers to a row of the same table, which must agree in `column`, another reference.
    #[must_use]
    pub fn within(self, column: &'static str) -> Self {
        Self { within: Some(column), ..self }
    }

    /// Valid values at the limits of the rule.
    #[must_use]
    pub fn accepts(self, good: impl Into<Vec<Value>>) -> Self {
        Self { good: good.into(), ..self }
    }

    /// Invalid values just beyond the limits, each with its error code.
    #[must_use]
    pub fn rejects(self, bad: impl Into<Vec<(Value, &'static str)>>) -> Self {
        Self { bad: bad.into(), ..self }
    }

    /// The value is unique among living rows; `code` is the error code of the conflict.
    #[must_use]
    pub fn unique(self, code: &'static str) -> Self {
        Self { unique: Some(code), ..self }
    }

    /// Lists can be sorted by it.
    #[must_use]
    pub fn sorted(self) -> Self {
        Self { sorted: Some(Sorting::ByValue), ..self }
    }

    /// Lists can be sorted by it, in an order that depends on the engine.
    #[must_use]
    pub fn sorted_by_engine(self) -> Self {
        Self { sorted: Some(Sorting::ByEngine), ..self }
    }

    /// Lists can be filtered by a parameter of that name.
    #[must_use]
    pub fn filtered(mut self, parameter: &'static str, by: Comparison) -> Self {
        self.filters.push((parameter, by));
        self
    }

    /// The parameter `q` searches it.
    #[must_use]
    pub fn searched(self) -> Self {
        Self { is_searched: true, ..self }
    }

    /// It is an object, and changes are merged into it (RFC 7396).
    #[must_use]
    pub fn merged(self) -> Self {
        Self { is_merged: true, ..self }
    }

    /// It refers to a file; `field` of answers has its metadata and its URL.
    #[must_use]
    pub fn with_file(self, field: &'static str) -> Self {
        Self { file: Some(field), ..self }
    }

    pub(crate) fn is_optional(&self) -> bool {
        self.presence == Presence::Optional
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_compared_as_what_they_are() {
        for (less, more) in
            [(json!(9), json!(10)), (json!("9.50"), json!("10.00")), (json!("a 1"), json!("a 2"))]
        {
            assert_eq!(compare(&less, &more), Ordering::Less, "{less} {more}");
            assert!(
                Comparison::After.holds(compare(&more, &less))
                    && Comparison::AtMost.holds(compare(&less, &less))
            );
        }
        assert_eq!([1, 2, 3].map(|number| pick(&["a", "b"], number)), [json!("a"), json!("b"), json!("a")]);
    }
}
