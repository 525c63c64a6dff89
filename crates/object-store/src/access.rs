//! Access control, and checks of signatures beyond those of s3s.
//!
//! s3s verifies the signature itself. It has gaps that matter for presigned URLs, where the *holder* of the
//! URL is not the signer; they are closed here as on AWS.

use http::{HeaderMap, Uri};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Error, S3ErrorCode, S3Result};
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded;

use crate::error::reply;

/// Maximum lifetime of a presigned URL, as on AWS: seven days.
const MAX_EXPIRES: u32 = 7 * 24 * 60 * 60;
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// `x-amz-*` headers without an effect on the operation: the first is a banner, the second is verified against the body.
const HARMLESS: [&str; 2] = ["x-amz-user-agent", "x-amz-content-sha256"];

/// Headers that S3 stores with an object and serves with it. Browsers add none of them unasked.
const LABELS: [&str; 4] = ["content-disposition", "content-encoding", "content-language", "expires"];

/// The only access key.
pub(crate) struct OneKey {
    access_key: String,
    secret_key: SecretString,
}

impl OneKey {
    pub(crate) fn new(access_key: String, secret_key: SecretString) -> Self {
        Self { access_key, secret_key }
    }
}

#[async_trait::async_trait]
impl S3Auth for OneKey {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.access_key {
            return Ok(SecretKey::from(self.secret_key.expose_secret()));
        }
        Err(reply(S3ErrorCode::InvalidAccessKeyId, "The access key is unknown."))
    }
}

/// Accepts requests whose signature covers all relevant headers.
pub(crate) struct SignedOnly;

#[async_trait::async_trait]
impl S3Access for SignedOnly {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(reply(S3ErrorCode::AccessDenied, "A signature is required."));
        }
        let signed = signed_headers(context.uri(), context.headers())?;
        covers_all(&signed, context.headers())
    }
}

/// The names of the signed headers. Signature version 2 (SHA-1, no bound on expiry) has none and is refused.
pub(crate) fn signed_headers(uri: &Uri, headers: &HeaderMap) -> S3Result<Vec<String>> {
    let query = |name: &str| {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let list = match (headers.get(http::header::AUTHORIZATION), query("X-Amz-Signature")) {
        (Some(header), None) if query("Signature").is_none() => {
            from_header(header.to_str().unwrap_or_default())
        }
        (None, Some(_)) if query("Signature").is_none() => {
            expires_in_time(query("X-Amz-Expires"))?;
            query("X-Amz-SignedHeaders")
        }
        _ => None,
    };
    let list = list.ok_or_else(|| {
        reply(
            S3ErrorCode::InvalidRequest,
            "Please use one AWS4-HMAC-SHA256 signature, in the header or in the query.",
        )
    })?;
    Ok(list.split(';').map(str::to_ascii_lowercase).collect())
}

fn from_header(authorization: &str) -> Option<String> {
    let parameters = authorization.strip_prefix(ALGORITHM)?;
    parameters
        .split(',')
        .find_map(|parameter| parameter.trim().strip_prefix("SignedHeaders="))
        .map(str::to_owned)
}

fn expires_in_time(expires: Option<String>) -> S3Result<()> {
    match expires.and_then(|seconds| seconds.parse::<u32>().ok()) {
        Some(1..=MAX_EXPIRES) => Ok(()),
        _ => Err(S3Error::with_message(
            S3ErrorCode::InvalidRequest,
            format!("X-Amz-Expires must be between 1 and {MAX_EXPIRES} seconds."),
        )),
    }
}

/// Removes a `Cache-Control` that was not signed from a request with a presigned URL, or the holder of the URL would
/// decide what is stored and served. It is not refused: browsers add it to requests that go past their cache, as all
/// do while a developer has it switched off.
pub(crate) fn forget_unsigned_cache_control(uri: &Uri, headers: &mut HeaderMap) {
    if !headers.contains_key(http::header::CACHE_CONTROL) || headers.contains_key(http::header::AUTHORIZATION)
    {
        return;
    }
    let signed = signed_headers(uri, headers).unwrap_or_default();
    if !signed.iter().any(|signed| signed == http::header::CACHE_CONTROL.as_str()) {
        headers.remove(http::header::CACHE_CONTROL);
    }
}

/// Without this the holder of a presigned PUT could add `x-amz-copy-source` and read any object of the bucket, or
/// decide with `Content-Encoding` what the bytes are served as.
fn covers_all(signed: &[String], headers: &HeaderMap) -> S3Result<()> {
    let counts =
        |name: &str| LABELS.contains(&name) || (name.starts_with("x-amz-") && !HARMLESS.contains(&name));
    let missing = headers
        .keys()
        .map(http::HeaderName::as_str)
        .any(|name| counts(name) && !signed.iter().any(|signed| signed == name));
    if missing {
        return Err(reply(
            S3ErrorCode::AccessDenied,
            "There were headers present in the request which were not signed.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "AWS4-HMAC-SHA256 Credential=k/d/r/s3/aws4_request, SignedHeaders=host;X-Amz-Date, Signature=0";
    const QUERY: &str = "X-Amz-Signature=0&X-Amz-SignedHeaders=host&X-Amz-Expires=604800";

    fn signed(query: &str, authorization: Option<&'static str>) -> Option<Vec<String>> {
        let uri = format!("/bucket/key?{query}").parse().unwrap();
        let value = authorization.map(http::HeaderValue::from_static);
        let headers = value.map(|value| (http::header::AUTHORIZATION, value)).into_iter().collect();
        signed_headers(&uri, &headers).ok()
    }

    #[test]
    fn one_signature_of_version_4_counts() {
        assert_eq!(signed("", Some(HEADER)), Some(vec!["host".to_owned(), "x-amz-date".to_owned()]));
        assert_eq!(signed(QUERY, None), Some(vec!["host".to_owned()]));
    }

    #[test]
    fn version_2_and_two_at_once_do_not() {
        assert_eq!(signed("", Some("AWS key:signature")), None);
        assert_eq!(signed("AWSAccessKeyId=key&Signature=x&Expires=9999999999", None), None);
        assert_eq!(signed(&format!("{QUERY}&Signature=x"), None), None);
        assert_eq!(signed("Signature=x", Some(HEADER)), None);
        assert_eq!(signed(QUERY, Some(HEADER)), None);
    }

    #[test]
    fn a_url_lives_a_week_at_most() {
        assert_eq!(signed(&QUERY.replace("604800", "604801"), None), None);
        assert_eq!(signed(&QUERY.replace("604800", "0"), None), None);
    }
}
