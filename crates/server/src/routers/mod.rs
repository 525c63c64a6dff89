//! The one list of domains, and one file for each. A handler extracts, makes one service call, and chooses the answer; no
//! rule, no query.
//!
//! Each name in the list is a domain crate and a router in this folder with the same name. What the server needs of every
//! domain is read from both by that name: routes and tags from the router, problems from `error`, resources from `service`.
//!
//! # Adding a route
//!
//! A handler with `#[utoipa::path]` and `#[get]` (or another method) with its whole path, registered in the file's `configure`.
//! The order does not matter, and a path may lie below another domain's (`/api/v1/orders/{order_id}/items`). Its
//! `security(…)` is what access control enforces: silent means signed in, `security(())` public,
//! `security((), ("bearer" = []), ("oauth2" = []))` public with more for who is signed in, and paths below `/api/v1/admin/` are for
//! admins whatever they say.

use http_kit::problem;
use http_kit::routes::Routes;
use shared_kernel::error::Problem;
use shared_kernel::resource::Resources;
use utoipa_actix_web::service_config::ServiceConfig;

pub mod health;
pub mod installation;

macro_rules! domains {
    ($($domain:ident),* $(,)?) => {
        $(pub mod $domain;)*

        /// Registers the routes of all domains.
        pub fn configure(config: &mut ServiceConfig<'_>) {
            let mut routes = Routes::new(config);
            health::configure(&mut routes);
            installation::configure(&mut routes);
            $($domain::configure(&mut routes);)*
        }

        /// The tags of the document, with their descriptions.
        #[must_use]
        pub fn tags() -> Vec<(&'static str, &'static str)> {
            let mut tags = Vec::new();
            $(tags.extend_from_slice($domain::TAGS);)*
            tags.push((installation::TAG, "What this installation allows."));
            tags.push((health::TAG, "Whether the server answers."));
            tags
        }

        /// Every way to fail that an answer can name.
        pub fn problems() -> impl Iterator<Item = &'static Problem> {
            let lists = [shared_kernel::error::PROBLEMS, problem::PROBLEMS, $(::$domain::error::PROBLEMS),*];
            lists.into_iter().flatten().copied()
        }

        /// What domains may know of each other's tables.
        #[must_use]
        pub fn resources() -> Resources {
            [$(::$domain::service::RESOURCES),*].into_iter().flatten().collect()
        }
    };
}

domains! { auth, upload, user }

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_table_is_known_once_and_refers_to_known_ones() {
        let resources = resources();
        let tables: Vec<_> = resources.iter().map(|resource| resource.table).collect();
        assert_eq!(tables.len(), tables.iter().collect::<BTreeSet<_>>().len(), "{tables:?}");
        for resource in resources.iter() {
            for reference in resource.references {
                assert!(tables.contains(&reference.to), "{}: {reference:?}", resource.table);
            }
        }
        assert!(tables.contains(&"users") && tables.contains(&"uploads"));
    }
}
