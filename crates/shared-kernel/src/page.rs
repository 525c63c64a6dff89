//! Keyset pagination: every page of a list takes the same time, however far back it is, and rows that are added or deleted between
//! two requests do not shift the pages.
//!
//! ULIDs are ordered by time, so the default order is the id alone. Any other order compares rows, `(name, id) > (?, ?)`,
//! for which an index on both columns is used; sea-orm's `cursor_by` on two columns writes a condition that cannot use an index
//! (see `docs/adr/`).
//!
//! A cursor is opaque to clients: signed, so that it cannot be forged, and versioned, so that its format can change.
//!
//! # Adding an order to a list
//!
//! An [`Order`] with a name of its own over a column in the list `ORDERS` of the repository, and an index on that column and the id.
//! Columns of texts, integers, doubles, decimals of up to 15 digits, booleans, timestamps, dates and UUIDs can be sorted.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use garde::Validate;
use rust_decimal::Decimal;
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait, EntityTrait, ModelTrait, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select, Value,
};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::clock::{Date, Timestamp};
use crate::crypto::MacKey;
use crate::error::Invalid;
use crate::field::{FieldSchema, TextField, ValidationError, check_length};
use crate::integer::Int;
use crate::kernel_error::KernelError;
use crate::session::Reader;
use crate::soft_delete::Keyed;
use crate::text_field;

/// Query parameters of a paginated list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Maximum number of items, 1 to 100.
    #[garde(dive)]
    // Not inlined: beside a default, the lints refuse what utoipa writes for it. So the document has the type's schema.
    #[param(default = 20)]
    pub limit: Option<Limit>,
    /// Cursor of the page: `next_cursor` of the previous page. Cannot be combined with `offset`.
    #[garde(dive)]
    #[param(inline)]
    pub cursor: Option<Cursor>,
    /// Number of items to skip. Slower the larger it is; prefer `cursor`.
    #[garde(dive)]
    #[param(inline)]
    pub offset: Option<Int<0, 10_000>>,
    /// `total` adds the total number of items. Counting a long list is slow.
    #[garde(skip)]
    #[param(inline)]
    pub include: Option<Include>,
}

impl PageQuery {
    /// Names of the parameters, reserved in the filters of lists.
    pub const NAMES: [&'static str; 4] = ["limit", "cursor", "offset", "include"];
}

/// Number of items on a page.
pub type Limit = Int<1, 100>;

/// A cursor as sent by a client. Its signature is verified later, with the list that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// Length of the longest cursor of any order: a text of 255 characters, at most 8,400 bytes after NFKC (UAX #15, section
    /// 9), is about 11,500 characters in Base64. Every issued cursor must be accepted.
    const MAX_LENGTH: usize = 12_000;
}

impl TextField for Cursor {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        check_length(text, 0, Self::MAX_LENGTH)?;
        Ok(Self(text.to_owned()))
    }

    fn example() -> Cow<'static, str> {
        "bm90IGEgcmVhbCBjdXJzb3I".into()
    }
}

impl FieldSchema for Cursor {
    fn name() -> Cow<'static, str> {
        "Cursor".into()
    }

    fn rules(schema: ObjectBuilder) -> ObjectBuilder {
        schema.max_length(Some(Self::MAX_LENGTH)).pattern(Some("^[A-Za-z0-9_-]+$"))
    }
}

text_field!(Cursor);

/// Optional parts of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Include {
    /// Total number of items.
    Total,
}

/// A validated request for a page, as services use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    limit: u64,
    start: Start,
    with_total: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Start {
    First,
    After(String),
    Offset(u64),
}

impl PageRequest {
    /// Number of items on a page if the client does not set `limit`.
    pub const DEFAULT_LIMIT: u64 = 20;

    /// The first page, of at most `limit` items.
    #[must_use]
    pub fn first(limit: u64) -> Self {
        Self { limit, start: Start::First, with_total: false }
    }

    /// The page after `cursor`.
    #[must_use]
    pub fn after(limit: u64, cursor: impl Into<String>) -> Self {
        Self { limit, start: Start::After(cursor.into()), with_total: false }
    }

    /// The same page with the total number of items.
    #[must_use]
    pub fn with_total(self) -> Self {
        Self { with_total: true, ..self }
    }
}

impl TryFrom<PageQuery> for PageRequest {
    type Error = Invalid;

