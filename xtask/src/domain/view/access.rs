//! Who may do what with the rows of a domain, in words and in code.

use super::House;
use super::fixtures::closure;
use super::wording::{type_of, words};
use crate::domain::names::capitalized;
use crate::domain::spec::Spec;

pub(crate) fn access(spec: &Spec) -> String {
    let writer = if spec.admin_only { "an admin" } else { "whoever is signed in" };
    let whose = spec.owner().map(|owner| words(&owner.column().replace("_id", "")));
    match (&whose, spec.public_read) {
        (Some(whose), true) => format!(
            "Everyone may read them; {writer} may make one, and only its {whose} may change or delete it."
        ),
        (Some(whose), false) => format!(
            "Each belongs to its {whose}: {writer} may make one, and for anybody else it is not there."
        ),
        (None, true) => format!("Everyone may read them; {writer} may make, change and delete them."),
        (None, false) => format!("{} may read, make, change and delete them.", capitalized(writer)),
    }
}

pub(super) fn who_writes(spec: &Spec) -> &'static str {
    if spec.admin_only { "admins" } else { "who is signed in" }
}

pub(super) fn who_reads(spec: &Spec) -> String {
    match spec.owner() {
        _ if spec.public_read => "everyone".to_owned(),
        Some(_) => "its owner".to_owned(),
        None => who_writes(spec).to_owned(),
    }
}

/// Only an admin can make one: of these, or of what these need.
pub(super) fn needs_admin(spec: &Spec, house: &House) -> bool {
    let others = closure(spec, house);
    spec.admin_only || others.iter().filter_map(|name| house.get(name)).any(|target| target.admin_only)
}

pub(super) fn visibility(spec: &Spec) -> (&'static str, &'static str, String) {
    match spec.owner() {
        _ if spec.public_read => ("all of them", "_principal", "Condition::all()".into()),
        Some(owner) => (
            "one's own",
            "principal",
            format!("Condition::all().add(owned_by(principal, Column::{}))", type_of(&owner.column())),
        ),
        None if spec.admin_only => (
            "all of them for an admin, and none for others",
            "principal",
            "Condition::all().add(sea_orm::sea_query::Expr::val(principal.is_admin()))".into(),
        ),
        None => ("all of them", "_principal", "Condition::all()".into()),
    }
}
