//! Limits of connections.

use transport::Limits;

use crate::config::Config;

/// Limits of connections, to the API and to what else is served.
pub(crate) fn connection_limits(config: &Config) -> Limits {
    let server = &config.server;
    Limits {
        in_all: server.connections,
        // A load test comes from one machine.
        per_address: if config.limits.enabled { server.connections_per_address } else { usize::MAX },
        exempt: server.trusted_proxies.clone(),
    }
}