    fn try_from(query: PageQuery) -> Result<Self, Invalid> {
        let start = match (query.cursor, query.offset) {
            (Some(_), Some(_)) => {
                return Err(Invalid::field("/offset", "exclusive", "cannot be given together with cursor"));
            }
            (Some(cursor), None) => Start::After(cursor.0),
            (None, Some(offset)) => Start::Offset(unsigned(offset.get())),
            (None, None) => Start::First,
        };
        let limit = query.limit.map_or(Self::DEFAULT_LIMIT, |limit| unsigned(limit.get()));
        Ok(Self { limit, start, with_total: query.include.is_some() })
    }
}

/// A number that is not negative.
fn unsigned(number: i32) -> u64 {
    number.unsigned_abs().into()
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Page<T> {
    /// Items of the page, in the requested order.
    pub items: Vec<T>,
    /// Value of `cursor` for the next page; `null` on the last page.
    #[schema(required)]
    pub next_cursor: Option<String>,
    /// Total number of items; only with `include=total`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub total: Option<u64>,
}

impl<T> Page<T> {
    /// The same page with `f` applied to each item.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(f).collect(),
            next_cursor: self.next_cursor,
            total: self.total,
        }
    }
}

/// Direction of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest or oldest first.
    Ascending,
    /// Largest or newest first.
    Descending,
}

/// An order of the rows of `E`: by a column and then by id, or by id alone.
#[derive(Clone, Copy, Debug)]
pub struct Order<E: EntityTrait> {
    name: &'static str,
    column: Option<E::Column>,
    nullable: bool,
    direction: Direction,
}

impl<E: Keyed> Order<E> {
    /// By id, which is by time of creation. `name` is the value of the query parameter; a cursor is valid for its own order only.
    #[must_use]
    pub const fn by_id(name: &'static str, direction: Direction) -> Self {
        Self { name, column: None, nullable: false, direction }
    }

    /// By a column without nulls, and by id where it is equal.
    #[must_use]
    pub const fn by(name: &'static str, column: E::Column, direction: Direction) -> Self {
        Self { name, column: Some(column), nullable: false, direction }
    }

    /// By a column that may be null, and by id where it is equal. Rows without a value come last in both directions.
    #[must_use]
    pub const fn by_nullable(name: &'static str, column: E::Column, direction: Direction) -> Self {
        Self { name, column: Some(column), nullable: true, direction }
    }

    /// The newest first: the default of every list.
    #[must_use]
    pub const fn newest_first() -> Self {
        Self::by_id("-created_at", Direction::Descending)
    }

    /// The orders by time of creation, and `more`.
    pub(crate) fn all(more: &'static [Self]) -> impl Iterator<Item = Self> {
        [Self::newest_first(), Self::by_id("created_at", Direction::Ascending)]
            .into_iter()
            .chain(more.iter().map(|order| Self { ..*order }))
    }

    /// Name of the order in the query parameter.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Scope in which a cursor of this order is valid: the table and the order.
    fn list(&self) -> String {
        format!("{} {}", E::default().table_name(), self.name)
    }

    fn columns(&self) -> impl Iterator<Item = E::Column> {
        self.column.into_iter().chain([E::ID])
    }

    /// The column, if it may be null.
    fn nullable(&self) -> Option<E::Column> {
        self.column.filter(|_| self.nullable)
    }

    /// The rows after `key`, or all, in one or two ranges of the index: where the column may be null, those with a value and
    /// then those without. No single index range has both: the engines sort nulls to different ends, and a condition with
    /// `OR` cannot be the start of an index scan.
    fn ranges(&self, select: Select<E>, key: Option<Vec<Key>>) -> Vec<Select<E>> {
        let Some(column) = self.nullable() else {
            return vec![self.range(select, key)];
        };
        let nulls = select.clone().filter(column.is_null());
        match key {
            None => vec![self.range(select.filter(column.is_not_null()), None), self.range(nulls, None)],
            Some(key) => match key.split_first() {
                Some((Key::Null, id)) => vec![self.range(nulls, Some(id.to_vec()))],
                _ => vec![self.range(select, Some(key)), self.range(nulls, None)],
            },
        }
    }

    /// The rows after `key`, which has a value for each column or for the last.
    fn range(&self, mut select: Select<E>, key: Option<Vec<Key>>) -> Select<E> {
        if let Some(key) = key {
            let columns = self.columns().skip(self.columns().count().saturating_sub(key.len()));
            let columns = Expr::tuple(columns.map(|column| Expr::col(column.as_column_ref())));
            let values = Expr::tuple(key.into_iter().map(|key| Expr::val(Value::from(key))));
            select = select.filter(match self.direction {
                Direction::Ascending => columns.gt(values),
                Direction::Descending => columns.lt(values),
            });
        }
        self.sorted(select)
    }

