//! Helpers for URLs in configurations.

use url::{Host, Url};

/// Whether the host of `url` is the local machine.
#[must_use]
pub fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => false,
    }
}

/// `url` without a trailing slash, so that a path can be appended.
#[must_use]
pub fn without_slash(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}
