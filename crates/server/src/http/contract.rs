//! The OpenAPI document as the server's own rule: which paths there are, with which methods, for whom, with which query
//! parameters. What the document says is what [`gate`](super::gate) enforces, so the two cannot drift apart; an operation
//! that says nothing about security needs a signed-in user.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actix_web::http::Method;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::{OpenApi, PathItem, RefOr, SecurityRequirement};

/// The member of an operation that says how many seconds it may take: what the server grants, and a client has to wait.
pub const DEADLINE: &str = "x-deadline-seconds";

/// The role of a security requirement that only admins meet.
pub const ADMIN: &str = "admin";

/// Who may use an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Public,
    /// Anyone; who is signed in sees more.
    Optional,
    /// Whoever is signed in.
    SignedIn,
    /// Admins.
    Admin,
}

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
pub enum Found<'c> {
    /// The operation.
    Rule(&'c Rule),
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

    /// The methods that any of the paths has.
    pub fn methods(&self) -> impl Iterator<Item = &'static str> {
        self.methods.iter().copied()
    }

    /// What it says of a request to `path`, decoded as the router decodes it. `HEAD` is `GET` without a body (RFC 9110, section 9.3.2).
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let Ok(matched) = self.paths.at(path) else {
            return if self.pages.at(path).is_ok() { Found::Page } else { Found::Nothing };
        };
        let name = if method == Method::HEAD { "GET" } else { method.as_str() };
        match matched.value.get(name) {
            Some(rule) => Found::Rule(rule),
            None => Found::OtherMethods(allow(matched.value)),
        }
    }

    /// How long the operation that a request asks for may take, if it says so.
    #[must_use]
    pub fn deadline(&self, method: &Method, path: &str) -> Option<Duration> {
        match self.find(method, path) {
            Found::Rule(rule) => rule.deadline,
            Found::OtherMethods(_) | Found::Page | Found::Nothing => None,
        }
    }
}

impl Contract {
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
    let deadline = operation.extensions.as_ref().and_then(|extensions| extensions.get(DEADLINE)?.as_u64());
    Rule {
        template: path.to_owned(),
        access,
        credentials: credentials(operation, access),
        query,
        deadline: deadline.map(Duration::from_secs),
    }
}

/// What the operation needs, and what it takes without needing it.
fn credentials(operation: &Operation, access: Access) -> Vec<Credential> {
    let takes_nothing = |requirement: &SecurityRequirement| *requirement == SecurityRequirement::default();
    let takes_a_token = operation.security.iter().flatten().any(|requirement| !takes_nothing(requirement));
    let token = (access != Access::Public || takes_a_token).then_some(Credential::Authorization);
    let has_cookie = parameters(operation, &ParameterIn::Cookie).next().is_some();
    token.into_iter().chain(has_cookie.then_some(Credential::Cookie)).collect()
}

/// What the operation asks for, and never less than its path does. Public is only what says that it needs nothing; what cannot
/// be read is for admins.
fn access(path: &str, operation: &Operation) -> Access {
    if path.starts_with("/api/v1/admin/") {
        return Access::Admin;
    }
    let Some(requirements) = &operation.security else { return Access::SignedIn };
    let requirements = serde_json::to_value(requirements).and_then(serde_json::from_value);
    let Ok(requirements): Result<Vec<BTreeMap<String, Vec<String>>>, _> = requirements else {
        return Access::Admin;
    };
    let names_admin =
        |requirement: &BTreeMap<_, Vec<String>>| requirement.values().flatten().any(|role| role == ADMIN);
    match requirements.as_slice() {
        any if any.iter().any(names_admin) => Access::Admin,
        any if any.iter().any(BTreeMap::is_empty) => {
            // One that takes the session cookie too weighs by itself what it is given.
            let takes_cookies = parameters(operation, &ParameterIn::Cookie).next().is_some();
            if takes_cookies || any.len() == 1 { Access::Public } else { Access::Optional }
        }
        _ => Access::SignedIn,
    }
}
