//! Walks through lists, page by page.

use std::collections::BTreeSet;
use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait as _, EntityTrait as _, ModelTrait, QueryFilter as _};
use shared_kernel::decimal::Decimal;
use shared_kernel::error::DomainError as _;
use shared_kernel::integer::Int;
use shared_kernel::kernel_error::KernelError;
use shared_kernel::page::{self, Direction, Include, Order, PageQuery, PageRequest};
use shared_kernel::repository::{Precondition, Repository as _, SoftDelete, live};
use shared_kernel::session::{Databases, Reader as _};
use uuid::Uuid;

use crate::common::{Widgets, commit, database, moment, opened_again, widget};
use crate::types::{self, gadget};
use widget::Column;

/// As many rows as give five full pages of ten and one of seven.
const ROWS: usize = 57;

/// Rows with many equal names, and moments whose fractions have different lengths.
async fn fill(databases: &Databases) -> Vec<widget::Model> {
    let session = databases.write();
    let start = moment("2024-05-01T11:59:59Z");
    let mut rows = Vec::new();
    for number in 0..ROWS {
        let steps = u32::try_from(number % 19).unwrap();
        let row = widget::ActiveModel {
            name: Set(["Ada", "ada", "Zoë", "\u{1f4a1}", "", "O'Hara \\ %_"][number % 6].to_owned()),
            rank: Set(i64::from(steps) - 9),
            shiny: Set(number % 3 == 0),
            // 0, .1, .2, .25, .3 … of a second, over two seconds.
            made_at: Set(start
                + Duration::from_micros(125_000 * u64::from(steps))
                + Duration::from_micros(u64::from(steps % 2))),
            ..widget(&session, &number.to_string())
        };
        rows.push(Widgets::insert(&session, row).await.unwrap());
    }
    session.commit(rows).await.unwrap().into_value()
}

fn orders() -> Vec<Order<widget::Entity>> {
    let mut orders = vec![Order::newest_first(), Order::by_id("created_at", Direction::Ascending)];
    for (name, column) in [
        ("name", Column::Name),
        ("rank", Column::Rank),
        ("shiny", Column::Shiny),
        ("made_at", Column::MadeAt),
        ("version", Column::Version),
    ] {
        orders.push(Order::by(name, column, Direction::Ascending));
        orders.push(Order::by(Box::leak(format!("-{name}").into_boxed_str()), column, Direction::Descending));
    }
    orders
}

async fn walk(
    databases: &Databases,
    order: Order<widget::Entity>,
    limit: u64,
    between: impl AsyncFnMut(usize),
) -> Vec<widget::Model> {
    follow(databases, order, limit, between).await
}

/// All rows in that order, by following the cursors; `between` is called after each page.
pub(crate) async fn follow<E: SoftDelete<Model: ModelTrait<Entity = E>>>(
    databases: &Databases,
    order: Order<E>,
    limit: u64,
    mut between: impl AsyncFnMut(usize),
) -> Vec<E::Model> {
    let mut request = PageRequest::first(limit);
    let mut rows = Vec::new();
    for page in 1..=200 {
        let answer = page::fetch(&databases.read(None), live(), &request, order).await.unwrap();
        assert_eq!(answer.total, None, "nobody asked for it");
        assert!(answer.items.len() <= usize::try_from(limit).unwrap());
        rows.extend(answer.items);
        let Some(cursor) = answer.next_cursor else { return rows };
        between(page).await;
        request = PageRequest::after(limit, cursor);
    }
    panic!("the list does not end");
}

