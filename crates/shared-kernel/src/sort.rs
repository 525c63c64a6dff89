//! The order of a list, as requested by a client.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::field::{FieldSchema, TextField, ValidationError, deserialize_text, no_choice, schema_of};
use crate::id::IdKind;

/// Rows whose order in lists clients can choose.
pub trait Sortable: IdKind {
    /// The names of the orders, as clients send them, the default first.
    #[must_use]
    fn orders() -> Vec<&'static str> {
        vec!["-created_at", "created_at"]
    }
}

/// The requested order of a list of `K`: the name of one of [its orders](Sortable::orders).
pub struct Sort<K> {
    name: &'static str,
    of: PhantomData<fn() -> K>,
}

impl<K> Sort<K> {
    /// The name, as the client sent it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<K: Sortable> TextField for Sort<K> {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        let found = K::orders().into_iter().find(|name| *name == text);
        found.map(|name| Self { name, of: PhantomData }).ok_or_else(|| no_choice(&K::orders().join(", ")))
    }

    fn example() -> Cow<'static, str> {
        "-created_at".into()
    }
}

impl<K: Sortable> FieldSchema for Sort<K> {
    fn name() -> Cow<'static, str> {
        format!("Sort_{}", K::PREFIX).into()
    }

    fn rules(schema: ObjectBuilder) -> ObjectBuilder {
        schema.enum_values(Some(K::orders()))
    }
}

impl<'de, K: Sortable> Deserialize<'de> for Sort<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer)
    }
}

impl<K: Sortable> PartialSchema for Sort<K> {
    fn schema() -> RefOr<Schema> {
        schema_of::<Self>(Type::String, <Self as TextField>::example().as_ref())
    }
}

impl<K: Sortable> ToSchema for Sort<K> {
    fn name() -> Cow<'static, str> {
        <Self as FieldSchema>::name()
    }
}

// By hand: derives would ask the same of `K`, which is only a name.
impl<K> Clone for Sort<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Sort<K> {}

impl<K> fmt::Debug for Sort<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sort").field(&self.name).finish()
    }
}
