//! The one list of domains. Each name is a domain crate and a router in `routers/` with the same name.

use shared_kernel::error::Problem;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::http::{health, problem};
use crate::routers;

macro_rules! domains {
    ($($domain:ident),* $(,)?) => {
        /// Registers the routes of all domains.
        pub fn configure(config: &mut ServiceConfig<'_>) {
            health::configure(config);
            $(routers::$domain::configure(config);)*
        }

        /// The tags of the document, with their descriptions.
        #[must_use]
        pub fn tags() -> Vec<(&'static str, &'static str)> {
            let mut tags = Vec::new();
            $(tags.extend_from_slice(routers::$domain::TAGS);)*
            tags.push((health::TAG, "Whether the server answers."));
            tags
        }

        /// Every way to fail that an answer can name.
        pub fn problems() -> impl Iterator<Item = &'static Problem> {
            let lists = [shared_kernel::error::PROBLEMS, problem::PROBLEMS, $($domain::error::PROBLEMS),*];
            lists.into_iter().flatten().copied()
        }
    };
}

domains! { auth, upload, user }
