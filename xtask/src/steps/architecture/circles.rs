//! Circles of imports between the modules of a crate.
//!
//! The check compares the children of each module with each other; a child includes all modules below it. Without circles, one of two
//! modules can always be read, tested and moved without the other; each exception has a reason. Code under `#[cfg(test)]` is not checked.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Facts, Member};
use super::imports::{ModulePath, Modules};

/// A circle that is allowed.
struct Exception {
    member: &'static str,
    /// Path of the parent of these modules, from the root of the crate.
    parent: &'static str,
    modules: &'static [&'static str],
    reason: &'static str,
}

/// The allowed circles, each with its reason.
const EXCEPTIONS: &[Exception] = &[
    Exception {
        member: "xtask",
        parent: "",
        modules: &["domain", "steps"],
        reason: "commands of the generator end with the step that writes the OpenAPI document, and a step tests the generator",
    },
    Exception {
        member: "xtask",
        parent: "domain",
        modules: &["samples", "view"],
        reason: "samples are written as the view writes values",
    },
    Exception {
        member: "xtask",
        parent: "domain::grammar",
        modules: &["range", "values"],
        reason: "the bounds of a field are values, and the values of a field lie within its bounds",
    },
    Exception {
        member: "xtask",
        parent: "domain::view",
        modules: &["field", "schema", "table", "typed"],
        reason: "one description of a field, in several files because it is long",
    },
];

/// One sentence for each circle without a reason, and for each reason without a circle.
pub(super) fn circles(facts: &Facts) -> Vec<String> {
    let mut needed = BTreeSet::new();
    let mut broken = Vec::new();
    for member in &facts.members {
        for (parent, circle) in circles_of(&member.modules) {
            match exception(member, &parent, &circle) {
                Some(number) => {
                    needed.insert(number);
                }
                None => broken.push(sentence(member, &parent, &circle)),
            }
        }
    }
    let idle = EXCEPTIONS.iter().enumerate().filter(|(number, exception)| {
        let is_there = facts.members.iter().any(|member| member.name == exception.member);
        is_there && !needed.contains(number)
    });
    broken.extend(idle.map(|(_, Exception { member, modules, reason, .. })| {
        format!("{member} has no circle of {} any more: remove the exception ({reason}) from xtask/src/steps/architecture/circles.rs.", modules.join(", "))
    }));
    broken
}

fn exception(member: &Member, parent: &str, circle: &BTreeSet<String>) -> Option<usize> {
    EXCEPTIONS.iter().position(|exception| {
        let all = circle.iter().all(|module| exception.modules.contains(&module.as_str()));
        all && exception.member == member.name && exception.parent == parent
    })
}

