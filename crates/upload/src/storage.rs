//! The object store, over S3. This is the one way to it: what is embedded, self-hosted or AWS is configuration.
//!
//! Presigning is computation and asks nobody, that of a GET without waiting at all; everything else is a request to the
//! store with bounded time, and never to be awaited while a transaction is open.
//!
//! # What the store must do
//!
//! Verify signature version 4 with all signed headers, `If-None-Match: *` and `x-amz-checksum-sha256` on PUT, and tell
//! the SHA-256 on HEAD (AWS, the embedded store). On AWS the key needs `s3:PutObject`, `s3:GetObject`, `s3:DeleteObject`
//! and `s3:ListBucket`: without the last, AWS answers 403 and not 404 for what is not there.

mod presign;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::create_bucket::CreateBucketError;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::{BucketLocationConstraint, ChecksumMode, CreateBucketConfiguration};
use secrecy::ExposeSecret as _;
use shared_kernel::clock::{SharedClock, Timestamp};
use shared_kernel::error::{DomainError, INTERNAL, UNAVAILABLE};
use url::Url;

use self::presign::{GetSigner, Window};
use crate::dto::{Disposition, PresignedRequest};
use crate::settings::StorageSettings;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error, DomainError)]
pub enum StorageError {
    /// It was not reached, or is overloaded; the same request may work later.
    #[error("the object store does not answer")]
    #[problem(is = UNAVAILABLE, retry_after = 5)]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// It refused: the configuration does not fit it.
    #[error("the object store refused a request")]
    #[problem(is = INTERNAL)]
    Refused(#[source] Box<dyn Error + Send + Sync>),
}

/// What is to be uploaded.
#[derive(Clone, Copy, Debug)]
pub struct Declared<'a> {
    /// Where it goes.
    pub key: &'a str,
    /// How many bytes.
    pub size: i64,
    /// What they are.
    pub content_type: &'a str,
    /// Their SHA-256 in base64.
    pub checksum_sha256: Option<&'a str>,
}

/// How something is to be downloaded.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Where it is.
    pub key: &'a str,
    /// Saved or shown.
    pub disposition: Disposition,
    /// Under which name.
    pub filename: &'a str,
    /// As what, whatever the store believes.
    pub content_type: &'a str,
}

/// What of an object is read. A signature is good for one of them only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// All of it.
    Get,
    /// What is known of it (`HEAD`).
    Head,
}

impl Reading {
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
        }
    }

    /// As S3 calls it.
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::Get => "GetObject",
            Self::Head => "HeadObject",
        }
    }
}

/// A request that is signed, and until when.
#[derive(Clone, Debug)]
pub struct Presigned {
    /// The request.
    pub request: PresignedRequest,
    /// The first moment at which it no longer works.
    pub expires_at: Timestamp,
}

/// What the store tells of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// How many bytes it has.
    pub size: i64,
    /// Its SHA-256 in base64, if the store knows it.
    pub checksum_sha256: Option<String>,
}

/// The store. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub struct Storage {
    bucket: String,
    region: String,
    client: Client,
    /// Sign for the public endpoint; never send anything.
    put_signer: Client,
    get_signer: GetSigner,
    clock: SharedClock,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

/// A store that does not answer costs its caller this, the attempts after the first included.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(4);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(2_500);
const ATTEMPTS: u32 = 2;

/// S3 takes no signature that is good for longer.
const LONGEST: Duration = Duration::from_hours(7 * 24);

impl Storage {
    /// The store of `settings`; asks nobody yet. Presigned URLs begin to work at the time of `clock`.
    #[must_use]
    pub fn new(settings: &StorageSettings, clock: SharedClock) -> Self {
        let public = settings.public_endpoint.as_ref().or(settings.endpoint.as_ref());
        Self {
            bucket: settings.bucket.clone(),
            region: settings.region.clone(),
            client: Client::from_conf(config(settings, settings.endpoint.as_ref())),
            put_signer: Client::from_conf(config(settings, public)),
            get_signer: GetSigner::new(settings, public),
            clock,
        }
    }

