//! Limits on the number of connections, and eviction of idle ones.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::Notify;

use crate::state::{ConnectionState, Shutdown};

/// Limits on the number of concurrent connections of a listener.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Maximum in total. The next one waits in the operating system's queue until the longest idle one is closed.
    pub in_all: usize,
    /// Maximum per address (IPv6: per /64, which one customer has). The next one replaces the longest idle one of this address,
    /// or is closed at once.
    pub per_address: usize,
    /// Addresses of proxies, which many clients share. Only [`in_all`](Self::in_all) applies to them.
    pub exempt: Vec<IpNet>,
}

/// The connections of a listener.
#[derive(Debug)]
pub(crate) struct Registry {
    limits: Limits,
    slots: Mutex<Slots>,
    freed: Notify,
    shutdown: Arc<Shutdown>,
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct Slots {
    states: HashMap<u64, (IpAddr, Arc<ConnectionState>)>,
    of_address: HashMap<IpAddr, usize>,
}

impl Slots {
    fn evict_longest_idle(&self, of: Option<IpAddr>) -> bool {
        let candidates = self.states.values().filter(|(address, _)| of.is_none_or(|of| of == *address));
        let idle = candidates.filter_map(|(_, state)| state.idle_since().map(|since| (since, state)));
        let longest = idle.min_by_key(|(since, _)| *since);
        if let Some((_, state)) = longest {
            state.evict();
        }
        longest.is_some()
    }
}

/// Interval at which a full listener looks for an idle connection.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl Registry {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            slots: Mutex::default(),
            freed: Notify::new(),
            shutdown: Arc::default(),
            next: AtomicU64::new(0),
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a free slot, and evicts an idle connection if it can.
    pub(crate) async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            {
                let slots = self.slots();
                if slots.states.len() < self.limits.in_all {
                    return;
                }
                slots.evict_longest_idle(None);
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, freed).await;
        }
    }

    /// A slot for a connection from `peer`, unless this address has too many.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        let address = customer(peer);
        let mut slots = self.slots();
        let is_exempt = self.limits.exempt.iter().any(|network| network.contains(&peer.to_canonical()));
        let has = slots.of_address.get(&address).copied().unwrap_or_default();
        if !is_exempt && has >= self.limits.per_address && !slots.evict_longest_idle(Some(address)) {
            return None;
        }
        *slots.of_address.entry(address).or_default() += 1;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(ConnectionState::new(Arc::clone(&self.shutdown)));
        slots.states.insert(id, (address, Arc::clone(&state)));
        Some(Slot { id, state, registry: Arc::clone(self) })
    }

    fn leave(&self, id: u64) {
        let mut slots = self.slots();
        let Some((address, _)) = slots.states.remove(&id) else { return };
        if let Some(count) = slots.of_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                slots.of_address.remove(&address);
            }
        }
        drop(slots);
        self.freed.notify_waiters();
    }

    pub(crate) fn len(&self) -> usize {
        self.slots().states.len()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.shutdown.is_draining()
    }

    pub(crate) fn drain(&self) {
        self.shutdown.drain();
    }

    pub(crate) fn finish(&self) {
        self.shutdown.finish();
        let states: Vec<_> = self.slots().states.values().map(|(_, state)| Arc::clone(state)).collect();
        for state in states {
            state.wake();
        }
    }

    /// Waits until there is no connection.
    pub(crate) async fn empty(&self) {
        loop {
            let freed = self.freed.notified();
            if self.len() == 0 {
                return;
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, freed).await;
        }
    }
}

/// The address by which a client is counted: for IPv6 its /64, which one customer has.
fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// The slot of a connection, of those that the listener has.
#[derive(Debug)]
pub(crate) struct Slot {
    id: u64,
    pub(crate) state: Arc<ConnectionState>,
    registry: Arc<Registry>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.registry.leave(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(in_all: usize, per_address: usize) -> Arc<Registry> {
        let exempt = vec!["10.0.0.0/8".parse().unwrap()];
        Arc::new(Registry::new(Limits { in_all, per_address, exempt }))
    }

    #[tokio::test]
    async fn an_address_has_so_many_slots_and_a_proxy_all() {
        let registry = registry(100, 2);
        let from = |address: &str| registry.admit(address.parse().unwrap());
        let busy = |slot: Option<Slot>| {
            let slot = slot.unwrap();
            let turn = slot.state.begin(crate::BodyLength::Known(0));
            (slot, turn)
        };
        // The same address in two notations, and two addresses of one customer.
        for [a, b, c] in
            [["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"], ["2001:db8::1", "2001:db8::2:3", "2001:db8::4"]]
        {
            let kept = [busy(from(a)), busy(from(b))];
            assert!(from(c).is_none(), "{c}");
            drop(kept);
            assert!(from(c).is_some(), "{c}");
        }
        let kept: Vec<_> = (0..10).map(|_| busy(from("10.1.2.3"))).collect();
        assert_eq!(registry.len(), kept.len());
    }

    #[tokio::test]
    async fn the_longest_idle_one_makes_room() {
        let registry = registry(100, 2);
        let from = |address: &str| registry.admit(address.parse().unwrap());
        let (first, second) = (from("192.0.2.1").unwrap(), from("192.0.2.1").unwrap());
        drop(first.state.begin(crate::BodyLength::Known(0)));
        let third = from("192.0.2.1").unwrap();
        let idle = |slot: &Slot| slot.state.idle_since().is_some();
        assert!(idle(&first) && !idle(&second) && idle(&third), "the second was asked to go");
    }
}