    fn sorted(&self, select: Select<E>) -> Select<E> {
        let direction = match self.direction {
            Direction::Ascending => sea_orm::Order::Asc,
            Direction::Descending => sea_orm::Order::Desc,
        };
        self.columns().fold(select, |select, column| select.order_by(column, direction.clone()))
    }

    /// All rows in order, in one statement.
    fn whole(&self, select: Select<E>) -> Select<E> {
        let nullable = self.nullable().into_iter();
        self.sorted(nullable.fold(select, |select, column| select.order_by_asc(column.is_null())))
    }

    fn key_of(&self, row: &E::Model) -> Option<Vec<Key>>
    where
        E::Model: ModelTrait<Entity = E>,
    {
        let key = self.columns().map(|column| Key::read(row.get(column))).collect::<Option<Vec<_>>>()?;
        (self.nullable || !key.contains(&Key::Null)).then_some(key)
    }
}

/// The value of a column in a cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Key {
    #[serde(rename = "s")]
    Text(String),
    #[serde(rename = "i")]
    Integer(i64),
    #[serde(rename = "b")]
    Boolean(bool),
    #[serde(rename = "t")]
    Time(Timestamp),
    #[serde(rename = "d")]
    Day(Date),
    #[serde(rename = "n")]
    Number(#[serde(with = "rust_decimal::serde::str")] Decimal),
    /// The bits of a double: parsing its decimal digits may result in another double.
    #[serde(rename = "f")]
    Double(u64),
    #[serde(rename = "u")]
    Uuid(Uuid),
    #[serde(rename = "0")]
    Null,
}

impl Key {
    fn read(value: Value) -> Option<Self> {
        match value {
            Value::String(Some(text)) => Some(Self::Text(text)),
            Value::TinyInt(Some(number)) => Some(Self::Integer(number.into())),
            Value::SmallInt(Some(number)) => Some(Self::Integer(number.into())),
            Value::Int(Some(number)) => Some(Self::Integer(number.into())),
            Value::BigInt(Some(number)) => Some(Self::Integer(number)),
            Value::Bool(Some(boolean)) => Some(Self::Boolean(boolean)),
            Value::TimeDateTimeWithTimeZone(Some(moment)) => Some(Self::Time(Timestamp::from_stored(moment))),
            Value::TimeDate(Some(day)) => Date::new(day).map(Self::Day),
            // A decimal read from SQLite can have a wrong sixteenth digit (see `decimal`).
            Value::Decimal(Some(number)) => number.round_sf(15).map(Self::Number),
            Value::Double(Some(number)) => Some(Self::Double(number.to_bits())),
            Value::Uuid(Some(uuid)) => Some(Self::Uuid(uuid)),
            other => (other == other.as_null()).then_some(Self::Null),
        }
    }
}

impl From<Key> for Value {
    fn from(key: Key) -> Self {
        match key {
            Key::Text(text) => text.into(),
            Key::Integer(number) => number.into(),
            Key::Boolean(boolean) => boolean.into(),
            Key::Time(moment) => moment.into(),
            Key::Day(day) => day.into(),
            Key::Number(number) => number.into(),
            Key::Double(bits) => f64::from_bits(bits).into(),
            Key::Uuid(uuid) => uuid.into(),
            // A range of rows without a value is by id alone.
            Key::Null => Self::String(None),
        }
    }
}

/// The first byte of every cursor of this format.
const VERSION: u8 = 1;
/// 128 bits of the tag: enough against guessing, and the cursor stays short.
const TAG_LENGTH: usize = 16;

fn encode(mac: &MacKey, list: &str, key: &[Key]) -> Result<String, KernelError> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, &(list, key)).map_err(|_| KernelError::Cursor)?;
    let tag = mac.sign(&bytes);
    bytes.extend_from_slice(&tag[..TAG_LENGTH]);
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn decode(mac: &MacKey, list: &str, length: usize, cursor: &str) -> Option<Vec<Key>> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (signed, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_LENGTH)?)?;
    // Both sides are signed once more, so that the library compares whole tags in constant time.
    if !mac.verify(&mac.sign(signed)[..TAG_LENGTH], &mac.sign(tag)) {
        return None;
    }
    let (version, payload) = signed.split_first()?;
    let (name, key): (String, Vec<Key>) = serde_json::from_slice(payload).ok()?;
    (*version == VERSION && name == list && key.len() == length).then_some(key)
}

