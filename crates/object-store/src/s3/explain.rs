//! Explains to developers why a signature does not match.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use quick_xml::escape::escape;
use s3s::Body;

use crate::access::signed_headers;

/// Size in bytes that no error of s3s exceeds.
const MAX_ERROR: u64 = 16 * 1024;

/// The signed parts of a request.
#[derive(Debug)]
pub(crate) struct Brought(String);

impl Brought {
    pub(crate) fn by(uri: &Uri, headers: &HeaderMap) -> Self {
        let signed = signed_headers(uri, headers).unwrap_or_default();
        let values: Vec<String> = signed
            .iter()
            .map(|name| match headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes())) {
                Some(value) => format!("{name}: {value}"),
                None => format!("no {name}"),
            })
            .collect();
        Self(values.join("; "))
    }

    /// The response, with an explanation if it refuses the signature.
    pub(crate) async fn explain(self, response: Response<Body>) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        let is_small = hyper::body::Body::size_hint(&body).upper().is_some_and(|length| length <= MAX_ERROR);
        if parts.status != StatusCode::FORBIDDEN || !is_small {
            return Response::from_parts(parts, body);
        }
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let explained = self.explained(&bytes).map_or(bytes, Bytes::from);
        parts.headers.remove(http::header::CONTENT_LENGTH);
        Response::from_parts(parts, Body::from(explained))
    }

    /// The error with another message, if it is the one to be explained.
    fn explained(&self, error: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(error).ok()?;
        let code = "<Code>SignatureDoesNotMatch</Code>";
        let (before, after) = text.split_once(code)?;
        let after = match after.split_once("<Message>").zip(after.split_once("</Message>")) {
            Some(((_, _), (_, rest))) => rest,
            None => after,
        };
        let reason = format!(
            "The method, the path, the query or a header is not what was signed, or the secret is another one. The \
             signature covers these headers, and they came with these values: {}. A browser sets content-length itself, \
             from the body: the body must have exactly the size that was declared.",
            self.0
        );
        Some(format!("{before}{code}<Message>{}</Message>{after}", escape(&reason)))
    }
}
