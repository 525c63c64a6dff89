//! The section `server`: listener and timeouts of the API.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use configuration::{
    Environment, Keys, Section, address, derived, empty, key, list, seconds, web_url, whole,
};
use ipnet::IpNet;
use url::Url;

/// Settings of the HTTP server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Address that the API listens on; port 0 picks a free one.
    pub bind: SocketAddr,
    /// URL of the API as browsers reach it, without a path.
    pub public_url: Url,
    /// Threads that answer requests.
    pub workers: usize,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Deadline of a request.
    pub request_timeout: Duration,
    /// Maximum number of connections.
    pub connections: usize,
    /// Maximum number of connections of one address.
    pub connections_per_address: usize,
    /// Time between the announcement of a stop and its effect.
    pub drain_delay: Duration,
    /// Time that requests in progress then have.
    pub shutdown_grace: Duration,
    /// Time that a client has to send the head of a request.
    pub client_timeout: Duration,
    /// Time for which a client may read nothing of its answer.
    pub write_timeout: Duration,
    /// Time that an idle connection stays open.
    pub keep_alive: Duration,
}

impl Section for Server {
    const NAME: &'static str = "server";
    type Given<'a> = ();

    fn read(keys: &mut Keys<'_>, (): ()) -> Option<Self> {
        const MOST_WORKERS: usize = 1_024;
        let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, 8000));
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let delay = if keys.environment() == Environment::Production { 5 } else { 0 };
        let bind = keys.read(
            key(
                "bind",
                address(usual),
                usual,
                "Address that the API listens on; port 0 picks a free one and prints it. `PORT` sets the port and keeps the address.",
            )
            .partial_alias("PORT", "a port from 0 to 65535", with_port),
        )?;
        let server = Self {
            bind,
            public_url: keys.read(key(
                "public_url",
                web_url(),
                derived(format_args!("http://localhost:{}", bind.port()), "`http://localhost:<port of server.bind>`"),
                "URL of the API as browsers reach it: without a path, because its own paths begin at the root. Production wants \
                 https://.",
            ))?,
            workers: keys.read(key(
                "workers",
                whole(1..=MOST_WORKERS, "threads"),
                derived(cores.min(MOST_WORKERS), "one per core"),
                "Threads that answer requests.",
            ))?,
            trusted_proxies: keys.read(key(
                "trusted_proxies",
                list("addresses and networks, such as 10.0.0.0/8", network),
                empty("none"),
                "Proxies whose `X-Forwarded-For` is trusted. That of others is ignored.",
            ))?,
            request_timeout: keys.read(key(
                "request_timeout",
                seconds(1..=300),
                5,
                "Time that a request has before it is answered with 503, the time in which the client sends its body not \
                 counted. What needs longer says so in the OpenAPI document (`x-deadline-seconds`).",
            ))?,
            connections: keys.read(key(
                "connections",
                whole(16..=1_000_000, "connections"),
                4096,
                "Number of connections at once. The next one waits until the longest idle one is closed. The process needs as \
                 many file descriptors, and some hundreds more.",
            ))?,
            connections_per_address: keys.read(key(
                "connections_per_address",
                whole(1..=1_000_000, "connections"),
                512,
                "Number of connections of one address (IPv6: of one /64); a further one takes the place of its longest idle one \
                 or is refused. Not for `server.trusted_proxies`, nor while `limits.enabled` is false.",
            ))?,
            drain_delay: keys.read(key(
                "drain_delay",
                seconds(0..=300),
                derived(delay, "5 in production, else 0"),
                "Time between the announcement of a stop and its effect: readiness fails, each answer has \
                 `Connection: close`, and new connections are still accepted. As long as the load balancer needs to notice.",
            ))?,
            shutdown_grace: keys.read(key(
                "shutdown_grace",
                seconds(0..=3_600),
                20,
                "Time that requests in progress then have; the process ends 5 s later at most.",
            ))?,
            client_timeout: keys.read(key(
                "client_timeout",
                seconds(1..=300),
                10,
                "Time that a client has to send the head of a request.",
            ))?,
            write_timeout: keys.read(key(
                "write_timeout",
                seconds(1..=300),
                30,
                "Time for which a client may read nothing of its answer before the connection is closed.",
            ))?,
            keep_alive: keys.read(key(
                "keep_alive",
                seconds(1..=3_600),
                75,
                "Time that an idle connection stays open: longer than the proxy in front keeps it.",
            ))?,
        };
        // Cookies, links, redirects and the paths of the OpenAPI document all start at the root.
        let must = "have no path: the API needs a host (or a port) to itself";
        keys.must("public_url", server.public_url.path() == "/", must);
        keys.must_be_public("public_url", &server.public_url);
        let must = "trust no more than a 64th of all addresses";
        keys.must_outside_development("trusted_proxies", !trusts_strangers(&server.trusted_proxies), must);
        Some(server)
    }
}

/// `address` with another port. An invalid address stays: the check of its form reports it with its source.
fn with_port(address: &str, port: &str) -> Option<String> {
    let port: u16 = port.parse().ok()?;
    let address = address.to_owned();
    Some(address.parse().map_or(address, |bind: SocketAddr| SocketAddr::new(bind.ip(), port).to_string()))
}

/// A network; a single address is a network of one.
fn network(text: &str) -> Option<IpNet> {
    text.parse().map(|address: std::net::IpAddr| address.into()).or_else(|_| text.parse()).ok()
}

/// Whether `networks` cover together more than a 64th of the addresses of IPv4 or of IPv6. Private networks have less (10.0.0.0/8
/// is a 256th, `fc00::/7` a 128th), and so have the published ranges of proxy providers.
fn trusts_strangers(networks: &[IpNet]) -> bool {
    const LEAST_PREFIX: u8 = 6;
    // In units of the smallest share that is counted; overlapping networks are counted once.
    let share = |network: &IpNet| 1_u64 << 32_u8.saturating_sub(network.prefix_len());
    let too_much = |is_of_family: fn(&IpNet) -> bool| {
        let merged = IpNet::aggregate(&networks.to_vec());
        merged.iter().filter(|network| is_of_family(network)).map(share).sum::<u64>()
            > 1 << (32 - LEAST_PREFIX)
    };
    too_much(|network| network.addr().is_ipv4()) || too_much(|network| network.addr().is_ipv6())
}
