//! The view of a domain without a table for its templates.

use std::collections::BTreeSet;

use serde::Serialize;

use super::wording::{list, service_type, type_of, words, words_of_plural};
use super::{Specs, View, view};
use crate::domain::composition::Composition;
use crate::domain::spec::Spec;

/// Dependencies of every domain without a table.
const DEPENDENCIES: [&str; 5] = ["garde", "serde", "shared-kernel", "thiserror", "utoipa"];

/// A domain without a table.
#[derive(Serialize)]
pub(crate) struct CompositionView {
    #[serde(flatten)]
    domain: View,
    /// The domains that it builds on.
    on: Vec<Target>,
    on_words: String,
    dependencies: BTreeSet<String>,
}

/// A domain that it builds on.
#[derive(Serialize)]
struct Target {
    name: String,
    #[serde(rename = "Type")]
    type_name: String,
    #[serde(rename = "Service")]
    service: String,
    plural: String,
    prefix: String,
    words: String,
    many: String,
    public_read: bool,
    has_uploads: bool,
}

/// The view of a domain without a table in its workspace, which has the domains that it builds on.
pub(crate) fn composition(composition: &Composition, specs: &Specs) -> CompositionView {
    let others = || composition.on.iter().filter_map(|name| specs.get(name));
    let on: Vec<Target> = others().map(target).collect();
    let mut domain = view(&composition.spec(), specs);
    domain.has_uploads = on.iter().any(|target| target.has_uploads);
    let files = domain.has_uploads.then_some("upload-port");
    let dependencies = DEPENDENCIES.into_iter().chain(files).map(str::to_owned);
    CompositionView {
        dependencies: dependencies.chain(composition.on.iter().cloned()).collect(),
        on_words: list(&others().map(words_of_plural).collect::<Vec<_>>(), "and"),
        on,
        domain,
    }
}

fn target(spec: &Spec) -> Target {
    Target {
        name: spec.name.clone(),
        type_name: type_of(&spec.name),
        service: service_type(spec),
        plural: spec.plural.clone(),
        prefix: spec.prefix.clone(),
        many: words_of_plural(spec),
        words: words(&spec.name),
        public_read: spec.public_read,
        has_uploads: spec.has_files(),
    }
}
