//! The rules, each a function from the facts to one sentence for each place that breaks it.

use std::collections::BTreeSet;

use toml_edit::{DocumentMut, Item};

use super::facts::{Facts, MODULES, Member};
use crate::graph::Featured;

/// The crates below every domain, which use no web framework either.
const FOUNDATIONS: [&str; 5] = ["app-config", "configuration", "shared-kernel", "messaging", "migration"];

/// The derives of the kernel, which the kernel re-exports.
const KERNEL_DERIVE: &str = "kernel-derive";

/// The members that compose the domains.
const COMPOSERS: [&str; 2] = ["server", "tests"];

/// A crate of the framework, which depends on no domain and no product.
struct Framework {
    name: &'static str,
    /// The members that it may depend on, besides the list of features.
    may_use: &'static [&'static str],
    /// The members that may depend on it, besides [`COMPOSERS`].
    may_be_used_by: &'static [&'static str],
    /// The advice to a developer who needs more in it.
    instead: &'static str,
}

const FRAMEWORK: &[Framework] = &[
    Framework {
        name: "http-kit",
        may_use: &["shared-kernel", "transport"],
        may_be_used_by: &["app-kit"],
        instead: "let the server pass it what it needs, as a value in its State or a port that the server implements",
    },
    Framework {
        name: "app-config",
        may_use: &["configuration", "shared-kernel"],
        may_be_used_by: &["app-kit"],
        instead: "let the domain describe its keys in a section of its own, which its module reads",
    },
    Framework {
        name: "app-kit",
        may_use: &["app-config", "configuration", "http-kit", "messaging", "shared-kernel", "transport"],
        may_be_used_by: &[],
        instead: "let the server pass it what it needs, as a field of its Product or of a Module",
    },
];

/// The rules on which member may depend on which.
pub(super) fn dependencies(facts: &Facts) -> Vec<String> {
    let forbidden = facts
        .members
        .iter()
        .flat_map(|member| member.uses.iter().filter_map(|used| dependency(facts, member, used)));
    forbidden.chain(facts.domains().flat_map(idle_declarations)).collect()
}

/// The dependencies between domains, as the step prints them.
pub(super) fn domain_dependencies(facts: &Facts) -> Vec<String> {
    let of =
        |member: &Member| member.builds_on.iter().map(|used| format!("{} -> {used}", member.name)).collect();
    facts.domains().flat_map::<Vec<_>, _>(of).collect()
}

/// The domains that a domain declares to build on and does not depend on.
fn idle_declarations(member: &Member) -> impl Iterator<Item = String> {
    member.builds_on.difference(&member.uses).map(|idle| {
        format!(
            "{name} declares that it builds on {idle}, but does not depend on it: remove {idle} from `builds-on` in crates/{name}/Cargo.toml.",
            name = member.name
        )
    })
}

fn dependency(facts: &Facts, member: &Member, used: &str) -> Option<String> {
    let name = member.name.as_str();
    if name == "migration" && member.links.contains(used) {
        return Some(format!(
            "migration depends on {used}, so a change there would change what an old migration does: write tables and columns out in the migration."
        ));
    }
    if name == "configuration" && member.links.contains(used) {
        return Some(format!(
            "configuration depends on {used}, but that crate depends on no section and no domain: describe the keys of {used} in a section of its own."
        ));
    }
    if used == "server" && !COMPOSERS.contains(&name) {
        return Some(format!(
            "{name} depends on server, but only tests may depend on the server: move the code that both need into a crate below them."
        ));
    }
    if let Some(sentence) = FRAMEWORK.iter().find_map(|framework| framework_dependency(framework, name, used))
    {
        return Some(sentence);
    }
    if name == "shared-kernel" && member.links.contains(used) && used != KERNEL_DERIVE {
        return Some(format!(
            "shared-kernel depends on {used}, but every crate depends on the kernel: declare a port in the kernel (a trait that {used} implements and the server passes on), which reverses the dependency."
        ));
    }
    let is_domain = facts.domains().any(|domain| domain.name == used);
    let is_declared = member.is_domain() && member.builds_on.contains(used);
    if !is_domain || is_declared || COMPOSERS.contains(&name) {
        return None;
    }
    Some(format!(
        "{name} depends on the domain {used} and does not declare it, but domains know each other through the kernel: use an event, a port in shared-kernel, or compose both in the server; a domain that can't do without {used} declares `builds-on = [\"{used}\"]` in [package.metadata.domain] of its Cargo.toml."
    ))
}

