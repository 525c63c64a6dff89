//! The errors of each operation in the OpenAPI document: for every status the codes that it can have, each with an example.
//!
//! Most follow from the shape of an operation: it has a body, an id in its path (`post_id`: `post_not_found`), a sign-in, it deletes what
//! others may refer to. Problems of its domain are named at the operation, by the constants that
//! [`DomainError`](derive@shared_kernel::error::DomainError) makes:
//!
//! ```text
//! #[utoipa::path(…, extensions(("x-problems" = json!([UserError::EMAIL_TAKEN, UserError::USERNAME_TAKEN]))), …)]
//! ```
//!
//! That list is read here and left out of the document. Every answer that the tests receive is checked against the listed codes.

use std::collections::BTreeMap;

use actix_web::http::{Method, StatusCode};
use serde_json::Value;
use shared_kernel::error::{
    FieldError, INTERNAL, Invalid, PRECONDITION_FAILED, Problem, STILL_REFERENCED, UNAVAILABLE,
    VALIDATION_FAILED,
};
use shared_kernel::principal::Scope;
use utoipa::PartialSchema as _;
use utoipa::ToSchema as _;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{Schema, Type};
use utoipa::openapi::{
    Components, Content, ContentBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder,
};

use crate::contract::{self, Access, Credential, Requirement, Rule};
use crate::problem::{
    ADMIN_REQUIRED, ApiError, CONTENT_TYPE, INSUFFICIENT_SCOPE, MALFORMED, NOT_FOUND, ORIGIN_NOT_ALLOWED,
    ProblemCode, ProblemDocument, REAUTHENTICATION_REQUIRED, REQUEST_TIMEOUT, TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE, URI_TOO_LONG,
};

/// The member of an operation that names the problems of its domain.
const PROBLEMS: &str = "x-problems";

/// The problems that answers are made of.
#[derive(Debug)]
pub struct Problems {
    /// All problems that an answer can name.
    pub catalogue: Vec<&'static Problem>,
    /// Problem of the [`Authenticator`](crate::authenticator::Authenticator) for missing or invalid credentials.
    pub unauthenticated: &'static Problem,
}

/// The problems that answers are made of, and the schemas of the document.
pub(super) struct Answers<'d> {
    problems: &'d Problems,
    components: &'d Components,
}

