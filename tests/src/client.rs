//! An HTTP client for tests. It checks the general rules of the contract in every
//! response: the security headers, the request id, no banner, and a complete problem document for every error.

use std::collections::HashSet;
use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::{LazyLock, Mutex};

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::PATIENCE;
use crate::contract::CODES;

/// Sends requests to one server.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    /// A client of the server at `base` (`http://127.0.0.1:1234`). It follows no redirects and keeps no cookies.
    pub fn new(base: impl Into<String>) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Self { http, base: base.into() }
    }

    /// A request to a path, or to a whole URL.
    pub fn request(&self, method: Method, path: &str) -> Request {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let builder = self.http.request(method.clone(), &url);
        let path = path.split('?').next().unwrap_or_default().to_owned();
        Request { client: self.clone(), builder, method, path, checked: true }
    }

    /// GET.
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    /// POST without a body.
    pub fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    /// PATCH without a body.
    pub fn patch(&self, path: &str) -> Request {
        self.request(Method::PATCH, path)
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, path)
    }
}

/// A request builder; awaiting it sends the request.
#[derive(Debug)]
#[must_use = "a request is sent by awaiting it"]
pub struct Request {
    client: Client,
    builder: reqwest::RequestBuilder,
    method: Method,
    path: String,
    checked: bool,
}

impl Request {
    /// The path of the request.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Adds a header, beside any other of its name.
    pub fn header(self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        Self {
            builder: self.builder.header(name, HeaderValue::from_bytes(value.as_bytes()).unwrap()),
            ..self
        }
    }

    /// Sets the access token.
    pub fn bearer(self, token: impl AsRef<str>) -> Self {
        self.header("authorization", &format!("Bearer {}", token.as_ref()))
    }

    /// Sets a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sets a body with a content type.
    pub fn body(self, content_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.header("content-type", content_type).bytes(bytes)
    }

    /// Sets a body without a content type.
    pub fn bytes(self, bytes: impl Into<Vec<u8>>) -> Self {
        Self { builder: self.builder.body(bytes.into()), ..self }
    }

    /// Sets a form as the body.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        Self { builder: self.builder.form(fields), ..self }
    }

    /// Disables the checks of the response, for servers other than the API.
    pub fn unchecked(self) -> Self {
        Self { checked: false, ..self }
    }

    async fn send(self) -> Answer {
        let response = self
            .builder
            .send()
            .await
            .unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.path));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body =
            response.bytes().await.unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.path));
        let answer = Answer { method: self.method, path: self.path, status, headers, body: body.to_vec() };
        if self.checked {
            answer.check();
            answer.check_problem_page(&self.client).await;
        }
        answer
    }
}

impl IntoFuture for Request {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// A response with its whole body.
#[derive(Clone)]
pub struct Answer {
    /// The method of the request.
    pub method: Method,
    /// The path of the request.
    pub path: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        let body: String = body.chars().take(2_000).collect();
        write!(f, "{} {} -> {}\n{:#?}\n{body}", self.method, self.path, self.status, self.headers)
    }
}

