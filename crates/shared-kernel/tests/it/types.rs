//! The types that a row can hold: each comes back as it was, and both engines compare and sort it alike.

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{ColumnDef, Table};
use sea_orm::{
    ActiveModelTrait, ColumnTrait as _, ConnectionTrait as _, DbBackend, EntityTrait as _,
    IntoActiveModel as _, Iterable as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
    TryIntoModel as _,
};
use serde_json::json;
use shared_kernel::clock::Date;
use shared_kernel::decimal::Decimal;
use shared_kernel::json::JsonObject;
use shared_kernel::page::{Direction, Order};
use shared_kernel::repository::{Precondition, Repository, contains};
use shared_kernel::session::{Databases, Reader as _, WriteSession};
use shared_kernel::testing::TestDatabase;
use uuid::Uuid;

use crate::common::{commit, moment};
use crate::pages::follow;
use gadget::Column;

/// A resource with a column of each type, once with a value always and once without.
#[expect(unreachable_pub, reason = "what sea-orm derives is public")]
pub(crate) mod gadget {
    use sea_orm::entity::prelude::*;
    use shared_kernel::clock::{Date, Timestamp};
    use shared_kernel::decimal::Decimal;
    use shared_kernel::id::{Id, IdKind};
    use shared_kernel::json::JsonObject;
    use shared_kernel::repository::SoftDelete;

    #[derive(Debug)]
    pub enum GadgetKind {}

    impl IdKind for GadgetKind {
        const PREFIX: &'static str = "gad";
        const NAME: &'static str = "gadget";
    }

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, SoftDelete)]
    #[sea_orm(table_name = "gadgets")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Id<GadgetKind>,
        pub version: i64,
        pub created_at: Timestamp,
        pub updated_at: Timestamp,
        pub deleted_at: Option<Timestamp>,
        pub price: Decimal<15, 2>,
        pub rate: Decimal<15, 8>,
        pub share: Decimal<15, 15>,
        pub quantity: Decimal<15, 0>,
        pub amount: rust_decimal::Decimal,
        pub weight: f64,
        pub day: Date,
        pub token: Uuid,
        pub level: i16,
        pub settings: JsonObject,
        pub maybe_name: Option<String>,
        pub maybe_price: Option<Decimal<15, 2>>,
        pub maybe_amount: Option<rust_decimal::Decimal>,
        pub maybe_weight: Option<f64>,
        pub maybe_day: Option<Date>,
        pub maybe_moment: Option<Timestamp>,
        pub maybe_token: Option<Uuid>,
        pub maybe_level: Option<i16>,
        pub maybe_count: Option<i32>,
        pub maybe_rank: Option<i64>,
        pub maybe_shiny: Option<bool>,
        pub maybe_settings: Option<JsonObject>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) struct Gadgets;

impl Repository for Gadgets {
    type Entity = gadget::Entity;
    type Row = gadget::ActiveModel;
}

/// A database with a table of gadgets, written as a migration writes it.
pub(crate) async fn database() -> TestDatabase {
    let database = TestDatabase::empty().await;
    let column = |name: &'static str| ColumnDef::new(name);
    let table = Table::create()
        .table("gadgets")
        .col(column("id").string_len(30).not_null().primary_key())
        .col(column("version").big_integer().not_null())
        .col(column("created_at").timestamp_with_time_zone().not_null())
        .col(column("updated_at").timestamp_with_time_zone().not_null())
        .col(column("deleted_at").timestamp_with_time_zone())
        .col(column("price").decimal_len(15, 2).not_null())
        .col(column("rate").decimal_len(15, 8).not_null())
        .col(column("share").decimal_len(15, 15).not_null())
        .col(column("quantity").decimal_len(15, 0).not_null())
        .col(column("amount").decimal_len(15, 8).not_null())
        .col(column("weight").double().not_null())
        .col(column("day").date().not_null())
        .col(column("token").uuid().not_null())
        .col(column("level").small_integer().not_null())
        .col(column("settings").json_binary().not_null())
        .col(column("maybe_name").string_len(100))
        .col(column("maybe_price").decimal_len(15, 2))
        .col(column("maybe_amount").decimal_len(15, 8))
        .col(column("maybe_weight").double())
        .col(column("maybe_day").date())
        .col(column("maybe_moment").timestamp_with_time_zone())
        .col(column("maybe_token").uuid())
        .col(column("maybe_level").small_integer())
        .col(column("maybe_count").integer())
        .col(column("maybe_rank").big_integer())
        .col(column("maybe_shiny").boolean())
        .col(column("maybe_settings").json_binary())
        .to_owned();
    database.primary().execute(&table).await.unwrap();
    database
}

