//! The object store, over S3. Whether it is embedded, self-hosted or AWS is a matter of configuration.
//!
//! Presigning is computation without a request, and without waiting. Everything else is a request to the store with a
//! deadline, and must not be awaited while a transaction is open.
//!
//! # What the store must do
//!
//! Verify signature version 4 with all signed headers, `If-None-Match: *` and `x-amz-checksum-sha256` on PUT, and report
//! the SHA-256 on HEAD (AWS, the embedded store). On AWS the key needs `s3:PutObject`, `s3:GetObject`, `s3:DeleteObject`
//! and `s3:ListBucket`: without the last, AWS answers 403 and not 404 for what is not there.

mod presign;

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
use aws_sdk_s3::types::{BucketLocationConstraint, ChecksumMode, CreateBucketConfiguration};
use secrecy::ExposeSecret as _;
use shared_kernel::clock::{SharedClock, Timestamp};
use shared_kernel::error::{DomainError, INTERNAL, UNAVAILABLE};
use url::Url;

use self::presign::{Request, Signer, Validity};
use crate::dto::{Disposition, PresignedRequest};
use crate::settings::StorageSettings;

/// Error of the object store.
#[derive(Debug, thiserror::Error, DomainError)]
pub enum StorageError {
    /// It could not be reached or is overloaded; the same request may succeed later.
    #[error("the object store does not answer")]
    #[problem(is = UNAVAILABLE, retry_after = 5)]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// It refused the request: the configuration does not fit it.
    #[error("the object store refused a request")]
    #[problem(is = INTERNAL)]
    Refused(#[source] Box<dyn Error + Send + Sync>),
}

/// Parameters of a presigned PUT.
#[derive(Clone, Copy, Debug)]
pub struct PutOptions<'a> {
    /// Key of the object.
    pub key: &'a str,
    /// Length in bytes.
    pub size: i64,
    /// Media type.
    pub content_type: &'a str,
    /// SHA-256 in base64.
    pub checksum_sha256: Option<&'a str>,
}

/// Parameters of a presigned GET.
#[derive(Clone, Copy, Debug)]
pub struct GetOptions<'a> {
    /// Key of the object.
    pub key: &'a str,
    /// Whether browsers save or show it.
    pub disposition: Disposition,
    /// File name for saving.
    pub filename: &'a str,
    /// Media type of the answer, whatever the store has.
    pub content_type: &'a str,
}

/// Method of a read. A signature is valid for one method only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
}

impl Reading {
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
        }
    }

    /// Name of the method.
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::Get => "GetObject",
            Self::Head => "HeadObject",
        }
    }
}

/// A presigned request with its expiry.
#[derive(Clone, Debug)]
pub struct Presigned {
    /// The request.
    pub request: PresignedRequest,
    /// Time from which it no longer works.
    pub expires_at: Timestamp,
}

/// Metadata of an object in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// Length in bytes.
    pub size: i64,
    /// SHA-256 in base64, if the store knows it.
    pub checksum_sha256: Option<String>,
}

/// A client of the object store. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Storage {
    bucket: String,
    region: String,
    client: Client,
    /// Signs for the public endpoint.
    signer: Signer,
    clock: SharedClock,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

/// Deadline of a request to the store, including retries.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(4);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(2_500);
const ATTEMPTS: u32 = 2;

/// Longest lifetime of a signature in S3.
const LONGEST: Duration = Duration::from_hours(7 * 24);

impl Storage {
    /// A client with these settings, without a request. Presigned URLs are valid from the time of `clock`.
    #[must_use]
    pub fn new(settings: &StorageSettings, clock: SharedClock) -> Self {
        let public = settings.public_endpoint.as_ref().or(settings.endpoint.as_ref());
        Self {
            bucket: settings.bucket.clone(),
            region: settings.region.clone(),
            client: Client::from_conf(config(settings, settings.endpoint.as_ref())),
            signer: Signer::new(settings, public),
            clock,
        }
    }

    /// A PUT of exactly what is declared, once: length, type, SHA-256 and "only if nothing is there" are signed.
    ///
    /// # Errors
    ///
    /// `ttl` is longer than a week, or the endpoint is invalid.
    pub fn presign_put(&self, declared: PutOptions<'_>, ttl: Duration) -> Result<Presigned, StorageError> {
        let window = self.window(ttl)?;
        let size = declared.size.to_string();
        let mut headers =
            vec![("content-length", &*size), ("content-type", declared.content_type), ("if-none-match", "*")];
        headers.extend(declared.checksum_sha256.map(|checksum| ("x-amz-checksum-sha256", checksum)));
        let (method, operation, key) = ("PUT", "PutObject", declared.key);
        self.presign(Request { method, operation, key, query: &[], headers: &headers }, window)
    }

    /// A GET whose answer has the given name and type, and is neither cached nor decoded: signed parameters override all metadata that
    /// the uploader could set. Does not wait.
    ///
    /// # Errors
    ///
    /// `ttl` is longer than a week, or the endpoint is invalid.
    pub fn presign_get(&self, wanted: GetOptions<'_>, ttl: Duration) -> Result<Presigned, StorageError> {
        self.presign_read(Reading::Get, wanted, ttl)
    }

