//! Presigned requests: URLs that anyone who has them can use until they expire (signature version 4 in the query:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>).
//!
//! The SDK can only sign asynchronously, and URLs are needed while a transaction is open; for a PUT it makes 280 more allocations.
//! So they are built here from parts of the SDK: its endpoint rules address the bucket, and its signer signs.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::config::endpoint::{DefaultResolver, Endpoint, Params, ResolveEndpoint as _};
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningParams, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use futures_util::FutureExt as _;
use secrecy::ExposeSecret as _;
use shared_kernel::clock::Timestamp;
use url::Url;

use crate::settings::StorageSettings;

/// Why a URL cannot be signed.
pub(crate) type PresignError = Box<dyn Error + Send + Sync>;

/// Validity of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validity {
    /// Start, in whole seconds.
    pub(crate) start: Timestamp,
    /// Duration, at most a week.
    pub(crate) ttl: Duration,
}

/// A request to the bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// HTTP method.
    pub(crate) method: &'static str,
    /// Name of the operation in the API of S3.
    pub(crate) operation: &'static str,
    /// Key of the object.
    pub(crate) key: &'a str,
    /// Further parameters of the query.
    pub(crate) query: &'a [(&'a str, &'a str)],
    /// Headers that whoever sends the request must send with exactly these values.
    pub(crate) headers: &'a [(&'a str, &'a str)],
}

/// Signs requests for one bucket.
#[derive(Clone)]
pub(crate) struct Signer {
    /// URL of the bucket without a trailing slash, or the reason why there is none.
    bucket: Result<String, String>,
    region: String,
    credentials: Credentials,
}

impl Signer {
    /// Signs for the bucket of `settings` at `endpoint`; AWS if absent.
    pub(crate) fn new(settings: &StorageSettings, endpoint: Option<&Url>) -> Self {
        let secret = settings.secret_key.expose_secret();
        Self {
            bucket: bucket_url(settings, endpoint).map_err(|error| error.to_string()),
            region: settings.region.clone(),
            credentials: Credentials::new(settings.access_key.expose_secret(), secret, None, None, "ashlar"),
        }
    }

    /// The URL of the request.
    pub(crate) fn url(&self, request: Request<'_>, window: Validity) -> Result<String, PresignError> {
        let bucket = self.bucket.as_deref().map_err(String::as_str)?;
        let mut url = format!("{bucket}/{}", escaped(request.key, "/"));
        append(&mut url, '?', "x-id", request.operation);
        for (name, value) in request.query {
            append(&mut url, '&', name, value);
        }
        for (name, value) in self.signature(request, &url, window)? {
            append(&mut url, '&', name, &value);
        }
        Ok(url)
    }

    /// The query parameters that sign the request to `url`.
    fn signature(
        &self,
        request: Request<'_>,
        url: &str,
        window: Validity,
    ) -> Result<impl Iterator<Item = (&'static str, String)> + use<>, PresignError> {
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(window.ttl);
        // S3 signs paths unchanged.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(window.start.to_datetime().into())
            .settings(settings)
            .build()?;
        let (headers, body) = (request.headers.iter().copied(), SignableBody::UnsignedPayload);
        let request = SignableRequest::new(request.method, url, headers, body)?;
        let (instructions, _) = sign(request, &SigningParams::V4(params))?.into_parts();
        let (_, params) = instructions.into_parts();
        Ok(params.into_iter().map(|(name, value)| (name, value.into_owned())))
    }
}

/// Address of the bucket by the SDK's endpoint rules: in the path or in the host name, as configured and as endpoint and bucket
/// allow.
fn bucket_url(settings: &StorageSettings, endpoint: Option<&Url>) -> Result<String, PresignError> {
    let params = Params::builder()
        .bucket(&settings.bucket)
        .region(&settings.region)
        .force_path_style(settings.path_style)
        .set_endpoint(endpoint.map(|url| url.as_str().trim_end_matches('/').to_owned()))
        .build()?;
    let resolver = DefaultResolver::new();
    // The rules are computation; only a custom resolver would have to be awaited.
    let found: Option<Result<Endpoint, _>> = resolver.resolve_endpoint(&params).now_or_never();
    let endpoint = found.ok_or("the endpoint rules did not resolve at once")??;
    Ok(endpoint.url().trim_end_matches('/').to_owned())
}

fn append(url: &mut String, separator: char, name: &str, value: &str) {
    url.push(separator);
    url.push_str(name);
    url.push('=');
    url.push_str(&escaped(value, ""));
}

