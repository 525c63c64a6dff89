//! What a command writes as asked, although it may not be meant.

use super::spec::{Field, Kind, Readers, Spec};
use super::view::{Specs, words};

/// One sentence for each of these fields that may not mean what was meant.
pub(crate) fn warnings(spec: &Spec, fields: &[Field], specs: &Specs) -> Vec<String> {
    let of_field = |field: &Field| [wider(spec, field, specs), astray(spec, field)];
    fields.iter().flat_map(of_field).flatten().collect()
}

/// More people may read the rows than those that they refer to.
fn wider(spec: &Spec, field: &Field, specs: &Specs) -> Option<String> {
    let Kind::Ref(name) = &field.kind else { return None };
    let target = specs.get(name).filter(|target| spec.readers() > target.readers())?;
    let (one, rows, theirs) = (words(&target.name), words(&spec.plural), field.column());
    Some(format!(
        "{} read {rows}, and {} the {one} in `{theirs}`: whoever reads a {} learns the id of a {one} that they can't read. \
         If {rows} should be as private as that, {}",
        readers(spec.readers()),
        only(target.readers()),
        words(&spec.name),
        narrower(spec, target.readers()),
    ))
}

fn readers(readers: Readers) -> &'static str {
    match readers {
        Readers::Admins => "admins can",
        Readers::Owner => "owners can",
        Readers::SignedIn => "all signed-in users can",
        Readers::Everyone => "everyone can",
    }
}

fn only(readers: Readers) -> &'static str {
    match readers {
        Readers::Admins => "only admins can read",
        Readers::Owner => "only its owner can read",
        Readers::SignedIn | Readers::Everyone => "only signed-in users can read",
    }
}

/// What to write for no more readers than those.
fn narrower(spec: &Spec, readers: Readers) -> &'static str {
    match (spec.public_read, readers) {
        (true, Readers::Admins) => "write `--admin-only` without `--public-read`",
        (true, _) => "leave out `--public-read`",
        (false, Readers::Admins) => "write `--admin-only`",
        (false, _) => "give them an owner (`author:ref=user:owner`)",
    }
}

/// A reference to a row of the same domain, which may belong elsewhere.
fn astray(spec: &Spec, field: &Field) -> Option<String> {
    if field.kind != Kind::Ref(spec.name.clone()) || field.within.is_some() {
        return None;
    }
    let common = spec.common_references();
    let first = common.iter().find(|common| !common.optional).or_else(|| common.first())?;
    Some(format!(
        "the {} in `{}` may have another `{}` than the row itself. If that would be wrong, write `{field}:within={}`",
        words(&spec.name),
        field.column(),
        first.column(),
        first.name,
    ))
}
