//! The rules, each a function from the house to the sentences about what breaks it.

use std::collections::BTreeSet;

use toml_edit::{DocumentMut, Item};

use super::house::{House, Member, ROOMS};
use crate::graph::Featured;

/// What stands below every domain and knows no web framework either.
const FOUNDATIONS: [&str; 5] = ["app-config", "configuration", "shared-kernel", "messaging", "migration"];

/// The derives of the kernel, which its users get from the kernel.
const KERNEL_DERIVE: &str = "kernel-derive";

/// Who puts the domains together.
const COMPOSERS: [&str; 2] = ["server", "tests"];

/// A crate of the framework, which knows no domain and no product.
struct Framework {
    name: &'static str,
    /// What it may stand on, besides the list of features.
    stands_on: &'static [&'static str],
    /// Who may use it, besides those that put the domains together.
    used_by: &'static [&'static str],
    /// What somebody does who needs more of it.
    instead: &'static str,
}

const FRAMEWORK: &[Framework] = &[
    Framework {
        name: "http-kit",
        stands_on: &["shared-kernel", "transport"],
        used_by: &["app-kit"],
        instead: "let the server give it what it needs, as a value in its State or a port that the server implements",
    },
    Framework {
        name: "app-config",
        stands_on: &["configuration", "shared-kernel"],
        used_by: &["app-kit"],
        instead: "let the domain describe its keys in a section of its own, which its module reads",
    },
    Framework {
        name: "app-kit",
        stands_on: &["app-config", "configuration", "http-kit", "messaging", "shared-kernel", "transport"],
        used_by: &[],
        instead: "let the server give it what it needs, as a field of its Product or of a Module",
    },
];

/// Who may use whom.
pub(super) fn arrows(house: &House) -> Vec<String> {
    let forbidden = house
        .members
        .iter()
        .flat_map(|member| member.uses.iter().filter_map(|used| arrow(house, member, used)));
    forbidden.chain(house.domains().flat_map(idle_declarations)).collect()
}

/// The arrows between domains, as the step prints them.
pub(super) fn domain_arrows(house: &House) -> Vec<String> {
    let of =
        |member: &Member| member.builds_on.iter().map(|used| format!("{} -> {used}", member.name)).collect();
    house.domains().flat_map::<Vec<_>, _>(of).collect()
}

/// What a domain says that it builds on, and does not use.
fn idle_declarations(member: &Member) -> impl Iterator<Item = String> {
    member.builds_on.difference(&member.uses).map(|idle| {
        format!(
            "{name} declares that it builds on {idle} and does not depend on it, so the arrow is a promise of nothing: take {idle} out of `builds-on` in crates/{name}/Cargo.toml.",
            name = member.name
        )
    })
}

fn arrow(house: &House, member: &Member, used: &str) -> Option<String> {
    let name = member.name.as_str();
    if name == "migration" && member.links.contains(used) {
        return Some(format!(
            "migration depends on {used}, so a change there would change what an old migration does: write tables and columns out in the migration."
        ));
    }
    if name == "configuration" && member.links.contains(used) {
        return Some(format!(
            "configuration depends on {used}, but the engine knows no section and no domain: let {used} describe its keys in a section of its own."
        ));
    }
    if used == "server" && !COMPOSERS.contains(&name) {
        return Some(format!(
            "{name} depends on server, but the server stands on top and only tests may look at it: move what is needed down into a crate that both use."
        ));
    }
    if let Some(sentence) = FRAMEWORK.iter().find_map(|framework| framework_arrow(framework, name, used)) {
        return Some(sentence);
    }
    if name == "shared-kernel" && member.links.contains(used) && used != KERNEL_DERIVE {
        return Some(format!(
            "shared-kernel depends on {used}, but everything stands on the kernel: a port (a trait that {used} implements and the server wires) turns the arrow round."
        ));
    }
    let is_domain = house.domains().any(|domain| domain.name == used);
    let is_declared = member.is_domain() && member.builds_on.contains(used);
    if !is_domain || is_declared || COMPOSERS.contains(&name) {
        return None;
    }
    Some(format!(
        "{name} depends on the domain {used} and does not say so, but domains know each other through the kernel: use an event, a port in shared-kernel, or compose both in the server; a domain that can't be without {used} says `builds-on = [\"{used}\"]` below [package.metadata.domain] in its Cargo.toml."
    ))
}

