//! Media types (RFC 9110, section 8.3.1), compared without regard to case and parameters.

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// JSON (RFC 8259).
pub const JSON: &str = "application/json";
/// JSON merge patch (RFC 7396).
pub const MERGE_PATCH: &str = "application/merge-patch+json";
/// A form (URL Standard).
pub const FORM: &str = "application/x-www-form-urlencoded";

/// Header that lists the accepted media types of patches (RFC 5789, section 3.1).
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Media types of a JSON body. The body of a `PATCH` is always a merge patch.
#[must_use]
pub fn json(method: &Method) -> &'static [&'static str] {
    if *method == Method::PATCH { &[JSON, MERGE_PATCH] } else { &[JSON] }
}

/// The header that lists the accepted media types of a body: for a patch by RFC 5789, section 2.2, otherwise by RFC 9110, section
/// 15.5.16.
#[must_use]
pub fn accepted(method: &Method, types: &[&str]) -> Option<(HeaderName, HeaderValue)> {
    let name = if *method == Method::PATCH { ACCEPT_PATCH } else { header::ACCEPT };
    Some((name, HeaderValue::from_str(&types.join(", ")).ok()?))
}

/// Whether a body is not encoded; `identity` means no encoding (RFC 9110, section 8.4.1).
#[must_use]
pub fn is_uncoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Whether the client names this type in `Accept`: `*/*` does not count, because most clients send it by default.
#[must_use]
pub fn is_asked_for(headers: &HeaderMap, media_type: &str) -> bool {
    let ranges = headers.get_all(header::ACCEPT).filter_map(|ranges| ranges.to_str().ok());
    ranges.flat_map(|ranges| ranges.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_this = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(media_type));
        is_this && !parts.any(is_never)
    })
}

/// A weight of zero, which means "not acceptable" (RFC 9110, section 12.4.2).
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
