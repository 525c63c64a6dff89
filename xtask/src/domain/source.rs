//! Rust source as tokens with their positions, so that text in comments and strings is not found.

use std::ops::Range;

use anyhow::{Result, anyhow};
use proc_macro2::{TokenStream, TokenTree};

/// The tokens of a source file.
pub(crate) fn tokens(text: &str) -> Result<TokenStream> {
    text.parse().map_err(|error: proc_macro2::LexError| {
        let at = error.span().start();
        anyhow!("line {} is not valid Rust: {error}", at.line)
    })
}

/// The range of the token, in bytes.
pub(crate) fn place(token: &TokenTree) -> Range<usize> {
    token.span().byte_range()
}

/// Whether the token is this identifier.
pub(crate) fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

/// Whether the token is this punctuation character.
pub(crate) fn is_sign(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

/// The text of a plain string literal.
pub(crate) fn string(token: &TokenTree) -> Option<String> {
    let TokenTree::Literal(literal) = token else { return None };
    let text = literal.to_string();
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('\\')).then(|| inner.to_owned())
}

/// The values of all `const NAME: … = "value"`.
pub(crate) fn constants(stream: &TokenStream, name: &str) -> Vec<String> {
    let tokens: Vec<TokenTree> = stream.clone().into_iter().collect();
    let mut found = inside(&tokens, |inner| constants(inner, name));
    for (at, pair) in tokens.windows(2).enumerate() {
        if is_word(&pair[0], "const") && is_word(&pair[1], name) {
            let rest = tokens[at..].iter().take_while(|token| !is_sign(token, ';'));
            found.extend(rest.filter_map(string));
        }
    }
    found
}

/// The first arguments of calls of these functions, if they are plain strings.
pub(crate) fn first_arguments(stream: &TokenStream, functions: &[&str]) -> Vec<String> {
    let tokens: Vec<TokenTree> = stream.clone().into_iter().collect();
    let mut found = inside(&tokens, |inner| first_arguments(inner, functions));
    for pair in tokens.windows(2) {
        if let TokenTree::Group(arguments) = &pair[1]
            && functions.iter().any(|function| is_word(&pair[0], function))
        {
            found.extend(arguments.stream().into_iter().next().as_ref().and_then(string));
        }
    }
    found
}

fn inside(tokens: &[TokenTree], look: impl Fn(&TokenStream) -> Vec<String>) -> Vec<String> {
    let groups = tokens.iter().filter_map(|token| match token {
        TokenTree::Group(group) => Some(group.stream()),
        _ => None,
    });
    groups.flat_map(|inner| look(&inner)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
        //! impl IdKind for Post { const PREFIX: &'static str = "doc"; }
        // const PREFIX: &str = "com";
        const PREFIX: &str = "one";
        impl IdKind for Kind {
            const PREFIX: &'static str = "two";
            const OTHER: &'static str = "no";
        }
        fn up() {
            let text = "const PREFIX: &str = \"str\";";
            let posts = resource("posts").col(id("owner_id"));
            Table::create().table("things").col(x);
            manager.drop_table(Table::drop().table(table).to_owned());
        }
    "#;

    #[test]
    fn constants_are_found_outside_comments_and_strings() {
        let mut found = constants(&tokens(SOURCE).unwrap(), "PREFIX");
        found.sort();
        assert_eq!(found, ["one", "two"]);
    }

    #[test]
    fn tables_are_found() {
        let mut found = first_arguments(&tokens(SOURCE).unwrap(), &["resource", "table"]);
        found.sort();
        assert_eq!(found, ["posts", "things"]);
    }

    #[test]
    fn what_is_no_rust_is_an_error_with_a_line() {
        assert!(tokens("fn a() {\n  }}\n").unwrap_err().to_string().contains("is not valid Rust"));
    }
}
