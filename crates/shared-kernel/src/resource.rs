//! Descriptions of tables for other domains: each domain lists its own in `service::RESOURCES`, and the server passes them to the
//! [`Databases`](crate::session::Databases). [`reference`](mod@crate::reference) checks references and deletions by them.

use std::sync::Arc;

use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{Condition, DbErr, QueryResult};

use crate::event::PendingEvent;
use crate::principal::Principal;

/// Description of a table for other domains. The table has the columns of every resource: `id`, `version`, `updated_at` and
/// `deleted_at`.
#[derive(Clone, Copy, Debug)]
pub struct Resource {
    /// Name of the table.
    pub table: &'static str,
    /// Condition on the columns: the living rows to which a principal may refer.
    pub referable: fn(&Principal) -> Condition,
    /// Condition on the columns: the living rows that are in use. Rows that belong to one that is not in use, such as a suspended
    /// account, are no longer public: [`Resources::in_use`].
    pub active: fn() -> Condition,
    /// References to other tables.
    pub references: &'static [Reference],
    /// Makes the event of the deletion of a row from its last state: [`repository::deletion`](crate::repository::deletion). Used
    /// when the row is deleted by a cascade; where the domain deletes the row itself, its repository emits the event.
    pub deletion_event: Option<DeletionEvent>,
    /// Whether rows are [kept in memory](crate::repository::Repository::KEEPS_RECENT), from which a cascade has to remove them.
    pub keeps_recent: bool,
}

impl Resource {
    /// A table whose living rows are all in use and visible to everyone, whose rows refer to nothing, and whose deletions emit no
    /// event.
    #[must_use]
    pub const fn visible_to_all(table: &'static str) -> Self {
        Self {
            table,
            referable: |_| Condition::all(),
            active: Condition::all,
            references: &[],
            deletion_event: None,
            keeps_recent: false,
        }
    }
}

/// Makes the event of the deletion of a row from its last state.
pub type DeletionEvent = fn(&QueryResult) -> Result<PendingEvent, DbErr>;

/// A column that holds the ids of rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The column.
    pub column: &'static str,
    /// The referenced table.
    pub to: &'static str,
    /// What happens to a row when the referenced row is deleted.
    pub on_delete: OnDelete,
}

/// A column in which a row agrees with the row of its own table that it refers to: the answer to a comment belongs to the post of
/// the comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within {
    /// The column with the reference to the row of the same table: `parent_id`.
    pub reference: &'static str,
    /// The column with a reference that both rows have: `post_id`.
    pub column: &'static str,
}

/// What happens to a living row when the row that it refers to is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    /// The row is deleted too.
    Cascade,
    /// The deletion is refused with [`KernelError::Referenced`](crate::kernel_error::KernelError::Referenced), unless the row is deleted too for another reason.
    Restrict,
    /// The column is set to null. It must be nullable.
    SetNull,
}

/// The tables of an installation that other domains may refer to. Cheap to clone.
///
/// Rows of other tables cannot be referred to, and deletions do not cascade to them.
#[derive(Clone, Debug, Default)]
pub struct Resources(Arc<[Resource]>);

impl Resources {
    /// The description of a table.
    #[must_use]
    pub fn find(&self, table: &str) -> Option<&Resource> {
        self.iter().find(|resource| resource.table == table)
    }

    /// Condition that the row of `table` with the id in `column` is living and in use. It holds for no row of an unknown table.
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

    /// All tables: each after those that it refers to, except in circles.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.0.iter()
    }

    /// The columns that refer to a table with this rule, with their own tables.
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

    /// The position of a table in the locking order. It is the order of deletions, which go from a row to those
    /// that refer to it, so that deadlocks are rare.
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
            // A circle has no first table, so the first in the list is taken.
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
