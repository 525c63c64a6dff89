//! Pages of a list, by key and not by number: a page costs the same wherever it lies, and rows that come or go between
//! two pages shift nothing.
//!
//! ULIDs are in time order, so the default order is the id alone. Any other order compares rows, `(name, id) > (?, ?)`,
//! which an index on both columns answers; sea-orm's `cursor_by` on two columns writes a condition that no index can
//! (see `docs/adr/`).
//!
//! A cursor is opaque to clients: signed, so that it cannot be made up, versioned, so that its form can change.
//!
//! # Adding an order to a list
//!
//! An [`Order`] with a name of its own over a column without nulls, and an index on that column and the id.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use garde::Validate;
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait, EntityTrait, ModelTrait, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select, Value,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::clock::Timestamp;
use crate::crypto::MacKey;
use crate::error::Invalid;
use crate::repository::SoftDelete;
use crate::session::{Reader, SessionError};

/// How a client asks for a page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// How many items at most, 1 to 100.
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<u64>,
    /// Where the page before ended: its `next_cursor`. Not together with `offset`.
    // The longest that an order can make: a name of 100 characters, which NFKC makes 3,300 bytes of at most (UAX #15, section
    // 9), is some 4,500 in Base64. What is given out must be taken back.
    #[garde(length(max = 10_000))]
    #[param(max_length = 10_000)]
    pub cursor: Option<String>,
    /// How many items to pass over. Costs more the larger it is; follow `next_cursor` instead where you can.
    #[garde(range(max = 10_000))]
    #[param(minimum = 0, maximum = 10_000)]
    pub offset: Option<u64>,
    /// `total` adds the number of all items, which costs as much as many pages.
    #[garde(skip)]
    #[param(inline)]
    pub include: Option<Include>,
}

/// What a page can carry besides its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Include {
    /// The number of all items.
    Total,
}

/// A page as a service asks for it: the rules hold.
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
    /// How many items a page has when the client does not say.
    pub const DEFAULT_LIMIT: u64 = 20;

    /// The first page, of that many items.
    #[must_use]
    pub fn first(limit: u64) -> Self {
        Self { limit, start: Start::First, with_total: false }
    }

    /// The page after the one that ended with this cursor.
    #[must_use]
    pub fn after(limit: u64, cursor: impl Into<String>) -> Self {
        Self { limit, start: Start::After(cursor.into()), with_total: false }
    }

    /// The same with the number of all items.
    #[must_use]
    pub fn with_total(self) -> Self {
        Self { with_total: true, ..self }
    }
}

impl TryFrom<PageQuery> for PageRequest {
    type Error = Invalid;

    fn try_from(query: PageQuery) -> Result<Self, Invalid> {
        crate::json::validate(&query)?;
        let start = match (query.cursor, query.offset) {
            (Some(_), Some(_)) => {
                return Err(Invalid::field("/offset", "exclusive", "cannot be given together with cursor"));
            }
            (Some(cursor), None) => Start::After(cursor),
            (None, Some(offset)) => Start::Offset(offset),
            (None, None) => Start::First,
        };
        let limit = query.limit.unwrap_or(Self::DEFAULT_LIMIT);
        Ok(Self { limit, start, with_total: query.include.is_some() })
    }
}

/// A page of a list, as the API answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the order asked for.
    pub items: Vec<T>,
    /// What to send as `cursor` for the next page; `null` on the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
    /// The number of all items, with `include=total`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl<T> Page<T> {
    /// The same page of something made from each item.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(f).collect(),
            next_cursor: self.next_cursor,
            total: self.total,
        }
    }
}

/// Which way a list runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest or oldest first.
    Ascending,
    /// Largest or newest first.
    Descending,
}

/// An order of the rows of `E`: by a column without nulls and then by id, or by id alone.
#[derive(Clone, Copy, Debug)]
pub struct Order<E: EntityTrait> {
    name: &'static str,
    column: Option<E::Column>,
    direction: Direction,
}

impl<E: SoftDelete> Order<E> {
    /// By id, which is by time of creation. `name` is what the client calls it; a cursor is good for its own order only.
    #[must_use]
    pub const fn by_id(name: &'static str, direction: Direction) -> Self {
        Self { name, column: None, direction }
    }

    /// By a column without nulls, and by id where it is equal.
    #[must_use]
    pub const fn by(name: &'static str, column: E::Column, direction: Direction) -> Self {
        Self { name, column: Some(column), direction }
    }

    /// The newest first: the default of every list.
    #[must_use]
    pub const fn newest_first() -> Self {
        Self::by_id("-created_at", Direction::Descending)
    }

    /// What a cursor of this order is good for: the table and the order.
    fn list(&self) -> String {
        format!("{} {}", E::default().table_name(), self.name)
    }