    /// A PUT of exactly what is declared, once: length, type, SHA-256 and "only if nothing is there" are signed.
    ///
    /// # Errors
    ///
    /// `ttl` is longer than a week, or the endpoint is no place to send requests to.
    pub async fn presign_put(
        &self,
        declared: Declared<'_>,
        ttl: Duration,
    ) -> Result<Presigned, StorageError> {
        let window = self.window(ttl)?;
        let presigning =
            PresigningConfig::builder().start_time(window.start.to_datetime().into()).expires_in(window.ttl);
        let request = self
            .put_signer
            .put_object()
            .bucket(&self.bucket)
            .key(declared.key)
            .content_length(declared.size)
            .content_type(declared.content_type)
            .set_checksum_sha256(declared.checksum_sha256.map(str::to_owned))
            .if_none_match("*")
            .presigned(presigning.build().map_err(refused)?)
            .await
            .map_err(classify)?;
        Ok(Presigned { request: request.into(), expires_at: window.start + window.ttl })
    }

    /// A GET that answers with the name and the type that are wanted, and that nobody caches or decodes: whatever the
    /// sender of the bytes could make the store keep beside them, the signed answer overrides. Waits for nobody.
    ///
    /// # Errors
    ///
    /// `ttl` is longer than a week, or the endpoint is no place to send requests to.
    pub fn presign_get(&self, wanted: Wanted<'_>, ttl: Duration) -> Result<Presigned, StorageError> {
        self.presign_read(Reading::Get, wanted, ttl)
    }

    /// The same for either way of reading.
    ///
    /// # Errors
    ///
    /// Those of [`presign_get`](Self::presign_get).
    pub fn presign_read(
        &self,
        reading: Reading,
        wanted: Wanted<'_>,
        ttl: Duration,
    ) -> Result<Presigned, StorageError> {
        let window = self.window(ttl)?;
        let answer = [
            ("response-content-disposition", &*content_disposition(wanted.disposition, wanted.filename)),
            ("response-content-type", wanted.content_type),
            ("response-cache-control", "private, no-store"),
            // An empty one would not count. Clients take this one for none.
            ("response-content-encoding", "identity"),
        ];
        let url = self.get_signer.url(reading, wanted.key, &answer, window).map_err(refused)?;
        let request = PresignedRequest { method: reading.method().to_owned(), url, headers: BTreeMap::new() };
        Ok(Presigned { request, expires_at: window.start + window.ttl })
    }

    /// What there is under `key`; `None`: nothing.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn head(&self, key: &str) -> Result<Option<StoredObject>, StorageError> {
        let head = self.client.head_object().bucket(&self.bucket).key(key);
        let Some(found) = found(head.checksum_mode(ChecksumMode::Enabled).send().await)? else {
            return Ok(None);
        };
        // The checksum of an object in parts is one of checksums, `…-3`, and says nothing of the whole.
        let checksum_sha256 = found.checksum_sha256.filter(|checksum| !checksum.contains('-'));
        Ok(Some(StoredObject { size: found.content_length.unwrap_or(0), checksum_sha256 }))
    }

    /// The first `length` bytes of an object, fewer if it is shorter; `None`: there is none.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn read_start(&self, key: &str, length: usize) -> Result<Option<Vec<u8>>, StorageError> {
        let get = self.client.get_object().bucket(&self.bucket).key(key);
        let reading = async {
            let range = format!("bytes=0-{}", length.saturating_sub(1));
            let Some(found) = found(get.range(range).send().await)? else { return Ok(None) };
            let (mut body, mut start) = (found.body, Vec::new());
            // A store that ignores the range must not fill our memory.
            while start.len() < length
                && let Some(piece) = body.try_next().await.map_err(unavailable)?
            {
                start.extend_from_slice(&piece);
            }
            start.truncate(length);
            Ok(Some(start))
        };
        tokio::time::timeout(OPERATION_TIMEOUT, reading).await.map_err(unavailable)?
    }

    /// Removes what is under `key`, if anything is.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        found(self.client.delete_object().bucket(&self.bucket).key(key).send().await).map(drop)
    }

    /// Whether the store answers and has the bucket.
    ///
    /// # Errors
    ///
    /// It does not.
    pub async fn ping(&self) -> Result<(), StorageError> {
        self.client.head_bucket().bucket(&self.bucket).send().await.map(drop).map_err(classify)
    }

    /// Makes the bucket if it is not there: for development. In production it is made with its rules by whoever runs
    /// the store.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn ensure_bucket(&self) -> Result<(), StorageError> {
        if found(self.client.head_bucket().bucket(&self.bucket).send().await)?.is_some() {
            return Ok(());
        }
        // S3 wants every region named but its first.
        let place = (self.region != "us-east-1").then(|| {
            let region = BucketLocationConstraint::from(self.region.as_str());
            CreateBucketConfiguration::builder().location_constraint(region).build()
        });
        let create = self.client.create_bucket().bucket(&self.bucket).set_create_bucket_configuration(place);
        let is_ours = |error: &SdkError<CreateBucketError>| {
            error.as_service_error().is_some_and(CreateBucketError::is_bucket_already_owned_by_you)
        };
        match create.send().await {
            // Another process was faster.
            Err(error) if is_ours(&error) => Ok(()),
            made => made.map(drop).map_err(classify),
        }
    }

    /// From now on for `ttl`, in whole seconds.
    fn window(&self, ttl: Duration) -> Result<Window, StorageError> {
        if ttl > LONGEST {
            return Err(refused("a URL works for a week at most"));
        }
        let now = self.clock.now();
        let start = Timestamp::from_unix_millis(now.unix_seconds() * 1_000).unwrap_or(now);
        Ok(Window { start, ttl: Duration::from_secs(ttl.as_secs()) })
    }
}

