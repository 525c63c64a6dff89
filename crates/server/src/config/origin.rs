//! Origins that may call the API from a browser.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// An entry of `cors.origins`: one exact origin, or all ports of a host (`http://localhost:*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedOrigin {
    /// As a browser serialises it: scheme, host and port where it is not the scheme's own. Without a port for `:*`.
    origin: String,
    any_port: bool,
    local: bool,
}

/// Not an origin that can be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an origin such as https://app.example.com or http://localhost:*")]
pub struct NotAnOrigin;

impl AllowedOrigin {
    /// Whether a request with this `Origin` header comes from here.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        let Some(rest) = origin.strip_prefix(&self.origin) else { return false };
        match rest.strip_prefix(':') {
            // What follows the host has to be a port and nothing else: `http://localhost.evil.example` begins alike.
            Some(port) if self.any_port => port.parse::<u16>().is_ok_and(|number| number.to_string() == port),
            _ => rest.is_empty(),
        }
    }

    /// Whether every port of the host is allowed.
    #[must_use]
    pub fn any_port(&self) -> bool {
        self.any_port
    }

    /// Whether the host is the machine that the browser runs on.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.local
    }
}

impl FromStr for AllowedOrigin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let (base, any_port) = match text.strip_suffix(":*") {
            Some(base) => (base, true),
            None => (text, false),
        };
        let url = Url::parse(base).map_err(|_| NotAnOrigin)?;
        let origin = url.origin().ascii_serialization();
        // Comparing with the text refuses paths, credentials, `null`, and a host that a browser would write otherwise.
        let exact = matches!(url.scheme(), "http" | "https") && origin.eq_ignore_ascii_case(base);
        let has_port =
            base.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        if !exact || (any_port && has_port) || base.contains('*') {
            return Err(NotAnOrigin);
        }
        Ok(Self { origin, any_port, local: is_local(&url) })
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        f.write_str(if self.any_port { ":*" } else { "" })
    }
}

/// Whether `url` names the machine that it is opened on.
pub(super) fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> AllowedOrigin {
        text.parse().unwrap()
    }

    #[test]
    fn an_exact_origin_allows_itself_only() {
        let origin = origin("https://app.example.com");
        assert!(origin.allows("https://app.example.com"));
        for other in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.example",
            "https://evil.example",
            "null",
            "",
        ] {
            assert!(!origin.allows(other), "{other}");
        }
    }

    #[test]
    fn a_star_for_the_port_allows_ports_and_nothing_else() {
        let origin = origin("http://localhost:*");
        assert!(origin.allows("http://localhost") && origin.allows("http://localhost:5173"));
        for other in [
            "https://localhost:5173",
            "http://localhost.evil.example",
            "http://localhost:5173.evil.example",
            "http://localhost:80@evil.example",
            "http://localhost:",
            "http://localhost:+80",
            "http://localhost:99999",
            "http://localhost:5173/",
        ] {
            assert!(!origin.allows(other), "{other}");
        }
    }

    #[test]
    fn what_is_not_an_origin_is_refused() {
        for text in [
            "*",
            "*:*",
            "https://*",
            "https://*.example.com",
            "http://localhost:8000:*",
            "https://example.com/",
            "https://example.com/app",
            "https://user@example.com",
            "null",
            "example.com",
            "ftp://example.com",
            "file:///etc",
            "",
        ] {
            assert_eq!(text.parse::<AllowedOrigin>(), Err(NotAnOrigin), "{text}");
        }
    }

    #[test]
    fn local_origins_are_recognised() {
        for text in ["http://localhost:*", "http://app.localhost", "http://127.0.0.1:3000", "http://[::1]:*"]
        {
            assert!(origin(text).is_local(), "{text}");
            assert_eq!(origin(text).to_string(), text);
        }
        assert!(!origin("https://localhost.example.com").is_local());
    }
}
