//! Columns that every table writes alike. What a function gives here never changes, because released migrations call
//! it; a new form is a new function.

use sea_orm_migration::prelude::*;

/// A prefixed ULID: three letters, an underscore, 26 characters.
pub(crate) fn id(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.string_len(30).not_null();
    column
}

/// A moment in UTC that is always known.
pub(crate) fn timestamp(name: &'static str) -> ColumnDef {
    let mut column = optional_timestamp(name);
    column.not_null();
    column
}

/// A moment in UTC, or null.
pub(crate) fn optional_timestamp(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.timestamp_with_time_zone();
    column
}

/// Starts the table of a resource: its id, its version, and when it was created, changed and deleted.
pub(crate) fn resource(table: &'static str) -> TableCreateStatement {
    Table::create()
        .table(table)
        .col(id("id").primary_key())
        .col(ColumnDef::new("version").big_integer().not_null().default(1))
        .col(timestamp("created_at"))
        .col(timestamp("updated_at"))
        .col(optional_timestamp("deleted_at"))
        .to_owned()
}

/// A unique index among the rows that are not deleted.
pub(crate) fn unique_among_living(
    name: &'static str,
    table: &'static str,
    columns: &[&'static str],
) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(table).unique();
    for column in columns {
        index.col(*column);
    }
    index.and_where(Expr::col("deleted_at").is_null());
    index
}

/// An index on columns and the id: what a list is narrowed or sorted by.
pub(crate) fn by(name: &'static str, table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(table);
    for column in columns {
        index.col(*column);
    }
    index.col("id");
    index
}

/// A column with ids of another table, as a foreign key whose name follows from it: `posts_author_id_fkey`. What happens to a row when
/// the other is removed for good.
pub(crate) fn refers(
    table: &'static str,
    column: &'static str,
    to: &'static str,
    on_delete: ForeignKeyAction,
) -> ForeignKeyCreateStatement {
    let mut key = ForeignKey::create();
    key.name(format!("{table}_{column}_fkey")).from(table, column).to(to, "id").on_delete(on_delete);
    key
}

/// Makes a table and then its indexes.
pub(crate) async fn create(
    manager: &SchemaManager<'_>,
    table: TableCreateStatement,
    indexes: impl IntoIterator<Item = IndexCreateStatement, IntoIter: Send> + Send,
) -> Result<(), DbErr> {
    manager.create_table(table).await?;
    for index in indexes {
        manager.create_index(index).await?;
    }
    Ok(())
}

/// How many rows [`rewrite`] reads at a time.
const ROWS_AT_ONCE: u64 = 500;

/// Writes what `form` makes of each text in the column `from` into the column `to`, also in deleted rows. The table has an `id`.
pub(crate) async fn rewrite(
    manager: &SchemaManager<'_>,
    table: &'static str,
    from: &'static str,
    to: &'static str,
    form: fn(&str) -> String,
) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let mut last = String::new();
    loop {
        let select = Query::select()
            .columns(["id", from, to])
            .from(table)
            .and_where(Expr::col("id").gt(last.as_str()))
            .order_by("id", Order::Asc)
            .limit(ROWS_AT_ONCE)
            .to_owned();
        let rows = connection.query_all(&select).await?;
        for row in &rows {
            last = row.try_get("", "id")?;
            let (text, old): (Option<String>, Option<String>) =
                (row.try_get("", from)?, row.try_get("", to)?);
            let new = text.as_deref().map(form);
            if new != old {
                let update = Query::update()
                    .table(table)
                    .value(to, new)
                    .and_where(Expr::col("id").eq(last.as_str()))
                    .to_owned();
                connection.execute(&update).await?;
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
    }
}
