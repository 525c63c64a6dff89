//! Every domain has the same structure, generated or not: this check compares the domains that were written by hand with the output
//! of the templates, so that neither can change without the other.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use syn::{FnArg, Item, Pat, Visibility};

use super::render;

/// The modules whose public functions and lists are compared.
const MODULES: [&str; 2] = ["error", "service"];

/// The public items of a module: its functions with the names of their parameters, in order, and its lists.
#[derive(Debug, Default, PartialEq, Eq)]
struct Face {
    functions: BTreeMap<String, Vec<String>>,
    lists: Vec<String>,
}

/// Returns a sentence for each place where one of these domains differs from the output of the templates.
///
/// # Errors
///
/// rustfmt is not installed, or a module cannot be read.
pub(crate) fn drift<'a>(root: &Path, domains: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>> {
    let probe = render::probe(root)?;
    let mut canon = BTreeMap::new();
    for module in MODULES {
        let wanted = format!("src/{module}.rs");
        let file = probe.iter().find(|file| file.path.ends_with(&wanted));
        canon.insert(module, face(&file.context("the templates generate no such module")?.text)?);
    }
    let mut sentences = Vec::new();
    for domain in domains {
        for (module, canon) in &canon {
            let path = format!("crates/{domain}/src/{module}.rs");
            let text = fs::read_to_string(root.join(&path)).with_context(|| format!("can't read {path}"))?;
            sentences.extend(differences(&path, canon, &face(&text)?));
        }
    }
    Ok(sentences)
}

fn face(text: &str) -> Result<Face> {
    let mut face = Face::default();
    for item in syn::parse_file(text).context("it can't be parsed")?.items {
        match item {
            Item::Fn(function) if matches!(function.vis, Visibility::Public(_)) => {
                let names = function.sig.inputs.iter().filter_map(name).collect();
                face.functions.insert(function.sig.ident.to_string(), names);
            }
            Item::Static(list) if matches!(list.vis, Visibility::Public(_)) => {
                face.lists.push(list.ident.to_string());
            }
            _ => {}
        }
    }
    Ok(face)
}

fn name(argument: &FnArg) -> Option<String> {
    let FnArg::Typed(argument) = argument else { return None };
    let Pat::Ident(name) = &*argument.pat else { return None };
    Some(name.ident.to_string())
}

fn differences(path: &str, canon: &Face, own: &Face) -> Vec<String> {
    let missing = canon.lists.iter().filter(|list| !own.lists.contains(list));
    let missing = missing.map(|list| {
        format!("{path} has no `pub static {list}`, which every domain has: add it, even if it is empty.")
    });
    let turned = own.functions.iter().filter_map(|(function, parameters)| {
        let wanted = in_common(canon.functions.get(function)?, parameters);
        let found = in_common(parameters, &wanted);
        (wanted != found).then(|| {
            format!(
                "`{function}` in {path} has the parameters {}, but in generated domains it has {}: developers expect the same order in every domain, so use the same one.",
                found.join(", "),
                wanted.join(", ")
            )
        })
    });
    missing.chain(turned).collect()
}

/// The names that are also in `others`, in the order of `names`.
fn in_common(names: &[String], others: &[String]) -> Vec<String> {
    names.iter().filter(|name| others.contains(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANON: &str =
        "pub static RESOURCES: u8 = 1;\npub async fn get(session: &S, files: &F, principal: &A, id: I) {}\n";

    fn reported(own: &str) -> Vec<String> {
        differences("service.rs", &face(CANON).unwrap(), &face(own).unwrap())
    }

    #[test]
    fn a_domain_may_have_fewer_and_more_parameters_in_the_same_order() {
        let own = "pub static RESOURCES: u8 = 0;\npub fn get(session: &S, storage: T, principal: &A, id: I, more: M) {}\npub fn other(id: I, session: S) {}\n";
        assert_eq!(reported(own), Vec::<String>::new());
    }

    #[test]
    fn another_order_and_a_missing_list_are_reported() {
        let sentences = reported("pub fn get(principal: &A, session: &S, id: I) {}\n");
        assert_eq!(sentences.len(), 2, "{sentences:?}");
        assert!(sentences[0].contains("no `pub static RESOURCES`"), "{sentences:?}");
        assert!(
            sentences[1].contains(
                "has the parameters principal, session, id, but in generated domains it has session, principal, id"
            ),
            "{sentences:?}"
        );
    }
}