fn framework_dependency(framework: &Framework, name: &str, used: &str) -> Option<String> {
    let Framework { name: own, may_use, may_be_used_by, instead } = framework;
    if used == *own && !may_be_used_by.contains(&name) && !COMPOSERS.contains(&name) {
        return Some(format!(
            "{name} depends on {own}, but domains and the crates below them know neither HTTP nor how an application starts: write DTOs and settings of {name}'s own, and let a router in crates/server do the rest."
        ));
    }
    (name == *own && !may_use.contains(&used) && used != "workspace-features").then(|| {
        format!("{own} depends on {used}, but it serves any product and depends on no domain: {instead}.")
    })
}

/// Domains and the crates below them do not link actix.
pub(super) fn web_framework(facts: &Facts) -> Vec<String> {
    let bound = facts
        .members
        .iter()
        .filter(|member| member.is_domain() || FOUNDATIONS.contains(&member.name.as_str()));
    bound.filter_map(web_framework_of).collect()
}

fn web_framework_of(member: &Member) -> Option<String> {
    let found = member.built.iter().find(|package| package.starts_with("actix"))?;
    let name = &member.name;
    Some(format!(
        "{name} links {found}, but a crate below the server has to compile and be tested without a web framework: move the HTTP part to crates/server or crates/http-kit; `cargo tree -p {name} -e normal -i {found}` prints the path by which it is linked."
    ))
}

/// Every domain has the six modules, and two of them are private.
pub(super) fn modules(facts: &Facts) -> Vec<String> {
    if facts.domains().next().is_none() {
        let sentence = "There is no domain crate below crates/, so nothing was checked: after a change of the layout, adapt this step.";
        return vec![sentence.to_owned()];
    }
    let missing = facts.domains().filter_map(missing_modules);
    missing.chain(facts.domains().flat_map(public_modules)).collect()
}

fn missing_modules(member: &Member) -> Option<String> {
    let absent: Vec<&str> =
        MODULES.into_iter().filter(|module| !member.domain_modules.contains(*module)).collect();
    let (name, list) = (&member.name, absent.join(", "));
    (!absent.is_empty()).then(|| {
        format!("{name} lacks {list}, but every domain has the same six modules, so that a reader who knows one domain finds their way in all: add src/MODULE.rs, if only with a comment; list a crate that is not a domain in NO_DOMAINS of xtask/src/workspace.rs.")
    })
}

fn public_modules(member: &Member) -> impl Iterator<Item = String> {
    let library = member.lib_rs.as_deref().unwrap_or_default();
    let private =
        ["model", "repository"].into_iter().filter(|module| member.domain_modules.contains(*module));
    private.filter(|module| is_public(library, module)).map(|module| {
        format!(
            "{name} makes its {module} public, so a router could skip the service: declare `mod {module};` in crates/{name}/src/lib.rs, and return DTOs.",
            name = member.name
        )
    })
}

/// True if the text of a `lib.rs` makes a module, or an item of it, public, or does not declare the module.
fn is_public(library: &str, module: &str) -> bool {
    let words = |line: &str| line.replace("::", " ").replace(['{', '}', ';', ','], " ");
    let statements = library.lines().map(str::trim).filter(|line| !line.starts_with("//")).map(words);
    let mut declared = false;
    for statement in statements {
        let parts: Vec<&str> = statement.split_whitespace().collect();
        match parts.as_slice() {
            ["mod", name, ..] | ["pub(crate)", "mod", name, ..] if *name == module => declared = true,
            ["pub", "mod", name, ..] if *name == module => return true,
            ["pub", "use", rest @ ..] if re_exports(rest, module) => return true,
            _ => {}
        }
    }
    !declared
}