pub(crate) fn config(settings: &StorageSettings, endpoint: Option<&Url>) -> Config {
    let secret = settings.secret_key.expose_secret();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .force_path_style(settings.path_style)
        .credentials_provider(Credentials::new(
            settings.access_key.expose_secret(),
            secret,
            None,
            None,
            "ashlar",
        ))
        // Else a CRC32 of the empty body would be signed into every presigned PUT.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
    match endpoint {
        Some(url) => config.endpoint_url(url.as_str().trim_end_matches('/')).build(),
        None => config.build(),
    }
}

impl From<aws_sdk_s3::presigning::PresignedRequest> for PresignedRequest {
    fn from(request: aws_sdk_s3::presigning::PresignedRequest) -> Self {
        let headers: BTreeMap<_, _> =
            request.headers().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { method: request.method().to_owned(), url: request.uri().to_owned(), headers }
    }
}

fn refused(error: impl Into<Box<dyn Error + Send + Sync>>) -> StorageError {
    StorageError::Refused(error.into())
}

fn unavailable(error: impl Error + Send + Sync + 'static) -> StorageError {
    StorageError::Unavailable(error.into())
}

/// `None` where the store says 404.
fn found<T, E: Error + Send + Sync + 'static>(
    answer: Result<T, SdkError<E>>,
) -> Result<Option<T>, StorageError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if status(&error) == Some(404) => Ok(None),
        Err(error) => Err(classify(error)),
    }
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn classify<E: Error + Send + Sync + 'static>(error: SdkError<E>) -> StorageError {
    let may_work_later = match &error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
        SdkError::ServiceError(_) => {
            status(&error).is_some_and(|status| status >= 500 || matches!(status, 408 | 429))
        }
        _ => false,
    };
    if may_work_later { unavailable(error) } else { refused(error) }
}

/// The header `Content-Disposition` (RFC 6266): the name in ASCII for old clients and whole in UTF-8 (RFC 8187). Only
/// harmless ASCII is written as it is, so no name can end the header or begin another.
fn content_disposition(disposition: Disposition, filename: &str) -> String {
    let kind = match disposition {
        Disposition::Attachment => "attachment",
        Disposition::Inline => "inline",
    };
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || " !#$&'()+-.=@[]^_`{|}~".contains(letter);
    let fallback: String =
        filename.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect();
    let is_attribute = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte);
    let encode = |byte| if is_attribute(byte) { char::from(byte).into() } else { format!("%{byte:02X}") };
    let extended: String = filename.bytes().map(encode).collect();
    format!("{kind}; filename=\"{fallback}\"; filename*=UTF-8''{extended}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_name_is_written_twice() {
        assert_eq!(
            content_disposition(Disposition::Attachment, "Hafen – 1.png"),
            "attachment; filename=\"Hafen _ 1.png\"; filename*=UTF-8''Hafen%20%E2%80%93%201.png"
        );
    }

    #[test]
    fn a_file_name_cannot_leave_its_quotes() {
        let written =
            content_disposition(Disposition::Inline, "a\"; filename=\"b.html\r\nSet-Cookie: x=%41\\");
        assert_eq!(
            written,
            "inline; filename=\"a__ filename=_b.html__Set-Cookie_ x=_41_\"; \
             filename*=UTF-8''a%22%3B%20filename%3D%22b.html%0D%0ASet-Cookie%3A%20x%3D%2541%5C"
        );
    }

    proptest! {
        #[test]
        fn no_file_name_breaks_the_header(name in any::<String>()) {
            let written = content_disposition(Disposition::Attachment, &name);
            prop_assert!(written.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(written.matches('"').count(), 2);
        }
    }
}
