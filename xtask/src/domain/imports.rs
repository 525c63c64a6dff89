//! Removes unused imports: a template imports everything that its code may need, so that it needs no condition around each import.

use std::collections::HashSet;
use std::ops::Range;

use anyhow::{Context as _, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::{Item, ItemUse, UseTree};

/// The file without unused imports. Traits that are imported `as _` are kept.
///
/// # Errors
///
/// The text is not a Rust file.
pub(crate) fn prune(text: &str) -> Result<String> {
    let file = syn::parse_file(text).context("it can't be parsed")?;
    let mut used = HashSet::new();
    for item in file.items.iter().filter(|item| !matches!(item, Item::Use(_))) {
        let range = bytes(item);
        collect(text.get(range).unwrap_or_default().parse().unwrap_or_default(), &mut used);
    }
    let mut pruned = text.to_owned();
    for item in file.items.iter().rev() {
        let Item::Use(import) = item else { continue };
        let mut range = bytes(import);
        let shortened = shortened(import, &used);
        if shortened.is_empty() {
            // With its line.
            range.end += usize::from(pruned[range.end..].starts_with('\n'));
        }
        pruned.replace_range(range, &shortened);
    }
    Ok(pruned)
}

/// The names that the file imports.
///
/// # Errors
///
/// The text is not a Rust file.
pub(crate) fn imported(text: &str) -> Result<Vec<String>> {
    let file = syn::parse_file(text).context("it can't be parsed")?;
    let mut names = Vec::new();
    for item in &file.items {
        if let Item::Use(import) = item {
            leaves(&import.tree, &mut names);
        }
    }
    Ok(names)
}

fn leaves(tree: &UseTree, names: &mut Vec<String>) {
    match tree {
        UseTree::Path(path) => leaves(&path.tree, names),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, names)),
        UseTree::Name(name) => names.push(name.ident.to_string()),
        UseTree::Rename(rename) => names.push(rename.rename.to_string()),
        UseTree::Glob(_) => {}
    }
}

fn bytes(item: &impl Spanned) -> Range<usize> {
    item.span().byte_range()
}

fn collect(tokens: TokenStream, used: &mut HashSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(ident) if !is_field(&tokens, at) => drop(used.insert(ident.to_string())),
            TokenTree::Group(group) => collect(group.stream(), used),
            TokenTree::Literal(literal) => collect_from_text(&literal.to_string(), used),
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

/// Whether the identifier is the name of a field or method, which may equal that of a module: `new.field`, `field: new`.
fn is_field(tokens: &[TokenTree], at: usize) -> bool {
    let is = |at: Option<usize>, sign: char| {
        let token = at.and_then(|at| tokens.get(at));
        matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
    };
    // Not of the rest of a struct, and not of a path.
    let is_member = is(at.checked_sub(1), '.') && !is(at.checked_sub(2), '.');
    let is_named = is(Some(at + 1), ':') && !is(Some(at + 2), ':');
    is_member || is_named
}

/// Attributes contain code in strings: `"patch::required"`, `"String(StringLen::N(30))"`. Strings with spaces are sentences.
fn collect_from_text(text: &str, used: &mut HashSet<String>) {
    if text.contains("::") && !text.contains(' ') {
        let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        used.extend(words.map(str::to_owned));
    }
}

fn shortened(import: &ItemUse, used: &HashSet<String>) -> String {
    kept(&import.tree, "", used).map_or_else(String::new, |tree| format!("use {tree};"))
}

/// The used part of a tree below the module `parent`.
fn kept(tree: &UseTree, parent: &str, used: &HashSet<String>) -> Option<String> {
    let is_used = |name: &str| used.contains(name);
    match tree {
        UseTree::Path(path) => {
            let ident = path.ident.to_string();
            let below = kept(&path.tree, &ident, used)?;
            Some(if below == "self" { ident } else { format!("{ident}::{below}") })
        }
        UseTree::Group(group) => {
            let items: Vec<String> = group.items.iter().filter_map(|tree| kept(tree, parent, used)).collect();
            match items.as_slice() {
                [] => None,
                [one] => Some(one.clone()),
                several => Some(format!("{{{}}}", several.join(", "))),
            }
        }
        UseTree::Name(name) if name.ident == "self" => is_used(parent).then(|| "self".to_owned()),
        UseTree::Name(name) => is_used(&name.ident.to_string()).then(|| name.ident.to_string()),
        UseTree::Rename(rename) => {
            let renamed = format!("{} as {}", rename.ident, rename.rename);
            (rename.rename == "_" || is_used(&rename.rename.to_string())).then_some(renamed)
        }
        UseTree::Glob(_) => Some("*".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::prune;

    #[test]
    fn what_is_not_named_is_not_imported() {
        let text = "use a::{self, B, c::{D, E}};\nuse f::G as _;\nuse h::I;\n\n#[derive(B)]\nstruct S(c::E, m!(E));\n";
        let pruned = prune(text).unwrap();
        assert_eq!(pruned, "use a::{B, c::E};\nuse f::G as _;\n\n#[derive(B)]\nstruct S(c::E, m!(E));\n");
    }

    #[test]
    fn a_field_that_is_called_like_a_module_does_not_import_it() {
        let text = "use a::{self, b, C};\n\nfn f() { S { b: x.a, ..C::new() } }\n";
        assert_eq!(prune(text).unwrap(), "use a::C;\n\nfn f() { S { b: x.a, ..C::new() } }\n");
    }

    #[test]
    fn a_module_is_imported_where_it_is_named() {
        assert_eq!(prune("use a::{self, B};\nfn f() { a::g() }\n").unwrap(), "use a;\nfn f() { a::g() }\n");
    }
}
