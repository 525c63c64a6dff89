//! The rows that tests create: those of a domain, and those of others to which they refer.

use serde::Serialize;

use super::Specs;
use super::field::FieldView;
use super::wording::{article, route, words};
use crate::domain::samples;
use crate::domain::spec::{Field, Kind, Spec};

/// The view of the tests.
#[expect(clippy::struct_excessive_bools, reason = "the templates use each by name")]
#[derive(Serialize)]
pub(super) struct Tests {
    /// Number of possible rows that differ in all unique fields.
    rows: usize,
    /// The tests of the crate create rows of other tables: of uploads, or of other domains.
    elsewhere_made: bool,
    refers_to_upload: bool,
    makes_uploads: bool,
    /// Every unique field is a reference, so that bodies do not conflict by themselves.
    unique_only_references: bool,
    body_asks: bool,
    body_asks_account: bool,
    /// The tables in which the tests of the crate create rows.
    targets: Vec<Target>,
    /// The domains of which the black-box tests create rows over HTTP.
    remote: Vec<Remote>,
}

/// A row of another table in the tests of the crate.
#[derive(Serialize)]
struct Target {
    name: String,
    table: String,
    prefix: String,
    /// The domain refers to it directly.
    direct: bool,
    /// Its values differ by a number.
    numbered: bool,
    /// Columns and values.
    members: Vec<(String, String)>,
    needs: Vec<Need>,
}

/// A kind of row that must exist first.
#[derive(Clone, Serialize)]
struct Need {
    name: String,
}

/// A row of another domain in the black-box tests.
#[derive(Serialize)]
struct Remote {
    name: String,
    route: String,
    words: String,
    a: &'static str,
    numbered: bool,
    members: Vec<(String, String)>,
    needs: Vec<Need>,
}

/// The rows of other domains to which rows of `spec` refer, except owners, which always exist.
fn needed(spec: &Spec) -> Vec<String> {
    let mut needed = Vec::new();
    for field in spec.fields.iter().filter(|field| !field.owner) {
        let domain = match &field.kind {
            Kind::Upload => "upload",
            Kind::Ref(domain) if *domain != spec.name => domain,
            _ => continue,
        };
        if !needed.iter().any(|known| known == domain) {
            needed.push(domain.to_owned());
        }
    }
    needed
}

fn required_needs(spec: &Spec) -> Vec<String> {
    let required = Spec {
        fields: spec.fields.iter().filter(|field| !field.optional).cloned().collect(),
        ..spec.clone()
    };
    needed(&required)
}

/// The generated domains whose rows must exist, each after those to which it refers.
pub(super) fn closure(spec: &Spec, specs: &Specs) -> Vec<String> {
    fn visit(name: &str, specs: &Specs, done: &mut Vec<String>) {
        if done.iter().any(|known| known == name) {
            return;
        }
        let Some(target) = specs.get(name) else { return };
        for next in required_needs(target) {
            visit(&next, specs, done);
        }
        done.push(name.to_owned());
    }
    let mut done = Vec::new();
    for name in needed(spec) {
        visit(&name, specs, &mut done);
    }
    done.retain(|name| *name != spec.name);
    done
}

pub(super) fn tests(spec: &Spec, specs: &Specs, fields: &[FieldView]) -> Tests {
    let closure = closure(spec, specs);
    let settable = || fields.iter().filter(|field| !field.owner);
    let required = |domain: Option<&str>| {
        settable().any(|field| {
            let to = field.reference.as_ref().map(|reference| reference.domain.as_str());
            !field.optional && to.is_some() && (domain.is_none() || to == domain)
        })
    };
    let remote: Vec<Remote> = closure.iter().filter_map(|name| Some(remote(specs.get(name)?))).collect();
    let targets: Vec<Target> =
        closure.iter().filter_map(|name| Some(target(specs.get(name)?, &needed(spec)))).collect();
    let refers_to_upload = needed(spec).iter().any(|name| name == "upload");
    let uniques = || settable().filter(|field| field.unique);
    Tests {
        rows: spec
            .fields
            .iter()
            .filter(|field| field.unique)
            .map(samples::distinct)
            .min()
            .unwrap_or(5)
            .min(5),
        elsewhere_made: refers_to_upload || !targets.is_empty(),
        refers_to_upload,
        makes_uploads: refers_to_upload
            || targets.iter().any(|target| target.needs.iter().any(|need| need.name == "upload")),
        unique_only_references: uniques().all(|field| field.reference.is_some()),
        body_asks: required(None),
        body_asks_account: settable().any(|field| {
            !field.optional && field.reference.as_ref().is_some_and(|reference| reference.domain != "user")
        }),
        targets,
        remote,
    }
}

fn target(spec: &Spec, direct: &[String]) -> Target {
    let mut members = Vec::new();
    for field in spec.fields.iter().filter(|field| !field.optional) {
        let value = match &field.kind {
            Kind::Ref(_) if field.owner => "world.ada.user()".to_owned(),
            Kind::Ref(domain) => domain.clone(),
            Kind::Upload => "upload".to_owned(),
            _ => samples::sample(field, &words(&field.name)).value,
        };
        members.push((field.column(), value.clone()));
        members.extend(field.normalized_column().map(|shadow| (shadow, value)));
    }
    Target {
        direct: direct.contains(&spec.name),
        table: spec.plural.clone(),
        prefix: spec.prefix.clone(),
        numbered: members.iter().any(|(_, value)| value.contains("number")),
        members,
        needs: required_needs(spec).into_iter().map(|name| Need { name }).collect(),
        name: spec.name.clone(),
    }
}

fn remote(spec: &Spec) -> Remote {
    let members =
        spec.fields.iter().filter(|field| !field.optional && !field.owner && field.default.is_none());
    let member = |field: &Field| {
        let value = match &field.kind {
            Kind::Ref(domain) if domain == "user" => "account.id".to_owned(),
            Kind::Ref(domain) => domain.clone(),
            Kind::Upload => "upload".to_owned(),
            _ => samples::sample(field, &words(&field.name)).value,
        };
        (field.column(), value)
    };
    let name = words(&spec.name);
    let members: Vec<_> = members.map(member).collect();
    Remote {
        route: route(spec),
        a: article(&name),
        words: name,
        numbered: members.iter().any(|(_, value)| value.contains("number")),
        members,
        needs: required_needs(spec)
            .into_iter()
            .filter(|name| name != "user")
            .map(|name| Need { name })
            .collect(),
        name: spec.name.clone(),
    }
}