/// The schema of a code: one of those in the catalogue.
pub(super) fn codes(catalogue: &[&'static Problem]) -> (String, RefOr<Schema>) {
    let mut schema = ProblemCode::schema();
    if let RefOr::T(Schema::Object(schema)) = &mut schema {
        schema.enum_values = Some(catalogue.iter().map(|problem| problem.code.into()).collect());
    }
    (ProblemCode::name().into_owned(), schema)
}

impl<'d> Answers<'d> {
    pub(super) fn new(problems: &'d Problems, components: &'d Components) -> Self {
        Self { problems, components }
    }

    /// Adds every error to an operation that it can answer with, and the headers that answers have.
    pub(super) fn add_to(&self, method: &Method, path: &str, operation: &mut Operation, rule: &Rule) {
        let mut by_status: BTreeMap<StatusCode, Vec<&'static Problem>> = BTreeMap::new();
        for problem in self.implied(method, path, operation, rule).into_iter().chain(self.named(operation)) {
            let of_status = by_status.entry(ApiError::new(problem, "").status()).or_default();
            // What follows from the operation may be named as well.
            if !of_status.contains(&problem) {
                of_status.push(problem);
            }
        }
        let instance = self.concrete(path, operation);
        for (status, problems) in by_status {
            let content = self.content(&problems, &instance, operation);
            let place = operation.responses.responses.entry(status.as_str().to_owned());
            if let RefOr::T(response) = place.or_insert_with(|| response(&problems).into()) {
                merge(response, content);
                if let Some(name) = header_of(status) {
                    add_header(response, name);
                }
            }
        }
        for response in operation.responses.responses.values_mut() {
            if let RefOr::T(response) = response {
                add_header(response, REQUEST_ID);
            }
        }
    }

    /// The problems that the operation names. An unknown code stays in the document, where a test finds it.
    fn named(&self, operation: &mut Operation) -> Vec<&'static Problem> {
        let Some(extensions) = &mut operation.extensions else { return Vec::new() };
        let codes = extensions.get(PROBLEMS).and_then(Value::as_array).into_iter().flatten();
        let of_code =
            |code: &Value| self.problems.catalogue.iter().find(|problem| code == problem.code).copied();
        let Some(problems) = codes.map(of_code).collect::<Option<Vec<_>>>() else { return Vec::new() };
        extensions.remove(PROBLEMS);
        if extensions.is_empty() {
            operation.extensions = None;
        }
        problems
    }

    /// The problems that follow from the shape of the operation.
    fn implied(
        &self,
        method: &Method,
        path: &str,
        operation: &Operation,
        rule: &Rule,
    ) -> Vec<&'static Problem> {
        let mut problems = vec![&URI_TOO_LONG, &MALFORMED, &VALIDATION_FAILED, &INTERNAL, &UNAVAILABLE];
        if rule.access != Access::Public {
            problems.push(self.problems.unauthenticated);
        }
        if let Access::Requires(requirements) = &rule.access {
            problems.extend(requirements.iter().map(refusal_of));
        }
        // Operations that read the session cookie refuse it from foreign pages.
        if rule.credentials.contains(&Credential::Cookie) {
            problems.push(&ORIGIN_NOT_ALLOWED);
        }
        // Malformed ids are not found.
        if path.contains('{') {
            problems.push(&NOT_FOUND);
        }
        problems.extend(
            contract::parameters(operation, &ParameterIn::Path).filter_map(|id| self.missing(&id.name)),
        );
        if operation.request_body.is_some() {
            problems.extend([&REQUEST_TIMEOUT, &TOO_LARGE, &UNSUPPORTED_MEDIA_TYPE]);
        }
        let mut headers = contract::parameters(operation, &ParameterIn::Header);
        if headers.any(|parameter| parameter.name.eq_ignore_ascii_case("if-match")) {
            problems.push(&PRECONDITION_FAILED);
            // What has versions is a row, and rows may refer to it.
            if method == Method::DELETE {
                problems.push(&STILL_REFERENCED);
            }
        }
        problems
    }

    /// That nothing has the id in the path: of `post_id` it is `post_not_found`, if a domain has that.
    fn missing(&self, parameter: &str) -> Option<&'static Problem> {
        let code = format!("{}_not_found", parameter.strip_suffix("_id")?);
        self.problems.catalogue.iter().find(|problem| problem.code == code).copied()
    }

    fn content(&self, problems: &[&'static Problem], instance: &str, operation: &Operation) -> Content {
        let examples = problems.iter().copied().map(|problem| {
            let value = self.example(problem, instance, operation);
            (problem.code, ExampleBuilder::new().summary(problem.title).value(Some(value)).build())
        });
        let schema = Ref::from_schema_name(ProblemDocument::name());
        ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build()
    }

    /// An example of a problem, as this operation would answer it.
    fn example(&self, problem: &'static Problem, instance: &str, operation: &Operation) -> Value {
        let occurrence = if *problem == VALIDATION_FAILED {
            ApiError::from(self.refusal(operation))
        } else {
            let fields = problem.field.map(|(pointer, code)| FieldError::new(pointer, code, problem.example));
            ApiError::new(problem, example_detail(problem, operation)).with_fields(fields)
        };
        occurrence.body("req_01J9ZC3V8T5Q4X2M7N6P0R1S2T", instance)
    }

    /// A rule of this operation that a request may break: a required field is missing, or a field is unknown.
    fn refusal(&self, operation: &Operation) -> Invalid {
        let body = operation.request_body.as_ref().and_then(|body| match body {
            RefOr::T(body) => body.content.values().next(),
            RefOr::Ref(_) => None,
        });
        let schema = body.and_then(|content| match content {
            RefOr::T(content) => content.schema.as_ref(),
            RefOr::Ref(_) => None,
        });
        match schema {
            None => Invalid::field("/colour", "unknown_parameter", "is not a parameter of this operation"),
            Some(schema) => match self.resolved(schema) {
                Some(Schema::Object(object)) if !object.required.is_empty() => {
                    Invalid::field(format!("/{}", object.required[0]), "required", "is required")
                }
                _ => Invalid::field("/colour", "unknown_field", "is not a field of this request"),
            },
        }
    }

    /// The path with an example id in place of each parameter.
    fn concrete(&self, path: &str, operation: &Operation) -> String {
        contract::parameters(operation, &ParameterIn::Path).fold(path.to_owned(), |path, parameter| {
            let schema = parameter.schema.as_ref().and_then(|schema| self.resolved(schema));
            let example = match schema {
                Some(Schema::Object(object)) => object.examples.first().and_then(Value::as_str),
                _ => None,
            };
            let parameter = format!("{{{}}}", parameter.name);
            example.map_or_else(|| path.clone(), |example| path.replace(&parameter, example))
        })
    }

    fn resolved<'s>(&'s self, schema: &'s RefOr<Schema>) -> Option<&'s Schema> {
        match schema {
            RefOr::T(schema) => Some(schema),
            RefOr::Ref(reference) => {
                let name = reference.ref_location.rsplit('/').next()?;
                match self.components.schemas.get(name)? {
                    RefOr::T(schema) => Some(schema),
                    RefOr::Ref(_) => None,
                }
            }
        }
    }
}

