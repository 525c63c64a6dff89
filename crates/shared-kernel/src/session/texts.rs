//! Texts of statements that differ in their values only.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sea_orm::{DbBackend, Statement, Values};

/// The texts of one database engine. There are as many as types that ask for one.
#[derive(Default)]
pub(super) struct StatementTexts(RwLock<HashMap<TypeId, Arc<str>>>);

impl StatementTexts {
    /// The statement that `build` makes for these values. Its text is made once for each type `Shape`, unless `build` does not use exactly
    /// these values, in this order.
    pub(super) fn statement<Shape: 'static>(
        &self,
        db_backend: DbBackend,
        values: Values,
        build: impl FnOnce(&Values) -> Statement,
    ) -> Statement {
        let shape = TypeId::of::<Shape>();
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&shape).cloned();
        let Some(text) = known else {
            let statement = build(&values);
            if statement.values.as_ref() == Some(&values) {
                self.0
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(shape, statement.sql.as_str().into());
            }
            return statement;
        };
        Statement { sql: text.as_ref().to_owned(), values: Some(values), db_backend }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(number: i32) -> Values {
        Values(vec![number.into()])
    }

    fn text(texts: &StatementTexts, number: i32, sql: &str, used: i32) -> String {
        struct Shape;
        let build = |_: &Values| Statement::from_sql_and_values(DbBackend::Sqlite, sql, values(used));
        let statement = texts.statement::<Shape>(DbBackend::Sqlite, values(number), build);
        let expected = if statement.sql == sql { used } else { number };
        assert_eq!(statement.values, Some(values(expected)));
        statement.sql
    }

    #[test]
    fn a_text_is_built_once_for_its_values() {
        let texts = StatementTexts::default();
        assert_eq!(text(&texts, 1, "SELECT ? + 1", 1), "SELECT ? + 1");
        assert_eq!(text(&texts, 2, "never asked for", 2), "SELECT ? + 1");
    }

    #[test]
    fn a_text_with_other_values_is_built_each_time() {
        let texts = StatementTexts::default();
        assert_eq!(text(&texts, 1, "SELECT ?", 7), "SELECT ?");
        assert_eq!(text(&texts, 1, "SELECT ? + 1", 7), "SELECT ? + 1");
    }
}
