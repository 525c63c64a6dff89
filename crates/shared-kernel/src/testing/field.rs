//! A field of a resource, as its tests see it: one row of the table from which everything is tried.

use std::cmp::Ordering;

use serde_json::Value;

use crate::resource::OnDelete;

/// Of several values the one with that number, from 1; behind the last the first comes again.
///
/// # Panics
///
/// There are none.
#[must_use]
pub fn pick<T: Clone + Into<Value>>(values: &[T], number: i64) -> Value {
    let index = usize::try_from(number - 1).unwrap_or(0) % values.len();
    values[index].clone().into()
}

/// A field, by the name that it has in bodies.
#[derive(Clone, Debug)]
pub struct Field {
    pub(crate) name: &'static str,
    pub(crate) presence: Presence,
    /// A value for each number from 1, as different as the rules allow.
    pub(crate) value: fn(i64) -> Value,
    pub(crate) good: Vec<Value>,
    pub(crate) bad: Vec<(Value, &'static str)>,
    /// The code of the conflict.
    pub(crate) unique: Option<&'static str>,
    pub(crate) target: Option<Target>,
    pub(crate) sorted: Option<Sorting>,
    pub(crate) filters: Vec<(&'static str, Comparison)>,
    pub(crate) is_searched: bool,
    pub(crate) is_merged: bool,
    /// The field of answers with the URL of the file.
    pub(crate) url: Option<&'static str>,
}

/// Whether a body has to have the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Required,
    Optional,
    Default(Value),
}

/// What a reference refers to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) table: &'static str,
    pub(crate) prefix: &'static str,
    pub(crate) on_delete: OnDelete,
}

impl Target {
    /// An id of the right form that nothing has.
    pub(crate) fn nothing(&self) -> Value {
        format!("{}_01J9ZC3V8T5Q4X2M7N6P0R1S2T", self.prefix).into()
    }
}

/// How much is known of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sorting {
    ByValue,
    ByEngine,
}

/// What a filter compares the value of a row by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The same.
    Equal,
    /// The same or more.
    AtLeast,
    /// The same or less.
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

/// As a database orders two values of one field.
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
            sorted: None,
            filters: Vec::new(),
            is_searched: false,
            is_merged: false,
            url: None,
        }
    }

    /// A field that a new row has to have and that is never empty.
    #[must_use]
    pub fn required(name: &'static str, value: fn(i64) -> Value) -> Self {
        Self::new(name, Presence::Required, value)
    }

    /// A field that may be empty.
    #[must_use]
    pub fn optional(name: &'static str, value: fn(i64) -> Value) -> Self {
        Self::new(name, Presence::Optional, value)
    }

    /// A field that is never empty, and is `default` where a new row does not have it.
    #[must_use]
    pub fn default(name: &'static str, default: impl Into<Value>, value: fn(i64) -> Value) -> Self {
        Self::new(name, Presence::Default(default.into()), value)
    }

    /// A field with the id of a row of `table`, whose ids begin with `prefix`.
    #[must_use]
    pub fn reference(
        name: &'static str,
        (table, prefix): (&'static str, &'static str),
        on_delete: OnDelete,
    ) -> Self {
        let target = Some(Target { table, prefix, on_delete });
        Self { target, ..Self::new(name, Presence::Required, |_| Value::Null) }
    }

    /// The same where it may be empty.
    #[must_use]
    pub fn optional_reference(
        name: &'static str,
        to: (&'static str, &'static str),
        on_delete: OnDelete,
    ) -> Self {
        Self { presence: Presence::Optional, ..Self::reference(name, to, on_delete) }
    }

    /// Values that are taken: the edges of its rule.
    #[must_use]
    pub fn takes(self, good: impl Into<Vec<Value>>) -> Self {
        Self { good: good.into(), ..self }
    }

    /// Values that are refused, each with its code: just behind the edges.
    #[must_use]
    pub fn refuses(self, bad: impl Into<Vec<(Value, &'static str)>>) -> Self {
        Self { bad: bad.into(), ..self }
    }

    /// No two living rows have the same value; the code of the conflict.
    #[must_use]
    pub fn unique(self, code: &'static str) -> Self {
        Self { unique: Some(code), ..self }
    }

    /// Lists can be sorted by it.
    #[must_use]
    pub fn sorted(self) -> Self {
        Self { sorted: Some(Sorting::ByValue), ..self }
    }

    /// The same where engines differ in how they compare the values.
    #[must_use]
    pub fn sorted_by_engine(self) -> Self {
        Self { sorted: Some(Sorting::ByEngine), ..self }
    }

    /// Lists can be narrowed by a parameter of that name.
    #[must_use]
    pub fn filtered(mut self, parameter: &'static str, by: Comparison) -> Self {
        self.filters.push((parameter, by));
        self
    }

    /// The parameter `q` looks into it.
    #[must_use]
    pub fn searched(self) -> Self {
        Self { is_searched: true, ..self }
    }

    /// It is an object, into which a change is merged.
    #[must_use]
    pub fn merged(self) -> Self {
        Self { is_merged: true, ..self }
    }

    /// It refers to a file, whose URL stands in that field of answers.
    #[must_use]
    pub fn with_url(self, field: &'static str) -> Self {
        Self { url: Some(field), ..self }
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
