//! Addresses and limits of connections.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use app_config::Config;
use http_kit::cors::Origins;
use transport::Limits;

/// Limits of connections, for the API and for other listeners.
#[must_use]
pub fn connection_limits(config: &Config) -> Limits {
    let server = &config.server;
    Limits {
        in_all: server.connections,
        // For load tests from one machine.
        per_address: if config.limits.enabled { server.connections_per_address } else { usize::MAX },
        exempt: server.trusted_proxies.clone(),
    }
}

/// Address at which this machine reaches a listener, also one that listens on all interfaces.
#[must_use]
pub fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

/// Origins of pages that may call from a browser.
pub(crate) fn origins(config: &Config) -> Origins {
    let allowed = config.cors.origins.clone();
    Origins::new(config.server.public_url.origin().ascii_serialization(), move |origin| {
        allowed.iter().any(|allowed| allowed.allows(origin))
    })
}
