//! The state of the domains, for their handlers. Made once, shared by all workers; what HTTP needs is in
//! [`http_kit::state`].

use std::sync::Arc;
use std::time::Duration;

use auth::Auth;
use http_kit::asset::Asset;
use upload::settings::UploadSettings;
use upload::storage::Storage;
use upload_port::Files;

/// The state of the domains.
#[derive(Debug)]
pub struct Context {
    /// Sign-in.
    pub auth: Arc<Auth>,
    /// The object store.
    pub storage: Storage,
    /// The files of uploads, for every other domain.
    pub files: Arc<dyn Files>,
    /// The rules of uploads.
    pub uploads: UploadSettings,
    /// What pages need to know of this installation, as it is sent.
    pub installation: Asset,
    /// How long the refresh cookie lives.
    pub session_lifetime: Duration,
}