fn framework_arrow(framework: &Framework, name: &str, used: &str) -> Option<String> {
    let Framework { name: own, stands_on, used_by, instead } = framework;
    if used == *own && !used_by.contains(&name) && !COMPOSERS.contains(&name) {
        return Some(format!(
            "{name} depends on {own}, but domains and what is below them know neither HTTP nor how an application starts: give {name} DTOs and settings of its own, and let a router in crates/server do the rest."
        ));
    }
    (name == *own && !stands_on.contains(&used) && used != "workspace-features").then(|| {
        format!("{own} depends on {used}, but it is for any product and names no domain: {instead}.")
    })
}

/// Domains and what is below them are built without actix.
pub(super) fn web_framework(house: &House) -> Vec<String> {
    let bound = house
        .members
        .iter()
        .filter(|member| member.is_domain() || FOUNDATIONS.contains(&member.name.as_str()));
    bound.filter_map(web_framework_of).collect()
}

fn web_framework_of(member: &Member) -> Option<String> {
    let found = member.built.iter().find(|package| package.starts_with("actix"))?;
    let name = &member.name;
    Some(format!(
        "{name} links {found}, but a crate below the server has to compile and be tested without a web framework: move the HTTP part to crates/server or crates/http-kit; `cargo tree -p {name} -e normal -i {found}` shows the way it comes in."
    ))
}

/// Every domain has the six rooms, and two of them are locked.
pub(super) fn rooms(house: &House) -> Vec<String> {
    if house.domains().next().is_none() {
        let sentence = "There is no domain crate below crates/, so nothing was checked: if the layout was changed, change this step with it.";
        return vec![sentence.to_owned()];
    }
    let missing = house.domains().filter_map(missing_rooms);
    missing.chain(house.domains().flat_map(open_doors)).collect()
}

fn missing_rooms(member: &Member) -> Option<String> {
    let absent: Vec<&str> = ROOMS.into_iter().filter(|room| !member.rooms.contains(*room)).collect();
    let (name, list) = (&member.name, absent.join(", "));
    (!absent.is_empty()).then(|| {
        format!("{name} lacks {list}, but every domain has the same six rooms, so that who has read one has read them all: add src/ROOM.rs, if only with a comment; a crate that is no domain is named in xtask/src/steps/architecture/house.rs.")
    })
}

fn open_doors(member: &Member) -> impl Iterator<Item = String> {
    let library = member.lib_rs.as_deref().unwrap_or_default();
    let locked = ["model", "repository"].into_iter().filter(|room| member.rooms.contains(*room));
    locked.filter(|room| is_open(library, room)).map(|room| {
        format!(
            "{name} makes its {room} public, so a router could skip the service: declare `mod {room};` in crates/{name}/src/lib.rs and give out DTOs.",
            name = member.name
        )
    })
}

/// True when the text of a `lib.rs` gives a module, or something in it, to other crates, or doesn't declare it.
fn is_open(library: &str, room: &str) -> bool {
    let words = |line: &str| line.replace("::", " ").replace(['{', '}', ';', ','], " ");
    let statements = library.lines().map(str::trim).filter(|line| !line.starts_with("//")).map(words);
    let mut declared = false;
    for statement in statements {
        let parts: Vec<&str> = statement.split_whitespace().collect();
        match parts.as_slice() {
            ["mod", name, ..] | ["pub(crate)", "mod", name, ..] if *name == room => declared = true,
            ["pub", "mod", name, ..] if *name == room => return true,
            ["pub", "use", rest @ ..] if re_exports(rest, room) => return true,
            _ => {}
        }
    }
    !declared
}

fn re_exports(path: &[&str], room: &str) -> bool {
    let path = path.strip_prefix(&["crate"]).or_else(|| path.strip_prefix(&["self"])).unwrap_or(path);
    path.first() == Some(&room)
}

