//! The configuration as types. What a key is called, its default and its bounds stand in the table of keys.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use actix_web::http::header::HeaderName;
use ipnet::IpNet;
use sea_orm::DbBackend;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use shared_kernel::session::{DatabaseSettings, engine_of};
use url::Url;

use super::origin::AllowedOrigin;
use super::parse;

/// The whole configuration, complete and checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the server is run for. Default: development.
    pub environment: Environment,
    /// The name that people see, 1 to 100 characters. Default: Ashlar.
    #[serde(deserialize_with = "parse::text")]
    pub project_name: String,
    /// The installation's secret, 32 bytes at least. Made once in development, required in production.
    pub secret_key: SecretString,
    /// The folder of everything embedded, absolute. Default: `data` below the working directory.
    pub data_dir: PathBuf,
    /// How much is logged, in the syntax of `tracing_subscriber::EnvFilter`. Default: info.
    pub log_level: String,
    /// The HTTP server.
    pub server: Server,
    /// Who may call from a browser.
    pub cors: Cors,
    /// The database.
    pub database: Database,
    /// The object store.
    pub storage: Storage,
    /// Mail.
    pub mail: Mail,
    /// Sign-in.
    pub auth: Auth,
    /// Files of users.
    pub uploads: Uploads,
    /// What one client may ask for.
    pub limits: Limits,
    /// Metrics; not in this version.
    pub metrics: Metrics,
    /// Redis; not in this version.
    pub redis: Redis,
    /// Kafka; not in this version.
    pub kafka: Kafka,
    /// Where values came from that a start tells about.
    #[serde(skip)]
    pub provenance: Provenance,
}

/// What the server is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// On a developer's machine: everything has a default.
    Development,
    /// As in production, with the one exception that pages of developers' machines may call.
    Staging,
    /// For users: what is unsafe by default is refused.
    Production,
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        })
    }
}

/// The HTTP server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Where the API listens; port 0 picks a free one. Default: 127.0.0.1:8000.
    pub bind: SocketAddr,
    /// How browsers reach the API, without a path. Default: `http://localhost:<port>`.
    #[serde(deserialize_with = "parse::web_url")]
    pub public_url: Url,
    /// Threads that answer requests, 1 to 1,024. Default: one per core.
    pub workers: usize,
    /// The proxies whose `X-Forwarded-For` is believed. Default: none.
    #[serde(deserialize_with = "parse::networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// How long a request may take, 1 to 300 s. Default: 5 s.
    #[serde(deserialize_with = "parse::seconds")]
    pub request_timeout: Duration,
    /// Connections at once, 16 to 1,000,000. Default: 4,096.
    pub connections: usize,
    /// Connections of one address at once, 1 to 1,000,000. Default: 512.
    pub connections_per_address: usize,
    /// How long a stop is announced before nothing new is taken, 0 to 300 s. Default: 5 s in production, else 0.
    #[serde(deserialize_with = "parse::seconds")]
    pub drain_delay: Duration,
    /// How long a stop then waits for requests under way, 0 to 3,600 s. Default: 20 s.
    #[serde(deserialize_with = "parse::seconds")]
    pub shutdown_grace: Duration,
    /// How long a client may take to send the head of a request, 1 to 300 s. Default: 10 s.
    #[serde(deserialize_with = "parse::seconds")]
    pub client_timeout: Duration,
    /// How long a client may read nothing of its answer, 1 to 300 s. Default: 30 s.
    #[serde(deserialize_with = "parse::seconds")]
    pub write_timeout: Duration,
    /// How long an idle connection stays open, 1 to 3,600 s. Default: 75 s.
    #[serde(deserialize_with = "parse::seconds")]
    pub keep_alive: Duration,
}

/// Who may call from a browser.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Exact origins, or all ports of one. Default: the local ones in development, none in production.
    #[serde(deserialize_with = "parse::origins")]
    pub origins: Vec<AllowedOrigin>,
    /// Request headers that pages may send besides those that the API knows. Default: none.
    #[serde(deserialize_with = "parse::header_names")]
    pub headers: Vec<HeaderName>,
}

