//! The section `cors`: origins and headers of calls from a browser.

use configuration::{Environment, Keys, Section, derived, empty, key, list};
use http::HeaderName;

use crate::origin::AllowedOrigin;

/// Settings of calls from a browser.
#[derive(Clone, Debug)]
pub struct Cors {
    /// Allowed origins: exact ones, or all ports of a host.
    pub origins: Vec<AllowedOrigin>,
    /// Request headers that pages may send besides those that the API knows.
    pub headers: Vec<HeaderName>,
}

/// Origins of development servers on a developer's machine.
const LOCAL_PAGES: &str = "http://localhost:*,https://localhost:*,http://127.0.0.1:*,http://[::1]:*";

impl Section for Cors {
    const NAME: &'static str = "cors";
    type Given<'a> = ();

    fn read(keys: &mut Keys<'_>, (): ()) -> Option<Self> {
        let environment = keys.environment();
        let local_pages = if environment == Environment::Development { LOCAL_PAGES } else { "" };
        let cors = Self {
            origins: keys.read(key(
                "origins",
                list(
                    "origins such as https://app.example.com or, for every port, http://localhost:* (never `*` alone)",
                    |text| text.parse().ok(),
                ),
                derived(
                    local_pages,
                    "`http://localhost:*, https://localhost:*, http://127.0.0.1:*, http://[::1]:*` in development, none otherwise",
                ),
                "Origins of the web pages that may call the API, and other listeners of the server, from a browser. Apps have origins of their \
                 own, such as capacitor://localhost and tauri://localhost, which are compared as they stand.",
            ))?,
            headers: keys.read(key(
                "headers",
                list("names of request headers, such as sentry-trace (never `*`)", header_name),
                empty("none"),
                "Request headers that pages may send besides those that the API knows: what their tracing or their HTTP library \
                 adds.",
            ))?,
        };
        keys.must("origins", !cors.origins.iter().any(refused_in(environment)), exact_origins(environment));
        Some(cors)
    }
}

/// A field name (RFC 9110, section 5.1), except `*`, which is valid by its syntax only.
fn header_name(text: &str) -> Option<HeaderName> {
    text.parse().ok().filter(|name: &HeaderName| name.as_str() != "*")
}

fn refused_in(environment: Environment) -> impl Fn(&AllowedOrigin) -> bool {
    move |origin| match environment {
        Environment::Development => false,
        Environment::Staging => origin.any_port() && !origin.is_local(),
        Environment::Production => origin.any_port() || origin.is_local(),
    }
}

fn exact_origins(environment: Environment) -> &'static str {
    match environment {
        Environment::Staging => "name exact origins in staging; only local ones may have `*`",
        Environment::Development | Environment::Production => {
            "name exact origins in production, none of them local and none with `*`"
        }
    }
}
