//! What domains may know of each other's tables: data that each domain lists in `service::RESOURCES`, and that the server gives to the
//! [`Databases`](crate::session::Databases). What is done by it stands in [`reference`](mod@crate::reference).

use std::sync::Arc;

use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{Condition, DbErr, QueryResult};

use crate::event::PendingEvent;
use crate::principal::Principal;

/// What other domains may know of a table. It has the columns of every resource: `id`, `version`, `updated_at` and
/// `deleted_at`.
#[derive(Clone, Copy, Debug)]
pub struct Resource {
    /// Its name.
    pub table: &'static str,
    /// Which of its living rows a principal may refer to: a condition on its columns.
    pub referable: fn(&Principal) -> Condition,
    /// Which of its living rows are in use: a condition on its columns. What belongs to one that is not, such as a suspended
    /// account, is no longer shown to everyone: [`Resources::in_use`].
    pub active: fn() -> Condition,
    /// What its rows refer to.
    pub references: &'static [Reference],
    /// The event of the deletion of a row, from the row as it is then: [`repository::deletion`](crate::repository::deletion). It
    /// is emitted when the row goes with another; where the domain deletes the row itself, its repository emits it.
    pub deletion_event: Option<DeletionEvent>,
}

impl Resource {
    /// A table whose living rows are all in use and everybody may see, whose rows refer to nothing, and whose deletions nobody
    /// wants to know of.
    #[must_use]
    pub const fn visible_to_all(table: &'static str) -> Self {
        Self {
            table,
            referable: |_| Condition::all(),
            active: Condition::all,
            references: &[],
            deletion_event: None,
        }
    }
}

/// Makes the event of the deletion of a row, from the row as it is then.
pub type DeletionEvent = fn(&QueryResult) -> Result<PendingEvent, DbErr>;

/// A column that holds the ids of rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The column.
    pub column: &'static str,
    /// The table that it refers to.
    pub to: &'static str,
    /// What happens to a row when what it refers to is deleted.
    pub on_delete: OnDelete,
}

/// What happens to a living row when what it refers to is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    /// It is deleted too.
    Cascade,
    /// The deletion is refused with [`KernelError::Referenced`](crate::kernel_error::KernelError::Referenced), unless the row goes with it for another reason.
    Restrict,
    /// It forgets what it referred to. The column can be null.
    SetNull,
}

/// The tables of an installation that may be known to others. Cheap to clone.
///
/// What is not in it is visible to nobody, and nothing happens to it when another row is deleted.
#[derive(Clone, Debug, Default)]
pub struct Resources(Arc<[Resource]>);

impl Resources {
    /// What may be known of a table.
    #[must_use]
    pub fn find(&self, table: &str) -> Option<&Resource> {
        self.iter().find(|resource| resource.table == table)
    }

    /// The row of `table` whose id stands in `column` lives and is in use. A table that is not in here has no such rows.
    ///
    /// ```
    /// # use sea_orm::sea_query::Expr;
    /// # use shared_kernel::resource::Resources;
    /// # fn shown(resources: &Resources) -> sea_orm::Condition {
    /// resources.in_use("users", Expr::col(("orders", "buyer_id")))
    /// # }
    /// ```
    #[must_use]
    pub fn in_use(&self, table: &'static str, column: Expr) -> Condition {
        let Some(resource) = self.find(table) else { return Condition::all().add(Expr::val(false)) };
        let row = Query::select()
            .expr(Expr::val(1))
            .from(table)
            .and_where(Expr::col((table, "id")).eq(column))
            .and_where(Expr::col((table, "deleted_at")).is_null())
            .cond_where((resource.active)())
            .to_owned();
        Condition::all().add(Expr::exists(row))
    }

    /// All of them: each after those that its rows refer to, as far as there is such an order.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.0.iter()
    }

    /// The columns that refer to a table in this way, with their own tables.
    pub(crate) fn referring(
        &self,
        table: &str,
        on_delete: OnDelete,
    ) -> impl Iterator<Item = (&Resource, &'static str)> {
        self.iter().flat_map(move |resource| {
            let such = move |it: &&Reference| it.to == table && it.on_delete == on_delete;
            resource.references.iter().filter(such).map(move |reference| (resource, reference.column))
        })
    }

    /// The place of a table in the order in which rows are locked. It is that of deletions, which go from a row to those
    /// that refer to it, so that two sessions seldom wait for each other.
    pub(crate) fn place(&self, table: &str) -> usize {
        self.iter().position(|resource| resource.table == table).unwrap_or(usize::MAX)
    }
}

impl<'a> FromIterator<&'a Resource> for Resources {
    fn from_iter<I: IntoIterator<Item = &'a Resource>>(resources: I) -> Self {
        let mut rest: Vec<Resource> = resources.into_iter().copied().collect();
        rest.sort_by_key(|resource| resource.table);
        let mut sorted = Vec::new();
        while !rest.is_empty() {
            let is_free = |resource: &Resource| {
                let awaited =
                    |it: &Reference| it.to != resource.table && rest.iter().any(|other| other.table == it.to);
                !resource.references.iter().any(awaited)
            };
            // A circle has no first table, so its first name is taken.
            let next = rest.iter().position(is_free).unwrap_or(0);
            sorted.push(rest.remove(next));
        }
        Self(sorted.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(resources: &[Resource]) -> Vec<&'static str> {
        resources.iter().collect::<Resources>().iter().map(|resource| resource.table).collect()
    }

    const fn referring(table: &'static str, references: &'static [Reference]) -> Resource {
        Resource { references, ..Resource::visible_to_all(table) }
    }

    const fn to(table: &'static str) -> Reference {
        Reference { column: "x_id", to: table, on_delete: OnDelete::Cascade }
    }

    #[test]
    fn a_table_comes_after_those_that_it_refers_to() {
        const ALL: [Resource; 4] = [
            referring("comments", &[to("posts"), to("users"), to("comments"), to("elsewhere")]),
            referring("posts", &[to("users")]),
            referring("a_last_one", &[to("comments")]),
            referring("users", &[]),
        ];
        assert_eq!(tables(&ALL), ["users", "posts", "comments", "a_last_one"]);
    }

    #[test]
    fn a_circle_is_cut_at_its_first_name() {
        const ALL: [Resource; 3] =
            [referring("b", &[to("a")]), referring("a", &[to("b")]), referring("c", &[to("c")])];
        assert_eq!(tables(&ALL), ["c", "a", "b"]);
    }
}