/// The database.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `sqlite:` and a path, or a `postgres://` URL. Default: a file below the data folder.
    pub url: SecretString,
    /// Streaming replicas (PostgreSQL only). Default: none.
    #[serde(deserialize_with = "parse::secrets")]
    pub replica_urls: Vec<SecretString>,
    /// Connections to each database, 1 to 1,000. Default: 10.
    pub pool_size: u32,
    /// How long a request waits for a connection, 1 to 300 s. Default: 3 s.
    #[serde(deserialize_with = "parse::seconds")]
    pub acquire_timeout: Duration,
    /// How long a request waits for the answer to a statement, 1 to 300 s. Default: 4 s.
    #[serde(deserialize_with = "parse::seconds")]
    pub statement_timeout: Duration,
    /// How long migrating may take, 1 to 86,400 s. Default: 600 s.
    #[serde(deserialize_with = "parse::seconds")]
    pub migration_timeout: Duration,
    /// An unused connection is closed after this, 1 to 86,400 s. Default: 600 s.
    #[serde(deserialize_with = "parse::seconds")]
    pub idle_timeout: Duration,
    /// Every connection is closed after this, 1 to 604,800 s. Default: 1,800 s.
    #[serde(deserialize_with = "parse::seconds")]
    pub max_lifetime: Duration,
    /// Whether a start applies the migrations. Default: in development.
    pub auto_migrate: bool,
}

impl Database {
    /// Whether it is a file of this machine.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        engine_of(self.url.expose_secret()) == Some(DbBackend::Sqlite)
    }

    /// The same, as the kernel takes it.
    #[must_use]
    pub fn settings(&self) -> DatabaseSettings {
        DatabaseSettings {
            replica_urls: self.replica_urls.clone(),
            pool_size: self.pool_size,
            acquire_timeout: self.acquire_timeout,
            statement_timeout: self.statement_timeout,
            migration_timeout: self.migration_timeout,
            idle_timeout: self.idle_timeout,
            max_lifetime: self.max_lifetime,
            ..DatabaseSettings::new(self.url.clone())
        }
    }
}

/// The object store.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// The S3 service as the server reaches it. Default: none, which is the embedded store.
    #[serde(deserialize_with = "parse::optional_web_url")]
    pub endpoint: Option<Url>,
    /// The same as browsers reach it. Default: the endpoint, or the embedded store's address.
    #[serde(deserialize_with = "parse::optional_web_url")]
    pub public_endpoint: Option<Url>,
    /// The region that requests are signed for. Default: us-east-1.
    #[serde(deserialize_with = "parse::text")]
    pub region: String,
    /// The bucket of all files, 3 to 63 characters. Default: ashlar.
    pub bucket: String,
    /// The access key id. Default: derived from the secret key for the embedded store.
    pub access_key: SecretString,
    /// The secret access key. Default: derived from the secret key for the embedded store.
    pub secret_key: SecretString,
    /// Whether the bucket stands in the path or in the host name. Default: in the path.
    pub path_style: bool,
    /// Where the embedded store listens; port 0 picks a free one. Default: 127.0.0.1:9000.
    pub embedded_bind: SocketAddr,
    /// Connections of clients to the embedded store at once, 16 to 1,000,000. Default: 1,024.
    pub embedded_connections: usize,
    /// What unfinished uploads to the embedded store may take, 1 MiB to 1 PiB. Default: 4 GiB.
    pub embedded_unfinished_bytes: u64,
    /// What a body to the embedded store has to bring on average, 1 to 1,073,741,824 bytes per second. Default: 16 KiB.
    pub embedded_rate: u64,
}

/// Mail.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// The sender of all mail. Default: the project's name at the public URL's host.
    #[serde(deserialize_with = "parse::text")]
    pub from: String,
    /// The server that delivers; empty in this version, which writes files below the data folder.
    #[serde(deserialize_with = "parse::optional_secret")]
    pub smtp_url: Option<SecretString>,
}

