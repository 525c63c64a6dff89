//! Adds and removes one name in the list of a macro, `domains! { auth, user, upload }`; all other bytes stay unchanged.

use std::ops::Range;

use anyhow::{Result, bail};
use proc_macro2::{Delimiter, TokenTree};

use super::source::{is_sign, is_word, place, tokens};

/// A list, with the ranges of its parts in the text.
#[derive(Debug)]
struct List {
    /// Between the braces.
    inner: Range<usize>,
    items: Vec<Item>,
}

/// A name, and the comma after it if there is one.
#[derive(Debug)]
struct Item {
    name: String,
    place: Range<usize>,
    comma: Option<Range<usize>>,
}

/// The names in the list of the macro; `None` if the text does not call the macro.
pub(crate) fn names(text: &str, macro_name: &str) -> Result<Option<Vec<String>>> {
    let list = find(text, macro_name)?;
    Ok(list.map(|list| list.items.into_iter().map(|item| item.name).collect()))
}

/// Adds a name at the end of the list.
pub(crate) fn add(text: &str, macro_name: &str, name: &str) -> Result<String> {
    let list = expect(text, macro_name)?;
    if list.items.iter().any(|item| item.name == name) {
        bail!("`{name}` is in `{macro_name}!` already");
    }
    let edited = apply(text, &list.insertion(text, name));
    let wanted: Vec<&str> = list.items.iter().map(|item| item.name.as_str()).chain([name]).collect();
    checked(edited, macro_name, &wanted)
}

/// Removes a name from the list.
pub(crate) fn remove(text: &str, macro_name: &str, name: &str) -> Result<String> {
    let list = expect(text, macro_name)?;
    let Some(at) = list.items.iter().position(|item| item.name == name) else {
        bail!("`{name}` is not in `{macro_name}!`");
    };
    let edited = apply(text, &list.removal(text, at));
    let mut wanted: Vec<&str> = list.items.iter().map(|item| item.name.as_str()).collect();
    wanted.remove(at);
    checked(edited, macro_name, &wanted)
}

/// Checks the result of an edit, because this code may not support every layout.
fn checked(edited: String, macro_name: &str, wanted: &[&str]) -> Result<String> {
    match names(&edited, macro_name) {
        Ok(Some(found)) if found == wanted => Ok(edited),
        _ => bail!("the list of `{macro_name}!` can't be edited in this layout: write one name on each line"),
    }
}

fn expect(text: &str, macro_name: &str) -> Result<List> {
    match find(text, macro_name)? {
        Some(list) => Ok(list),
        None => bail!("there is no `{macro_name}! {{ … }}`"),
    }
}

fn find(text: &str, macro_name: &str) -> Result<Option<List>> {
    let tokens: Vec<TokenTree> = tokens(text)?.into_iter().collect();
    let called = tokens.windows(3).find_map(|call| match call {
        [name, sign, TokenTree::Group(group)] if is_word(name, macro_name) && is_sign(sign, '!') => {
            Some(group)
        }
        _ => None,
    });
    let Some(group) = called.filter(|group| group.delimiter() != Delimiter::None) else { return Ok(None) };
    let inner = group.span_open().byte_range().end..group.span_close().byte_range().start;
    Ok(Some(List { inner, items: items(group.stream(), macro_name)? }))
}

fn items(stream: proc_macro2::TokenStream, macro_name: &str) -> Result<Vec<Item>> {
    let mut items: Vec<Item> = Vec::new();
    for token in stream {
        let after_name = items.last_mut().filter(|item| item.comma.is_none());
        match (&token, after_name) {
            (TokenTree::Ident(name), None) => {
                items.push(Item { name: name.to_string(), place: place(&token), comma: None });
            }
            (_, Some(item)) if is_sign(&token, ',') => item.comma = Some(place(&token)),
            _ => bail!("`{macro_name}!` contains `{token}`, where only names and commas are expected"),
        }
    }
    Ok(items)
}

impl List {
    /// The edits that add a name at the end.
    fn insertion(&self, text: &str, name: &str) -> Vec<(Range<usize>, String)> {
        let here = |at: usize, new: String| (at..at, new);
        let Some(last) = self.items.last() else { return vec![self.first(text, name)] };
        if !text[last.place.end..self.inner.end].contains('\n') {
            return vec![here(last.place.end, format!(", {name}"))];
        }
        // After the comma of the last name and a comment on its line.
        let end = line_end(text, last.place.end);
        let indent = indent(text, last.place.start);
        match last.comma {
            Some(_) => vec![here(end, format!("\n{indent}{name},"))],
            None => vec![here(last.place.end, ",".to_owned()), here(end, format!("\n{indent}{name}"))],
        }
    }

    /// The edit that makes a name the first of the list.
    fn first(&self, text: &str, name: &str) -> (Range<usize>, String) {
        if text[self.inner.clone()].contains('\n') {
            let end = line_end(text, self.inner.start);
            return (end..end, format!("\n    {name},"));
        }
        (self.inner.clone(), format!(" {name} "))
    }

    /// The edits that remove the item at `at`: exactly the inverse of an insertion.
    fn removal(&self, text: &str, at: usize) -> Vec<(Range<usize>, String)> {
        let gone = |range: Range<usize>| (range, String::new());
        let item = &self.items[at];
        let before = at.checked_sub(1).map(|before| &self.items[before]);
        if is_alone(text, item) {
            // The line break before the name is removed with its line, because the brace may be on the last line.
            let start = text[..item.place.start].rfind('\n').unwrap_or(0);
            let line = gone(start..line_end(text, item.place.end));
            let comma = before.filter(|_| item.comma.is_none()).and_then(|before| before.comma.clone());
            return comma.map(gone).into_iter().chain([line]).collect();
        }
        match (before, self.items.get(at + 1)) {
            (Some(before), _) => vec![gone(before.place.end..item.place.end)],
            (None, Some(next)) => vec![gone(item.place.start..next.place.start)],
            (None, None) => vec![gone(self.inner.clone())],
        }
    }
}

