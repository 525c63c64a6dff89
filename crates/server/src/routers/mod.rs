//! The one list of domains, and a file or folder for each. A handler extracts, makes one service call, and chooses the answer; no
//! rule, no query.
//!
//! Each name in the list is a router in this folder with a [`MODULE`](Module): everything that the application needs to know
//! of the domain. Nothing else names one.
//!
//! # Adding a route
//!
//! A handler with `#[utoipa::path]` and `#[get]` (or another method) with its whole path, registered in the file's `configure`.
//! Requests find it whatever the order; in the OpenAPI document operations stand as they are registered, so the first is what a
//! client needs first. A path may lie below another domain's (`/api/v1/orders/{order_id}/items`). Its
//! `security(…)` is what access control enforces: silent means signed in, `security(())` public,
//! `security((), ("bearer" = []), ("oauth2" = []))` public with more for who is signed in, and paths below `/api/v1/admin/` are for
//! admins whatever they say.

use app_kit::module::Module;

macro_rules! domains {
    ($($domain:ident),* $(,)?) => {
        $(pub mod $domain;)*

        /// The domains.
        pub static MODULES: &[&Module] = &[$(&$domain::MODULE),*];
    };
}

domains! {
    auth,
    user,
    upload,
}