    fn columns(&self) -> impl Iterator<Item = E::Column> {
        self.column.into_iter().chain([E::ID])
    }

    fn apply(&self, mut select: Select<E>) -> Select<E> {
        let direction = match self.direction {
            Direction::Ascending => sea_orm::Order::Asc,
            Direction::Descending => sea_orm::Order::Desc,
        };
        for column in self.columns() {
            select = select.order_by(column, direction.clone());
        }
        select
    }

    fn after(&self, select: Select<E>, key: Vec<Key>) -> Select<E> {
        let columns = Expr::tuple(self.columns().map(|column| Expr::col(column.as_column_ref())));
        let values = Expr::tuple(key.into_iter().map(|key| Expr::val(Value::from(key))));
        select.filter(match self.direction {
            Direction::Ascending => columns.gt(values),
            Direction::Descending => columns.lt(values),
        })
    }

    fn key_of(&self, row: &E::Model) -> Option<Vec<Key>>
    where
        E::Model: ModelTrait<Entity = E>,
    {
        self.columns().map(|column| Key::read(row.get(column))).collect()
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
}

impl Key {
    fn read(value: Value) -> Option<Self> {
        match value {
            Value::String(Some(text)) => Some(Self::Text(text)),
            Value::Int(Some(number)) => Some(Self::Integer(number.into())),
            Value::BigInt(Some(number)) => Some(Self::Integer(number)),
            Value::Bool(Some(boolean)) => Some(Self::Boolean(boolean)),
            Value::TimeDateTimeWithTimeZone(Some(moment)) => Some(Self::Time(Timestamp::from_stored(moment))),
            _ => None,
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
        }
    }
}

/// The first byte of every cursor of this form.
const VERSION: u8 = 1;
/// 128 bits of the tag: nobody guesses that, and the cursor stays short.
const TAG_LENGTH: usize = 16;

fn encode(mac: &MacKey, list: &str, key: &[Key]) -> Result<String, SessionError> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, &(list, key)).map_err(|_| SessionError::Cursor)?;
    let tag = mac.sign(&bytes);
    bytes.extend_from_slice(&tag[..TAG_LENGTH]);
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn decode(mac: &MacKey, list: &str, length: usize, cursor: &str) -> Option<Vec<Key>> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (signed, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_LENGTH)?)?;
    // Both sides are signed once more: tags are compared in whole, in constant time, by the library.
    if !mac.verify(&mac.sign(signed)[..TAG_LENGTH], &mac.sign(tag)) {
        return None;
    }
    let (version, payload) = signed.split_first()?;
    let (name, key): (String, Vec<Key>) = serde_json::from_slice(payload).ok()?;
    (*version == VERSION && name == list && key.len() == length).then_some(key)
}

/// The page of `select` that `request` asks for. One statement, or two with the total.
pub(crate) async fn fetch<E, R>(
    session: &R,
    select: Select<E>,
    request: &PageRequest,
    order: Order<E>,
) -> Result<Page<E::Model>, SessionError>
where
    E: SoftDelete,
    E::Model: ModelTrait<Entity = E>,
    R: Reader + ?Sized,
{
    let total = if request.with_total { Some(session.count(select.clone()).await?) } else { None };
    let mac = session.cursor_key();
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let mut items = session.all(rows(mac, select, request, &order)?).await?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = match items.last() {
        Some(last) if more => {
            Some(encode(mac, &order.list(), &order.key_of(last).ok_or(SessionError::Cursor)?)?)
        }
        _ => None,
    };
    Ok(Page { items, next_cursor, total })
}

