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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::UserId;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_unix_millis(millis).unwrap()
    }

    fn key(number: u8) -> RowKey {
        RowKey::new("users", UserId::from_bytes([number; 16]))
    }

    fn row(rows: &RecentRows, key: RowKey) -> Option<u8> {
        rows.get::<u8>(key, at(1_000), None).map(|row| *row)
    }

    #[test]
    fn a_read_that_began_before_a_removal_keeps_nothing() {
        let rows = RecentRows::new();
        let slow = rows.begin(key(1), at(1_000));
        rows.remove(key(1));
        rows.keep(&slow, &Arc::new(1_u8));
        assert_eq!(row(&rows, key(1)), None);
        let next = rows.begin(key(1), at(1_000));
        rows.keep(&next, &Arc::new(2_u8));
        rows.keep(&slow, &Arc::new(1_u8));
        assert_eq!(row(&rows, key(1)), Some(2), "the slow one ends last");
        rows.remove_all();
        rows.keep(&next, &Arc::new(2_u8));
        assert_eq!(row(&rows, key(1)), None);
    }

    #[test]
    fn a_row_is_that_of_its_table_id_and_type() {
        let rows = RecentRows::new();
        rows.keep(&rows.begin(key(1), at(1_000)), &Arc::new(1_u8));
        assert_eq!((row(&rows, key(1)), row(&rows, key(2))), (Some(1), None));
        let elsewhere = RowKey::new("posts", UserId::from_bytes([1; 16]));
        assert_eq!(row(&rows, elsewhere), None);
        assert_eq!(rows.get::<u16>(key(1), at(1_000), None), None);
    }

    /// A slow read, and a clock that was set back.
    #[test]
    fn the_age_of_a_row_counts_from_the_beginning_of_its_read() {
        let rows = RecentRows::new();
        rows.keep(&rows.begin(key(1), at(1_000)), &Arc::new(1_u8));
        let seen = |now| rows.get::<u8>(key(1), at(now), None).is_some();
        assert_eq!([999, 1_000, 1_999, 2_000].map(seen), [false, true, true, false]);
    }
}