/// A gadget whose values are zero, empty or null.
pub(crate) fn gadget(session: &WriteSession) -> gadget::ActiveModel {
    gadget::ActiveModel {
        id: Set(session.new_id()),
        version: Set(1),
        created_at: Set(session.now()),
        updated_at: Set(session.now()),
        deleted_at: Set(None),
        price: Set(Decimal::default()),
        rate: Set(Decimal::default()),
        share: Set(Decimal::default()),
        quantity: Set(Decimal::default()),
        amount: Set(rust_decimal::Decimal::ZERO),
        weight: Set(0.0),
        day: Set(Date::from_valid("2026-01-31")),
        token: Set(Uuid::nil()),
        level: Set(0),
        settings: Set(JsonObject::default()),
        maybe_name: Set(None),
        maybe_price: Set(None),
        maybe_amount: Set(None),
        maybe_weight: Set(None),
        maybe_day: Set(None),
        maybe_moment: Set(None),
        maybe_token: Set(None),
        maybe_level: Set(None),
        maybe_count: Set(None),
        maybe_rank: Set(None),
        maybe_shiny: Set(None),
        maybe_settings: Set(None),
    }
}

/// Writes all rows; they are what they were, and so they are read.
pub(crate) async fn stored(
    databases: &Databases,
    rows: impl IntoIterator<Item = impl FnOnce(gadget::ActiveModel) -> gadget::ActiveModel>,
) -> Vec<gadget::Model> {
    let session = databases.write();
    let rows: Vec<_> = rows.into_iter().map(|row| row(gadget(&session))).collect();
    // SQLite takes 32 766 values in a statement.
    for some in rows.chunks(1_000) {
        gadget::Entity::insert_many(some.to_vec()).exec_without_returning(&session).await.unwrap();
    }
    commit(session).await;
    let rows: Vec<gadget::Model> = rows.into_iter().map(|row| row.try_into_model().unwrap()).collect();
    let read = gadget::Entity::find().order_by_asc(Column::Id);
    assert_eq!(databases.read_primary().all(read).await.unwrap(), rows);
    assert_eq!(databases.read_primary().all(by_name()).await.unwrap(), rows, "read by the names of columns");
    rows
}

/// All gadgets, with their columns in another order than that of the model.
fn by_name() -> Select<gadget::Entity> {
    let columns: Vec<Column> = Column::iter().collect();
    gadget::Entity::find().select_only().columns(columns.into_iter().rev()).order_by_asc(Column::Id)
}

#[tokio::test]
async fn a_column_that_is_missing_is_named() {
    let database = database().await;
    stored(&database, [|row| row]).await;
    let missing = gadget::Entity::find().select_only().columns([Column::Id, Column::CreatedAt]);
    let error = database.read_primary().one(missing).await.unwrap_err();
    assert!(format!("{error:?}").contains("version"), "{error:?}");
}

async fn walk(databases: &Databases, order: Order<gadget::Entity>, limit: u64) -> Vec<gadget::Model> {
    follow(databases, order, limit, async |_| ()).await
}

