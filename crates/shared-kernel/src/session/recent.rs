//! Rows that were read less than a second ago, by id, for reads that are so frequent that not each of them should ask the database.
//!
//! A row is used for at most a second after the beginning of the read that found it. A commit of this process removes the rows that it
//! changed before its request is answered; a commit of another process is seen when the row is too old, or at once by a read
//! that sends the token of that commit. Only rows of the primary are kept: what a replica has is of
//! an unknown time.

use std::any::Any;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;

use super::ConsistencyToken;
use crate::clock::Timestamp;
use crate::id::Id;

/// Greatest age of a row.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(1);

/// Number of rows, which is about 5 MiB.
const CAPACITY: u64 = 10_000;

/// Number of counters of removals. Rows whose counter is shared are only read once more.
const COUNTERS: usize = 1_024;

/// A row of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RowKey {
    table: &'static str,
    id: [u8; 16],
}

impl RowKey {
    pub(crate) fn new<K>(table: &'static str, id: Id<K>) -> Self {
        Self { table, id: id.to_bytes() }
    }
}

#[derive(Clone)]
struct Entry {
    read_at: Timestamp,
    row: Arc<dyn Any + Send + Sync>,
}

/// A read from the primary that has begun, and whose row may be kept if it was not removed meanwhile.
pub(crate) struct Reading {
    key: RowKey,
    began: Timestamp,
    removals: u64,
}

pub(super) struct RecentRows {
    entries: Cache<RowKey, Entry>,
    removals: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl RecentRows {
    pub(super) fn new() -> Self {
        Self {
            entries: Cache::builder().max_capacity(CAPACITY).time_to_live(MAX_AGE).build(),
            removals: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    /// The row, if it was read recently, and late enough for a client that has seen the write of that token.
    pub(super) fn get<M: Any + Send + Sync>(
        &self,
        key: RowKey,
        now: Timestamp,
        seen: Option<ConsistencyToken>,
    ) -> Option<Arc<M>> {
        let entry = self.entries.get(&key)?;
        // The time to live counts from the end of the read. A clock that was set back makes no row younger.
        let is_recent = entry.read_at <= now && now < entry.read_at + MAX_AGE;
        let has_the_write = seen.is_none_or(|token| token.is_seen_at(entry.read_at));
        (is_recent && has_the_write).then(|| entry.row.downcast().ok()).flatten()
    }

    pub(super) fn begin(&self, key: RowKey, now: Timestamp) -> Reading {
        Reading { key, began: now, removals: self.counter(key).load(Ordering::SeqCst) }
    }

    /// Keeps the row that a read has found.
    pub(super) fn keep<M: Any + Send + Sync>(&self, reading: &Reading, row: &Arc<M>) {
        let is_current = || self.counter(reading.key).load(Ordering::SeqCst) == reading.removals;
        if !is_current() {
            return;
        }
        let row: Arc<dyn Any + Send + Sync> = row.clone();
        self.entries.insert(reading.key, Entry { read_at: reading.began, row });
        // It may have been removed between the two: then the removal found nothing.
        if !is_current() {
            self.entries.invalidate(&reading.key);
        }
    }

    /// Removes a row that was changed. Reads that have begun before do not bring it back.
    pub(super) fn remove(&self, key: RowKey) {
        self.counter(key).fetch_add(1, Ordering::SeqCst);
        self.entries.invalidate(&key);
    }

    /// Removes all rows.
    pub(super) fn remove_all(&self) {
        for counter in &self.removals {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        self.entries.invalidate_all();
    }

    fn counter(&self, key: RowKey) -> &AtomicU64 {
        let hash = usize::try_from(self.hasher.hash_one(key) % COUNTERS as u64).unwrap_or_default();
        &self.removals[hash]
    }
}
