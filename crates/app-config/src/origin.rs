//! Origins that may call the API from a browser.

use std::fmt;
use std::str::FromStr;

use configuration::is_local;
use url::Url;

/// An entry of `cors.origins`: one exact origin, of a page or of an app (`capacitor://localhost`), or all ports of a host
/// (`http://localhost:*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedOrigin {
    /// The origin in the form that browsers send: scheme, host, and port unless it is the scheme's default. Without a port for `:*`.
    origin: String,
    any_port: bool,
    local: bool,
}

/// A text is not an origin that can be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an origin such as https://app.example.com, capacitor://localhost or http://localhost:*")]
pub struct NotAnOrigin;

impl AllowedOrigin {
    /// Whether a request with this `Origin` header is allowed.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        let Some(rest) = origin.strip_prefix(&self.origin) else { return false };
        match rest.strip_prefix(':') {
            // Only a port may follow the host: `http://localhost.evil.example` has the same beginning.
            Some(port) if self.any_port => port.parse::<u16>().is_ok_and(|number| number.to_string() == port),
            _ => rest.is_empty(),
        }
    }

    /// Whether every port of the host is allowed.
    #[must_use]
    pub fn any_port(&self) -> bool {
        self.any_port
    }

    /// Whether the host is the local machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.local
    }
}

impl FromStr for AllowedOrigin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        if is_of_an_app(text) {
            // Not local: every installation of the app has this origin, whatever name it contains.
            return Ok(Self { origin: text.to_owned(), any_port: false, local: false });
        }
        let (base, any_port) = match text.strip_suffix(":*") {
            Some(base) => (base, true),
            None => (text, false),
        };
        let url = Url::parse(base).map_err(|_| NotAnOrigin)?;
        let origin = url.origin().ascii_serialization();
        // Comparing with the text refuses paths, credentials, `null`, and hosts that browsers write differently.
        let exact = matches!(url.scheme(), "http" | "https") && origin.eq_ignore_ascii_case(base);
        let has_port =
            base.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        if !exact || (any_port && has_port) || base.contains('*') {
            return Err(NotAnOrigin);
        }
        Ok(Self { origin, any_port, local: is_local(&url) })
    }
}

/// Whether it is the origin of an app's web view: a custom scheme and a name. In the URL Standard such schemes have no origin, so there
/// is nothing to parse. Known schemes belong to pages, or cannot be origins.
fn is_of_an_app(text: &str) -> bool {
    const KNOWN: [&str; 10] =
        ["http", "https", "ws", "wss", "ftp", "file", "data", "blob", "about", "javascript"];
    let Some((scheme, name)) = text.split_once("://") else { return false };
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    !KNOWN.contains(&scheme)
        && scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(is_word)
        && !name.is_empty()
        && name.bytes().all(|byte| byte != b'+' && is_word(byte))
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        f.write_str(if self.any_port { ":*" } else { "" })
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
    fn an_app_has_an_origin_that_is_compared_as_it_stands() {
        for text in ["capacitor://localhost", "tauri://localhost", "ionic://app.example.com", "app+x://a-b.c"]
        {
            let origin = origin(text);
            assert!(origin.allows(text) && origin.to_string() == text, "{text}");
            assert!(
                !origin.is_local() && !origin.any_port(),
                "{text}: not the machine that the server runs on"
            );
            for other in [
                &text[1..],
                &format!("{text}/"),
                &format!("{text}:1"),
                &text.to_uppercase(),
                "http://localhost",
            ] {
                assert!(!origin.allows(other), "{text}: {other}");
            }
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
            "capacitor://",
            "capacitor://localhost:*",
            "capacitor://localhost/",
            "capacitor://*",
            "Capacitor://localhost",
            "javascript://localhost",
            "://localhost",
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