/// The problem for a caller who does not meet a requirement.
fn refusal_of(requirement: &Requirement) -> &'static Problem {
    match requirement {
        Requirement::Scope(scope) if *scope == Scope::ADMIN => &ADMIN_REQUIRED,
        Requirement::Scope(_) => &INSUFFICIENT_SCOPE,
        Requirement::Fresh(_) => &REAUTHENTICATION_REQUIRED,
    }
}

/// The `detail`, if it depends on the operation.
fn example_detail(problem: &Problem, operation: &Operation) -> String {
    match &operation.request_body {
        Some(RefOr::T(body)) if *problem == UNSUPPORTED_MEDIA_TYPE => {
            let types: Vec<&str> = body.content.keys().map(String::as_str).collect();
            format!("the body must be {}, uncompressed", types.join(" or "))
        }
        Some(_) | None => problem.example.to_owned(),
    }
}

/// A response with these problems.
fn response(problems: &[&'static Problem]) -> Response {
    let titles = problems.iter().map(|problem| format!("`{}`: {}.", problem.code, problem.title));
    let description = match problems {
        [_] => titles.collect(),
        _ => titles.map(|title| format!("- {title}")).collect::<Vec<_>>().join("\n"),
    };
    ResponseBuilder::new().description(description).build()
}

/// Headers of many responses, which refer to them.
///
/// `Allow` is not among them: a 405 answers a method that has no operation, so there is no place for it in the document.
pub(super) fn headers() -> impl Iterator<Item = (String, RefOr<Header>)> {
    let header = |(name, kind, description): (&str, Type, &str)| {
        let schema = ObjectBuilder::new().schema_type(kind).build();
        let header = HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build();
        (name.to_owned(), header.into())
    };
    [
        (REQUEST_ID, Type::String, "Id of the request, as in problem documents and in the log."),
        (CHALLENGE, Type::String, "The scheme to authenticate by (RFC 9110, section 11.6.1)."),
        (RETRY_AFTER, Type::Integer, "The number of seconds after which to try again."),
    ]
    .into_iter()
    .map(header)
}

const REQUEST_ID: &str = "X-Request-Id";
const CHALLENGE: &str = "WWW-Authenticate";
const RETRY_AFTER: &str = "Retry-After";

/// The header that every problem of this status comes with.
fn header_of(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::UNAUTHORIZED => Some(CHALLENGE),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Some(RETRY_AFTER),
        _ => None,
    }
}

fn add_header(response: &mut Response, name: &str) {
    let reference = Ref::new(format!("#/components/headers/{name}"));
    response.headers.insert(name.to_owned(), RefOr::Ref(reference));
}

/// Adds the examples to the response that the operation declares for this status; its own examples stay.
fn merge(response: &mut Response, mut content: Content) {
    if let Some(RefOr::T(own)) = response.content.get_mut(CONTENT_TYPE) {
        content.examples.append(&mut own.examples);
        // A response with more members than a problem has a schema of its own.
        content.schema = own.schema.take().or(content.schema);
    }
    response.content.insert(CONTENT_TYPE.to_owned(), content.into());
}
