//! The section `limits`: limits of requests.

use std::time::Duration;

use configuration::{Keys, Section, bytes, key, seconds, switch};

/// Limits of requests.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Whether connections per address are limited; always true outside development.
    pub enabled: bool,
    /// Length of the longest path and query together, in bytes.
    pub url_bytes: usize,
    /// Size of the largest JSON body in bytes.
    pub json_body_bytes: usize,
    /// Time that a body has to arrive.
    pub body_seconds: Duration,
}

impl Section for Limits {
    const NAME: &'static str = "limits";
    type Given<'a> = ();

    fn read(keys: &mut Keys<'_>, (): ()) -> Option<Self> {
        let limits = Self {
            enabled: keys.read(key(
                "enabled",
                switch(),
                true,
                "Whether connections of one address are limited (`server.connections_per_address`). `false` is for load tests, and \
                 refused in production; this version limits no client's requests.",
            ))?,
            url_bytes: keys.read(key(
                "url_bytes",
                bytes(16_384..=65_534),
                16_384,
                "Length of the longest path and query together; longer ones are answered with 414. The HTTP parser itself \
                 refuses what is longer than the most that can be set here, with a bare 400.",
            ))?,
            json_body_bytes: keys.read(key(
                "json_body_bytes",
                bytes(1_024..=16_777_216),
                1_048_576,
                "Size of the largest JSON body; larger ones are answered with 413.",
            ))?,
            body_seconds: keys.read(key(
                "body_seconds",
                seconds(1..=300),
                30,
                "Time that a body has to arrive; slower ones are answered with 408.",
            ))?,
        };
        keys.must_outside_development("enabled", limits.enabled, "be true");
        Some(limits)
    }
}