/// Every byte that is not unreserved (RFC 3986, section 2.3) or in `kept`, percent-encoded.
fn escaped(text: &str, kept: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        let is_plain =
            byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.as_bytes().contains(&byte);
        if is_plain {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use aws_sdk_s3::Client;
    use aws_sdk_s3::presigning::PresigningConfig;

    use super::*;
    use crate::storage::config;

    fn settings(bucket: &str, region: &str, path_style: bool) -> StorageSettings {
        StorageSettings {
            endpoint: None,
            public_endpoint: None,
            region: region.into(),
            bucket: bucket.into(),
            access_key: "tests".into(),
            secret_key: "a secret that only tests may have".to_owned().into(),
            path_style,
        }
    }

    const QUERY: [(&str, &str); 4] = [
        (
            "response-content-disposition",
            "inline; filename=\"Hafen _.png\"; filename*=UTF-8''Hafen%20%C3%BC.png",
        ),
        ("response-content-type", "text/plain; charset=utf-8"),
        ("response-cache-control", "private, no-store"),
        ("response-content-encoding", "identity"),
    ];

    const HEADERS: [(&str, &str); 4] = [
        ("content-length", "48213"),
        ("content-type", "text/plain;  charset=utf-8"),
        ("if-none-match", "*"),
        ("x-amz-checksum-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    ];

    fn get(key: &str) -> Request<'_> {
        Request { method: "GET", operation: "GetObject", key, query: &QUERY, headers: &[] }
    }

    fn put(key: &str) -> Request<'_> {
        Request { method: "PUT", operation: "PutObject", key, query: &[], headers: &HEADERS }
    }

    /// What the SDK makes of the same.
    struct Sdk {
        client: Client,
        bucket: String,
        window: PresigningConfig,
    }

    impl Sdk {
        fn new(settings: &StorageSettings, endpoint: Option<&Url>, window: Validity) -> Self {
            let start = window.start.to_datetime().into();
            let window = PresigningConfig::builder().start_time(start).expires_in(window.ttl).build();
            let client = Client::from_conf(config(settings, endpoint));
            Self { client, bucket: settings.bucket.clone(), window: window.unwrap() }
        }

        async fn get(&self, key: &str) -> String {
            let [disposition, content_type, cache, encoding] = QUERY.map(|(_, value)| value);
            let get = self.client.get_object().bucket(&self.bucket).key(key);
            let get = get
                .response_content_disposition(disposition)
                .response_content_type(content_type)
                .response_cache_control(cache)
                .response_content_encoding(encoding);
            get.presigned(self.window.clone()).await.unwrap().uri().to_owned()
        }

        async fn put(&self, key: &str) -> String {
            let [length, content_type, if_none_match, checksum] = HEADERS.map(|(_, value)| value);
            let put = self.client.put_object().bucket(&self.bucket).key(key);
            let put = put
                .content_length(length.parse().unwrap())
                .content_type(content_type)
                .if_none_match(if_none_match)
                .checksum_sha256(checksum);
            put.presigned(self.window.clone()).await.unwrap().uri().to_owned()
        }
    }

    /// Host and path, and the parameters in whatever order, which does not count.
    fn parts(url: &str) -> (&str, BTreeSet<&str>) {
        let (place, query) = url.split_once('?').unwrap();
        (place, query.split('&').collect())
    }

    #[tokio::test]
    async fn a_url_is_what_the_sdk_makes() {
        let start = Timestamp::from_unix_millis(1_769_860_800_000).unwrap();
        let window = Validity { start, ttl: Duration::from_mins(15) };
        let endpoints = ["http://127.0.0.1:9000", "https://files.example.com/", "https://example.com/s3/"];
        let endpoints = endpoints.map(|url| Some(Url::parse(url).unwrap()));
        for endpoint in endpoints.iter().chain([&None]) {
            for (bucket, region) in
                [("ashlar", "us-east-1"), ("my.bucket", "eu-central-1"), ("b", "cn-north-1")]
            {
                for path_style in [true, false] {
                    let settings = settings(bucket, region, path_style);
                    for key in ["uploads/3f0c", "a b/ü'\"&+%20?#=.txt", "a//b/../c/", "文件 (1)*!~$,;:@"] {
                        let sdk = Sdk::new(&settings, endpoint.as_ref(), window);
                        let signer = Signer::new(&settings, endpoint.as_ref());
                        for (request, theirs) in
                            [(get(key), sdk.get(key).await), (put(key), sdk.put(key).await)]
                        {
                            let ours = signer.url(request, window).unwrap();
                            assert_eq!(parts(&ours), parts(&theirs), "{endpoint:?} {settings:?} {request:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_bucket_is_addressed_as_configured() {
        let endpoint = Url::parse("https://files.example.com").unwrap();
        for (path_style, expected) in
            [(true, "https://files.example.com/ashlar"), (false, "https://ashlar.files.example.com")]
        {
            let url = bucket_url(&settings("ashlar", "us-east-1", path_style), Some(&endpoint)).unwrap();
            assert_eq!(url, expected);
        }
    }

    #[test]
    fn an_address_that_is_none_is_told_when_it_is_used() {
        let signer = Signer::new(&settings("ashlar", "no region", false), None);
        let start = Timestamp::from_unix_millis(1_769_860_800_000).unwrap();
        let window = Validity { start, ttl: Duration::from_mins(15) };
        let error = signer.url(get("a"), window).unwrap_err().to_string();
        assert!(error.contains("region"), "{error}");
    }
}
