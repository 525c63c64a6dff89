//! The OpenAPI document as the server's own rule: which paths there are, with which methods, for whom, with which query
//! parameters. What the document says is what [`access_control`](crate::access_control) enforces, so the two cannot drift
//! apart; an operation that says nothing about security needs a signed-in caller.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actix_web::http::Method;
use shared_kernel::principal::Scope;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::{OpenApi, PathItem, RefOr, SecurityRequirement};

/// The member of an operation that says how many seconds it may take: what the server grants, and a client has to wait.
pub const DEADLINE: &str = "x-deadline-seconds";

/// The member of an operation that says within how many seconds the caller must have proved who they are.
pub const FRESH: &str = "x-fresh-seconds";

/// What lies below this path is for admins, whatever it says.
const ADMIN_PATHS: &str = "/api/v1/admin/";

/// Who may use an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Public,
    /// Anyone; whoever sends credentials is known by them.
    Optional,
    /// Whoever is authenticated and meets all of these. None of them: whoever is authenticated.
    Requires(Vec<Requirement>),
}

impl Access {
    /// Whether it needs credentials.
    #[must_use]
    pub fn needs_credentials(&self) -> bool {
        matches!(self, Self::Requires(_))
    }

    /// Whether somebody who is authenticated may still be refused.
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        matches!(self, Self::Requires(requirements) if !requirements.is_empty())
    }
}

/// What an operation asks of an authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// This permission.
    Scope(Scope),
    /// A proof of who they are that is no older than this.
    Fresh(Duration),
}

/// The path template of the operation that a request is for.
#[derive(Clone, Debug)]
pub struct MatchedPath(pub String);

/// A request header that may say who asks. An answer of an operation that looks at it is one person's.
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

/// What the contract says of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The path with its parameters, as in the document: what logs and metrics are grouped by.
    pub template: String,
    /// Who may.
    pub access: Access,
    /// Where it looks to learn who asks.
    pub credentials: Vec<Credential>,
    /// The query parameters that it knows.
    pub query: BTreeSet<String>,
    /// How long it may take, if longer than others.
    pub deadline: Option<Duration>,
}

type Methods = BTreeMap<&'static str, Rule>;

/// The rules of all operations.
#[derive(Debug, Default)]
pub struct Contract {
    paths: matchit::Router<Methods>,
    pages: matchit::Router<()>,
    /// The templates of all paths and pages.
    templates: Vec<String>,
    methods: BTreeSet<&'static str>,
}

/// What the contract says of a request.
#[derive(Debug)]
pub enum RouteMatch<'c> {
    /// The operation.
    Operation(&'c Rule),
    /// The path has other methods: these.
    OtherMethods(String),
    /// A page of the documentation, which is not part of the API.
    Page,
    /// No such path.
    Nothing,
}

/// The document has two paths that cannot be told apart.
#[derive(Debug, thiserror::Error)]
#[error("two paths of the API cannot be told apart: {0}")]
pub struct AmbiguousPath(#[from] matchit::InsertError);

impl Contract {
    /// The contract that `document` is, with the pages that are served beside it. Nothing else is served.
    ///
    /// # Errors
    ///
    /// Two of its paths match the same requests.
    pub fn new(document: &OpenApi, pages: &[&str]) -> Result<Self, AmbiguousPath> {
        let mut contract = Self::default();
        for (path, item) in &document.paths.paths {
            let methods = operations(item)
                .map(|(method, operation)| (method, rule(path, operation)))
                .collect::<Methods>();
            contract.methods.extend(methods.keys());
            contract.templates.push(path.clone());
            contract.paths.insert(path, methods)?;
        }
        for page in pages {
            contract.methods.insert("GET");
            contract.templates.push((*page).to_owned());
            contract.pages.insert(*page, ())?;
        }
        if contract.methods.contains("GET") {
            contract.methods.insert("HEAD");
        }
        Ok(contract)
    }

    /// What it says of a request to `path`, decoded as the router decodes it. `HEAD` is `GET` without a body (RFC 9110, section 9.3.2).
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> RouteMatch<'_> {
        let Ok(matched) = self.paths.at(path) else {
            return if self.pages.at(path).is_ok() { RouteMatch::Page } else { RouteMatch::Nothing };
        };
        let name = if method == Method::HEAD { "GET" } else { method.as_str() };
        match matched.value.get(name) {
            Some(rule) => RouteMatch::Operation(rule),
            None => RouteMatch::OtherMethods(allow(matched.value)),
        }
    }

    /// How long the operation that a request asks for may take, if it says so.
    #[must_use]
    pub fn deadline(&self, method: &Method, path: &str) -> Option<Duration> {
        match self.find(method, path) {
            RouteMatch::Operation(rule) => rule.deadline,
            RouteMatch::OtherMethods(_) | RouteMatch::Page | RouteMatch::Nothing => None,
        }
    }
}

