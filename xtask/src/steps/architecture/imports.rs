//! The modules of a crate, and their imports from each other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::{Attribute, Item};

use crate::domain::source::is_sign;

/// The path of a module or an imported item, relative to the root of the crate.
pub(super) type ModulePath = Vec<String>;

/// The modules of a crate, and the imports of each from the same crate.
#[derive(Debug, Default, Clone)]
pub(super) struct Modules {
    pub(super) known: BTreeSet<ModulePath>,
    imports: BTreeSet<(ModulePath, ModulePath)>,
    /// Modules for tests in files of their own.
    for_tests: BTreeSet<ModulePath>,
}

impl Modules {
    /// Reads the sources of a crate.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let root = folder.join("src");
        let mut modules = Self::default();
        for file in sources(&root)? {
            let text = fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
            let path = module_of(file.strip_prefix(&root)?);
            modules.add(&path, &text).with_context(|| format!("can't parse {}", file.display()))?;
        }
        Ok(modules)
    }

    /// The imports of the modules, except modules for tests.
    pub(super) fn imports(&self) -> impl Iterator<Item = &(ModulePath, ModulePath)> {
        let is_for_tests = |from: &ModulePath| self.for_tests.iter().any(|tests| from.starts_with(tests));
        self.imports.iter().filter(move |(from, _)| !is_for_tests(from))
    }

    /// Adds the module of that path, whose source is `text`.
    pub(super) fn add(&mut self, path: &ModulePath, text: &str) -> Result<()> {
        self.known.insert(path.clone());
        let items = syn::parse_file(text)?.items;
        self.add_items(path, path, &items, text);
        Ok(())
    }

    /// `place` is the module of the items: that of the file, or an inline module, which counts as part of the file's.
    fn add_items(&mut self, file: &ModulePath, place: &ModulePath, items: &[Item], text: &str) {
        for item in items {
            match item {
                Item::Mod(module) if is_for_tests(&module.attrs) => {
                    self.for_tests.insert([place.as_slice(), &[module.ident.to_string()]].concat());
                }
                Item::Mod(module) => {
                    if let Some((_, items)) = &module.content {
                        let inside = [place.as_slice(), &[module.ident.to_string()]].concat();
                        self.add_items(file, &inside, items, text);
                    }
                }
                Item::Use(import) if is_for_tests(&import.attrs) => {}
                Item::Fn(function) if is_for_tests(&function.attrs) => {}
                Item::Impl(implementation) if is_for_tests(&implementation.attrs) => {}
                item => {
                    let source = text.get(item.span().byte_range()).unwrap_or_default();
                    let mut found = Vec::new();
                    paths(&source.parse().unwrap_or_default(), place, &mut found);
                    self.imports.extend(found.into_iter().map(|path| (file.clone(), path)));
                }
            }
        }
    }
}

/// `src/a/b.rs` and `src/a/b/mod.rs` are `a::b`; the root of the crate has the empty path.
pub(super) fn module_of(file: &Path) -> ModulePath {
    let mut path: ModulePath =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| last == "mod")
        || path.len() == 1 && (path[0] == "lib" || path[0] == "main")
    {
        path.pop();
    }
    path
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "test")
    })
}

/// All paths that begin with `crate`, `self` or `super`, resolved from the root of the crate.
fn paths(stream: &TokenStream, place: &ModulePath, found: &mut Vec<ModulePath>) {
    let tokens: Vec<TokenTree> = stream.clone().into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let is_first = at == 0 || !is_sign(&tokens[at - 1], ':');
        if let Some(start) = start(token, place).filter(|_| is_first && is_path_on(&tokens[at + 1..])) {
            follow(&tokens[at + 1..], start, found);
        } else if let TokenTree::Group(group) = token {
            paths(&group.stream(), place, found);
        }
        at += 1;
    }
}

/// The module to which a path that begins with this word is relative.
fn start(token: &TokenTree, place: &ModulePath) -> Option<ModulePath> {
    let TokenTree::Ident(word) = token else { return None };
    match word.to_string().as_str() {
        "crate" => Some(ModulePath::new()),
        "self" => Some(place.clone()),
        "super" => place.split_last().map(|(_, parent)| parent.to_vec()),
        _ => None,
    }
}

fn is_path_on(rest: &[TokenTree]) -> bool {
    matches!(rest, [a, b, _, ..] if is_sign(a, ':') && is_sign(b, ':'))
}

/// Reads `::a::{b, c::d}` after `path`.
fn follow(rest: &[TokenTree], mut path: ModulePath, found: &mut Vec<ModulePath>) {
    let mut rest = rest;
    while is_path_on(rest) {
        match &rest[2] {
            TokenTree::Ident(word) if word == "super" => drop(path.pop()),
            TokenTree::Ident(word) => path.push(word.to_string()),
            TokenTree::Group(group) => return follow_group(&group.stream(), &path, found),
            _ => break,
        }
        rest = &rest[3..];
    }
    found.push(path);
}

fn follow_group(stream: &TokenStream, path: &ModulePath, found: &mut Vec<ModulePath>) {
    let tokens: Vec<TokenTree> = stream.clone().into_iter().collect();
    for branch in tokens.split(|token| is_sign(token, ',')) {
        match branch {
            [TokenTree::Ident(word), ..] if word == "self" => found.push(path.clone()),
            [TokenTree::Ident(word), rest @ ..] => {
                let path = [path.as_slice(), &[word.to_string()]].concat();
                follow(rest, path, found);
            }
            _ => found.push(path.clone()),
        }
    }
}