fn re_exports(path: &[&str], module: &str) -> bool {
    let path = path.strip_prefix(&["crate"]).or_else(|| path.strip_prefix(&["self"])).unwrap_or(path);
    path.first() == Some(&module)
}

/// A crate that is tested alone needs no dependencies with other features than those built for the whole workspace.
pub(super) fn features(facts: &Facts) -> Vec<String> {
    // xtask has few dependencies, so that it is built quickly on a new machine; workspace-features has no tests.
    let alone = ["xtask", "workspace-features"];
    let bound = facts.members.iter().filter(|member| !alone.contains(&member.name.as_str()));
    bound.filter_map(|member| built_twice(member, &facts.features)).collect()
}

fn built_twice(member: &Member, together: &BTreeSet<Featured>) -> Option<String> {
    let twice: Vec<&str> =
        member.features.difference(together).map(|(package, _)| package.as_str()).collect();
    let (name, list) = (&member.name, twice.join(", "));
    (!twice.is_empty()).then(|| {
        format!("`cargo test -p {name}` builds {list} a second time, with other features than `cargo test --workspace`: add the dev-dependency workspace-features to {name}, and the missing features to crates/workspace-features/Cargo.toml; `cargo tree --workspace -e normal,build,dev --prefix none -f '{{p}} {{f}}'` prints the features.")
    })
}

/// The root manifest forbids unsafe code, and every member inherits its lints.
pub(super) fn lints(facts: &Facts) -> Vec<String> {
    let root = at(&facts.manifest, &["workspace", "lints", "rust", "unsafe_code"], |item| {
        item.as_str() == Some("forbid") || item.get("level").and_then(Item::as_str) == Some("forbid")
    });
    let first = (!root).then(|| {
        "Cargo.toml doesn't forbid unsafe code: write `unsafe_code = \"forbid\"` in [workspace.lints.rust].".to_owned()
    });
    let outside = facts
        .members
        .iter()
        .filter(|member| !at(&member.manifest, &["lints", "workspace"], |item| item.as_bool() == Some(true)));
    let rest = outside.map(|member| {
        format!("{} does not inherit the lints of the workspace, so what they forbid is allowed there: write `[lints]` `workspace = true` in its Cargo.toml.", member.name)
    });
    first.into_iter().chain(rest).collect()
}

