//! The OpenAPI document as the rule that the server enforces: paths, methods, access and query parameters.
//! [`access_control`](crate::access_control) reads them here, so document and behaviour cannot drift apart. An operation without
//! `security` needs a signed-in caller.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::{HttpMessage as _, HttpRequest};
use shared_kernel::error::INTERNAL;
use shared_kernel::principal::Scope;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::{OpenApi, PathItem, RefOr, SecurityRequirement};

use crate::problem::ApiError;

/// Member of an operation with the seconds that it may take: the server's deadline, and the time for which a client should wait.
pub const DEADLINE: &str = "x-deadline-seconds";

/// Member of an operation with the age in seconds that the caller's last sign-in may have.
pub const FRESH: &str = "x-fresh-seconds";

/// Operations below this path are for admins, whatever their `security` is.
const ADMIN_PATHS: &str = "/api/v1/admin/";

/// Operations below this path are probes of process managers and load balancers.
const PROBE_PATHS: &str = "/health";

/// Who may use an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Public,
    /// Anyone; credentials are verified if there are any.
    Optional,
    /// Authenticated callers who meet all of these requirements.
    Requires(Vec<Requirement>),
}

impl Access {
    /// Whether it needs credentials.
    #[must_use]
    pub fn needs_credentials(&self) -> bool {
        matches!(self, Self::Requires(_))
    }

    /// Whether an authenticated caller may be refused.
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        matches!(self, Self::Requires(requirements) if !requirements.is_empty())
    }
}

/// A requirement for an authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// A scope.
    Scope(Scope),
    /// A sign-in that is no older than this.
    Fresh(Duration),
}

/// A request header that may identify the caller. Answers of an operation that reads it are personal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization`.
    Authorization,
    /// `Cookie`.
    Cookie,
}

impl Credential {
    /// The header's name, as `Vary` has it.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Authorization => "Authorization",
            Self::Cookie => "Cookie",
        }
    }
}

/// A number that identifies an operation, for comparisons with each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OperationKey(u64);

impl OperationKey {
    /// The key of the operation with this path template and method: a hash of both. Should two operations have the same one, one of them
    /// is answered with 404, because its handler does not match the path of the other.
    #[must_use]
    pub fn new(template: &str, method: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (template, method).hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// The rules of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The operation.
    pub key: OperationKey,
    /// Path template, as in the document, by which logs and metrics are grouped.
    pub template: String,
    /// Who may use it.
    pub access: Access,
    /// Headers that it reads to identify the caller.
    pub credentials: Vec<Credential>,
    /// Names of its query parameters.
    pub query: BTreeSet<String>,
    /// Deadline, if it is longer than the configured one.
    pub deadline: Option<Duration>,
}

type Methods = BTreeMap<&'static str, Arc<Rule>>;

/// The operations of a path.
#[derive(Debug)]
struct Path {
    template: Arc<str>,
    methods: Methods,
}

/// The rules of all operations.
#[derive(Debug, Default)]
pub struct Contract {
    paths: matchit::Router<Path>,
    pages: matchit::Router<&'static str>,
    /// The templates of all paths and pages.
    templates: Vec<String>,
    methods: BTreeSet<&'static str>,
}

/// Result of looking up a request in the contract. The outermost layer looks it up once and leaves it in the request's extensions, where
/// [`matched`] finds it.
#[derive(Clone, Debug)]
pub enum RouteMatch {
    /// The operation.
    Operation(Arc<Rule>),
    /// The path exists with other methods.
    OtherMethods {
        /// Value of the header `Allow`.
        allow: String,
        /// Template of the path.
        template: Arc<str>,
    },
    /// A page of the documentation with this template, which is not part of the API.
    Page(&'static str),
    /// No such path.
    Nothing,
}

impl RouteMatch {
    /// The rules of the operation, if it is one.
    #[must_use]
    pub fn rule(&self) -> Option<&Rule> {
        match self {
            Self::Operation(rule) => Some(rule),
            Self::OtherMethods { .. } | Self::Page(_) | Self::Nothing => None,
        }
    }

    /// The template of the path, by which requests are grouped in the log.
    #[must_use]
    pub fn template(&self) -> Option<&str> {
        match self {
            Self::Operation(rule) => Some(&rule.template),
            Self::Page(template) => Some(template),
            Self::OtherMethods { template, .. } => Some(template),
            Self::Nothing => None,
        }
    }