/// A crate that is tested alone uses the dependencies that the whole workspace has built.
pub(super) fn features(house: &House) -> Vec<String> {
    // The tools stand alone, so that a new machine has them after a moment; nothing tests the list of features.
    let alone = ["xtask", "workspace-features"];
    let bound = house.members.iter().filter(|member| !alone.contains(&member.name.as_str()));
    bound.filter_map(|member| built_twice(member, &house.features)).collect()
}

fn built_twice(member: &Member, together: &BTreeSet<Featured>) -> Option<String> {
    let twice: Vec<&str> =
        member.features.difference(together).map(|(package, _)| package.as_str()).collect();
    let (name, list) = (&member.name, twice.join(", "));
    (!twice.is_empty()).then(|| {
        format!("`cargo test -p {name}` builds {list} a second time, with other features than `cargo test --workspace`: give {name} the dev-dependency workspace-features, and add what is missing to crates/workspace-features/Cargo.toml; `cargo tree --workspace -e normal,build,dev --prefix none -f '{{p}} {{f}}'` prints the features.")
    })
}

/// Unsafe code is forbidden once for all, and every member takes part.
pub(super) fn lints(house: &House) -> Vec<String> {
    let root = at(&house.manifest, &["workspace", "lints", "rust", "unsafe_code"], |item| {
        item.as_str() == Some("forbid") || item.get("level").and_then(Item::as_str) == Some("forbid")
    });
    let first = (!root).then(|| {
        "Cargo.toml doesn't forbid unsafe code: write `unsafe_code = \"forbid\"` in [workspace.lints.rust].".to_owned()
    });
    let outside = house
        .members
        .iter()
        .filter(|member| !at(&member.manifest, &["lints", "workspace"], |item| item.as_bool() == Some(true)));
    let rest = outside.map(|member| {
        format!("{} has lints of its own, so what we forbid is allowed there: write `[lints]` `workspace = true` in its Cargo.toml.", member.name)
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
            rooms: set(&ROOMS),
            ..member(name, uses)
        }
    }

    fn house(members: Vec<Member>) -> House {
        let manifest = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n".to_owned();
        House { members, packages: Vec::new(), manifest, features: BTreeSet::new() }
    }

    fn sound() -> House {
        house(vec![
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

    fn all(house: &House) -> Vec<String> {
        [arrows(house), web_framework(house), rooms(house), lints(house)].concat()
    }

    #[test]
    fn the_planned_house_is_sound() {
        assert_eq!(all(&sound()), Vec::<String>::new());
    }

    #[test]
    fn a_domain_must_not_use_another() {
        for (name, used) in [("shelf", "user"), ("user", "auth"), ("messaging", "user")] {
            let mut house = sound();
            house.members.push(domain(name, &[used]));
            let broken = arrows(&house);
            assert!(
                broken.len() == 1 && broken[0].contains(&format!("{name} depends on the domain {used}")),
                "{broken:?}"
            );
        }
    }

    #[test]
    fn a_domain_may_use_those_that_it_declares() {
        let mut house = sound();
        house.members.push(Member { builds_on: set(&["shelf", "user"]), ..domain("post", &["user"]) });
        let broken = arrows(&house);
        assert!(
            broken.len() == 1 && broken[0].starts_with("post declares that it builds on shelf and does not"),
            "{broken:?}"
        );
        assert_eq!(domain_arrows(&house), ["auth -> user", "post -> shelf", "post -> user"]);
    }

    #[test]
    fn only_a_domain_may_declare() {
        let mut house = sound();
        house.members.push(Member { builds_on: set(&["user"]), ..member("messaging", &["user"]) });
        assert_eq!(arrows(&house).len(), 1);
    }

    #[test]
    fn the_framework_names_no_domain_and_no_domain_names_it() {
        for (member, told) in [
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
            let mut house = sound();
            house.members.push(member);
            let broken = arrows(&house);
            assert!(broken.len() == 1 && broken[0].starts_with(told), "{broken:?}");
        }
    }

    #[test]
    fn the_kernel_stands_on_nothing() {
        let mut house = sound();
        house.members.push(member("shared-kernel", &["transport"]));
        let broken = arrows(&house);
        assert!(
            broken.len() == 1 && broken[0].starts_with("shared-kernel depends on transport"),
            "{broken:?}"
        );
    }

    #[test]
    fn a_domain_must_not_use_another_in_tests_either() {
        let mut house = sound();
        house.members.push(Member { links: set(&[]), ..domain("post", &["user"]) });
        assert_eq!(arrows(&house).len(), 1);
    }

    #[test]
    fn nothing_but_tests_uses_the_server() {
        let broken = arrows(&house(vec![
            member("server", &[]),
            member("tests", &["server"]),
            member("xtask", &["server"]),
        ]));
        assert!(broken.len() == 1 && broken[0].starts_with("xtask depends on server"), "{broken:?}");
    }

    #[test]
    fn a_migration_uses_no_member_outside_its_tests() {
        let broken = arrows(&house(vec![member("migration", &["shared-kernel"])]));
        assert!(
            broken.len() == 1 && broken[0].starts_with("migration depends on shared-kernel"),
            "{broken:?}"
        );
        let tested = Member { links: set(&[]), ..member("migration", &["shared-kernel"]) };
        assert!(arrows(&house(vec![tested])).is_empty());
    }

    #[test]
    fn the_engine_of_the_configuration_knows_nothing_that_is_configured() {
        for used in ["auth", "shared-kernel", "server"] {
            let broken = arrows(&house(vec![domain("auth", &[]), member("configuration", &[used])]));
            assert!(
                broken.len() == 1 && broken[0].starts_with(&format!("configuration depends on {used}")),
                "{broken:?}"
            );
        }
    }

    #[test]
    fn actix_stays_in_the_server() {
        let linking = |member: Member| Member { built: set(&["actix-http", "tokio"]), ..member };
        let house = house(vec![
            linking(domain("user", &[])),
            linking(member("messaging", &[])),
            linking(member("server", &[])),
        ]);
        let broken = web_framework(&house);
        assert_eq!(broken.len(), 2);
        assert!(broken[0].starts_with("user links actix-http"), "{broken:?}");
    }

    #[test]
    fn a_missing_room_is_named() {
        let broken = rooms(&house(vec![Member { rooms: set(&["model", "service"]), ..domain("post", &[]) }]));
        assert!(
            broken.len() == 1 && broken[0].starts_with("post lacks dto, repository, error, event"),
            "{broken:?}"
        );
    }

    #[test]
    fn a_house_without_domains_is_not_taken_for_sound() {
        assert_eq!(rooms(&house(vec![member("server", &[])])).len(), 1);
    }

    #[test]
    fn the_model_and_the_repository_are_locked() {
        assert!(!is_open(LIBRARY, "model") && !is_open(LIBRARY, "repository"));
        for open in [
            "pub mod repository;",
            "pub mod repository {",
            "mod repository;\npub use repository::Repository;",
            "mod repository;\npub use crate::repository::{A, B};",
            "mod repository;\n    pub use self::repository::*;",
            "// mod repository;",
        ] {
            assert!(is_open(open, "repository"), "{open}");
        }
        for locked in [
            "mod repository;\n// pub mod repository;",
            "pub(crate) mod repository;",
            "mod repository;\npub use service::repository_of;",
        ] {
            assert!(!is_open(locked, "repository"), "{locked}");
        }
    }

    #[test]
    fn lints_are_inherited() {
        let own = Member { manifest: "[lints.rust]\nunsafe_code = \"allow\"".to_owned(), ..member("x", &[]) };
        assert!(lints(&house(vec![own]))[0].starts_with("x has lints of its own"));
        let open = House { manifest: "[workspace]".to_owned(), ..house(vec![]) };
        assert_eq!(lints(&open).len(), 1);
    }

    #[test]
    fn a_dependency_that_is_built_twice_is_named() {
        let tokio = |features: &str| BTreeSet::from([("tokio v1.54.1".to_owned(), features.to_owned())]);
        let with = |name: &str, features| Member { features: tokio(features), ..member(name, &[]) };
        let house = House {
            features: tokio("net,process"),
            ..house(vec![with("user", "net"), with("auth", "net,process"), with("xtask", "net")])
        };
        let broken = features(&house);
        assert!(
            broken.len() == 1 && broken[0].starts_with("`cargo test -p user` builds tokio v1.54.1 a second"),
            "{broken:?}"
        );
    }
}