fn at(manifest: &str, path: &[&str], holds: impl Fn(&Item) -> bool) -> bool {
    let Ok(document) = manifest.parse::<DocumentMut>() else {
        return false;
    };
    let found = path.iter().try_fold(document.as_item(), |item, key| item.get(key));
    found.is_some_and(holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIBRARY: &str = "mod model;\npub mod dto;\nmod repository;\npub use service::Service;\n";
    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn member(name: &str, uses: &[&str]) -> Member {
        Member {
            name: name.to_owned(),
            manifest: LINTS.to_owned(),
            uses: set(uses),
            links: set(uses),
            ..Member::default()
        }
    }

    fn domain(name: &str, uses: &[&str]) -> Member {
        Member {
            below_crates: true,
            lib_rs: Some(LIBRARY.to_owned()),
            domain_modules: set(&MODULES),
            ..member(name, uses)
        }
    }

    fn facts(members: Vec<Member>) -> Facts {
        let manifest = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n".to_owned();
        Facts { members, packages: Vec::new(), manifest, features: BTreeSet::new() }
    }

    fn correct() -> Facts {
        facts(vec![
            member("shared-kernel", &[]),
            member("migration", &[]),
            member("configuration", &[]),
            domain("user", &["shared-kernel"]),
            Member {
                builds_on: set(&["user"]),
                ..domain("auth", &["configuration", "shared-kernel", "user"])
            },
            domain("shelf", &["configuration", "shared-kernel"]),
            member("transport", &[]),
            member("http-kit", &["shared-kernel", "transport"]),
            member("app-config", &["configuration", "shared-kernel"]),
            member("app-kit", &["app-config", "http-kit", "messaging"]),
            member("server", &["app-kit", "auth", "shelf", "user", "migration", "configuration", "http-kit"]),
            member("tests", &["app-kit", "server", "user", "http-kit"]),
        ])
    }

    fn all(facts: &Facts) -> Vec<String> {
        [dependencies(facts), web_framework(facts), modules(facts), lints(facts)].concat()
    }

    #[test]
    fn the_planned_workspace_breaks_no_rule() {
        assert_eq!(all(&correct()), Vec::<String>::new());
    }

    #[test]
    fn a_domain_must_not_use_another() {
        for (name, used) in [("shelf", "user"), ("user", "auth"), ("messaging", "user")] {
            let mut facts = correct();
            facts.members.push(domain(name, &[used]));
            let broken = dependencies(&facts);
            assert!(
                broken.len() == 1 && broken[0].contains(&format!("{name} depends on the domain {used}")),
                "{broken:?}"
            );
        }
    }

    #[test]
    fn a_domain_may_use_those_that_it_declares() {
        let mut facts = correct();
        facts.members.push(Member { builds_on: set(&["shelf", "user"]), ..domain("post", &["user"]) });
        let broken = dependencies(&facts);
        assert!(
            broken.len() == 1 && broken[0].starts_with("post declares that it builds on shelf, but does not"),
            "{broken:?}"
        );
        assert_eq!(domain_dependencies(&facts), ["auth -> user", "post -> shelf", "post -> user"]);
    }

    #[test]
    fn only_a_domain_may_declare() {
        let mut facts = correct();
        facts.members.push(Member { builds_on: set(&["user"]), ..member("messaging", &["user"]) });
        assert_eq!(dependencies(&facts).len(), 1);
    }

    #[test]
    fn the_framework_and_the_domains_do_not_depend_on_each_other() {
        for (member, expected) in [
            (member("http-kit", &["user"]), "http-kit depends on user"),
            (member("http-kit", &["messaging"]), "http-kit depends on messaging"),
            (member("http-kit", &["app-kit"]), "http-kit depends on app-kit"),
            (member("app-config", &["http-kit"]), "app-config depends on http-kit"),
            (member("app-config", &["auth"]), "app-config depends on auth"),
            (member("app-kit", &["user"]), "app-kit depends on user"),
            (member("app-kit", &["migration"]), "app-kit depends on migration"),
            (member("messaging", &["app-config"]), "messaging depends on app-config"),
            (domain("user", &["app-kit"]), "user depends on app-kit"),
            (domain("user", &["http-kit"]), "user depends on http-kit"),
            (member("shared-kernel", &["http-kit"]), "shared-kernel depends on http-kit"),
        ] {
            let mut facts = correct();
            facts.members.push(member);
            let broken = dependencies(&facts);
            assert!(broken.len() == 1 && broken[0].starts_with(expected), "{broken:?}");
        }
    }

    #[test]
    fn the_kernel_may_use_nothing() {
        let mut facts = correct();
        facts.members.push(member("shared-kernel", &["transport"]));
        let broken = dependencies(&facts);
        assert!(
            broken.len() == 1 && broken[0].starts_with("shared-kernel depends on transport"),
            "{broken:?}"
        );
    }

    #[test]
    fn a_domain_must_not_use_another_in_tests_either() {
        let mut facts = correct();
        facts.members.push(Member { links: set(&[]), ..domain("post", &["user"]) });
        assert_eq!(dependencies(&facts).len(), 1);
    }

    #[test]
    fn nothing_but_tests_uses_the_server() {
        let broken = dependencies(&facts(vec![
            member("server", &[]),
            member("tests", &["server"]),
            member("xtask", &["server"]),
        ]));
        assert!(broken.len() == 1 && broken[0].starts_with("xtask depends on server"), "{broken:?}");
    }

    #[test]
    fn a_migration_uses_no_member_outside_its_tests() {
        let broken = dependencies(&facts(vec![member("migration", &["shared-kernel"])]));
        assert!(
            broken.len() == 1 && broken[0].starts_with("migration depends on shared-kernel"),
            "{broken:?}"
        );
        let tested = Member { links: set(&[]), ..member("migration", &["shared-kernel"]) };
        assert!(dependencies(&facts(vec![tested])).is_empty());
    }

    #[test]
    fn the_configuration_crate_depends_on_nothing_that_is_configured() {
        for used in ["auth", "shared-kernel", "server"] {
            let broken = dependencies(&facts(vec![domain("auth", &[]), member("configuration", &[used])]));
            assert!(
                broken.len() == 1 && broken[0].starts_with(&format!("configuration depends on {used}")),
                "{broken:?}"
            );
        }
    }

    #[test]
    fn actix_stays_in_the_server() {
        let linking = |member: Member| Member { built: set(&["actix-http", "tokio"]), ..member };
        let facts = facts(vec![
            linking(domain("user", &[])),
            linking(member("messaging", &[])),
            linking(member("server", &[])),
        ]);
        let broken = web_framework(&facts);
        assert_eq!(broken.len(), 2);
        assert!(broken[0].starts_with("user links actix-http"), "{broken:?}");
    }

    #[test]
    fn a_missing_module_is_named() {
        let broken = modules(&facts(vec![Member {
            domain_modules: set(&["model", "service"]),
            ..domain("post", &[])
        }]));
        assert!(
            broken.len() == 1 && broken[0].starts_with("post lacks dto, repository, error, event"),
            "{broken:?}"
        );
    }

    #[test]
    fn a_workspace_without_domains_breaks_a_rule() {
        assert_eq!(modules(&facts(vec![member("server", &[])])).len(), 1);
    }

    #[test]
    fn the_model_and_the_repository_are_private() {
        assert!(!is_public(LIBRARY, "model") && !is_public(LIBRARY, "repository"));
        for public in [
            "pub mod repository;",
            "pub mod repository {",
            "mod repository;\npub use repository::Repository;",
            "mod repository;\npub use crate::repository::{A, B};",
            "mod repository;\n    pub use self::repository::*;",
            "// mod repository;",
        ] {
            assert!(is_public(public, "repository"), "{public}");
        }
        for private in [
            "mod repository;\n// pub mod repository;",
            "pub(crate) mod repository;",
            "mod repository;\npub use service::repository_of;",
        ] {
            assert!(!is_public(private, "repository"), "{private}");
        }
    }

    #[test]
    fn lints_are_inherited() {
        let own = Member { manifest: "[lints.rust]\nunsafe_code = \"allow\"".to_owned(), ..member("x", &[]) };
        assert!(lints(&facts(vec![own]))[0].starts_with("x does not inherit the lints"));
        let open = Facts { manifest: "[workspace]".to_owned(), ..facts(vec![]) };
        assert_eq!(lints(&open).len(), 1);
    }

    #[test]
    fn a_dependency_that_is_built_twice_is_named() {
        let tokio = |features: &str| BTreeSet::from([("tokio v1.54.1".to_owned(), features.to_owned())]);
        let with = |name: &str, features| Member { features: tokio(features), ..member(name, &[]) };
        let facts = Facts {
            features: tokio("net,process"),
            ..facts(vec![with("user", "net"), with("auth", "net,process"), with("xtask", "net")])
        };
        let broken = features(&facts);
        assert!(
            broken.len() == 1 && broken[0].starts_with("`cargo test -p user` builds tokio v1.54.1 a second"),
            "{broken:?}"
        );
    }
}