fn sentence(member: &Member, parent: &str, circle: &BTreeSet<String>) -> String {
    let (name, list) = (&member.name, circle.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
    let place = if parent.is_empty() { String::new() } else { format!(" below {parent}") };
    format!(
        "{name} has modules{place} that import each other in a circle ({list}), so none of them can be understood alone: move the code that they share into a module below them, or the code that joins them into one above; xtask/src/steps/architecture/circles.rs lists the exceptions, each with its reason."
    )
}

/// The circles among the children of each module: the module, and those that import each other.
fn circles_of(modules: &Modules) -> Vec<(String, BTreeSet<String>)> {
    let parents = modules.known.iter().filter_map(|path| path.split_last()).map(|(_, parent)| parent);
    let parents: BTreeSet<&[String]> = parents.collect();
    let of = |parent: &&[String]| {
        let name = parent.join("::");
        mutual(&edges(modules, parent)).into_iter().map(move |circle| (name.clone(), circle))
    };
    parents.iter().flat_map(of).collect()
}

/// For each child of `parent`, the other children that it imports.
fn edges(modules: &Modules, parent: &[String]) -> BTreeMap<String, BTreeSet<String>> {
    let child = |path: &ModulePath| {
        let below = path.strip_prefix(parent)?.first()?;
        let child = [parent, std::slice::from_ref(below)].concat();
        modules.known.contains(&child).then(|| below.clone())
    };
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in modules.imports() {
        if let (Some(from), Some(to)) = (child(from), child(to))
            && from != to
        {
            edges.entry(from).or_default().insert(to);
        }
    }
    edges
}

/// The sets of modules that reach each other.
fn mutual(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reach: BTreeMap<&String, BTreeSet<&String>> =
        edges.keys().map(|from| (from, reached(edges, from))).collect();
    let together = |a: &String, b: &String| {
        reach.get(a).is_some_and(|of_a| of_a.contains(b)) && reach.get(b).is_some_and(|of_b| of_b.contains(a))
    };
    let circles: BTreeSet<BTreeSet<String>> = edges
        .keys()
        .map(|one| edges.keys().filter(|other| together(one, other)).cloned().collect())
        .filter(|circle: &BTreeSet<String>| !circle.is_empty())
        .collect();
    circles.into_iter().collect()
}

fn reached<'e>(edges: &'e BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<&'e String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&String> = edges.get(from).into_iter().flatten().collect();
    while let Some(next) = open.pop() {
        if reached.insert(next) {
            open.extend(edges.get(next).into_iter().flatten());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::steps::architecture::imports::module_of;

    fn modules(files: &[(&str, &str)]) -> Modules {
        let mut modules = Modules::default();
        for (file, text) in files {
            modules.add(&module_of(Path::new(file)), text).unwrap();
        }
        modules
    }

    fn found(files: &[(&str, &str)]) -> Vec<(String, Vec<String>)> {
        let circles = circles_of(&modules(files)).into_iter();
        circles.map(|(parent, circle)| (parent, circle.into_iter().collect())).collect()
    }

    fn circle(parent: &str, modules: &[&str]) -> (String, Vec<String>) {
        (parent.to_owned(), modules.iter().map(|&module| module.to_owned()).collect())
    }

    #[test]
    fn a_circle_is_found_however_it_is_written() {
        for import in [
            "use crate::a::A;",
            "use crate::{a, c};",
            "use crate::{c::C, a::{self, A}};",
            "use super::a::A as B;",
            "use super::{c, a::*};",
            "fn f() -> crate::a::A { todo() }",
            "fn f() { let x = vec![crate::a::A]; }",
            "mod inside { use super::super::a::A; }",
            "pub use super::a::A;",
        ] {
            let files = [
                ("lib.rs", "mod a; mod b; mod c;"),
                ("a.rs", "use crate::b::B;"),
                ("b.rs", import),
                ("c.rs", ""),
            ];
            assert_eq!(found(&files), [circle("", &["a", "b"])], "{import}");
        }
    }

    #[test]
    fn what_is_no_import_of_a_module_makes_no_circle() {
        for harmless in [
            "// use crate::a::A;",
            "/// See [`crate::a::A`].\nstruct B;",
            "fn f() { let path = \"crate::a::A\"; }",
            "use other::a::A; use other::crate_a::a;",
            "#[cfg(test)] mod tests { use crate::a::A; }",
            "#[cfg(test)] use crate::a::A;",
            "use crate::Root;",
            "fn f(self: Self) { self.a() }",
            "pub(crate) fn f() {} pub(in crate::b) fn g() {}",
            "use self::inside::B; mod inside {}",
        ] {
            let files = [("lib.rs", ""), ("a.rs", "use crate::b::B;"), ("b.rs", harmless)];
            assert_eq!(found(&files), [], "{harmless}");
        }
    }

    #[test]
    fn a_module_is_one_with_what_is_below_it() {
        let through = [
            ("lib.rs", ""),
            ("a/mod.rs", "mod deep; pub use self::deep::D;"),
            ("a/deep.rs", "use super::A; use crate::b::B;"),
            ("b.rs", "use crate::a::A;"),
        ];
        assert_eq!(found(&through), [circle("", &["a", "b"])]);
        let below = [
            ("main.rs", ""),
            ("a.rs", ""),
            ("a/one.rs", "use super::two::T;"),
            ("a/two.rs", "use crate::a::three::T;"),
            ("a/three.rs", "use super::one::O;"),
        ];
        assert_eq!(found(&below), [circle("a", &["one", "three", "two"])]);
    }

    #[test]
    fn a_file_for_tests_does_not_count() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "#[cfg(test)] mod tests;"),
            ("a/tests.rs", "use crate::b::B;"),
            ("b.rs", "use crate::a::A;"),
        ];
        assert_eq!(found(&files), []);
    }

    #[test]
    fn two_circles_are_two() {
        let files = [
            ("a.rs", "use crate::b;"),
            ("b.rs", "use crate::a; use crate::c;"),
            ("c.rs", "use crate::d;"),
            ("d.rs", "use crate::c;"),
        ];
        assert_eq!(found(&files), [circle("", &["a", "b"]), circle("", &["c", "d"])]);
    }
}
