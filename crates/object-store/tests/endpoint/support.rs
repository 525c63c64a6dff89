//! A store on a free port, a client that signs, and helpers to send what was signed (or something else).

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use object_store::{CorsOrigins, ObjectStore, ObjectStoreConfig, ObjectStoreLimits, ObjectStoreTimeouts};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use s3s::crypto::{Checksum as _, Md5, Sha256};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const BUCKET: &str = "uploads";
pub(crate) const ORIGIN: &str = "https://app.example";
pub(crate) const MAX_SIZE: u64 = 32 * 1024 * 1024;
const ACCESS_KEY: &str = "AKIATEST";
const SECRET_KEY: &str = "a-secret-of-the-test";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) own_address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(directory: &Path) -> Self {
        Self::start_with(config(directory)).await
    }

    pub(crate) async fn start_with(config: ObjectStoreConfig) -> Self {
        let store = ObjectStore::bind(config, (Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let (address, own_address, shutdown) =
            (store.address(), store.own_address(), CancellationToken::new());
        let task = tokio::spawn(store.run(shutdown.clone()));
        Self { address, own_address, shutdown, task }
    }

    /// Tells it to stop without waiting for it.
    pub(crate) fn cancel(&self) {
        self.shutdown.cancel();
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn client(&self) -> Client {
        self.client_with("us-east-1", SECRET_KEY, RequestChecksumCalculation::WhenRequired)
    }

    /// As the SDK comes: with a CRC32 on every upload.
    pub(crate) fn default_client(&self) -> Client {
        self.client_with("us-east-1", SECRET_KEY, RequestChecksumCalculation::WhenSupported)
    }

    pub(crate) fn client_with(&self, region: &str, secret: &str, sums: RequestChecksumCalculation) -> Client {
        client(self.address, region, secret, sums)
    }
}

/// A client for a store that is not ours to stop.
pub(crate) fn client_at(address: SocketAddr) -> Client {
    client(address, "us-east-1", SECRET_KEY, RequestChecksumCalculation::WhenRequired)
}

fn client(address: SocketAddr, region: &str, secret: &str, sums: RequestChecksumCalculation) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(Credentials::new(ACCESS_KEY, secret, None, None, "test"))
        .endpoint_url(format!("http://{address}"))
        .force_path_style(true)
        .request_checksum_calculation(sums)
        .build();
    Client::from_conf(config)
}

pub(crate) fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn config(directory: &Path) -> ObjectStoreConfig {
    ObjectStoreConfig {
        directory: directory.to_owned(),
        bucket: BUCKET.to_owned(),
        seal: *b"OFTESTS1",
        region: "us-east-1".to_owned(),
        access_key: ACCESS_KEY.to_owned(),
        secret_key: SECRET_KEY.to_owned().into(),
        cors_origins: CorsOrigins::new(|origin| origin == ORIGIN),
        max_object_size: MAX_SIZE,
        limits: ObjectStoreLimits::default(),
        explain: false,
        timeouts: ObjectStoreTimeouts::default(),
    }
}

/// A declared upload, as the API signs it.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
}

impl From<PresignedRequest> for Signed {
    fn from(request: PresignedRequest) -> Self {
        let header = |(name, value): (&str, &str)| -> (HeaderName, HeaderValue) {
            (name.parse().unwrap(), value.parse().unwrap())
        };
        Self { url: request.uri().to_owned(), headers: request.headers().map(header).collect() }
    }
}

impl Signed {
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name).unwrap();
        self
    }

    pub(crate) async fn put(self, body: impl Into<reqwest::Body>) -> reqwest::Response {
        reqwest::Client::new().put(self.url).headers(self.headers).body(body).send().await.unwrap()
    }

    pub(crate) async fn get(self) -> reqwest::Response {
        reqwest::Client::new().get(self.url).headers(self.headers).send().await.unwrap()
    }

    /// The request as bytes up to the body, for a connection of one's own that ends with the answer.
    pub(crate) fn head(&self, method: &str) -> String {
        let url = reqwest::Url::parse(&self.url).unwrap();
        let target = &url[url::Position::BeforePath..];
        let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()));
        format!(
            "{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{}\r\n",
            headers.collect::<String>()
        )
    }
}

/// What the API signs for every upload: length, type, checksum and that the key is new.
pub(crate) fn declared(client: &Client, key: &str, body: &[u8]) -> PutObjectFluentBuilder {
    client
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .content_length(i64::try_from(body.len()).unwrap())
        .content_type("image/png")
        .checksum_sha256(sha256(body))
        .if_none_match("*")
}

pub(crate) async fn sign(put: PutObjectFluentBuilder) -> Signed {
    put.presigned(soon()).await.unwrap().into()
}

pub(crate) fn soon() -> PresigningConfig {
    PresigningConfig::expires_in(Duration::from_mins(5)).unwrap()
}

/// Valid for an hour in the year 2020.
pub(crate) fn long_ago() -> PresigningConfig {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    PresigningConfig::builder().start_time(start).expires_in(Duration::from_hours(1)).build().unwrap()
}

pub(crate) async fn put(client: &Client, key: &str, body: &[u8]) {
    client.put_object().bucket(BUCKET).key(key).body(body.to_vec().into()).send().await.unwrap();
}

pub(crate) async fn read(client: &Client, key: &str) -> Option<Vec<u8>> {
    let answer = client.get_object().bucket(BUCKET).key(key).send().await;
    match answer {
        Ok(object) => Some(object.body.collect().await.unwrap().to_vec()),
        Err(error) => {
            assert!(error.into_service_error().is_no_such_key());
            None
        }
    }
}

pub(crate) async fn code(response: reqwest::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = response.text().await.unwrap();
    let code = body.split("<Code>").nth(1).and_then(|rest| rest.split("</Code>").next());
    (status, code.unwrap_or_default().to_owned())
}

pub(crate) fn sha256(body: &[u8]) -> String {
    STANDARD.encode(Sha256::checksum(body))
}

pub(crate) fn md5(body: &[u8]) -> String {
    STANDARD.encode(Md5::checksum(body))
}

pub(crate) fn hex_md5(body: &[u8]) -> String {
    Md5::checksum(body).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// All files below a directory, locks aside.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().unwrap() != "lock" {
            found.push(path);
        }
    }
    found
}

/// Waits until there is no file left of an upload that failed.
pub(crate) async fn until_empty(directory: &Path) {
    let empty = async {
        while !files(directory).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), empty).await.unwrap();
}