#[tokio::test]
async fn a_walk_sees_each_row_once_in_every_order() {
    let database = database().await;
    let rows = fill(&database).await;
    for order in orders() {
        for limit in [1, 10, 19, 57, 100] {
            let mut pages = 1;
            let walked = walk(&database, order, limit, async |_| pages += 1).await;
            assert_eq!(walked.len(), ROWS, "{order:?} by {limit}");
            let ids: BTreeSet<_> = walked.iter().map(|row| row.id).collect();
            assert_eq!(ids.len(), ROWS, "{order:?} by {limit}");
            assert_eq!(
                pages,
                ROWS.div_ceil(usize::try_from(limit).unwrap()),
                "no empty page at the end: {order:?}"
            );
        }
    }
    // The engines need not agree on the order of texts, but numbers, moments and ids have one.
    let by_id: Vec<_> = rows.iter().map(|row| row.id).collect();
    let ids = |walked: Vec<widget::Model>| walked.into_iter().map(|row| row.id).collect::<Vec<_>>();
    let ascending =
        ids(walk(&database, Order::by_id("created_at", Direction::Ascending), 10, async |_| ()).await);
    assert_eq!(ascending, by_id);
    let descending = ids(walk(&database, Order::newest_first(), 10, async |_| ()).await);
    assert!(descending.iter().eq(by_id.iter().rev()));
    let mut expected = rows.clone();
    expected.sort_by_key(|row| (row.rank, row.id));
    assert_eq!(
        walk(&database, Order::by("rank", Column::Rank, Direction::Ascending), 10, async |_| ()).await,
        expected
    );
    expected.sort_by_key(|row| (row.made_at, row.id));
    assert_eq!(
        walk(&database, Order::by("m", Column::MadeAt, Direction::Ascending), 10, async |_| ()).await,
        expected
    );
    expected.reverse();
    assert_eq!(
        walk(&database, Order::by("-m", Column::MadeAt, Direction::Descending), 10, async |_| ()).await,
        expected
    );
}