async fn count(databases: &Databases, condition: impl sea_orm::sea_query::IntoCondition) -> usize {
    let rows = gadget::Entity::find().filter(condition);
    databases.read_primary().count(rows).await.unwrap().try_into().unwrap()
}

/// That the column keeps the `values`, which are in ascending order, finds each, and sorts them.
async fn keeps<V: Copy + Into<sea_orm::Value> + std::fmt::Debug>(
    column: Column,
    values: &[V],
    set: impl Fn(gadget::ActiveModel, V) -> gadget::ActiveModel + Copy,
) {
    let database = database().await;
    // Not in their order, and each twice: `(column, id) > (?, ?)` compares both.
    let shuffled = (0..2).flat_map(|_| values.iter().rev().copied());
    let rows = stored(&database, shuffled.map(|value| move |row| set(row, value))).await;
    for (number, value) in values.iter().copied().enumerate() {
        assert_eq!(count(&database, column.eq(value)).await, 2, "at {value:?}");
        assert_eq!(count(&database, column.lt(value)).await, 2 * number, "below {value:?}");
        let above = 2 * (values.len() - number) - 2;
        assert_eq!(count(&database, column.gt(value)).await, above, "above {value:?}");
    }
    assert_eq!(count(&database, column.is_in(values.iter().copied())).await, rows.len());
    let mut ascending: Vec<_> = (0..values.len())
        .flat_map(|n| {
            let at = values.len() - 1 - n;
            [rows[at].id, rows[at + values.len()].id]
        })
        .collect();
    for (direction, limit) in [(Direction::Ascending, 1), (Direction::Descending, 3)] {
        let walked = walk(&database, Order::by("value", column, direction), limit).await;
        assert!(walked.iter().map(|row| row.id).eq(ascending.iter().copied()), "{direction:?}");
        ascending.reverse();
    }
}

#[tokio::test]
async fn decimals_of_fifteen_digits_are_kept_compared_and_sorted() {
    let price = |text: &str| text.parse::<Decimal<15, 2>>().unwrap();
    let prices = [
        "-9999999999999.99",
        "-9999999999999.98",
        "-10",
        "-9.99",
        "-0.01",
        "0",
        "0.01",
        "0.1",
        "0.11",
        "9",
        "10",
        "123456789012.34",
        "999999999999.99",
        "1000000000000.00",
        "9999999999999.98",
        "9999999999999.99",
    ];
    keeps(Column::Price, &prices.map(price), |row, price| gadget::ActiveModel { price: Set(price), ..row })
        .await;
    let share = |text: &str| text.parse::<Decimal<15, 15>>().unwrap();
    let shares = [
        "-0.999999999999999",
        "-0.000000000000001",
        "0",
        "0.000000000000001",
        "0.000000000000002",
        "0.1",
        "0.100000000000001",
        "0.333333333333333",
        "0.999999999999998",
        "0.999999999999999",
    ];
    keeps(Column::Share, &shares.map(share), |row, share| gadget::ActiveModel { share: Set(share), ..row })
        .await;
    let quantity = |text: &str| text.parse::<Decimal<15, 0>>().unwrap();
    let quantities = ["-999999999999999", "-1", "0", "1", "2", "10", "999999999999998", "999999999999999"];
    let set = |row, quantity| gadget::ActiveModel { quantity: Set(quantity), ..row };
    keeps(Column::Quantity, &quantities.map(quantity), set).await;
    // A plain decimal is kept too, but one that has not more than fifteen digits.
    let amounts = ["-9999999.99999999", "-0.00000001", "0.00000001", "4419981.75601524", "4419981.75601526"];
    let amounts = amounts.map(|text| text.parse::<rust_decimal::Decimal>().unwrap());
    keeps(Column::Amount, &amounts, |row, amount| gadget::ActiveModel { amount: Set(amount), ..row }).await;
}

