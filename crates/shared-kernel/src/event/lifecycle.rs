//! Lifecycle events, which every resource has.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::DomainEvent;
use crate::id::{Id, IdKind, UserId};

/// A step in the life of a row.
pub trait LifecycleStep: 'static {
    /// The [`ACTION`](DomainEvent::ACTION) of its event.
    const ACTION: &'static str;
}

/// The row was created.
#[derive(Debug)]
pub enum Creation {}

impl LifecycleStep for Creation {
    const ACTION: &'static str = "created";
}

/// The row was changed.
#[derive(Debug)]
pub enum Update {}

impl LifecycleStep for Update {
    const ACTION: &'static str = "updated";
}

/// The row was deleted, by itself or by a cascade.
#[derive(Debug)]
pub enum Deletion {}

impl LifecycleStep for Deletion {
    const ACTION: &'static str = "deleted";
}

/// A `K` was created: `post.created`.
pub type Created<K> = Lifecycle<K, Creation>;

/// A `K` was changed: `post.updated`.
pub type Updated<K> = Lifecycle<K, Update>;

/// A `K` was deleted: `post.deleted`.
pub type Deleted<K> = Lifecycle<K, Deletion>;

/// A lifecycle event of a `K`. It does not contain the values of fields; subscribers that need them query the resource.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Lifecycle<K: IdKind, S> {
    /// The id of the row.
    pub id: Id<K>,
    /// The version of the row after the step, from 1.
    pub version: i64,
    /// The owner, where rows have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<UserId>,
    #[serde(skip)]
    step: PhantomData<fn() -> S>,
}

impl<K: IdKind, S> Lifecycle<K, S> {
    /// The event of a row after the step.
    #[must_use]
    pub const fn new(id: Id<K>, version: i64, owner_id: Option<UserId>) -> Self {
        Self { id, version, owner_id, step: PhantomData }
    }
}

impl<K: IdKind, S: LifecycleStep> DomainEvent for Lifecycle<K, S> {
    type Aggregate = K;
    const ACTION: &'static str = S::ACTION;

    fn aggregate_id(&self) -> Id<K> {
        self.id
    }

    fn aggregate_version(&self) -> Option<i64> {
        Some(self.version)
    }
}

// By hand: derives would ask the same of `K` and `S`, which are only names.
impl<K: IdKind, S> Clone for Lifecycle<K, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: IdKind, S> Copy for Lifecycle<K, S> {}

impl<K: IdKind, S> PartialEq for Lifecycle<K, S> {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.version, self.owner_id) == (other.id, other.version, other.owner_id)
    }
}

impl<K: IdKind, S> Eq for Lifecycle<K, S> {}

impl<K: IdKind, S: LifecycleStep> fmt::Debug for Lifecycle<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, version, owner_id, .. } = self;
        write!(f, "{id} {} at version {version} of owner {owner_id:?}", S::ACTION)
    }
}
