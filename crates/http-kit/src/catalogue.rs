//! All problems of the API, each with the operations that can answer with it, for the pages at `/problems/{code}`.

use std::collections::BTreeMap;

use shared_kernel::error::Problem;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, RefOr};

use crate::contract::operations;
use crate::problem::CONTENT_TYPE;

/// All problems that an answer can name, by code.
#[derive(Debug)]
pub struct Catalogue {
    entries: BTreeMap<&'static str, Entry>,
    /// Number of operations in the document.
    operations: usize,
}

/// A problem, and where it occurs.
#[derive(Debug)]
pub struct Entry {
    /// The problem.
    pub problem: &'static Problem,
    /// Operations that list its code.
    pub operations: Vec<OperationLink>,
}

/// What a page says of an operation.
#[derive(Clone, Debug)]
pub struct OperationLink {
    /// Method and path.
    pub name: String,
    /// Its first line in the document.
    pub summary: String,
    /// Its place in Swagger UI, below `/docs`.
    pub fragment: String,
}

impl Catalogue {
    /// The catalogue of these problems in a document.
    #[must_use]
    pub fn new(problems: impl IntoIterator<Item = &'static Problem>, document: &OpenApi) -> Self {
        let entry = |problem: &'static Problem| (problem.code, Entry { problem, operations: Vec::new() });
        let mut catalogue = Self { entries: problems.into_iter().map(entry).collect(), operations: 0 };
        for (path, item) in &document.paths.paths {
            for (method, operation) in operations(item) {
                catalogue.operations += 1;
                catalogue.add(&link(method, path, operation), operation);
            }
        }
        catalogue
    }

    fn add(&mut self, link: &OperationLink, operation: &Operation) {
        for code in codes(operation) {
            if let Some(entry) = self.entries.get_mut(code) {
                entry.operations.push(link.clone());
            }
        }
    }

    /// The entries in the order of their codes.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The entry of a code.
    #[must_use]
    pub fn get(&self, code: &str) -> Option<&Entry> {
        self.entries.get(code)
    }

    /// Whether every operation can answer with the problem.
    #[must_use]
    pub fn is_everywhere(&self, entry: &Entry) -> bool {
        entry.operations.len() == self.operations
    }
}

fn link(method: &str, path: &str, operation: &Operation) -> OperationLink {
    let tag = operation.tags.iter().flatten().next().map_or("default", String::as_str);
    OperationLink {
        name: format!("{method} {path}"),
        summary: operation.summary.clone().unwrap_or_default(),
        fragment: format!("/{tag}/{}", operation.operation_id.as_deref().unwrap_or_default()),
    }
}

/// The codes of errors that an operation lists. A code belongs to one status, so none occurs twice.
fn codes(operation: &Operation) -> impl Iterator<Item = &str> {
    let responses = operation.responses.responses.values();
    let contents = responses.filter_map(|response| match response {
        RefOr::T(response) => response.content.get(CONTENT_TYPE),
        RefOr::Ref(_) => None,
    });
    contents.flat_map(|content| match content {
        RefOr::T(content) => content.examples.keys().map(String::as_str).collect(),
        RefOr::Ref(_) => Vec::new(),
    })
}
