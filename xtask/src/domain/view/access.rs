//! The permissions on the rows of a domain, in words and in code.

use serde::Serialize;

use super::Specs;
use super::fixtures::closure;
use super::wording::{type_of, words};
use crate::domain::names::capitalized;
use crate::domain::spec::{Field, Spec};

pub(crate) fn access(spec: &Spec) -> String {
    let writer = if spec.admin_only { "an admin" } else { "a signed-in user" };
    let whose = spec.owner().map(|owner| words(&owner.column().replace("_id", "")));
    match (&whose, spec.public_read) {
        (Some(whose), true) => format!(
            "Everyone may read them; {writer} may create one, and only its {whose} may change or delete it."
        ),
        (Some(whose), false) => {
            format!("Each belongs to its {whose}: {writer} may create one, and it is not visible to others.")
        }
        (None, true) => format!("Everyone may read them; {writer} may create, change and delete them."),
        (None, false) => format!("{} may read, create, change and delete them.", capitalized(writer)),
    }
}

pub(super) fn who_writes(spec: &Spec) -> &'static str {
    if spec.admin_only { "admins" } else { "signed-in users" }
}

pub(super) fn who_reads(spec: &Spec) -> String {
    match spec.owner() {
        _ if spec.public_read => "everyone".to_owned(),
        Some(_) => "its owner".to_owned(),
        None => who_writes(spec).to_owned(),
    }
}

/// Whether only an admin can create such a row, or a row to which it must refer.
pub(super) fn needs_admin(spec: &Spec, specs: &Specs) -> bool {
    let others = closure(spec, specs);
    spec.admin_only || others.iter().filter_map(|name| specs.get(name)).any(|target| target.admin_only)
}

/// The conditions for the implementation of `Scoped`.
#[derive(Serialize)]
pub(crate) struct Scope {
    visible_words: &'static str,
    visible_parameter: &'static str,
    visible_condition: String,
    /// `None` if it is the same condition as for reading.
    changeable_condition: Option<String>,
}

pub(super) fn scope(spec: &Spec) -> Scope {
    let own = |owner: &Field| {
        format!("Condition::all().add(owned_by(principal, Column::{}))", type_of(&owner.column()))
    };
    let (visible_words, visible_parameter, visible_condition) = match spec.owner() {
        _ if spec.public_read => ("All rows, for everyone.", "_", "Condition::all()".into()),
        Some(owner) => ("The caller's own rows.", "principal", own(owner)),
        None if spec.admin_only => (
            "All rows for admins, none for others.",
            "principal",
            "Condition::all().add(Expr::val(principal.is_some_and(Principal::is_admin)))".into(),
        ),
        None => ("All rows, for every signed-in user.", "_", "Condition::all()".into()),
    };
    // If everyone may read the rows, the condition for changes differs.
    let changeable_condition = match spec.owner() {
        _ if !spec.public_read => None,
        Some(owner) => Some(own(owner)),
        None => spec.admin_only.then(|| "Condition::all().add(Expr::val(principal.is_admin()))".into()),
    };
    Scope { visible_words, visible_parameter, visible_condition, changeable_condition }
}
