//! Typed, prefixed, time-ordered identifiers: `usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T`.
//!
//! An [`Id`] is a ULID (<https://github.com/ulid/spec>: 48 bits of milliseconds, 80 random bits) with a type. The type
//! determines the prefix, and the compiler refuses the id of a user where that of a session is expected:
//!
//! ```compile_fail,E0308
//! use shared_kernel::id::{Id, IdKind, UserId};
//! struct Post;
//! impl IdKind for Post { const PREFIX: &'static str = "pst"; const NAME: &'static str = "post"; }
//! fn publish(_: Id<Post>) {}
//! fn wrong(user: UserId) { publish(user) }
//! ```
//!
//! There is no `From<String>`: text is converted with [`parse`](str::parse), which validates it.
//!
//! # Adding a kind of id
//!
//! An empty enum, [`IdKind`] with a prefix and a name of its own, and a type alias; kinds that several domains use are in this module.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, StringLen, ValueType, ValueTypeErr};
use sea_orm::{ColIdx, DbErr, QueryResult, TryFromU64, TryGetError, TryGetable, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::clock::Timestamp;
use crate::field::{self, TextField, ValidationError};
use crate::random;

/// A kind of resource that has ids.
pub trait IdKind: 'static {
    /// Prefix of the ids, before the underscore: three lower-case letters, unique in the workspace.
    const PREFIX: &'static str;
    /// Name in the singular and in snake case, unique in the workspace. The names of its events and of the schema of its
    /// ids in the OpenAPI document start with it.
    const NAME: &'static str;
}

/// The kind of [`UserId`].
#[derive(Debug)]
pub enum UserKind {}

impl IdKind for UserKind {
    const PREFIX: &'static str = "usr";
    const NAME: &'static str = "user";
}

/// Id of a user. It is in the kernel so that a domain that only needs an owner depends on no other domain.
pub type UserId = Id<UserKind>;

/// The kind of [`SessionId`].
#[derive(Debug)]
pub enum SessionKind {}

impl IdKind for SessionKind {
    const PREFIX: &'static str = "ses";
    const NAME: &'static str = "session";
}

/// Id of a sign-in session: a signed-in device.
pub type SessionId = Id<SessionKind>;

/// The kind of [`ApiKeyId`].
#[derive(Debug)]
pub enum ApiKeyKind {}

impl IdKind for ApiKeyKind {
    const PREFIX: &'static str = "key";
    const NAME: &'static str = "api_key";
}

/// Id of an API key, with which a program acts for a user.
pub type ApiKeyId = Id<ApiKeyKind>;

/// The kind of [`ServiceAccountId`].
#[derive(Debug)]
pub enum ServiceAccountKind {}

impl IdKind for ServiceAccountKind {
    const PREFIX: &'static str = "svc";
    const NAME: &'static str = "service_account";
}

/// Id of a service account: the account of a program.
pub type ServiceAccountId = Id<ServiceAccountKind>;

/// The identifier of a `K`.
pub struct Id<K>(Ulid, PhantomData<fn() -> K>);

/// Access to the kind of an id, for code that has the type of the id and not its kind.
pub trait Typed {
    /// The kind of the id.
    type Kind: IdKind;
}

impl<K: IdKind> Typed for Id<K> {
    type Kind = K;
}

impl<K> Id<K> {
    const fn of(ulid: Ulid) -> Self {
        Self(ulid, PhantomData)
    }

    /// A new id with the time `at`. Ids that this process generates in one millisecond are in the order of their generation.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        Self::of(next_ulid(at.unix_millis()))
    }

    /// The sixteen bytes without the prefix: big-endian, so they sort like the text.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_bytes()
    }

    /// The id with these bytes, the inverse of [`to_bytes`](Self::to_bytes).
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::of(Ulid::from_bytes(bytes))
    }
}

/// The random part of the last id of each millisecond, for the most recent milliseconds in which this process generated ids.
static LAST: Mutex<BTreeMap<u64, u128>> = Mutex::new(BTreeMap::new());

/// Number of milliseconds that are remembered: at least ten seconds, longer than any session, in less than a megabyte.
const CAPACITY: usize = 10_000;

/// A ULID after all others that this process generated for the same millisecond, even if it generated later ones in between: a session
/// keeps its time while others begin and end. The step is random, so that an id does not reveal its successor.
fn next_ulid(millis: u64) -> Ulid {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let step = u128::from(u32::from_be_bytes(random::buffered())) + 1;
    let after = last.get(&millis).map(|random| random + step).filter(|random| *random < 1 << 80);
    // Half of the range, to leave space for successors.
    let random = after.unwrap_or_else(|| u128::from_be_bytes(random::buffered()) >> 49);
    last.insert(millis, random);
    if last.len() > CAPACITY {
        last.pop_first();
    }
    Ulid::from_parts(millis, random)
}

