//! The OpenAPI document of this product, with what the configuration says of this installation.

use http_kit::openapi::{self, Description, Problems};
use utoipa::openapi::OpenApi;

use crate::config::{Config, without_slash};
use crate::console::CommandError;
use crate::routers::{self, MODULES, health, installation};

/// The whole document, for an installation of this configuration.
///
/// # Errors
///
/// A module asks for settings that nobody reads, or no module signs users in: bugs.
pub fn document(config: &Config) -> Result<OpenApi, CommandError> {
    let sign_in = routers::sign_in()?;
    let description = Description {
        title: format!("{} API", config.project_name),
        text: DESCRIPTION,
        version: env!("CARGO_PKG_VERSION"),
        // As a whole URL: clients put it and the path together as they are.
        server: without_slash(&config.server.public_url).to_owned(),
        tags: routers::tags(),
        token_url: sign_in.token_url,
        problems: Problems {
            catalogue: routers::problems().collect(),
            unauthenticated: sign_in.unauthenticated,
        },
    };
    let mut document = openapi::document(description, routers::configure);
    installation::Installation::new(config)?.describe(&mut document);
    health::describe(&mut document);
    for module in MODULES {
        (module.document)(config, &mut document)?;
    }
    Ok(document)
}

const DESCRIPTION: &str = "\
Sign up or log in at `/api/v1/auth`, then send the access token as `Authorization: Bearer …`.

- Ids are opaque strings with a prefix. Times are RFC 3339 in UTC.
- Unknown body fields and unknown query parameters are refused.
- `PATCH` is a JSON merge patch (RFC 7396): absent keeps, `null` clears. It may be called `application/json` or \
`application/merge-patch+json`.
- Lists come in pages: follow `next_cursor`, or the `Link` header.
- An answer takes 5 seconds at most, or as long as the operation's `x-deadline-seconds` says; what takes longer is a 503 with \
`Retry-After`. The time in which you send the body does not count.
- Every error is `application/problem+json` (RFC 9457) with a stable `code`; the page behind `type` says what it means. Each operation \
lists the codes that it can answer with, with an example of each.
- Single resources have an `ETag`: send it as `If-None-Match` to save a transfer, as `If-Match` to avoid overwriting what \
somebody else changed meanwhile.";