/// Many of them: the errors of a conversion are rare.
#[tokio::test]
async fn no_decimal_changes_on_its_way() {
    // Marsaglia's xorshift64.
    let mut state = 88_172_645_463_325_252_u64;
    let mut units = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        i64::try_from(state % 999_999_999_999_999).unwrap() * if state >> 63 == 0 { 1 } else { -1 }
    };
    let mut values: Vec<_> = (0..5_000)
        .map(|_| (rust_decimal::Decimal::new(units(), 8), rust_decimal::Decimal::new(units(), 15)))
        .collect();
    // What sea-orm reads from SQLite as 4419981.756015251.
    values.push((rust_decimal::Decimal::new(441_998_175_601_525, 8), rust_decimal::Decimal::ZERO));
    let database = database().await;
    let rows = values.iter().map(|(rate, share)| {
        |row| gadget::ActiveModel {
            rate: Set(Decimal::try_from(*rate).unwrap()),
            share: Set(Decimal::try_from(*share).unwrap()),
            ..row
        }
    });
    let mut rows = stored(&database, rows).await;
    for (direction, limit) in [(Direction::Ascending, 97), (Direction::Descending, 100)] {
        for column in [Column::Rate, Column::Share] {
            let by = |row: &gadget::Model| match column {
                Column::Rate => (row.rate.value(), row.id),
                _ => (row.share.value(), row.id),
            };
            rows.sort_by_key(by);
            if direction == Direction::Descending {
                rows.reverse();
            }
            let walked = walk(&database, Order::by("decimal", column, direction), limit).await;
            assert!(walked == rows, "{column:?} {direction:?}");
        }
    }
    let odd = Decimal::<15, 8>::from_valid("4419981.75601525");
    assert_eq!(count(&database, Column::Rate.eq(odd)).await, 1);
}

/// A model that holds a plain decimal reads a wrong one now and then; pages by it are right all the same.
#[tokio::test]
async fn a_page_by_a_plain_decimal_goes_on_where_it_ended() {
    let database = database().await;
    let odd = |_| rust_decimal::Decimal::new(441_998_175_601_525, 8);
    let session = database.write();
    let rows: Vec<_> =
        (0..5).map(|number| gadget::ActiveModel { amount: Set(odd(number)), ..gadget(&session) }).collect();
    gadget::Entity::insert_many(rows).exec_without_returning(&session).await.unwrap();
    commit(session).await;
    for direction in [Direction::Ascending, Direction::Descending] {
        let rows = walk(&database, Order::by("amount", Column::Amount, direction), 2).await;
        assert_eq!(rows.len(), 5);
        assert!(rows.iter().all(|row| Decimal::<15, 8>::from_stored(row.amount).value() == odd(0)));
        let exact = rows.iter().all(|row| row.amount == odd(0));
        assert_eq!(
            exact,
            database.backend() == DbBackend::Postgres,
            "sea-orm has learned to read: say so in `decimal`"
        );
    }
}

/// SQLite holds what it is told to hold; PostgreSQL rounds and refuses.
#[tokio::test]
async fn what_the_column_cannot_hold_is_read_as_the_nearest_that_it_can() {
    let database = database().await;
    stored(&database, [|row| row]).await;
    let written = async |value: &str| {
        let sql = format!("UPDATE gadgets SET price = {value}");
        database.primary().execute_unprepared(&sql).await?;
        let row = database.read_primary().one(gadget::Entity::find()).await.unwrap().unwrap();
        Ok::<_, sea_orm::DbErr>(row.price.to_string())
    };
    assert_eq!(written("1").await.unwrap(), "1.00");
    assert_eq!(written("1.234").await.unwrap(), "1.23");
    assert_eq!(written("-1.236").await.unwrap(), "-1.24");
    for (value, nearest) in [("1e15", "9999999999999.99"), ("-1e25", "-9999999999999.99")] {
        let read = written(value).await;
        if database.backend() == DbBackend::Postgres {
            assert!(read.unwrap_err().to_string().contains("overflow"));
        } else {
            assert_eq!(read.unwrap(), nearest);
        }
    }
}

