//! The product: a thin binary that says which domains there are. It has no rule of any domain; what every product has the same
//! is in [`app_kit`].
//!
//! | module | what is in it |
//! |---|---|
//! | [`routers`] | the one list of domains, and one file for each: extract, one service call, respond |

use app_kit::migrations::Migrations;
use app_kit::product::Product;
use migration::{Migrator, SOURCES};

pub mod routers;

/// This product.
pub static PRODUCT: Product = Product {
    name: "ashlar",
    title: "Ashlar",
    version: env!("CARGO_PKG_VERSION"),
    api_description: API_DESCRIPTION,
    first_steps: FIRST_STEPS,
    modules: routers::MODULES,
    migrations: Migrations::of::<Migrator>(SOURCES),
};

const API_DESCRIPTION: &str = "\
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
- Every answer has an `X-Request-Id`: quote it when you report an error. A method that a path does not have is a 405 with those \
that it has in `Allow`.
- Single resources have an `ETag`: send it as `If-None-Match` to save a transfer, as `If-Match` to avoid overwriting what \
somebody else changed meanwhile.";

const FIRST_STEPS: &str = "\
Make an admin of an account that signed up (it is shown, and you are asked):
  cargo run -- admin create --email you@example.com     (installed: ashlar admin create …)
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use app_kit::cli;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        cli::command(&PRODUCT).debug_assert();
    }

    #[test]
    fn each_table_is_known_once_and_refers_to_known_ones() {
        let resources = PRODUCT.resources();
        let tables: Vec<_> = resources.iter().map(|resource| resource.table).collect();
        assert_eq!(tables.len(), tables.iter().collect::<BTreeSet<_>>().len(), "{tables:?}");
        for resource in resources.iter() {
            for reference in resource.references {
                assert!(tables.contains(&reference.to), "{}: {reference:?}", resource.table);
            }
        }
        assert!(tables.contains(&"users"));
    }
}
