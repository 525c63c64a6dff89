//! Limits of unfinished uploads: one writer for each key, and a maximum of bytes in total.
//!
//! A presigned URL can be used repeatedly until the object exists, and by many requests concurrently; each of them would fill a file in
//! staging.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::error::StoreError;

/// Current writers, and the number of their bytes.
#[derive(Debug)]
pub(crate) struct Claims {
    most: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: u64,
    next: u64,
    writers: HashMap<String, (u64, CancellationToken)>,
}

/// Space in staging for the bytes that have arrived; released when dropped. Declared bytes do not count, or a few slow clients could reserve
/// all of it.
#[derive(Debug)]
pub(crate) struct Room {
    claims: Arc<Claims>,
    bytes: u64,
}

/// Permission to write one key, until a newer upload of the same key replaces it: a client whose first connection hangs must not wait for
/// its timeout.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Arc<Claims>,
    name: String,
    id: u64,
    lost: CancellationToken,
}

impl Claims {
    /// With a maximum of unfinished bytes.
    pub(crate) fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { most, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Space for a body, initially none.
    pub(crate) fn room(self: &Arc<Self>) -> Room {
        Room { claims: Arc::clone(self), bytes: 0 }
    }

    /// Space for bytes that exist already.
    pub(crate) fn room_for(self: &Arc<Self>, bytes: u64) -> Result<Room, StoreError> {
        let mut room = self.room();
        room.grow(bytes)?;
        Ok(room)
    }

    pub(crate) fn claim(self: &Arc<Self>, name: String) -> Claim {
        let lost = CancellationToken::new();
        let mut state = self.state();
        state.next += 1;
        let id = state.next;
        if let Some((_, older)) = state.writers.insert(name.clone(), (id, lost.clone())) {
            older.cancel();
        }
        drop(state);
        Claim { claims: Arc::clone(self), name, id, lost }
    }
}

impl Room {
    /// Reserves more bytes.
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), StoreError> {
        let mut state = self.claims.state();
        let taken = state.taken.checked_add(bytes).filter(|taken| *taken <= self.claims.most);
        state.taken = taken.ok_or(StoreError::Busy)?;
        drop(state);
        self.bytes += bytes;
        Ok(())
    }
}

impl Claim {
    /// Completes when a newer upload has replaced this one.
    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut state = self.claims.state();
        state.taken = state.taken.saturating_sub(self.bytes);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = self.claims.state();
        if state.writers.get(&self.name).is_some_and(|(id, _)| *id == self.id) {
            state.writers.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_writer_of_a_key_has_it() {
        let claims = Claims::new(0);
        let (first, other) = (claims.claim("a".to_owned()), claims.claim("b".to_owned()));
        let second = claims.claim("a".to_owned());
        assert!(first.lost.is_cancelled() && !second.lost.is_cancelled() && !other.lost.is_cancelled());
        drop(first);
        let third = claims.claim("a".to_owned());
        assert!(second.lost.is_cancelled() && !third.lost.is_cancelled());
        drop((second, third, other));
        assert!(claims.state().writers.is_empty());
    }

    #[test]
    fn room_is_given_back() {
        let claims = Claims::new(10);
        let (mut kept, mut other) = (claims.room(), claims.room());
        kept.grow(2).and_then(|()| kept.grow(4)).unwrap();
        assert!(other.grow(5).is_err() && other.grow(u64::MAX).is_err());
        other.grow(4).unwrap();
        drop(kept);
        other.grow(6).unwrap();
        assert!(other.grow(1).is_err());
    }
}