/// Whether the name is alone on its line, except for its comma and a comment.
fn is_alone(text: &str, item: &Item) -> bool {
    let start = text[..item.place.start].rfind('\n').map_or(0, |at| at + 1);
    let end = item.comma.as_ref().map_or(item.place.end, |comma| comma.end);
    let rest = text[end..line_end(text, end)].trim();
    text[start..item.place.start].trim().is_empty() && (rest.is_empty() || rest.starts_with("//"))
}

fn line_end(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |at| from + at)
}

/// The indentation of the line at this position.
fn indent(text: &str, place: usize) -> &str {
    let start = text[..place].rfind('\n').map_or(0, |at| at + 1);
    let line = &text[start..place];
    &line[..line.len() - line.trim_start().len()]
}

/// Applies edits in order; they must not overlap.
fn apply(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut edited = String::new();
    let mut done = 0;
    for (range, new) in edits {
        edited.push_str(&text[done..range.start]);
        edited.push_str(new);
        done = range.end;
    }
    edited.push_str(&text[done..]);
    edited
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds the name, expects the text, takes it away and expects what was there before.
    fn there_and_back(text: &str, expected: &str) {
        let added = add(text, "list", "m").unwrap();
        assert_eq!(added, expected);
        assert_eq!(remove(&added, "list", "m").unwrap(), text);
    }

    fn removed(text: &str, expected: &str) {
        assert_eq!(remove(text, "list", "m").unwrap(), expected);
    }

    #[test]
    fn a_list_on_one_line() {
        there_and_back("list! { a, z }", "list! { a, z, m }");
        there_and_back("list! { a, z, }", "list! { a, z, m, }");
        there_and_back("list!{a,z}", "list!{a,z, m}");
        there_and_back("list! { a }", "list! { a, m }");
        there_and_back("list![a, z];", "list![a, z, m];");
        assert_eq!(add("list! {}", "list", "m").unwrap(), "list! { m }");
        removed("list! { m }", "list! {}");
        removed("list! { a, m, z }", "list! { a, z }");
        removed("list! { m, y, z }", "list! { y, z }");
    }

    #[test]
    fn a_list_with_a_line_for_each() {
        there_and_back("list! {\n    a,\n    z,\n}\n", "list! {\n    a,\n    z,\n    m,\n}\n");
        there_and_back("list! {\n    a,\n    z\n}\n", "list! {\n    a,\n    z,\n    m\n}\n");
        there_and_back("list! {\n\ta,\n}", "list! {\n\ta,\n\tm,\n}");
        there_and_back("list! {\n}\n", "list! {\n    m,\n}\n");
        removed("list! {\n    a,\n    m,\n    z,\n}\n", "list! {\n    a,\n    z,\n}\n");
        removed("list! {\n    m,\n    y,\n}\n", "list! {\n    y,\n}\n");
    }

    #[test]
    fn several_names_on_a_line_of_many() {
        there_and_back("list! {\n    a, b,\n}\n", "list! {\n    a, b,\n    m,\n}\n");
        there_and_back("list! { a,\n        b }\n", "list! { a,\n        b, m }\n");
        there_and_back("list! {\n    a }", "list! {\n    a, m }");
        removed("list! {\n    a, m, z,\n}\n", "list! {\n    a, z,\n}\n");
    }

    #[test]
    fn comments_stay_with_their_names() {
        there_and_back(
            "list! {\n    a // no comma, yet\n}\n",
            "list! {\n    a, // no comma, yet\n    m\n}\n",
        );
        there_and_back(
            "list! {\n    a,\n    // the end\n}\n",
            "list! {\n    a,\n    m,\n    // the end\n}\n",
        );
        removed(
            "list! {\n    // who\n    a, // one, two\n    m,\n    // what\n    z,\n}\n",
            "list! {\n    // who\n    a, // one, two\n    // what\n    z,\n}\n",
        );
    }

    #[test]
    fn the_call_is_found_and_nothing_else() {
        let text = "//! `list! { doc }`\nmacro_rules! list { ($($x:ident),*) => { other! { no } } }\n// ünï\nlist! { a }\n";
        assert_eq!(names(text, "list").unwrap().unwrap(), ["a"]);
        there_and_back(text, &text.replace("{ a }", "{ a, m }"));
        assert_eq!(names(text, "other").unwrap(), None);
        assert_eq!(names("fn list() {}", "list").unwrap(), None);
    }

    #[test]
    fn what_can_not_be_done_is_told() {
        let told = |result: Result<String>| result.unwrap_err().to_string();
        assert_eq!(told(add("list! { a }", "list", "a")), "`a` is in `list!` already");
        assert_eq!(told(remove("list! { a }", "list", "b")), "`b` is not in `list!`");
        assert_eq!(told(add("", "list", "a")), "there is no `list! { … }`");
        let odd = told(add("list! { a => b }", "list", "c"));
        assert_eq!(odd, "`list!` contains `=`, where only names and commas are expected");
        assert!(told(add("list! { a", "list", "c")).contains("is not valid Rust"));
    }
}