#[tokio::test]
async fn rows_that_come_and_go_between_pages_shift_nothing() {
    let database = database().await;
    for (round, order) in orders().into_iter().enumerate() {
        let old = fill(&database).await;
        let kept: BTreeSet<_> = old.iter().skip(20).map(|row| row.id).collect();
        let walked = walk(&database, order, 10, async |page| {
            // New rows at both ends of every order, and four of the old go: already seen or not.
            let session = database.write();
            for (end, (name, rank)) in [("!", -1_000), ("\u{10ffff}", 1_000)].into_iter().enumerate() {
                let row = widget::ActiveModel {
                    name: Set(name.to_owned()),
                    rank: Set(rank),
                    ..widget(&session, &format!("new {round} {page} {end}"))
                };
                Widgets::insert(&session, row).await.unwrap();
            }
            for gone in old.iter().take(20).skip((page - 1) * 4).take(4) {
                Widgets::soft_delete(&session, gone.id, &Precondition::None).await.unwrap().unwrap();
            }
            commit(session).await;
        })
        .await;
        let ids: BTreeSet<_> = walked.iter().map(|row| row.id).collect();
        assert_eq!(ids.len(), walked.len(), "one was seen twice: {order:?}");
        assert!(ids.is_superset(&kept), "one that stayed was not seen: {order:?}");
        // An empty list for the next order.
        let session = database.write();
        for row in walk(&database, Order::newest_first(), 100, async |_| ()).await {
            Widgets::soft_delete(&session, row.id, &Precondition::None).await.unwrap().unwrap();
        }
        commit(session).await;
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_order_and_installation() {
    let database = database().await;
    fill(&database).await;
    let by_name = Order::by("name", Column::Name, Direction::Ascending);
    let reader = database.read(None);
    let first = Widgets::page(&reader, Widgets::unscoped(), &PageRequest::first(10), by_name).await.unwrap();
    let cursor = first.next_cursor.unwrap();
    let page = async |databases: &Databases, cursor: &str, order| {
        let reader = databases.read(None);
        Widgets::page(&reader, Widgets::unscoped(), &PageRequest::after(10, cursor), order).await
    };
    page(&database, &cursor, by_name).await.unwrap();
    for other in [
        Order::by("-name", Column::Name, Direction::Descending),
        Order::by("rank", Column::Rank, Direction::Ascending),
        Order::newest_first(),
    ] {
        let refused = page(&database, &cursor, other).await.unwrap_err();
        assert!(matches!(refused, KernelError::Cursor), "{other:?}: {refused:?}");
        let fields = refused.fields();
        assert_eq!((refused.problem().code, &*fields[0].pointer), ("validation_failed", "/cursor"));
    }
    let longer = cursor.repeat(50);
    let shorter = &cursor[..cursor.len() - 1];
    for garbage in
        ["", "x", "=", "AQ", "e30", "\u{1f4a1}", "' OR 1=1 --", &longer, shorter, &format!("{cursor}=")]
    {
        let refused = page(&database, garbage, by_name).await.unwrap_err();
        assert!(matches!(refused, KernelError::Cursor), "{garbage}: {refused:?}");
    }
    // Another installation signs with another key.
    let secret = secrecy::SecretString::from("the secret of another installation");
    let secret = shared_kernel::crypto::SecretKey::new(&secret).unwrap();
    let settings = shared_kernel::session::DatabaseSettings::new(database.url().into());
    let clock = shared_kernel::clock::SystemClock::shared();
    let elsewhere = Databases::connect(&settings, clock, &secret).await.unwrap();
    assert!(matches!(page(&elsewhere, &cursor, by_name).await, Err(KernelError::Cursor)));
    // Another process of the same one does not.
    let same = opened_again(&database, |_| ()).await;
    assert_eq!(
        page(&same, &cursor, by_name).await.unwrap(),
        page(&database, &cursor, by_name).await.unwrap()
    );
}

/// An order of the same name over another table: the key in a cursor means nothing there.
#[tokio::test]
async fn a_cursor_of_one_list_is_none_of_another() {
    #[expect(unreachable_pub, reason = "what sea-orm derives is public")]
    mod user_row {
        use sea_orm::entity::prelude::*;
        use shared_kernel::clock::Timestamp;
        use shared_kernel::id::UserId;
        use shared_kernel::repository::SoftDelete;

        #[sea_orm::model]
        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, SoftDelete)]
        #[sea_orm(table_name = "users")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub id: UserId,
            pub version: i64,
            pub created_at: Timestamp,
            pub updated_at: Timestamp,
            pub deleted_at: Option<Timestamp>,
        }

        impl ActiveModelBehavior for ActiveModel {}
    }
    let database = database().await;
    fill(&database).await;
    let reader = database.read(None);
    let page = page::fetch(&reader, Widgets::unscoped(), &PageRequest::first(10), Order::newest_first())
        .await
        .unwrap();
    let request = PageRequest::after(10, page.next_cursor.unwrap());
    let rows = live::<user_row::Entity>();
    let refused = page::fetch(&reader, rows, &request, Order::newest_first()).await.unwrap_err();
    assert!(matches!(refused, KernelError::Cursor), "{refused:?}");
}

#[tokio::test]
async fn the_total_counts_what_is_selected_and_no_more() {
    let database = database().await;
    let rows = fill(&database).await;
    let gone = database.write();
    for row in &rows[..7] {
        Widgets::soft_delete(&gone, row.id, &Precondition::None).await.unwrap().unwrap();
    }
    commit(gone).await;
    let reader = database.read(None);
    let by_rank = Order::by("rank", Column::Rank, Direction::Descending);
    let first = Widgets::page(&reader, Widgets::unscoped(), &PageRequest::first(20).with_total(), by_rank)
        .await
        .unwrap();
    assert_eq!((first.items.len(), first.total), (20, Some(50)));
    let request = PageRequest::after(40, first.next_cursor.unwrap()).with_total();
    let second = Widgets::page(&reader, Widgets::unscoped(), &request, by_rank).await.unwrap();
    assert_eq!(
        (second.items.len(), second.total, second.next_cursor),
        (30, Some(50), None),
        "of all, not of the rest"
    );
    let shiny = Widgets::unscoped().filter(Column::Shiny.eq(true));
    let expected = rows[7..].iter().filter(|row| row.shiny).count();
    let page = Widgets::page(&reader, shiny, &PageRequest::first(5).with_total(), by_rank).await.unwrap();
    assert_eq!(page.total, Some(u64::try_from(expected).unwrap()));
    assert!(page.items.iter().all(|row| row.shiny));
    let lengths = page.map(|row| row.label.len());
    assert_eq!((lengths.items.len(), lengths.total), (5, Some(u64::try_from(expected).unwrap())));
    let none = Widgets::unscoped().filter(Column::Name.eq("nobody"));
    let page = Widgets::page(&reader, none, &PageRequest::first(5).with_total(), by_rank).await.unwrap();
    assert_eq!((page.items.len(), page.total, page.next_cursor), (0, Some(0), None));
}