/// The rows of a page and one more, which tells whether there is a next page.
fn rows<E: SoftDelete>(
    mac: &MacKey,
    select: Select<E>,
    request: &PageRequest,
    order: &Order<E>,
) -> Result<Select<E>, SessionError> {
    let rows = order.apply(select).limit(request.limit.saturating_add(1));
    Ok(match &request.start {
        Start::First => rows,
        Start::Offset(offset) => rows.offset(*offset),
        Start::After(cursor) => {
            let key =
                decode(mac, &order.list(), order.columns().count(), cursor).ok_or(SessionError::Cursor)?;
            order.after(rows, key)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SecretKey;

    fn mac() -> MacKey {
        SecretKey::new(&"0123456789abcdef0123456789abcdef".to_owned().into()).unwrap().mac_key("cursor")
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
    fn what_is_given_out_is_taken_back() {
        // The character that grows most under NFKC.
        for letter in ["\u{fdfa}", "\"", "\u{130}", "\u{1f4a1}"] {
            let name = crate::text::comparable(&letter.repeat(100));
            let key = vec![Key::Text(name), Key::Text("usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T".into())];
            let cursor = encode(&mac(), "users -name", &key).unwrap();
            let query = PageQuery { cursor: Some(cursor.clone()), ..Default::default() };
            assert_eq!(PageRequest::try_from(query), Ok(PageRequest::after(20, cursor.clone())), "{letter}");
            assert_eq!(decode(&mac(), "users -name", 2, &cursor), Some(key));
        }
        let query = PageQuery { cursor: Some("A".repeat(10_001)), ..Default::default() };
        assert!(PageRequest::try_from(query).is_err());
    }

    #[test]
    fn the_rules_of_a_page_hold() {
        let ask = |query: PageQuery| {
            PageRequest::try_from(query).map_err(|Invalid(fields)| fields[0].pointer.clone())
        };
        assert_eq!(ask(PageQuery { limit: Some(0), ..Default::default() }), Err("/limit".into()));
        assert_eq!(ask(PageQuery { limit: Some(101), ..Default::default() }), Err("/limit".into()));
        assert_eq!(ask(PageQuery { offset: Some(10_001), ..Default::default() }), Err("/offset".into()));
        let both = PageQuery { offset: Some(1), cursor: Some("x".into()), ..Default::default() };
        assert_eq!(ask(both), Err("/offset".into()));
        assert_eq!(ask(PageQuery::default()), Ok(PageRequest::first(20)));
    }

    #[expect(unreachable_pub, reason = "what sea-orm derives is public")]
    mod row {
        use sea_orm::entity::prelude::*;

        use crate::clock::Timestamp;
        use crate::id::{UserId, UserKind};
        use crate::repository::SoftDelete;

        #[sea_orm::model]
        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "uploads")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub id: UserId,
            pub version: i64,
            pub updated_at: Timestamp,
            pub deleted_at: Option<Timestamp>,
            pub owner_id: UserId,
        }

        impl ActiveModelBehavior for ActiveModel {}

        impl SoftDelete for Entity {
            type Kind = UserKind;
            const ID: Column = Column::Id;
            const VERSION: Column = Column::Version;
            const UPDATED_AT: Column = Column::UpdatedAt;
            const DELETED_AT: Column = Column::DeletedAt;
        }
    }

    /// The rows that the database reads are those of the page: it looks the key up and goes on from there.
    #[tokio::test]
    async fn a_page_is_one_range_of_an_index() {
        use sea_orm::{ConnectionTrait as _, DbBackend, QueryTrait as _, Statement, TransactionTrait as _};

        let database = crate::testing::TestDatabase::new::<migration::Migrator>().await;
        for (order, index, condition) in [
            (Order::<row::Entity>::newest_first(), "uploads_pkey", "id<?"),
            (Order::by_id("created_at", Direction::Ascending), "uploads_pkey", "id>?"),
            (
                Order::by("owner", row::Column::OwnerId, Direction::Ascending),
                "uploads_owner_id_idx",
                "(owner_id,id)>(?,?)",
            ),
            (
                Order::by("-owner", row::Column::OwnerId, Direction::Descending),
                "uploads_owner_id_idx",
                "(owner_id,id)<(?,?)",
            ),
        ] {
            let key = vec![Key::Text("usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T".into()); order.columns().count()];
            let request = PageRequest::after(20, encode(&mac(), &order.list(), &key).unwrap());
            let rows = rows(&mac(), crate::repository::live(), &request, &order).unwrap();
            let Statement { sql, values, .. } = rows.build(database.backend());
            // The driver has to prepare what it explains: one connection, so that a setting of PostgreSQL holds for it.
            let transaction = database.primary().begin().await.unwrap();
            let explain = if database.backend() == DbBackend::Postgres {
                // A table without rows is read in whole otherwise, or sorted.
                for setting in ["enable_seqscan", "enable_bitmapscan", "enable_sort"] {
                    transaction.execute_unprepared(&format!("SET LOCAL {setting} = off")).await.unwrap();
                }
                "EXPLAIN"
            } else {
                "EXPLAIN QUERY PLAN"
            };
            let statement =
                Statement { sql: format!("{explain} {sql}"), values, db_backend: database.backend() };
            let column = if database.backend() == DbBackend::Postgres { "QUERY PLAN" } else { "detail" };
            let lines = transaction.query_all_raw(statement).await.unwrap();
            let plan: Vec<String> = lines.iter().map(|line| line.try_get("", column).unwrap()).collect();
            let plan = plan.join("\n");
            if database.backend() == DbBackend::Postgres {
                assert!(
                    plan.contains("Index Cond") && plan.contains(index) && !plan.contains("Sort"),
                    "{sql}\n{plan}"
                );
            } else {
                assert!(
                    plan.contains(condition) && plan.contains("USING") && !plan.contains("TEMP B-TREE"),
                    "{sql}\n{plan}"
                );
            }
        }
    }
}
