//! The state of HTTP itself: made once by the server, and shared by all workers. Domains have states of their own.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use ipnet::IpNet;
use shared_kernel::error::INTERNAL;
use shared_kernel::repository::Revision;
use shared_kernel::session::Databases;
use transport::Stop;

use crate::asset::Asset;
use crate::authenticator::Authenticator;
use crate::catalogue::Catalogue;
use crate::contract::Contract;
use crate::cors::{Origins, PageHeaders};
use crate::etag::Tag;
use crate::problem::ApiError;

/// The state of the layers and extractors.
#[derive(Debug)]
pub struct State {
    /// Databases that requests read and write.
    pub databases: Databases,
    /// Authentication of requests.
    pub authenticator: Arc<dyn Authenticator>,
    /// Operations of the API, with their requirements.
    pub contract: Contract,
    /// OpenAPI document, as it is sent.
    pub document: Asset,
    /// Edition of the API, which changes with its document; part of every `ETag`.
    pub edition: String,
    /// All problems that an answer can name, for the pages at `/problems/{code}`.
    pub problems: Catalogue,
    /// Stop of the server, which readiness reports.
    pub stop: Stop,
    /// Origins of pages that may call from a browser.
    pub origins: Origins,
    /// Request headers that pages may send.
    pub page_headers: PageHeaders,
    /// Origins to which the documentation's "Try it out" may send requests: that of the API, and those that answers redirect to.
    pub connect_origins: Vec<String>,
    /// Whether browsers reach the API by https.
    pub under_tls: bool,
    /// Name that people see; also the realm of challenges (RFC 9110, section 11.5).
    pub project_name: Arc<str>,
    /// Name of the cookie that authenticates operations that read cookies; accepted from allowed origins only.
    pub session_cookie: &'static str,
    /// Path below which answers are never stored by caches.
    pub no_store_below: &'static str,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Limits of requests.
    pub limits: Limits,
}

/// Limits of requests.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Length of the longest path and query together, in bytes.
    pub url_bytes: usize,
    /// Size of the largest body in bytes.
    pub json_body_bytes: usize,
    /// Deadline of an answer, unless the operation declares a longer one.
    pub request_timeout: Duration,
    /// Time that a body has to arrive.
    pub body_timeout: Duration,
}

impl State {
    /// Whether this address is that of a trusted proxy.
    #[must_use]
    pub fn trusts(&self, address: &IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(address))
    }
}

/// The state in a request.
///
/// # Errors
///
/// The state was not registered, which is a bug.
pub fn state(request: &HttpRequest) -> Result<&web::Data<State>, ApiError> {
    request.app_data().ok_or_else(|| ApiError::new(&INTERNAL, "the application's state is missing"))
}

/// The tag of a resource in the edition of the server that answers `request`.
#[must_use]
pub fn tag(request: &HttpRequest, revision: &Revision) -> Tag {
    Tag::of(revision, state(request).map_or("", |state| &state.edition))
}