/// The requested page of `select`. One statement, or two where the order's column may be null, and one more for the total. Rows may
/// be added or deleted between these statements, as between two pages.
///
/// # Errors
///
/// [`KernelError::Cursor`], and errors of the session.
pub async fn fetch<E, R>(
    session: &R,
    select: Select<E>,
    request: &PageRequest,
    order: Order<E>,
) -> Result<Page<E::Model>, KernelError>
where
    E: Keyed,
    E::Model: ModelTrait<Entity = E>,
    R: Reader + ?Sized,
{
    let total = if request.with_total { Some(session.count(select.clone()).await?) } else { None };
    let mac = session.cursor_key();
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let mut items = Vec::new();
    for range in ranges(mac, select, request, &order)? {
        // One row more than requested shows whether there is a next page.
        let missing = request.limit.saturating_add(1) - items.len() as u64;
        if missing > 0 {
            items.extend(session.all(range.limit(missing)).await?);
        }
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = match items.last() {
        Some(last) if more => {
            Some(encode(mac, &order.list(), &order.key_of(last).ok_or(KernelError::Cursor)?)?)
        }
        _ => None,
    };
    Ok(Page { items, next_cursor, total })
}

/// The rows from the start of the page on, in one or two queries.
fn ranges<E: Keyed>(
    mac: &MacKey,
    select: Select<E>,
    request: &PageRequest,
    order: &Order<E>,
) -> Result<Vec<Select<E>>, KernelError> {
    let key = match &request.start {
        Start::First => None,
        // It is unknown how many of the skipped rows have a value, so the two ranges cannot be queried apart.
        Start::Offset(offset) => return Ok(vec![order.whole(select).offset(*offset)]),
        Start::After(cursor) => {
            let length = order.columns().count();
            Some(decode(mac, &order.list(), length, cursor).ok_or(KernelError::Cursor)?)
        }
    };
    Ok(order.ranges(select, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SecretKey;

    fn mac() -> MacKey {
        SecretKey::new(&"0123456789abcdef0123456789abcdef".to_owned().into())
            .unwrap()
            .mac_key(crate::frozen::CURSOR_KEY)
    }

    #[test]
    fn a_cursor_reads_back_and_only_as_it_was() {
        let key = vec![Key::Text("Ada".into()), Key::Text("usr_1".into())];
        let cursor = encode(&mac(), "name", &key).unwrap();
        assert_eq!(decode(&mac(), "name", 2, &cursor), Some(key));
        assert_eq!(decode(&mac(), "-name", 2, &cursor), None);
        assert_eq!(decode(&mac(), "name", 1, &cursor), None);
        for position in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            assert_eq!(decode(&mac(), "name", 2, std::str::from_utf8(&changed).unwrap()), None);
        }
        assert_eq!(decode(&mac(), "name", 2, ""), None);
    }

    #[test]
    fn every_value_reads_back_as_it_was() {
        let number = |text: &str| Value::from(text.parse::<Decimal>().unwrap());
        for value in [
            Value::from(""),
            i8::MIN.into(),
            i16::MAX.into(),
            i64::MIN.into(),
            f64::MIN_POSITIVE.into(),
            (0.1 + 0.2).into(),
            // serde_json reads its digits as another double.
            6.934_698_245_112_694e276.into(),
            f64::MAX.into(),
            number("-999999999999999"),
            number("0.000000000000001"),
            true.into(),
            Timestamp::from_unix_millis(1).unwrap().into(),
            Date::from_valid("0001-01-01").into(),
            Uuid::from_u128(u128::MAX - 7).into(),
        ] {
            let key = vec![Key::read(value.clone()).unwrap(), Key::read(value.as_null()).unwrap()];
            let cursor = encode(&mac(), "list", &key).unwrap();
            let read = decode(&mac(), "list", 2, &cursor).unwrap();
            assert_eq!((&read, &read[1]), (&key, &Key::Null));
            let read = Value::from(read[0].clone());
            let widened = match value {
                Value::TinyInt(Some(number)) => i64::from(number).into(),
                Value::SmallInt(Some(number)) => i64::from(number).into(),
                value => value,
            };
            assert_eq!(read, widened);
        }
        assert_eq!(Key::read(Value::Bytes(Some(vec![1]))), None);
        // As SQLite gives it back, and as it was.
        assert_eq!(Key::read(number("4419981.756015251")), Key::read(number("4419981.75601525")));
    }

    /// Cursors that were given out are good as long as their version is.
    #[test]
    fn the_form_of_a_cursor_does_not_change_unnoticed() {
        let key = [
            Key::Text("a".into()),
            Key::Integer(-1),
            Key::Boolean(true),
            Key::Time(Timestamp::from_unix_millis(0).unwrap()),
            Key::Day(Date::from_valid("2026-01-31")),
            Key::Number("12.50".parse().unwrap()),
            Key::Double(0.5_f64.to_bits()),
            Key::Uuid(Uuid::from_u128(1)),
            Key::Null,
        ];
        let form = r#"[{"s":"a"},{"i":-1},{"b":true},{"t":"1970-01-01T00:00:00Z"},{"d":"2026-01-31"},{"n":"12.50"},{"f":4602678819172646912},{"u":"00000000-0000-0000-0000-000000000001"},"0"]"#;
        assert_eq!((VERSION, serde_json::to_string(&key).unwrap().as_str()), (1, form));
    }

    #[test]
    fn what_is_given_out_is_taken_back() {
        // The character that grows most under NFKC.
        for letter in ["\u{fdfa}", "\"", "\u{130}", "\u{1f4a1}"] {
            let name = crate::text::comparable(&letter.repeat(255));
            let key = vec![Key::Text(name), Key::Text("usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T".into())];
            let cursor = encode(&mac(), "users -name", &key).unwrap();
            assert_eq!(ask(&[("cursor", &cursor)]), Ok(PageRequest::after(20, cursor.clone())), "{letter}");
            assert_eq!(decode(&mac(), "users -name", 2, &cursor), Some(key));
        }
        assert_eq!(ask(&[("cursor", &"A".repeat(12_001))]), Err("/cursor too_long".into()));
    }

    /// What is asked for by these parameters, or what is refused of them.
    fn ask(pairs: &[(&str, &str)]) -> Result<PageRequest, String> {
        let pairs: Vec<_> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let query: Result<PageQuery, Invalid> = crate::json::parse_query(&pairs);
        query.and_then(PageRequest::try_from).map_err(|Invalid(fields)| {
            let told: Vec<_> =
                fields.iter().map(|field| format!("{} {}", field.pointer, field.code)).collect();
            told.join(", ")
        })
    }

    #[test]
    fn the_rules_of_a_page_hold() {
        assert_eq!(ask(&[("limit", "0")]), Err("/limit too_small".into()));
        assert_eq!(ask(&[("limit", "101")]), Err("/limit too_large".into()));
        assert_eq!(ask(&[("offset", "10001")]), Err("/offset too_large".into()));
        assert_eq!(ask(&[("offset", "1"), ("cursor", "x")]), Err("/offset exclusive".into()));
        assert_eq!(ask(&[("limit", "7")]), Ok(PageRequest::first(7)));
        assert_eq!(ask(&[]), Ok(PageRequest::first(20)));
        assert_eq!(
            ask(&[("limit", "x"), ("offset", "-1"), ("include", "all"), ("foo", "")]),
            Err("/limit type, /offset too_small, /include choice, /foo unknown_field".into())
        );
    }

    #[expect(unreachable_pub, reason = "what sea-orm derives is public")]
    mod row {
        use sea_orm::entity::prelude::*;

        use crate::clock::Timestamp;
        use crate::id::UserId;
        use crate::repository::SoftDelete;

        #[sea_orm::model]
        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, SoftDelete)]
        #[sea_orm(table_name = "papers")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub id: UserId,
            pub version: i64,
            pub created_at: Timestamp,
            pub updated_at: Timestamp,
            pub deleted_at: Option<Timestamp>,
            pub completed_at: Option<Timestamp>,
            pub owner_id: UserId,
        }

        impl ActiveModelBehavior for ActiveModel {}
    }

    /// A table as migrations make them, with indexes for orders by a column that each row has and by one that may be empty.
    const PAPERS: [&str; 3] = [
        "CREATE TABLE papers (id varchar(30) CONSTRAINT papers_pkey PRIMARY KEY, version bigint NOT NULL, \
         created_at timestamp with time zone, updated_at timestamp with time zone NOT NULL, deleted_at timestamp with time zone, \
         completed_at timestamp with time zone, owner_id varchar(30) NOT NULL)",
        "CREATE INDEX by_owner ON papers (owner_id, id)",
        "CREATE INDEX by_completion ON papers (completed_at, id)",
    ];

    /// The plan of the database for these rows, and the statement.
    async fn plan(database: &crate::testing::TestDatabase, rows: Select<row::Entity>) -> (String, String) {
        use sea_orm::{ConnectionTrait as _, DbBackend, QueryTrait as _, Statement, TransactionTrait as _};

        let Statement { sql, values, db_backend } = rows.build(database.backend());
        // The driver has to prepare what it explains: one connection, so that a setting of PostgreSQL holds for it.
        let transaction = database.primary().begin().await.unwrap();
        let (explain, column) = if db_backend == DbBackend::Postgres {
            // A table without rows is read in whole otherwise, or sorted.
            for setting in ["enable_seqscan", "enable_bitmapscan", "enable_sort"] {
                transaction.execute_unprepared(&format!("SET LOCAL {setting} = off")).await.unwrap();
            }
            ("EXPLAIN", "QUERY PLAN")
        } else {
            ("EXPLAIN QUERY PLAN", "detail")
        };
        let statement = Statement { sql: format!("{explain} {sql}"), values, db_backend };
        let lines = transaction.query_all_raw(statement).await.unwrap();
        let plan: Vec<String> = lines.iter().map(|line| line.try_get("", column).unwrap()).collect();
        (plan.join("\n"), sql)
    }

    /// The rows that the database reads are those of the page: it looks the key up and goes on from there.
    #[tokio::test]
    async fn a_page_is_one_range_of_an_index_or_two() {
        use sea_orm::{ConnectionTrait as _, DbBackend};

        let database = crate::testing::TestDatabase::empty().await;
        for sql in PAPERS {
            database.primary().execute_unprepared(sql).await.unwrap();
        }
        let id = || Key::Text("usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T".into());
        let moment = || Key::Time(Timestamp::from_unix_millis(0).unwrap());
        let newest = || Order::<row::Entity>::newest_first();
        let oldest = || Order::by_id("created_at", Direction::Ascending);
        let by_owner = |direction| Order::by("owner", row::Column::OwnerId, direction);
        let by_completion = |direction| Order::by_nullable("completed", row::Column::CompletedAt, direction);
        let (up, down) = (Direction::Ascending, Direction::Descending);
        for (order, key, index, conditions) in [
            (newest(), Some(vec![id()]), "papers_pkey", &["id<?"][..]),
            (oldest(), Some(vec![id()]), "papers_pkey", &["id>?"]),
            (by_owner(up), Some(vec![id(), id()]), "by_owner", &["(owner_id,id)>(?,?)"]),
            (by_owner(down), Some(vec![id(), id()]), "by_owner", &["(owner_id,id)<(?,?)"]),
            (by_completion(up), None, "by_completion", &["completed_at>?", "completed_at=?"]),
            (by_completion(down), None, "by_completion", &["completed_at>?", "completed_at=?"]),
            (
                by_completion(up),
                Some(vec![moment(), id()]),
                "by_completion",
                &["(completed_at,id)>(?,?)", "completed_at=?"],
            ),
            (
                by_completion(down),
                Some(vec![moment(), id()]),
                "by_completion",
                &["(completed_at,id)<(?,?)", "completed_at=?"],
            ),
            (by_completion(up), Some(vec![Key::Null, id()]), "by_completion", &["completed_at=? AND id>?"]),
            (by_completion(down), Some(vec![Key::Null, id()]), "by_completion", &["completed_at=? AND id<?"]),
        ] {
            let request = match key {
                Some(key) => PageRequest::after(20, encode(&mac(), &order.list(), &key).unwrap()),
                None => PageRequest::first(20),
            };
            let ranges = ranges(&mac(), crate::repository::live(), &request, &order).unwrap();
            assert_eq!(ranges.len(), conditions.len());
            for (range, condition) in ranges.into_iter().zip(conditions) {
                let (plan, sql) = plan(&database, range.limit(21)).await;
                let (found, sorts) = if database.backend() == DbBackend::Postgres {
                    (plan.contains("Index Cond"), plan.contains("Sort"))
                } else {
                    (plan.contains(condition), plan.contains("TEMP B-TREE"))
                };
                assert!(plan.contains(index) || plan.contains("autoindex"), "{sql}\n{plan}");
                assert!(found && !sorts, "{sql}\n{plan}");
            }
        }
    }
}
