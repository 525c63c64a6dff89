//! What HTTP itself needs to know. Made once by the server, shared by all workers; the state of domains stands beside it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use ipnet::IpNet;
use shared_kernel::error::{INTERNAL, Problem};
use shared_kernel::repository::Revision;
use shared_kernel::session::Databases;
use transport::Stop;

use crate::asset::Asset;
use crate::authenticator::Authenticator;
use crate::contract::Contract;
use crate::cors::{Origins, PageHeaders};
use crate::etag::Tag;
use crate::problem::ApiError;

/// The state of the layers and extractors.
#[derive(Debug)]
pub struct State {
    /// The databases that requests read and write.
    pub databases: Databases,
    /// Recognises credentials.
    pub authenticator: Arc<dyn Authenticator>,
    /// The operations of the API, with their requirements.
    pub contract: Contract,
    /// The OpenAPI document that the contract is, as it is sent.
    pub document: Asset,
    /// Names what the API shows of resources: another document, another edition.
    pub edition: String,
    /// Every way to fail that an answer can name, for the pages behind `/problems/{code}`.
    pub problems: Vec<&'static Problem>,
    /// Whether the server is about to stop.
    pub stop: Stop,
    /// The pages that may call from a browser.
    pub origins: Origins,
    /// The request headers that pages may send.
    pub page_headers: PageHeaders,
    /// Where the documentation's "Try it out" may send requests: the API's own origin as browsers know it, and those that
    /// answers redirect to.
    pub connect_origins: Vec<String>,
    /// Whether browsers reach the API by https.
    pub under_tls: bool,
    /// The name that people see; the realm of challenges (RFC 9110, section 11.5).
    pub project_name: String,
    /// The cookie that authenticates where an operation takes cookies: it counts only from allowed origins.
    pub session_cookie: &'static str,
    /// Answers below this path are never stored.
    pub no_store_below: &'static str,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The limits of requests.
    pub limits: Limits,
}

/// The limits of requests.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest path and query in bytes.
    pub url_bytes: usize,
    /// The largest body in bytes.
    pub json_body_bytes: usize,
    /// The longest time for an answer, if the operation declares no longer one.
    pub request_timeout: Duration,
    /// The longest time for a body to arrive.
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
/// It was not registered, which is a bug.
pub fn state(request: &HttpRequest) -> Result<&web::Data<State>, ApiError> {
    request.app_data().ok_or_else(|| ApiError::new(&INTERNAL, "the application's state is missing"))
}

/// The tag of a resource in the edition of the server that answers `request`.
#[must_use]
pub fn tag(request: &HttpRequest, revision: &Revision) -> Tag {
    Tag::of(revision, state(request).map_or("", |state| &state.edition))
}