impl Contract {
    /// The methods that any of the paths has.
    pub fn methods(&self) -> impl Iterator<Item = Method> {
        self.methods.iter().filter_map(|name| Method::from_bytes(name.as_bytes()).ok())
    }

    /// `path`, decoded as the router decodes it, as errors and the log may have it. Somebody may have put a secret where no
    /// route has anything, so of the path there stay the names that routes have, and ids. What stands where a route has a
    /// parameter becomes the parameter's name, and what no route goes on to becomes `*`.
    #[must_use]
    pub fn disclosed(&self, path: &str) -> String {
        let segments: Vec<&str> = path.split('/').collect();
        let known = self.templates.iter().map(|template| template.split('/').collect::<Vec<_>>());
        // Of two that go equally far, the one that says more of it by name.
        let nearest = known.max_by_key(|template| {
            let common = common(template, &segments);
            let named = template.iter().take(common).filter(|segment| !is_parameter(segment)).count();
            (common, named)
        });
        let nearest = nearest.unwrap_or_default();
        let common = common(&nearest, &segments);
        let told = nearest.iter().zip(&segments).take(common);
        let told = told.map(|(template, &segment)| if is_id(segment) { segment } else { template });
        told.chain((common < segments.len()).then_some("*")).collect::<Vec<_>>().join("/")
    }
}

/// How many segments of a path there are in the template from the start.
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

fn rule(path: &str, operation: &Operation) -> Rule {
    let query = parameters(operation, &ParameterIn::Query).map(|parameter| parameter.name.clone()).collect();
    let access = access(path, operation);
    let credentials = credentials(operation, &access);
    Rule { template: path.to_owned(), access, credentials, query, deadline: seconds(operation, DEADLINE) }
}

fn seconds(operation: &Operation, extension: &str) -> Option<Duration> {
    let value = operation.extensions.as_ref()?.get(extension)?;
    // One that cannot be read is none that anybody meets, or waits for.
    Some(Duration::from_secs(value.as_u64().unwrap_or_default()))
}

/// What the operation needs, and what it takes without needing it.
fn credentials(operation: &Operation, access: &Access) -> Vec<Credential> {
    let takes_nothing = |requirement: &SecurityRequirement| *requirement == SecurityRequirement::default();
    let takes_a_token = operation.security.iter().flatten().any(|requirement| !takes_nothing(requirement));
    let token = (*access != Access::Public || takes_a_token).then_some(Credential::Authorization);
    let has_cookie = parameters(operation, &ParameterIn::Cookie).next().is_some();
    token.into_iter().chain(has_cookie.then_some(Credential::Cookie)).collect()
}

/// What the operation asks for, and never less than its path does. Public is only what says that it needs nothing; what cannot
/// be read is for admins.
fn access(path: &str, operation: &Operation) -> Access {
    let named = named_requirements(operation);
    // What is no scope of ours is met by nobody but an admin.
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
            // One that takes the session cookie too weighs by itself what it is given.
            let takes_cookies = parameters(operation, &ParameterIn::Cookie).next().is_some();
            if takes_cookies || alternatives.len() == 1 { Access::Public } else { Access::Optional }
        }
        _ => Access::Requires(requirements),
    }
}

/// The alternatives of `security`, each with the scopes that it names. Empty: none is named. `None`: it cannot be read.
fn named_requirements(operation: &Operation) -> Option<Vec<BTreeMap<String, Vec<String>>>> {
    let Some(security) = &operation.security else { return Some(Vec::new()) };
    serde_json::to_value(security).and_then(serde_json::from_value).ok()
}

#[cfg(test)]
mod tests {
    use utoipa::openapi::extensions::ExtensionsBuilder;
    use utoipa::openapi::path::OperationBuilder;

    use super::*;

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
