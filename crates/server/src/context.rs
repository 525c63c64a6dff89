//! What every request finds: the databases, the domains' own state, and the contract. Made once, shared by all workers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use auth::Auth;
use ipnet::IpNet;
use messaging::RelayNotifier;
use shared_kernel::files::Files;
use shared_kernel::session::Databases;
use transport::Stop;
use upload::settings::UploadSettings;
use upload::storage::Storage;

use crate::http::contract::Contract;
use crate::http::cors::{Origins, PageHeaders};
use crate::http::docs::Asset;

/// The application's state.
#[derive(Debug)]
pub struct Context {
    /// Where the data is.
    pub databases: Databases,
    /// Sign-in.
    pub auth: Auth,
    /// The object store.
    pub storage: Storage,
    /// The files of uploads, for every other domain.
    pub files: Arc<dyn Files>,
    /// The rules of uploads.
    pub uploads: UploadSettings,
    /// Makes the relay look for events.
    pub relay: RelayNotifier,
    /// What the API allows.
    pub contract: Contract,
    /// The OpenAPI document that the contract is, as it is sent.
    pub document: Asset,
    /// Names what the API shows of resources: another document, another edition.
    pub edition: String,
    /// Whether the server is about to stop.
    pub stop: Stop,
    /// Who may call from a browser.
    pub origins: Origins,
    /// What pages need to know of this installation, as it is sent.
    pub installation: Asset,
    /// Where browsers reach the API: what "Try it out" calls, also on a page that was opened by another name of this machine.
    pub public_origin: String,
    /// What pages may send besides what the API knows.
    pub page_headers: PageHeaders,
    /// Where browsers reach the object store: what the documentation's "Try it out" may follow a download to.
    pub storage_origin: String,
    /// Whether browsers reach the API by https.
    pub under_tls: bool,
    /// The name that people see.
    pub project_name: String,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The longest path and query in bytes.
    pub url_bytes: usize,
    /// The largest body in bytes.
    pub json_body_bytes: usize,
    /// How long a request may take that says nothing else.
    pub request_timeout: Duration,
    /// How long a body may take.
    pub body_timeout: Duration,
    /// How long the refresh cookie lives.
    pub session_lifetime: Duration,
}

impl Context {
    /// Whether this address is a proxy of ours.
    #[must_use]
    pub fn trusts(&self, address: &IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(address))
    }
}