#[tokio::test]
async fn an_offset_passes_rows_over_and_the_cursor_goes_on_from_there() {
    let database = database().await;
    let rows = fill(&database).await;
    let oldest = Order::by_id("created_at", Direction::Ascending);
    let reader = database.read(None);
    let ask = |offset| {
        let query = PageQuery {
            limit: Some(Int::new(10).unwrap()),
            offset: Some(Int::new(offset).unwrap()),
            include: Some(Include::Total),
            ..Default::default()
        };
        PageRequest::try_from(query).unwrap()
    };
    let page = Widgets::page(&reader, Widgets::unscoped(), &ask(35), oldest).await.unwrap();
    assert_eq!((&*page.items, page.total), (&rows[35..45], Some(57)));
    let request = PageRequest::after(100, page.next_cursor.unwrap());
    let rest = Widgets::page(&reader, Widgets::unscoped(), &request, oldest).await.unwrap();
    assert_eq!((&*rest.items, rest.next_cursor), (&rows[45..], None));
    let last = Widgets::page(&reader, Widgets::unscoped(), &ask(47), oldest).await.unwrap();
    assert_eq!((&*last.items, last.next_cursor), (&rows[47..], None), "a full page can be the last");
    let beyond = Widgets::page(&reader, Widgets::unscoped(), &ask(10_000), oldest).await.unwrap();
    assert_eq!((beyond.items, beyond.next_cursor, beyond.total), (Vec::new(), None, Some(57)));
}

/// Rows of which many have no value, and many the same, in each column that may be null.
async fn fill_gadgets(databases: &Databases) -> Vec<gadget::Model> {
    let row = |number: usize| {
        move |row| {
            // Of four rows one has no value in any column; of the others, each column leaves out its own.
            let step = number % 5;
            let value = |leaves_out: usize| (number % 4 != 3 && number % 7 != leaves_out).then_some(step);
            let small = i16::try_from(step).unwrap() - 2;
            gadget::ActiveModel {
                maybe_name: Set(value(0).map(|step| "x".repeat(step))),
                maybe_price: Set(
                    value(1).map(|_| Decimal::try_from(rust_decimal::Decimal::new(small.into(), 2)).unwrap())
                ),
                maybe_amount: Set(value(2).map(|_| rust_decimal::Decimal::new(small.into(), 8))),
                maybe_weight: Set(value(3).map(|_| f64::from(small) / 3.0)),
                maybe_day: Set(value(4).map(|step| format!("202{step}-02-01").parse().unwrap())),
                maybe_moment: Set(value(5).map(|step| moment(&format!("2026-01-31T12:00:00.{step}Z")))),
                maybe_token: Set(
                    value(6).map(|step| Uuid::from_u128(u128::MAX / 7 * u128::try_from(step).unwrap()))
                ),
                maybe_level: Set(value(0).map(|_| small)),
                maybe_count: Set(value(1).map(|_| small.into())),
                maybe_rank: Set(value(2).map(|_| small.into())),
                maybe_shiny: Set(value(3).map(|step| step % 2 == 0)),
                ..row
            }
        }
    };
    types::stored(databases, (0..25).map(row)).await
}