#[tokio::test]
async fn days_are_kept_compared_and_sorted() {
    let days =
        ["0001-01-01", "0099-12-31", "0999-01-01", "1969-12-31", "1970-01-01", "2000-02-29", "9999-12-31"];
    let days = days.map(|text| text.parse::<Date>().unwrap());
    keeps(Column::Day, &days, |row, day| gadget::ActiveModel { day: Set(day), ..row }).await;
}

#[tokio::test]
async fn uuids_are_kept_compared_and_sorted() {
    let uuids = [0, 1, 0x7fff << 112, (1 << 127) | 1, u128::MAX - 1, u128::MAX].map(Uuid::from_u128);
    keeps(Column::Token, &uuids, |row, token| gadget::ActiveModel { token: Set(token), ..row }).await;
}

#[tokio::test]
async fn numbers_are_kept_compared_and_sorted() {
    let weights = [
        f64::MIN,
        -1.5,
        -f64::MIN_POSITIVE,
        0.0,
        f64::MIN_POSITIVE,
        0.1,
        0.1 + f64::EPSILON,
        1.0,
        1e300,
        f64::MAX,
    ];
    keeps(Column::Weight, &weights, |row, weight| gadget::ActiveModel { weight: Set(weight), ..row }).await;
    let levels = [i16::MIN, -1, 0, 1, i16::MAX];
    keeps(Column::Level, &levels, |row, level| gadget::ActiveModel { level: Set(level), ..row }).await;
}

#[tokio::test]
async fn objects_are_kept_and_changed_as_a_whole() {
    let object = |value| serde_json::from_value::<JsonObject>(value).unwrap();
    let deep = (0..120).fold(json!({}), |inner, _| json!({"a": inner}));
    let database = database().await;
    for value in [
        json!({}),
        json!({"b": [1, -2.5, true, null, "Zoë \u{1f4a1} \" \\ %"], "a": {"c": {}, "": []}}),
        json!({"large": i64::MAX, "larger": u64::MAX, "small": 0.000_001, "text": "1"}),
        deep,
    ] {
        let session = database.write();
        let row = gadget::ActiveModel {
            settings: Set(object(value.clone())),
            maybe_settings: Set(Some(object(value.clone()))),
            ..gadget(&session)
        };
        let row = Gadgets::insert(&session, row).await.unwrap();
        assert_eq!(
            (&row.settings, row.maybe_settings.as_ref()),
            (&object(value.clone()), Some(&row.settings))
        );
        let mut settings = row.settings;
        settings.merge(object(json!({"a": null, "new": {"x": 1, "y": null}})));
        let changes = gadget::ActiveModel {
            settings: Set(settings.clone()),
            maybe_settings: Set(None),
            ..Default::default()
        };
        let after = Gadgets::update(&session, row.id, &Precondition::None, changes).await.unwrap().unwrap();
        assert_eq!((after.settings, after.maybe_settings), (settings, None));
        commit(session).await;
    }
    let no_object = "UPDATE gadgets SET settings = '[1]'";
    database.primary().execute_unprepared(no_object).await.unwrap();
    let refused = database.read_primary().all(gadget::Entity::find()).await.unwrap_err();
    assert!(format!("{refused:?}").contains("no object"), "{refused:?}");
}