impl Answer {
    /// A header, if the response has it exactly once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let (value, rest) = (values.next()?, values.next());
        assert!(rest.is_none(), "{name} stands there twice: {self:?}");
        Some(value.to_str().unwrap())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts the status.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "often the status is all that a test asks for")]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Asserts the status and the code, and returns the problem document.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        let body = self.json();
        assert_eq!(body["code"], code, "{self:?}");
        body
    }

    /// Asserts a failed validation with exactly these pointers and codes, in any order.
    #[track_caller]
    pub fn invalid(self, expected: &[(&str, &str)]) -> Value {
        let text = format!("{self:?}");
        let body = self.problem(422, "validation_failed");
        let errors = body["errors"].as_array().unwrap();
        let mut found: Vec<(&str, &str)> = errors
            .iter()
            .map(|error| (error["pointer"].as_str().unwrap(), error["code"].as_str().unwrap()))
            .collect();
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{text}");
        body
    }

    /// Checks the general rules of the contract.
    #[track_caller]
    pub fn check(&self) {
        assert_ne!(self.status, 500, "{self:?}");
        self.check_headers();
        if matches!(self.status, 204 | 304) || self.method == Method::HEAD {
            assert!(self.body.is_empty(), "{self:?}");
        }
        if self.status >= 400 && self.method != Method::HEAD {
            self.check_error();
        }
    }

    /// Checks the headers that every response has.
    #[track_caller]
    pub fn check_headers(&self) {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(self.header(name), Some(value), "{name}: {self:?}");
        }
        let policy = self.header("content-security-policy").unwrap_or_default();
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{part}: {self:?}");
        }
        for banner in ["server", "x-powered-by", "via"] {
            assert_eq!(self.header(banner), None, "{self:?}");
        }
        let id = self.header("x-request-id").unwrap_or_default();
        let fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        assert!((1..=100).contains(&id.len()) && id.bytes().all(fit), "{self:?}");
        let cache = self.header("cache-control").unwrap_or_default();
        if self.path.starts_with("/api/v1/auth/") {
            assert_eq!(cache, "no-store", "{self:?}");
        } else {
            assert!(
                ["no-store", "private, no-cache", "public, no-cache", "public, max-age=300"].contains(&cache),
                "{self:?}"
            );
        }
        assert_ne!(self.header("access-control-allow-origin"), Some("*"), "{self:?}");
        match self.status {
            401 => assert!(self.header("www-authenticate").is_some(), "{self:?}"),
            405 => assert!(self.header("allow").is_some(), "{self:?}"),
            429 | 503 => {
                let after = self.header("retry-after").unwrap_or_default();
                assert!(after.parse::<u32>().is_ok(), "{self:?}");
            }
            _ => {}
        }
    }

    /// Checks the problem document of an error.
    #[track_caller]
    pub fn check_error(&self) {
        let body = self.json();
        let members = body.as_object().unwrap_or_else(|| panic!("{self:?}"));
        if self.path == "/api/v1/auth/token" && members.contains_key("error") {
            self.check_oauth_error(&body);
            return;
        }
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        for name in ["type", "title", "status", "detail", "instance", "code", "request_id", "errors"] {
            assert!(members.contains_key(name), "{name}: {self:?}");
        }
        let extra: Vec<_> = members.keys().filter(|name| !MEMBERS.contains(&name.as_str())).collect();
        let may_have_more = self.path == "/health/ready" && extra == ["dependencies"];
        assert!(extra.is_empty() || may_have_more, "{extra:?}: {self:?}");
        let code = body["code"].as_str().unwrap_or_default();
        let snake_case = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        assert!(!code.is_empty() && code.bytes().all(snake_case), "{self:?}");
        assert_eq!(body["type"], format!("/problems/{code}"), "{self:?}");
        assert!(CODES.known.contains(code), "the catalogue does not know it: {self:?}");
        let is_listed = CODES.allow(self.method.as_str(), &self.path, self.status, code);
        assert!(is_listed, "the document does not list this code for the operation and status: {self:?}");
        assert_eq!(body["status"], self.status, "{self:?}");
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"), "{self:?}");
        assert!(body["title"].as_str().is_some_and(|title| !title.is_empty()), "{self:?}");
        assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{self:?}");
        assert!(body["instance"].as_str().is_some_and(|instance| instance.starts_with('/')), "{self:?}");
        for error in body["errors"].as_array().unwrap_or_else(|| panic!("{self:?}")) {
            let pointer = error["pointer"].as_str().unwrap_or_else(|| panic!("{self:?}"));
            assert!(pointer.is_empty() || pointer.starts_with('/'), "{self:?}");
            let code = error["code"].as_str().unwrap_or_default();
            assert!(!code.is_empty() && code.bytes().all(snake_case), "{self:?}");
            assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:?}");
            let mut members = error.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
            assert!(members.all(|name| FIELD_ERROR.contains(&name)), "{self:?}");
            let has_right_params = error.get("params").is_none_or(|params| {
                params.as_object().is_some_and(|params| !params.is_empty() && params.values().all(is_scalar))
            });
            assert!(has_right_params, "{self:?}");
        }
        self.check_silence();
    }

    /// Checks an error of the token endpoint (RFC 6749, section 5.2).
    #[track_caller]
    fn check_oauth_error(&self, body: &Value) {
        assert!(matches!(self.status, 400 | 401), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        assert!(CODES.oauth.contains(body["error"].as_str().unwrap_or_default()), "{self:?}");
        assert!(body["error_description"].is_string(), "{self:?}");
        self.check_silence();
    }

    /// Checks that no internal details are disclosed.
    #[track_caller]
    fn check_silence(&self) {
        let text = String::from_utf8_lossy(&self.body).to_lowercase();
        for word in [
            "sqlx",
            "select ",
            "insert into",
            "sqlite",
            "postgres",
            "panicked",
            ".rs:",
            "/tmp/",
            "/home/",
            "/root/",
        ] {
            assert!(!text.contains(word), "{word}: {self:?}");
        }
    }

    /// Checks that the page behind `type` exists, once for each code.
    async fn check_problem_page(&self, client: &Client) {
        static SEEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
        let Ok(body) = serde_json::from_slice::<Value>(&self.body) else { return };
        let (true, Some(code)) = (self.status >= 400, body["code"].as_str()) else { return };
        if !SEEN.lock().unwrap().insert(code.to_owned()) {
            return;
        }
        let url = format!("{}{}", client.base, body["type"].as_str().unwrap_or_default());
        let page = client.http.get(url).send().await.unwrap();
        assert_eq!(page.status(), 200, "no page for {code}");
        assert!(page.text().await.unwrap().contains(code), "no page for {code}");
    }
}

/// The members of a problem document.
const MEMBERS: [&str; 8] = ["type", "title", "status", "detail", "instance", "code", "request_id", "errors"];

/// The members of each of its `errors`; the last one only where the rule has parameters.
const FIELD_ERROR: [&str; 4] = ["pointer", "code", "message", "params"];

fn is_scalar(value: &Value) -> bool {
    value.is_number() || value.is_string()
}

/// The members of an object, sorted.
#[track_caller]
pub fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value
        .as_object()
        .unwrap_or_else(|| panic!("no object: {value}"))
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}
