//! The keys of the section `storage` that only the embedded object store has. The others are those of every store, and stand in
//! [`upload::settings`].

use std::net::{Ipv4Addr, SocketAddr};

use configuration::{Keys, Section, address, bytes, key, whole};
use object_store::{ObjectStoreLimits, ObjectStoreTimeouts};

/// Settings of the embedded object store.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedStore {
    /// Address that it listens on for clients; port 0 picks a free one.
    pub bind: SocketAddr,
    /// Connections of clients at once.
    pub connections: usize,
    /// Bytes of unfinished uploads on the disk.
    pub unfinished_bytes: u64,
    /// Bytes that an upload has to bring each second on average.
    pub rate: u64,
}

impl Section for EmbeddedStore {
    const NAME: &'static str = "storage";
    type Given<'a> = ();

    fn read(keys: &mut Keys<'_>, (): ()) -> Option<Self> {
        let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, 9000));
        let limits = ObjectStoreLimits::default();
        Some(Self {
            bind: keys.read(key(
                "embedded_bind",
                address(usual),
                usual,
                "Address that the embedded store listens on; port 0 picks a free one. For the server itself it listens on a port \
                 of its own too, on this machine only.",
            ))?,
            connections: keys.read(key(
                "embedded_connections",
                whole(16..=1_000_000, "connections"),
                limits.connections.in_all,
                "Number of connections of clients to the embedded store at once. The next one waits until the longest idle one \
                 is closed. `server.connections_per_address` holds too.",
            ))?,
            unfinished_bytes: keys.read(key(
                "embedded_unfinished_bytes",
                bytes(1 << 20..=1 << 50),
                limits.unfinished,
                "Space on the disk for unfinished uploads to the embedded store, all together; further ones are answered \
                 with 503 `SlowDown`.",
            ))?,
            rate: keys.read(key(
                "embedded_rate",
                whole(1..=1 << 30, "bytes per second"),
                ObjectStoreTimeouts::default().rate,
                "Least average speed of an upload to the embedded store, beyond 30 s for a start; slower ones are given up.",
            ))?,
        })
    }
}