    /// Whether a request that succeeds is of no interest for the log: a page of the documentation is half a dozen requests, and probes
    /// come every few seconds.
    #[must_use]
    pub fn is_routine(&self) -> bool {
        self.template()
            .is_some_and(|template| matches!(self, Self::Page(_)) || template.starts_with(PROBE_PATHS))
    }
}

/// What the contract says about this request.
///
/// # Errors
///
/// Nobody has looked it up, which is a bug: nothing is served then.
pub fn matched(request: &HttpRequest) -> Result<RouteMatch, ApiError> {
    let found = request.extensions().get::<RouteMatch>().cloned();
    found.ok_or_else(|| ApiError::new(&INTERNAL, "the request was not looked up in the contract"))
}

/// The document has two paths that match the same requests.
#[derive(Debug, thiserror::Error)]
#[error("two paths of the API cannot be told apart: {0}")]
pub struct AmbiguousPath(#[from] matchit::InsertError);

impl Contract {
    /// The contract of a document, with the pages that are served besides. Nothing else is served.
    ///
    /// # Errors
    ///
    /// Two of its paths match the same requests.
    pub fn new(document: &OpenApi, pages: &[&'static str]) -> Result<Self, AmbiguousPath> {
        let mut contract = Self::default();
        for (path, item) in &document.paths.paths {
            let methods = operations(item)
                .map(|(method, operation)| (method, Arc::new(rule(path, method, operation))))
                .collect::<Methods>();
            contract.methods.extend(methods.keys());
            contract.templates.push(path.clone());
            contract.paths.insert(path, Path { template: path.as_str().into(), methods })?;
        }
        for &page in pages {
            contract.methods.insert("GET");
            contract.templates.push(page.to_owned());
            contract.pages.insert(page, page)?;
        }
        if contract.methods.contains("GET") {
            contract.methods.insert("HEAD");
        }
        Ok(contract)
    }

    /// Looks up a request to `path`, decoded as the router decodes it. `HEAD` is `GET` without a body (RFC 9110, section 9.3.2).
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> RouteMatch {
        let Ok(matched) = self.paths.at(path) else {
            let page = self.pages.at(path).map(|page| RouteMatch::Page(page.value));
            return page.unwrap_or(RouteMatch::Nothing);
        };
        let name = if method == Method::HEAD { "GET" } else { method.as_str() };
        let Path { template, methods } = matched.value;
        match methods.get(name) {
            Some(rule) => RouteMatch::Operation(rule.clone()),
            None => RouteMatch::OtherMethods { allow: allow(methods), template: template.clone() },
        }
    }
}

impl Contract {
    /// All methods that occur in the document.
    pub fn methods(&self) -> impl Iterator<Item = Method> {
        self.methods.iter().filter_map(|name| Method::from_bytes(name.as_bytes()).ok())
    }

    /// `path`, decoded as the router decodes it, in a form that is safe for errors and logs: a client may have put a secret into it.
    /// Names of routes and ids stay; other values of parameters become the parameter's name, and everything that matches no route
    /// becomes `*`.
    #[must_use]
    pub fn disclosed(&self, matched: &RouteMatch, path: &str) -> String {
        match matched.rule() {
            Some(rule) => disclosed_by(&rule.template, path),
            None => self.disclosed_by_nearest(path),
        }
    }

    fn disclosed_by_nearest(&self, path: &str) -> String {
        let segments: Vec<&str> = path.split('/').collect();
        let known = self.templates.iter().map(|template| template.split('/').collect::<Vec<_>>());
        // Of two that match equally many segments, the one with more literal ones.
        let nearest = known.max_by_key(|template| {
            let common = common(template, &segments);
            let named = template.iter().take(common).filter(|segment| !is_parameter(segment)).count();
            (common, named)
        });
        let nearest = nearest.unwrap_or_default();
        let common = common(&nearest, &segments);
        let shown = nearest.iter().zip(&segments).take(common);
        let shown = shown.map(|(template, &segment)| if is_id(segment) { segment } else { template });
        shown.chain((common < segments.len()).then_some("*")).collect::<Vec<_>>().join("/")
    }
}

/// `path`, which matches the template.
fn disclosed_by(template: &str, path: &str) -> String {
    if !template.contains('{') {
        return template.to_owned();
    }
    let shown = |(template, segment)| if is_id(segment) { segment } else { template };
    template.split('/').zip(path.split('/')).map(shown).collect::<Vec<_>>().join("/")
}

/// Number of leading segments of a path that match the template.
fn common(template: &[&str], path: &[&str]) -> usize {
    let fits = |(template, segment): &(&&str, &&str)| {
        template == segment || (is_parameter(template) && !segment.is_empty())
    };
    template.iter().zip(path).take_while(fits).count()
}

fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{')
}

/// Three letters, `_` and a ULID.
fn is_id(segment: &str) -> bool {
    segment.split_once('_').is_some_and(|(prefix, ulid)| {
        prefix.len() == 3
            && prefix.bytes().all(|byte| byte.is_ascii_lowercase())
            && ulid.len() == 26
            && ulid.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    })
}

fn allow(methods: &Methods) -> String {
    let mut names: Vec<&str> = methods.keys().copied().collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.sort_unstable();
    names.join(", ")
}

/// The operations of a path, by method.
pub fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    [
        ("DELETE", &item.delete),
        ("GET", &item.get),
        ("PATCH", &item.patch),
        ("POST", &item.post),
        ("PUT", &item.put),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// The same, to be changed.
pub fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("DELETE", &mut item.delete),
        ("GET", &mut item.get),
        ("PATCH", &mut item.patch),
        ("POST", &mut item.post),
        ("PUT", &mut item.put),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// The parameters of an operation that stand in one place.
pub fn parameters<'o>(
    operation: &'o Operation,
    place: &'o ParameterIn,
) -> impl Iterator<Item = &'o Parameter> {
    operation.parameters.iter().flatten().filter_map(move |parameter| match parameter {
        RefOr::T(parameter) if parameter.parameter_in == *place => Some(parameter),
        // utoipa writes parameters in place.
        RefOr::T(_) | RefOr::Ref(_) => None,
    })
}

fn rule(path: &str, method: &str, operation: &Operation) -> Rule {
    let key = OperationKey::new(path, method);
    let query = parameters(operation, &ParameterIn::Query).map(|parameter| parameter.name.clone()).collect();
    let access = access(path, operation);
    let credentials = credentials(operation, &access);
    Rule {
        key,
        template: path.to_owned(),
        access,
        credentials,
        query,
        deadline: seconds(operation, DEADLINE),
    }
}

fn seconds(operation: &Operation, extension: &str) -> Option<Duration> {
    let value = operation.extensions.as_ref()?.get(extension)?;
    // A value that cannot be read becomes zero: a requirement that nobody meets, a deadline that nobody waits for.
    Some(Duration::from_secs(value.as_u64().unwrap_or_default()))
}

/// Credentials that the operation requires, and those that it accepts.
fn credentials(operation: &Operation, access: &Access) -> Vec<Credential> {
    let takes_nothing = |requirement: &SecurityRequirement| *requirement == SecurityRequirement::default();
    let takes_a_token = operation.security.iter().flatten().any(|requirement| !takes_nothing(requirement));
    let token = (*access != Access::Public || takes_a_token).then_some(Credential::Authorization);
    let has_cookie = parameters(operation, &ParameterIn::Cookie).next().is_some();
    token.into_iter().chain(has_cookie.then_some(Credential::Cookie)).collect()
}

/// Requirements of the operation, and at least those of its path. Only an explicit empty requirement makes it public; a `security`
/// that cannot be read makes it for admins.
fn access(path: &str, operation: &Operation) -> Access {
    let named = named_requirements(operation);
    // An unknown scope is met by admins only.
    let mut scopes: BTreeSet<Scope> = (named.iter().flatten().flat_map(BTreeMap::values).flatten())
        .map(|name| name.parse().unwrap_or(Scope::ADMIN))
        .collect();
    if path.starts_with(ADMIN_PATHS) || named.is_none() {
        scopes.insert(Scope::ADMIN);
    }
    let fresh = seconds(operation, FRESH).map(Requirement::Fresh);
    let requirements: Vec<Requirement> = scopes.into_iter().map(Requirement::Scope).chain(fresh).collect();
    match named.as_deref() {
        Some(alternatives) if requirements.is_empty() && alternatives.iter().any(BTreeMap::is_empty) => {
            // An operation that accepts the session cookie too checks its credentials itself.
            let takes_cookies = parameters(operation, &ParameterIn::Cookie).next().is_some();
            if takes_cookies || alternatives.len() == 1 { Access::Public } else { Access::Optional }
        }
        _ => Access::Requires(requirements),
    }
}

/// The alternatives of `security`, each with its scopes. Empty if there are none, `None` if they cannot be read.
fn named_requirements(operation: &Operation) -> Option<Vec<BTreeMap<String, Vec<String>>>> {
    let Some(security) = &operation.security else { return Some(Vec::new()) };
    serde_json::to_value(security).and_then(serde_json::from_value).ok()
}

#[cfg(test)]
mod tests {
    use utoipa::openapi::extensions::ExtensionsBuilder;
    use utoipa::openapi::path::OperationBuilder;

    use super::*;

    fn contract() -> Contract {
        let get = utoipa::openapi::HttpMethod::Get;
        let item = || PathItem::new(get.clone(), Operation::new());
        let paths = utoipa::openapi::path::PathsBuilder::new()
            .path("/api/v1/posts/{post_id}", item())
            .path("/health/ready", item())
            .build();
        Contract::new(&OpenApi::new(utoipa::openapi::Info::new("", ""), paths), &["/docs"]).unwrap()
    }

    #[test]
    fn a_path_has_a_template_whatever_the_method() {
        let contract = contract();
        let template = |method: Method, path| contract.find(&method, path).template().map(str::to_owned);
        for method in [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS] {
            let found = template(method, "/api/v1/posts/7");
            assert_eq!(found.as_deref(), Some("/api/v1/posts/{post_id}"));
        }
        assert_eq!(template(Method::GET, "/docs").as_deref(), Some("/docs"));
        assert_eq!(template(Method::GET, "/api/v1/nothing"), None);
    }

    #[test]
    fn probes_and_pages_are_routine() {
        let contract = contract();
        let routine = |path| contract.find(&Method::GET, path).is_routine();
        assert!(routine("/health/ready") && routine("/docs"));
        assert!(!routine("/api/v1/posts/7") && !routine("/healthy"));
    }

    fn scope(name: &str) -> Requirement {
        Requirement::Scope(name.parse().unwrap())
    }

    fn secured(requirements: &[(&str, &[&str])]) -> Operation {
        let requirements = requirements.iter().map(|(scheme, scopes)| match *scheme {
            "" => SecurityRequirement::default(),
            scheme => SecurityRequirement::new(scheme, scopes.iter().copied()),
        });
        OperationBuilder::new().securities(Some(requirements)).build()
    }

    #[test]
    fn access_is_what_the_operation_says_and_never_less_than_its_path() {
        let admin = || Access::Requires(vec![scope("admin")]);
        let path = "/api/v1/posts";
        assert_eq!(access(path, &Operation::new()), Access::Requires(Vec::new()), "silence");
        assert_eq!(access(path, &secured(&[("", &[])])), Access::Public);
        assert_eq!(access(path, &secured(&[("", &[]), ("bearer", &[])])), Access::Optional);
        assert_eq!(access(path, &secured(&[("bearer", &["admin"]), ("oauth2", &["admin"])])), admin());
        assert_eq!(
            access(path, &secured(&[("bearer", &["posts:write"])])),
            Access::Requires(vec![scope("posts:write")])
        );
        assert_eq!(access(path, &secured(&[("bearer", &["nonsense"])])), admin(), "fails closed");
        assert_eq!(access(path, &secured(&[("", &[]), ("bearer", &["admin"])])), admin(), "fails closed");
        for operation in [Operation::new(), secured(&[("", &[])])] {
            assert_eq!(access("/api/v1/admin/posts", &operation), admin(), "the path asks for more");
        }
    }

    #[test]
    fn a_fresh_sign_in_is_asked_for_in_the_document_also_of_what_is_public_otherwise() {
        let mut operation = secured(&[("", &[])]);
        operation.extensions = Some(ExtensionsBuilder::new().add(FRESH, 600).build());
        let fresh = Requirement::Fresh(Duration::from_mins(10));
        assert_eq!(access("/api/v1/posts", &operation), Access::Requires(vec![fresh.clone()]));
        assert_eq!(access("/api/v1/admin/posts", &operation), Access::Requires(vec![scope("admin"), fresh]));
    }
}