/// The columns that may be null, and in which order their rows are: as texts or as numbers.
const NULLABLE: [gadget::Column; 11] = {
    use gadget::Column;
    [
        Column::MaybeName,
        Column::MaybePrice,
        Column::MaybeAmount,
        Column::MaybeWeight,
        Column::MaybeDay,
        Column::MaybeMoment,
        Column::MaybeToken,
        Column::MaybeLevel,
        Column::MaybeCount,
        Column::MaybeRank,
        Column::MaybeShiny,
    ]
};

/// The rows by that column: those without a value last.
fn expected(rows: &[gadget::Model], column: gadget::Column, direction: Direction) -> Vec<gadget::Model> {
    use gadget::Column;
    let compare = |a: &gadget::Model, b: &gadget::Model| match column {
        Column::MaybeName => a.maybe_name.cmp(&b.maybe_name),
        Column::MaybePrice => a.maybe_price.cmp(&b.maybe_price),
        Column::MaybeAmount => a.maybe_amount.cmp(&b.maybe_amount),
        Column::MaybeWeight => a.maybe_weight.partial_cmp(&b.maybe_weight).unwrap(),
        Column::MaybeDay => a.maybe_day.cmp(&b.maybe_day),
        Column::MaybeMoment => a.maybe_moment.cmp(&b.maybe_moment),
        Column::MaybeToken => a.maybe_token.cmp(&b.maybe_token),
        Column::MaybeLevel => a.maybe_level.cmp(&b.maybe_level),
        Column::MaybeCount => a.maybe_count.cmp(&b.maybe_count),
        Column::MaybeRank => a.maybe_rank.cmp(&b.maybe_rank),
        Column::MaybeShiny => a.maybe_shiny.cmp(&b.maybe_shiny),
        other => panic!("{other:?} is never null"),
    };
    let is_null = |row: &gadget::Model| row.get(column) == row.get(column).as_null();
    let (mut nulls, mut values): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(is_null);
    assert!(nulls.len() > 5 && values.len() > 5);
    values.sort_by(|a, b| compare(a, b).then(a.id.cmp(&b.id)));
    if direction == Direction::Descending {
        nulls.reverse();
        values.reverse();
    }
    values.extend(nulls);
    values
}