/// Sign-in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The `iss` of access tokens. Default: the public URL, without a slash at the end.
    #[serde(deserialize_with = "parse::text")]
    pub issuer: String,
    /// The `aud` of access tokens. Default: ashlar.
    #[serde(deserialize_with = "parse::text")]
    pub audience: String,
    /// How long an access token is good, 60 to 3,600 s. Default: 900.
    pub access_token_seconds: u32,
    /// How long a session lives, 1 to 365 days. Default: 30.
    pub refresh_token_days: u32,
    /// How long a sign-in lasts at most, 1 to 3,650 days. Default: 365.
    pub session_days: u32,
    /// How many sessions a user may have, 1 to 10,000. Default: 100.
    pub sessions_per_user: u32,
    /// How long a used refresh token gives the same successor again, 0 to 60 s. Default: 10.
    pub refresh_grace_seconds: u32,
    /// Memory of one password hash, 128 KiB to 4 GiB. Default: 19,456.
    pub argon2_memory_kib: u32,
    /// Passes of one password hash, 1 to 100. Default: 2.
    pub argon2_iterations: u32,
    /// Lanes of one password hash, 1 to 16. Default: 1.
    pub argon2_parallelism: u32,
    /// Threads that hash passwords, 1 to 256. Default: one per core.
    pub hash_threads: usize,
    /// How many logins may wait for such a thread, 1 to 100,000. Default: 256.
    pub hash_queue: usize,
    /// How long each may wait, 1 to 60 s. Default: 3.
    pub hash_wait_seconds: u32,
    /// What links in mail begin with. Default: the public URL.
    #[serde(deserialize_with = "parse::web_url")]
    pub link_base: Url,
    /// Whether an account works only once its address is verified; always false in this version.
    pub require_verified_email: bool,
}

/// Files of users.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uploads {
    /// The largest file in bytes, at most and by default 64 MiB.
    pub max_size: u64,
    /// How long a presigned URL is good, 10 s to a week. Default: 900.
    pub url_seconds: u32,
    /// What all files of one user may take, in bytes. Default: 10 GiB.
    pub quota: u64,
    /// The media types that are taken, in lower case and without parameters.
    #[serde(deserialize_with = "parse::media_types")]
    pub allowed_types: Vec<String>,
    /// How long the object of a deleted upload is kept, 0 to 365 days. Default: 7.
    pub grace_days: u32,
}

/// What one client may ask for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// For load tests, always true in production; without effect in this version. Default: true.
    pub enabled: bool,
    /// The longest path and query, 16,384 to 65,534 bytes. Default: 16,384.
    pub url_bytes: usize,
    /// The largest JSON body, 1 KiB to 16 MiB. Default: 1 MiB.
    pub json_body_bytes: usize,
    /// How long a body may take to arrive, 1 to 300 s. Default: 30 s.
    #[serde(deserialize_with = "parse::seconds")]
    pub body_seconds: Duration,
}

/// Metrics; not in this version.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Where Prometheus reads them. Always none in this version.
    #[serde(deserialize_with = "parse::optional_text")]
    pub bind: Option<String>,
}

/// Redis; not in this version.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Its URL. Always none in this version.
    #[serde(deserialize_with = "parse::optional_secret")]
    pub url: Option<SecretString>,
}

/// Kafka; not in this version.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    /// Host and port of brokers. Always none in this version.
    #[serde(deserialize_with = "parse::list")]
    pub brokers: Vec<String>,
}

/// Where values came from that a start tells about.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// The source of `database.url`, such as `environment variable DATABASE_URL`.
    pub database_url: String,
    /// The variables without our prefix that set a key: other programs use their names too.
    pub unprefixed: Vec<&'static str>,
}

impl Config {
    /// The same after the API was bound to `port`: URLs that followed a port 0 get the real one.
    #[must_use]
    pub fn bound_to(mut self, port: u16) -> Self {
        let before = without_slash(&self.server.public_url).to_owned();
        if self.server.public_url.port() != Some(0) {
            return self;
        }
        for url in [&mut self.server.public_url, &mut self.auth.link_base] {
            if url.port() == Some(0) {
                // Only URLs without a host refuse a port.
                let _ = url.set_port(Some(port));
            }
        }
        if self.auth.issuer == before {
            without_slash(&self.server.public_url).clone_into(&mut self.auth.issuer);
        }
        self
    }
}

/// `url` as text that a path can be added to.
#[must_use]
pub fn without_slash(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}
