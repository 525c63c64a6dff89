//! Media types (RFC 9110, section 8.3.1): compared without regard to case, and to parameters that say nothing here.

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// JSON (RFC 8259).
pub const JSON: &str = "application/json";
/// A JSON merge patch (RFC 7396): JSON too, under a name of its own.
pub const MERGE_PATCH: &str = "application/merge-patch+json";
/// A form (URL Standard).
pub const FORM: &str = "application/x-www-form-urlencoded";

/// Tells which types a patch may be of (RFC 5789, section 3.1).
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// The types of a body in JSON. The body of a `PATCH` is always a merge patch here.
#[must_use]
pub fn json(method: &Method) -> &'static [&'static str] {
    if *method == Method::PATCH { &[JSON, MERGE_PATCH] } else { &[JSON] }
}

/// What tells a client in which types a body is read: for a patch RFC 5789, section 2.2, else RFC 9110, section 15.5.16.
#[must_use]
pub fn accepted(method: &Method, types: &[&str]) -> Option<(HeaderName, HeaderValue)> {
    let name = if *method == Method::PATCH { ACCEPT_PATCH } else { header::ACCEPT };
    Some((name, HeaderValue::from_str(&types.join(", ")).ok()?))
}

/// Whether a body is sent as it is: `identity` is no coding (RFC 9110, section 8.4.1).
#[must_use]
pub fn is_uncoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Whether the client says by name that it reads this type: `*/*` is what everything sends that never thought of it.
#[must_use]
pub fn is_asked_for(headers: &HeaderMap, media_type: &str) -> bool {
    let ranges = headers.get_all(header::ACCEPT).filter_map(|ranges| ranges.to_str().ok());
    ranges.flat_map(|ranges| ranges.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_this = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(media_type));
        is_this && !parts.any(is_never)
    })
}

/// A weight of nothing: "not acceptable" (RFC 9110, section 12.4.2).
fn is_never(parameter: &str) -> bool {
    let weight = parameter.strip_prefix(['q', 'Q']).and_then(|rest| rest.trim_start().strip_prefix('='));
    weight.is_some_and(|weight| weight.trim().parse() == Ok(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_type_is_asked_for_by_name_and_with_a_weight() {
        for accept in
            ["application/json", "Application/JSON;q=0.1", "text/html, application/json ; charset=utf-8"]
        {
            assert!(is_asked_for(&with(&header::ACCEPT, &[accept]), JSON), "{accept}");
        }
        assert!(is_asked_for(&with(&header::ACCEPT, &["text/html", "application/json"]), JSON));
        for accept in [
            "",
            "*/*",
            "application/*",
            "application/json;q=0",
            "application/json; Q=0.000",
            "application/jsonx",
        ] {
            assert!(!is_asked_for(&with(&header::ACCEPT, &[accept]), JSON), "{accept}");
        }
        assert!(!is_asked_for(&HeaderMap::new(), JSON));
    }

    #[test]
    fn identity_is_no_coding() {
        for coding in [&[][..], &["identity"], &["Identity"]] {
            assert!(is_uncoded(&with(&header::CONTENT_ENCODING, coding)), "{coding:?}");
        }
        for coding in [&["gzip"][..], &["identity", "br"], &["identity, br"]] {
            assert!(!is_uncoded(&with(&header::CONTENT_ENCODING, coding)), "{coding:?}");
        }
    }
}
