//! CORS. s3s does not support it, so it is handled before s3s.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::config::CorsOrigins;

const ANY: HeaderValue = HeaderValue::from_static("*");
const MAX_AGE: HeaderValue = HeaderValue::from_static("3600");
const UPLOAD_HEADERS: HeaderValue =
    HeaderValue::from_static("content-type, if-none-match, x-amz-checksum-sha256");
const DOWNLOAD_HEADERS: HeaderValue =
    HeaderValue::from_static("if-modified-since, if-none-match, if-range, range");
const EXPOSE_UPLOAD: HeaderValue = HeaderValue::from_static("ETag");
const EXPOSE_DOWNLOAD: HeaderValue = HeaderValue::from_static("Accept-Ranges, Content-Range, ETag");
const VARY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");
const VARY_PREFLIGHT: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");

/// What the CORS headers of a response allow, decided before the request is consumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// Reading: any page, without credentials. A presigned URL is the permission, and after a redirect from the
    /// API the browser sends `Origin: null`, which no list of origins can name.
    Read,
    /// Writing from this very origin.
    Write(HeaderValue),
    /// Nothing: the browser hides the response from the page.
    None,
}

impl Grant {
    pub(crate) fn of(method: &Method, headers: &HeaderMap, origins: &CorsOrigins) -> Self {
        match *method {
            Method::GET | Method::HEAD => Self::Read,
            Method::PUT => allowed_origin(headers, origins).map_or(Self::None, Self::Write),
            _ => Self::None,
        }
    }

    /// For the answer to the request itself, errors included.
    pub(crate) fn apply(self, answer: &mut HeaderMap) {
        match self {
            Self::Read => {
                answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
                answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSE_DOWNLOAD);
            }
            Self::Write(origin) => {
                answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSE_UPLOAD);
                answer.append(VARY, VARY_ORIGIN);
            }
            Self::None => {
                answer.append(VARY, VARY_ORIGIN);
            }
        }
    }
}

/// The answer to `OPTIONS`.
pub(crate) fn preflight(headers: &HeaderMap, origins: &CorsOrigins) -> (StatusCode, HeaderMap) {
    let method = headers
        .get(ACCESS_CONTROL_REQUEST_METHOD)
        .and_then(|value| Method::from_bytes(value.as_bytes()).ok());
    let grant = match method {
        Some(method) if headers.contains_key(ORIGIN) => Grant::of(&method, headers, origins),
        _ => Grant::None,
    };
    let mut answer = HeaderMap::new();
    answer.insert(VARY, VARY_PREFLIGHT);
    let (origin, methods, allowed) = match grant {
        Grant::Read => (ANY, "GET, HEAD", DOWNLOAD_HEADERS),
        Grant::Write(origin) => (origin, "PUT", UPLOAD_HEADERS),
        Grant::None => return (StatusCode::FORBIDDEN, answer),
    };
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    answer.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    (StatusCode::NO_CONTENT, answer)
}

fn allowed_origin(headers: &HeaderMap, origins: &CorsOrigins) -> Option<HeaderValue> {
    let mut sent = headers.get_all(ORIGIN).iter();
    let (origin, None) = (sent.next()?, sent.next()) else { return None };
    origins.allow(origin.to_str().ok()?).then(|| origin.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn two_origins_are_none() {
        let mut sent = headers(&[("origin", "https://app.example")]);
        sent.append(ORIGIN, HeaderValue::from_static("https://evil.example"));
        let origins = CorsOrigins::new(|_| true);
        assert_eq!(Grant::of(&Method::PUT, &sent, &origins), Grant::None);
    }

    #[test]
    fn a_preflight_for_delete_is_refused() {
        let sent = headers(&[("origin", "https://app.example"), ("access-control-request-method", "DELETE")]);
        let (status, answer) = preflight(&sent, &CorsOrigins::new(|_| true));
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(!answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    }
}