#[tokio::test]
async fn rows_without_a_value_come_last_in_both_directions() {
    let database = types::database().await;
    let rows = fill_gadgets(&database).await;
    for column in NULLABLE {
        for direction in [Direction::Ascending, Direction::Descending] {
            let expected = expected(&rows, column, direction);
            let order = Order::<gadget::Entity>::by_nullable("value", column, direction);
            for limit in [1, 2, 3, 25, 100] {
                let mut pages = 1;
                let walked = follow(&database, order, limit, async |_| pages += 1).await;
                assert_eq!(walked, expected, "{order:?} by {limit}");
                assert_eq!(
                    pages,
                    rows.len().div_ceil(usize::try_from(limit).unwrap()),
                    "{order:?} by {limit}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_walk_goes_on_across_the_border_wherever_it_begins() {
    let database = types::database().await;
    let rows = fill_gadgets(&database).await;
    let reader = database.read_primary();
    for direction in [Direction::Ascending, Direction::Descending] {
        let column = gadget::Column::MaybePrice;
        let expected = expected(&rows, column, direction);
        let order = Order::<gadget::Entity>::by_nullable("price", column, direction);
        for offset in 0..rows.len() {
            let query = PageQuery {
                limit: Some(Int::new(3).unwrap()),
                offset: Some(Int::new(offset.try_into().unwrap()).unwrap()),
                include: Some(Include::Total),
                ..Default::default()
            };
            let request = PageRequest::try_from(query).unwrap();
            let page = page::fetch(&reader, live(), &request, order).await.unwrap();
            let end = (offset + 3).min(rows.len());
            assert_eq!(
                (&*page.items, page.total),
                (&expected[offset..end], Some(25)),
                "{direction:?} {offset}"
            );
            let Some(cursor) = page.next_cursor else {
                assert_eq!(end, rows.len());
                continue;
            };
            let rest = page::fetch(&reader, live(), &PageRequest::after(100, cursor), order).await.unwrap();
            assert_eq!((&*rest.items, rest.next_cursor), (&expected[end..], None), "{direction:?} {offset}");
        }
    }
}

#[tokio::test]
async fn a_column_of_nothing_but_nulls_or_values_is_an_order_too() {
    let database = types::database().await;
    let order = |column, direction| Order::<gadget::Entity>::by_nullable("value", column, direction);
    let empty = order(gadget::Column::MaybeDay, Direction::Ascending);
    assert!(follow(&database, empty, 2, async |_| ()).await.is_empty());
    let rows = fill_gadgets(&database).await;
    let session = database.write();
    for row in &rows {
        let changes =
            gadget::ActiveModel { maybe_day: Set(None), maybe_rank: Set(Some(1)), ..Default::default() };
        let update = types::Gadgets::update(&session, row.id, &Precondition::None, changes).await;
        update.unwrap().unwrap();
    }
    commit(session).await;
    for column in [gadget::Column::MaybeDay, gadget::Column::MaybeRank] {
        let ids = async |direction| {
            let walked = follow(&database, order(column, direction), 3, async |_| ()).await;
            walked.into_iter().map(|row| row.id).collect::<Vec<_>>()
        };
        let mut expected: Vec<_> = rows.iter().map(|row| row.id).collect();
        assert_eq!(ids(Direction::Ascending).await, expected);
        expected.reverse();
        assert_eq!(ids(Direction::Descending).await, expected);
    }
}

/// A column that was said to have no nulls: better no page than one after which rows are left out.
#[tokio::test]
async fn an_unexpected_null_gives_no_cursor() {
    let database = types::database().await;
    types::stored(&database, [|row| row, |row| row]).await;
    let order = Order::<gadget::Entity>::by("rank", gadget::Column::MaybeRank, Direction::Ascending);
    let refused =
        page::fetch(&database.read_primary(), live(), &PageRequest::first(1), order).await.unwrap_err();
    assert!(matches!(refused, KernelError::Cursor), "{refused:?}");
}

/// A moment in a filter is compared as a moment, whatever the length of its fraction: SQLite compares texts.
#[tokio::test]
async fn moments_are_compared_as_moments() {
    let database = database().await;
    let moments: Vec<_> = [
        "1969-12-31T23:59:59.999999Z",
        "1999-12-31T23:59:59.5Z",
        "2000-01-01T00:00:00Z",
        "2024-05-01T12:00:00Z",
        "2024-05-01T12:00:00.000001Z",
        "2024-05-01T12:00:00.1Z",
        "2024-05-01T12:00:00.123456Z",
        "2024-05-01T12:00:00.5Z",
        "2024-05-01T12:00:00.51Z",
        "2024-05-01T12:00:01Z",
        "9999-12-31T23:59:59.999999Z",
    ]
    .map(moment)
    .into();
    let session = database.write();
    for (number, moment) in moments.iter().enumerate() {
        let row = widget::ActiveModel { made_at: Set(*moment), ..widget(&session, &number.to_string()) };
        let row = Widgets::insert(&session, row).await.unwrap();
        assert_eq!(row.made_at, *moment, "it is read back as it was");
    }
    commit(session).await;
    let reader = database.read(None);
    for (number, moment) in moments.iter().copied().enumerate() {
        let count = async |filter| {
            usize::try_from(reader.count(widget::Entity::find().filter(filter)).await.unwrap()).unwrap()
        };
        assert_eq!(count(Column::MadeAt.lt(moment)).await, number, "before {moment}");
        assert_eq!(count(Column::MadeAt.lte(moment)).await, number + 1, "until {moment}");
        assert_eq!(count(Column::MadeAt.eq(moment)).await, 1, "at {moment}");
        assert_eq!(count(Column::MadeAt.gt(moment)).await, moments.len() - number - 1, "after {moment}");
    }
    let in_order =
        walk(&database, Order::by("made_at", Column::MadeAt, Direction::Ascending), 2, async |_| ()).await;
    assert!(in_order.iter().map(|row| row.made_at).eq(moments));
}
