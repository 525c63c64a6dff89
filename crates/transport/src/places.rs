//! How many connections there may be, and who has to go when there are more.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::connection::Connection;
use crate::line::Line;

/// How many connections a listener has at once.
#[derive(Clone, Debug)]
pub struct Limits {
    /// In all. The next one waits in the operating system's queue until the longest idle one is closed.
    pub in_all: usize,
    /// Of one address (IPv6: of one /64, which is what one customer has). The next one takes the place of this address's
    /// longest idle one, or is closed at once.
    pub per_address: usize,
    /// Addresses that stand for many people: proxies. For these only [`in_all`](Self::in_all) holds.
    pub exempt: Vec<IpNet>,
}

/// How long a connection may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a whole head, from its first byte.
    pub head: Duration,
    /// Without a request.
    pub idle: Duration,
    /// For a client that reads nothing of its answer.
    pub write: Duration,
}

/// The connections of a listener.
#[derive(Debug)]
pub(crate) struct Registry {
    limits: Limits,
    places: Mutex<Places>,
    freed: Notify,
    draining: AtomicBool,
    finishing: AtomicBool,
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct Places {
    lines: HashMap<u64, (IpAddr, Arc<Line>)>,
    of_address: HashMap<IpAddr, usize>,
}

impl Places {
    fn evict_longest_idle(&self, of: Option<IpAddr>) -> bool {
        let candidates = self.lines.values().filter(|(address, _)| of.is_none_or(|of| of == *address));
        let idle = candidates.filter_map(|(_, line)| line.idle_since().map(|since| (since, line)));
        let longest = idle.min_by_key(|(since, _)| *since);
        if let Some((_, line)) = longest {
            line.evict();
        }
        longest.is_some()
    }
}

/// A full listener looks this often whether somebody has become idle.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl Registry {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            places: Mutex::default(),
            freed: Notify::new(),
            draining: AtomicBool::new(false),
            finishing: AtomicBool::new(false),
            next: AtomicU64::new(0),
        }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Done when there is a place, which it makes if it can.
    pub(crate) async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            {
                let places = self.places();
                if places.lines.len() < self.limits.in_all {
                    return;
                }
                places.evict_longest_idle(None);
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, freed).await;
        }
    }

    /// A place for a connection from here, unless this address has too many.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let address = customer(peer);
        let mut places = self.places();
        let is_exempt = self.limits.exempt.iter().any(|network| network.contains(&peer.to_canonical()));
        let has = places.of_address.get(&address).copied().unwrap_or_default();
        if !is_exempt && has >= self.limits.per_address && !places.evict_longest_idle(Some(address)) {
            return None;
        }
        *places.of_address.entry(address).or_default() += 1;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let line = Arc::new(Line::new(Arc::clone(self)));
        places.lines.insert(id, (address, Arc::clone(&line)));
        Some(Place { id, line })
    }

    fn leave(&self, id: u64) {
        let mut places = self.places();
        let Some((address, _)) = places.lines.remove(&id) else { return };
        if let Some(count) = places.of_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                places.of_address.remove(&address);
            }
        }
        drop(places);
        self.freed.notify_waiters();
    }

    pub(crate) fn len(&self) -> usize {
        self.places().lines.len()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(crate) fn is_finishing(&self) -> bool {
        self.finishing.load(Ordering::Acquire)
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(crate) fn finish(&self) {
        self.drain();
        self.finishing.store(true, Ordering::Release);
        let lines: Vec<_> = self.places().lines.values().map(|(_, line)| Arc::clone(line)).collect();
        for line in lines {
            line.wake();
        }
    }

    /// Done when there is no connection.
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

/// Whose an address is: a customer has a whole /64 of IPv6.
fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// A connection's place among the others.
#[derive(Debug)]
pub(crate) struct Place {
    id: u64,
    pub(crate) line: Arc<Line>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.line.registry.leave(self.id);
    }
}

/// A connection that was taken and is not yet used.
#[derive(Debug)]
pub struct Accepted {
    pub(crate) stream: std::net::TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) place: Place,
}

impl Accepted {
    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The socket, at the event loop that runs here.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn open(self, patience: Patience) -> io::Result<Connection> {
        // Small answers must not wait for the client's acknowledgement of the last one.
        let _ = self.stream.set_nodelay(true);
        Ok(Connection::new(TcpStream::from_std(self.stream)?, self.place, patience))
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
    async fn an_address_has_so_many_places_and_a_proxy_all() {
        let registry = registry(100, 2);
        let from = |address: &str| registry.admit(address.parse().unwrap());
        let busy = |place: Option<Place>| {
            let place = place.unwrap();
            let turn = place.line.begin(crate::BodyLength::Known(0));
            (place, turn)
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
        drop(first.line.begin(crate::BodyLength::Known(0)));
        let third = from("192.0.2.1").unwrap();
        let idle = |place: &Place| place.line.idle_since().is_some();
        assert!(idle(&first) && !idle(&second) && idle(&third), "the second was asked to go");
    }
}
