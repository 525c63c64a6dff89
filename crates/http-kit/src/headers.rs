//! Names of header fields that actix does not define, and helpers to read headers.

use actix_web::http::header::{self, HeaderMap, HeaderName};

/// Id of the request, in requests and answers.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Position of a write, which later reads may send back: see `shared_kernel::session::ConsistencyToken`.
pub const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");
/// Key that makes a POST idempotent.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// W3C Trace Context.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// IETF draft `ratelimit-headers`.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The same.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Relation of the requesting page to the server (Fetch Metadata Request Headers).
pub const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The token of the one `Authorization: Bearer` header (RFC 6750, section 2.1). `None` if there are two.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let (value, None) = (values.next()?.to_str().ok()?, values.next()) else { return None };
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

/// `text` as a `quoted-string` (RFC 9110, section 5.6.4), without characters that a header must not contain.
#[must_use]
pub fn quoted(text: &str) -> String {
    let allowed = |character: &char| matches!(character, ' '..='~');
    let escaped = text.chars().filter(allowed).flat_map(|character| {
        let escape = matches!(character, '"' | '\\').then_some('\\');
        escape.into_iter().chain([character])
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_can_be_quoted() {
        for (name, expected) in
            [("Ashlar", r#""Ashlar""#), (r#"A "b" \c"#, r#""A \"b\" \\c""#), ("Caf\u{e9}\r\nX", r#""CafX""#)]
        {
            assert_eq!(quoted(name), expected);
        }
    }
}