// By hand: derives would ask the same of `K`, which is only a name.
impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<K: IdKind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, self.0)
    }
}

impl<K: IdKind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not an id of that kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an id of the form {prefix}_ and 26 characters")]
pub struct InvalidId {
    prefix: &'static str,
}

impl<K: IdKind> FromStr for Id<K> {
    type Err = InvalidId;

    /// Only the canonical form is accepted, so that an id has one spelling.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId { prefix: K::PREFIX };
        let encoded = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_')).ok_or(invalid)?;
        let ulid = Ulid::from_string(encoded).map_err(|_| invalid)?;
        let canonical = ulid.array_to_str(&mut [0; ulid::ULID_LEN]) == encoded;
        if canonical { Ok(Self::of(ulid)) } else { Err(invalid) }
    }
}

impl<K: IdKind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<K: IdKind> TextField for Id<K> {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        text.parse().map_err(|error: InvalidId| ValidationError::new("invalid", error.to_string()))
    }

    fn example() -> Cow<'static, str> {
        format!("{}_01J9ZC3V8T5Q4X2M7N6P0R1S2T", K::PREFIX).into()
    }
}

impl<'de, K: IdKind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        field::deserialize_text(deserializer)
    }
}

impl<K: IdKind> PartialSchema for Id<K> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .description(Some(format!("An opaque identifier that starts with `{}_`.", K::PREFIX)))
            .pattern(Some(format!("^{}_[0-7][0-9A-HJKMNP-TV-Z]{{25}}$", K::PREFIX)))
            .examples([Self::example()])
            .into()
    }
}

impl<K: IdKind> ToSchema for Id<K> {
    fn name() -> Cow<'static, str> {
        format!("{}Id", upper_camel_case(K::NAME)).into()
    }
}

/// `order_item` as `OrderItem`.
fn upper_camel_case(name: &str) -> String {
    let words = name.split('_').filter_map(|word| word.split_at_checked(1));
    words.map(|(first, rest)| first.to_ascii_uppercase() + rest).collect()
}

// In the database an id is the same text as everywhere: a log line, a row and a URL can be compared.
impl<K: IdKind> From<Id<K>> for Value {
    fn from(id: Id<K>) -> Self {
        Self::String(Some(id.to_string()))
    }
}

impl<K: IdKind> TryGetable for Id<K> {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let text = String::try_get_by(row, index)?;
        text.parse().map_err(|error: InvalidId| TryGetError::DbErr(DbErr::Type(error.to_string())))
    }
}

impl<K: IdKind> ValueType for Id<K> {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        match value {
            Value::String(Some(text)) => text.parse().map_err(|_| ValueTypeErr),
            _ => Err(ValueTypeErr),
        }
    }

    fn type_name() -> String {
        format!("Id<{}>", K::PREFIX)
    }

    fn array_type() -> ArrayType {
        ArrayType::String
    }

    fn column_type() -> ColumnType {
        ColumnType::String(StringLen::N(30))
    }
}

impl<K: IdKind> Nullable for Id<K> {
    fn null() -> Value {
        Value::String(None)
    }
}

impl<K: IdKind> TryFromU64 for Id<K> {
    fn try_from_u64(_: u64) -> Result<Self, DbErr> {
        Err(DbErr::ConvertFromU64("an id is not a number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_unix_millis(millis).unwrap()
    }

    #[test]
    fn ids_of_one_millisecond_are_in_order() {
        let ids: Vec<UserId> = (0..1_000).map(|_| Id::new(at(1_700_000_000_000))).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn ids_of_another_millisecond_in_between_change_no_order() {
        let ids: Vec<UserId> = (0..1_000).map(|number| Id::new(at(1_600_000_000_000 + number % 3))).collect();
        for instant in 0..3 {
            assert!(ids.iter().skip(instant).step_by(3).is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn the_text_sorts_as_the_id_does() {
        let (a, b): (UserId, UserId) = (Id::new(at(1)), Id::new(at(2)));
        assert!(a < b && a.to_string() < b.to_string());
    }

    #[test]
    fn the_schema_of_an_id_has_the_name_of_its_type() {
        assert_eq!(UserId::name(), "UserId");
        assert_eq!(ServiceAccountId::name(), "ServiceAccountId");
    }

    #[test]
    fn another_prefix_is_refused() {
        let id: UserId = Id::new(at(1));
        assert!(id.to_string().parse::<SessionId>().is_err());
    }

    proptest! {
        #[test]
        fn what_parses_prints_as_it_was(text in "usr_[0-9A-Za-z]{26}") {
            if let Ok(id) = text.parse::<UserId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<UserId>();
        }

        #[test]
        fn bytes_round_trip(bytes in any::<[u8; 16]>()) {
            let id = UserId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<UserId>().unwrap(), id);
            prop_assert_eq!(id.to_bytes(), bytes);
        }
    }
}
