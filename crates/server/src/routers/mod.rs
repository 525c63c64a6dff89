//! The one list of domains, and a file or folder for each. A handler extracts, makes one service call, and chooses the answer; no
//! rule, no query.
//!
//! Each name in the list is a router in this folder with a [`MODULE`](crate::module::Module): everything that the server needs to
//! know of the domain. Nothing else in the server names one.
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

use crate::console::CommandError;
use crate::module::{Module, SignIn};

pub mod health;
pub mod installation;

macro_rules! domains {
    ($($domain:ident),* $(,)?) => {
        $(pub mod $domain;)*

        /// The domains.
        pub static MODULES: &[&Module] = &[$(&$domain::MODULE),*];
    };
}

domains! {
    auth,
    upload,
    user,
}

/// Registers the routes of all domains.
pub fn configure(config: &mut ServiceConfig<'_>) {
    let mut routes = Routes::new(config);
    health::configure(&mut routes);
    installation::configure(&mut routes);
    for module in MODULES {
        (module.routes)(&mut routes);
    }
}

/// The tags of the document, with their descriptions.
#[must_use]
pub fn tags() -> Vec<(&'static str, &'static str)> {
    let own =
        [(installation::TAG, "What this installation allows."), (health::TAG, "Whether the server answers.")];
    MODULES.iter().flat_map(|module| module.tags).copied().chain(own).collect()
}

/// Every way to fail that an answer can name.
pub fn problems() -> impl Iterator<Item = &'static Problem> {
    let own = [shared_kernel::error::PROBLEMS, problem::PROBLEMS];
    own.into_iter().chain(MODULES.iter().map(|module| module.problems)).flatten().copied()
}

/// What domains may know of each other's tables.
#[must_use]
pub fn resources() -> Resources {
    MODULES.iter().flat_map(|module| module.resources).collect()
}

/// How users sign in.
///
/// # Errors
///
/// No module says so, which is a bug.
pub fn sign_in() -> Result<SignIn, CommandError> {
    let found = MODULES.iter().find_map(|module| module.sign_in);
    found.ok_or_else(|| CommandError::message("no domain signs users in: one module needs `sign_in`"))
}

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
        assert!(tables.contains(&"users"));
    }
}