    /// The same for either method.
    ///
    /// # Errors
    ///
    /// Those of [`presign_get`](Self::presign_get).
    pub fn presign_read(
        &self,
        reading: Reading,
        wanted: GetOptions<'_>,
        ttl: Duration,
    ) -> Result<Presigned, StorageError> {
        let window = self.window(ttl)?;
        let answer = [
            ("response-content-disposition", &*content_disposition(wanted.disposition, wanted.filename)),
            ("response-content-type", wanted.content_type),
            ("response-cache-control", "private, no-store"),
            // An empty value would be ignored. Clients treat this one as no encoding.
            ("response-content-encoding", "identity"),
        ];
        let (method, operation, key) = (reading.method(), reading.operation(), wanted.key);
        self.presign(Request { method, operation, key, query: &answer, headers: &[] }, window)
    }

    fn presign(&self, request: Request<'_>, window: Validity) -> Result<Presigned, StorageError> {
        let url = self.signer.url(request, window).map_err(refused)?;
        let headers = request.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let request = PresignedRequest { method: request.method.to_owned(), url, headers: headers.collect() };
        Ok(Presigned { request, expires_at: window.start + window.ttl })
    }

    /// Metadata of the object at `key`; `None` if there is none.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn head(&self, key: &str) -> Result<Option<StoredObject>, StorageError> {
        let head = self.client.head_object().bucket(&self.bucket).key(key);
        let Some(found) = found(head.checksum_mode(ChecksumMode::Enabled).send().await)? else {
            return Ok(None);
        };
        // The checksum of a multipart object is a checksum of checksums (`…-3`), not of the content.
        let checksum_sha256 = found.checksum_sha256.filter(|checksum| !checksum.contains('-'));
        Ok(Some(StoredObject { size: found.content_length.unwrap_or(0), checksum_sha256 }))
    }

    /// The first `length` bytes of an object, or fewer if it is shorter; `None` if there is none.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn read_start(&self, key: &str, length: usize) -> Result<Option<Vec<u8>>, StorageError> {
        let get = self.client.get_object().bucket(&self.bucket).key(key);
        let reading = async {
            let range = format!("bytes=0-{}", length.saturating_sub(1));
            let Some(found) = found(get.range(range).send().await)? else { return Ok(None) };
            let (mut body, mut start) = (found.body, Vec::new());
            // A store that ignores the range must not fill the memory.
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

    /// Removes the object at `key`, if there is one.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        found(self.client.delete_object().bucket(&self.bucket).key(key).send().await).map(drop)
    }

    /// Checks that the store answers and has the bucket.
    ///
    /// # Errors
    ///
    /// It does not answer, or does not have the bucket.
    pub async fn ping(&self) -> Result<(), StorageError> {
        self.client.head_bucket().bucket(&self.bucket).send().await.map(drop).map_err(classify)
    }

    /// Creates the bucket if it does not exist, for development. In production the operator creates it with its policies.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn ensure_bucket(&self) -> Result<(), StorageError> {
        if found(self.client.head_bucket().bucket(&self.bucket).send().await)?.is_some() {
            return Ok(());
        }
        // S3 requires a location constraint in every region but its first.
        let place = (self.region != "us-east-1").then(|| {
            let region = BucketLocationConstraint::from(self.region.as_str());
            CreateBucketConfiguration::builder().location_constraint(region).build()
        });
        let create = self.client.create_bucket().bucket(&self.bucket).set_create_bucket_configuration(place);
        let is_ours = |error: &SdkError<CreateBucketError>| {
            error.as_service_error().is_some_and(CreateBucketError::is_bucket_already_owned_by_you)
        };
        match create.send().await {
            // Another process created it.
            Err(error) if is_ours(&error) => Ok(()),
            made => made.map(drop).map_err(classify),
        }
    }

    /// Validity from now on for `ttl`, in whole seconds.
    fn window(&self, ttl: Duration) -> Result<Validity, StorageError> {
        if ttl > LONGEST {
            return Err(refused("a URL works for a week at most"));
        }
        let now = self.clock.now();
        let start = Timestamp::from_unix_millis(now.unix_seconds() * 1_000).unwrap_or(now);
        Ok(Validity { start, ttl: Duration::from_secs(ttl.as_secs()) })
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
        // Otherwise a CRC32 of the empty body would be signed into every presigned PUT.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
    match endpoint {
        Some(url) => config.endpoint_url(url.as_str().trim_end_matches('/')).build(),
        None => config.build(),
    }
}

fn refused(error: impl Into<Box<dyn Error + Send + Sync>>) -> StorageError {
    StorageError::Refused(error.into())
}

fn unavailable(error: impl Error + Send + Sync + 'static) -> StorageError {
    StorageError::Unavailable(error.into())
}

/// `None` if the store answers 404.
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