#[tokio::test]
async fn a_text_is_found_in_any_spelling_and_wildcards_are_none() {
    let database = database().await;
    let names = ["ada king", "100%", "1000", "a_b", "axb", r"a\b", "strasse", "x@xn--mnchen-3ya.de"];
    let row =
        |name: &'static str| move |row| gadget::ActiveModel { maybe_name: Set(Some(name.to_owned())), ..row };
    stored(&database, names.map(row)).await;
    stored_without_name(&database).await;
    for (text, found) in [
        ("KING", &["ada king"][..]),
        ("Ａda", &["ada king"]),
        ("0%", &["100%"]),
        ("100", &["100%", "1000"]),
        ("A_B", &["a_b"]),
        ("\\", &[r"a\b"]),
        ("AßE", &["strasse"]),
        ("STRASSE", &["strasse"]),
        ("X@M\u{dc}NCHEN.de", &["x@xn--mnchen-3ya.de"]),
        ("m\u{fc}nchen", &["x@xn--mnchen-3ya.de"]),
        ("%", &["100%"]),
        ("x y", &[]),
    ] {
        let rows = gadget::Entity::find().filter(contains([Column::MaybeName], text));
        let rows = database.read_primary().all(rows.order_by_asc(Column::Id)).await.unwrap();
        let rows: Vec<_> = rows.into_iter().filter_map(|row| row.maybe_name).collect();
        assert_eq!(rows, found, "{text}");
    }
    let either = contains([Column::MaybeName, Column::Id], "gad_");
    assert_eq!(count(&database, either).await, 9, "any of the columns");
}

async fn stored_without_name(database: &TestDatabase) {
    let session = database.write();
    Gadgets::insert(&session, gadget(&session)).await.unwrap();
    commit(session).await;
}

/// A gadget that has everything.
fn full(session: &WriteSession) -> gadget::ActiveModel {
    gadget::ActiveModel {
        maybe_price: Set(Some(Decimal::from_valid("0.10"))),
        maybe_amount: Set(Some(rust_decimal::Decimal::new(1, 8))),
        maybe_weight: Set(Some(0.1)),
        maybe_day: Set(Some(Date::from_valid("2026-01-31"))),
        maybe_moment: Set(Some(moment("2026-01-31T12:00:00Z"))),
        maybe_token: Set(Some(Uuid::max())),
        maybe_level: Set(Some(-1)),
        maybe_settings: Set(Some(JsonObject::default())),
        ..gadget(session)
    }
}

#[tokio::test]
async fn a_value_that_is_not_there_is_null() {
    let database = database().await;
    let session = database.write();
    let row = full(&session);
    let full = Gadgets::insert(&session, row.clone()).await.unwrap();
    assert_eq!(full, row.try_into_model().unwrap());
    let row = gadget(&session);
    let empty = Gadgets::insert(&session, row.clone()).await.unwrap();
    assert_eq!(empty, row.try_into_model().unwrap());
    commit(session).await;
}

#[tokio::test]
async fn what_is_so_already_is_no_change_whatever_its_type() {
    let database = database().await;
    let session = database.write();
    let full = Gadgets::insert(&session, full(&session)).await.unwrap();
    let empty = Gadgets::insert(&session, gadget(&session)).await.unwrap();
    let values = |row: &gadget::Model| gadget::ActiveModel {
        id: NotSet,
        version: NotSet,
        created_at: NotSet,
        updated_at: NotSet,
        deleted_at: NotSet,
        ..row.clone().into_active_model().reset_all()
    };
    let update = async |row: &gadget::Model, changes| {
        Gadgets::update(&session, row.id, &Precondition::None, changes).await.unwrap().unwrap()
    };
    for row in [&full, &empty] {
        assert_eq!(update(row, values(row)).await, row.clone());
    }
    let (mut told, mut version) = (0, full.version);
    for column in Column::iter() {
        let value = |row| ActiveModelTrait::get(&values(row), column);
        let (Set(from), Set(to)) = (value(&full), value(&empty)) else { continue };
        if from == to {
            continue;
        }
        told += 1;
        for (value, is_another) in [(to.clone(), true), (to, false), (from.clone(), true), (from, false)] {
            let mut changes = <gadget::ActiveModel as ActiveModelTrait>::default();
            ActiveModelTrait::set(&mut changes, column, value);
            let updated = update(&full, changes).await;
            assert_eq!(updated.version > version, is_another, "{column:?}");
            version = updated.version;
        }
    }
    assert!(told >= 8, "{told}");
    commit(session).await;
}
