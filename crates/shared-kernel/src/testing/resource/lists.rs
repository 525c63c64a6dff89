//! Lists: pages, orders, filters, search.

use serde_json::{Value, json};

use super::{Field, Resource, World, refused, text};
use crate::page::PageRequest;
use crate::testing::field::{Comparison, Sorting, compare};

/// A list has each living row that matches the filter once, the newest first or in the requested order.
pub async fn is_listed<R: Resource>() {
    let list = List::<R>::filled().await;
    let newest_first: Vec<i64> = all::<R>().into_iter().rev().collect();
    for query in [json!({}), json!({"sort": "-created_at"})] {
        assert_eq!(list.numbers(&query).await, newest_first, "{query}");
    }
    assert_eq!(list.numbers(&json!({"sort": "created_at"})).await, all::<R>());
    let page = list.world.list(&list.world.ada, &json!({}), &PageRequest::first(1).with_total()).await;
    assert_eq!((page.items.len(), page.total), (1, Some(list.ids.len() as u64)));
    for field in R::fields() {
        list.is_filtered_by(field).await;
        list.is_searched_in(field).await;
        list.is_sorted_by(field).await;
    }
    assert_eq!(list.world.delete(&list.world.ada, &list.ids[0]).await, Ok(()));
    assert_eq!(
        list.numbers(&json!({"sort": "created_at"})).await,
        all::<R>()[1..],
        "deleted rows are not listed"
    );
}

/// Rows of a list, in the order of their creation.
struct List<R> {
    world: World<R>,
    ids: Vec<Value>,
}

fn all<R: Resource>() -> Vec<i64> {
    (1..=R::ROWS).collect()
}

impl<R: Resource> List<R> {
    async fn filled() -> Self {
        let world = World::<R>::new().await;
        let mut ids = Vec::new();
        for number in all::<R>() {
            ids.push(world.create(number).await.0["id"].clone());
        }
        Self { world, ids }
    }

    /// Numbers of the rows that a query returns, over all pages.
    async fn numbers(&self, query: &Value) -> Vec<i64> {
        let mut found = Vec::new();
        let mut request = PageRequest::first(2).with_total();
        loop {
            let page = self.world.list(&self.world.ada, query, &request).await;
            let place = |item: &Value| self.ids.iter().position(|id| *id == item["id"]);
            found.extend(page.items.iter().map(|item| place(item).map_or(0, |index| all::<R>()[index])));
            let Some(cursor) = page.next_cursor else {
                assert!(page.total.is_none_or(|total| total == found.len() as u64), "{query}: {page:?}");
                // A row of a tree refers to another row of the list.
                found.retain(|number| *number > 0);
                return found;
            };
            request = PageRequest::after(2, cursor);
        }
    }

    async fn is_filtered_by(&self, field: &Field) {
        for (parameter, by) in &field.filters {
            if field.target.is_some() {
                self.is_filtered_by_target(field, parameter).await;
                continue;
            }
            let edge = (field.value)(all::<R>()[self.ids.len() / 2]);
            let holds = |number: &i64| match by {
                Comparison::Equal => (field.value)(*number) == edge,
                other => other.holds(compare(&(field.value)(*number), &edge)),
            };
            let expected: Vec<i64> = all::<R>().into_iter().filter(holds).collect();
            let query = json!({ *parameter: edge, "sort": "created_at" });
            assert_eq!(self.numbers(&query).await, expected, "{query}");
        }
    }

    async fn is_filtered_by_target(&self, field: &Field, parameter: &str) {
        let Some(target) = field.target else { return };
        let is_own = target.table == R::TABLES[0].table;
        let id = if is_own { text(&self.ids[1]) } else { self.world.target(target.table).await };
        let query = json!({ parameter: id });
        assert_eq!(self.numbers(&query).await, Vec::<i64>::new(), "{query}");
        let mut change = json!({});
        self.world.refer(&mut change, field, &json!(id)).await;
        self.world.update(&self.ids[0], &change).await;
        assert_eq!(self.numbers(&query).await, [1], "{query}");
        if field.within.is_some() {
            // Free for another value of the column in which the two agree.
            self.world.update(&self.ids[0], &json!({ field.name: null })).await;
        }
    }

    async fn is_searched_in(&self, field: &Field) {
        if field.is_searched {
            let value = (field.value)(1);
            let part: String = value.as_str().unwrap_or_default().chars().take(100).collect();
            let found = self.numbers(&json!({"q": part.to_uppercase()})).await;
            assert!(found.contains(&1), "{}: {found:?}", field.name);
            assert_eq!(self.numbers(&json!({"q": "no such text %_"})).await, Vec::<i64>::new());
            // Engines fold ASCII only, so the folded column is searched.
            let umlaut = json!({ field.name: format!("{}\u{c4}", value.as_str().unwrap_or_default()) });
            if !umlaut.to_string().contains('@') && refused::<R::Update>(&umlaut).is_empty() {
                self.world.update(&self.ids[0], &umlaut).await;
                assert_eq!(self.numbers(&json!({"q": "\u{e4}"})).await, [1], "{}", field.name);
                self.world.update(&self.ids[0], &json!({ field.name: value })).await;
            }
        }
    }

    async fn is_sorted_by(&self, field: &Field) {
        let Some(sorting) = field.sorted else { return };
        let sort = |sign: &str| json!({"sort": format!("{sign}{}", field.name)});
        let ascending = self.numbers(&sort("")).await;
        if sorting == Sorting::ByValue {
            let mut expected = all::<R>();
            expected.sort_by(|one, other| compare(&(field.value)(*one), &(field.value)(*other)));
            assert_eq!(ascending, expected, "{}", field.name);
        }
        let mut backwards = self.numbers(&sort("-")).await;
        backwards.reverse();
        assert_eq!((ascending.len(), &backwards), (self.ids.len(), &ascending), "{}", field.name);
        if field.is_optional() {
            self.world.update(&self.ids[0], &json!({ field.name: null })).await;
            for sign in ["", "-"] {
                let last = self.numbers(&sort(sign)).await.pop();
                assert_eq!(last, Some(1), "{}: what has no value comes last in both directions", field.name);
            }
            self.world.update(&self.ids[0], &json!({ field.name: (field.value)(1) })).await;
        }
    }
}
