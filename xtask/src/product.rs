//! The name of the product in all its forms, and its occurrences in a text.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result};
use heck::{ToLowerCamelCase as _, ToUpperCamelCase as _};
use toml_edit::DocumentMut;

/// The file with values that must not change once there is data.
pub(crate) const FROZEN: &str = "crates/shared-kernel/src/frozen.rs";

/// Migrations are identified by their content: one that ran must not change.
const MIGRATIONS: &str = "migration/src/m2";

/// Prefix of a variable of cargo, followed by the name of a binary as it is and not as an identifier.
const AS_IT_IS: &str = "CARGO_BIN_EXE_";

/// The names of a product. Every other form follows from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Product {
    /// Name of its binary: `tin-kettle`.
    pub(crate) name: String,
    /// Name in texts: `Tin Kettle`.
    pub(crate) title: String,
}

/// A form of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `tin-kettle`
    Kebab,
    /// `tin_kettle`
    Snake,
    /// `TIN_KETTLE`
    Screaming,
    /// `tinKettle`
    Camel,
    /// `TinKettle`
    Pascal,
    /// The title, by default `Tin Kettle`.
    Title,
}

const FORMS: [Form; 6] = [Form::Kebab, Form::Snake, Form::Screaming, Form::Camel, Form::Pascal, Form::Title];

/// An occurrence of the name in a text, and its form.
#[derive(Debug)]
struct Place {
    range: Range<usize>,
    form: Form,
}

impl Product {
    /// The name of the product in `Cargo.toml`, if it is there.
    ///
    /// # Errors
    ///
    /// There is no such file, or it is not valid TOML.
    pub(crate) fn find(root: &Path) -> Result<Option<Self>> {
        let path = root.join("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
        let document: DocumentMut = text.parse().with_context(|| format!("in {}", path.display()))?;
        let keys = ["workspace", "metadata", "product"];
        let product = keys.iter().try_fold(document.as_item(), |item, key| item.get(key));
        let said = |key| product.and_then(|product| product.get(key)?.as_str()).map(str::to_owned);
        Ok(said("name").zip(said("title")).map(|(name, title)| Self { name, title }))
    }

    /// The form in code: `tin_kettle`.
    pub(crate) fn snake(&self) -> String {
        self.name.replace('-', "_")
    }

    fn written(&self, form: Form) -> String {
        match form {
            Form::Kebab => self.name.clone(),
            Form::Snake => self.snake(),
            Form::Screaming => self.snake().to_uppercase(),
            Form::Camel => self.name.to_lower_camel_case(),
            Form::Pascal => self.name.to_upper_camel_case(),
            Form::Title => self.title.clone(),
        }
    }

    /// Whether a text contains its name.
    pub(crate) fn is_named_in(&self, text: &str) -> bool {
        !self.places(text).is_empty()
    }

    /// The text with `new` in place of each occurrence of this product's name.
    pub(crate) fn renamed(&self, text: &str, new: &Self) -> String {
        let (mut renamed, mut from) = (String::with_capacity(text.len()), 0);
        for Place { range, form } in self.places(text) {
            renamed.push_str(&text[from..range.start]);
            renamed.push_str(&new.written(form));
            from = range.end;
        }
        renamed + &text[from..]
    }

    /// The occurrences in the text. Of two that begin at the same place, the longer one counts.
    fn places(&self, text: &str) -> Vec<Place> {
        let spellings: BTreeSet<String> = FORMS.iter().map(|form| self.written(*form)).collect();
        let matches = |spelling: &String| {
            let found = text.match_indices(spelling.as_str());
            found.map(|(start, found)| start..start + found.len()).collect::<Vec<_>>()
        };
        let mut found: Vec<_> = spellings.iter().flat_map(matches).collect();
        found.sort_by_key(|range| (range.start, Reverse(range.end)));
        let mut places: Vec<Place> = Vec::new();
        for range in found {
            let is_free = places.last().is_none_or(|last| last.range.end <= range.start);
            if is_free && is_word(text, &range) {
                places.push(Place { form: self.form(text, &range), range });
            }
        }
        places
    }

    /// The form of an occurrence: several forms of a name may be equal.
    fn form(&self, text: &str, range: &Range<usize>) -> Form {
        let is = |form: Form| self.written(form) == text[range.clone()];
        let (before, after) = (&text[..range.start], &text[range.end..]);
        let in_snake_case = after.starts_with('_') || before.ends_with('_') && !before.ends_with(AS_IT_IS);
        let is_hump = before.ends_with(char::is_lowercase) && !ends_in_escape(before);
        let in_camel_case = is_hump || after.starts_with(char::is_uppercase);
        let in_code = in_snake_case || after.starts_with("::") || after.starts_with('(');
        let meant = FORMS.into_iter().filter(|form| is(*form)).find(|form| match form {
            Form::Kebab => !in_code && !in_camel_case,
            Form::Snake => in_code,
            Form::Screaming => in_snake_case,
            Form::Camel | Form::Pascal => in_camel_case,
            Form::Title => true,
        });
        let any = || FORMS.into_iter().find(|form| is(*form));
        meant.or_else(any).unwrap_or(Form::Title)
    }
}

/// Whether a renaming does not change this file.
pub(crate) fn stays(path: &Path) -> bool {
    let path = path.to_string_lossy();
    path == FROZEN || path.starts_with(MIGRATIONS)
}

/// Whether the range is a whole word, also within an identifier, and not a part of another word.
fn is_word(text: &str, range: &Range<usize>) -> bool {
    let ends = |text: &str| (text.chars().next(), text.chars().next_back());
    let ((_, before), (after, _)) = (ends(&text[..range.start]), ends(&text[range.end..]));
    let (first, last) = ends(&text[range.clone()]);
    let goes_on = |left: Option<char>, right: Option<char>| {
        let (Some(left), Some(right)) = (left, right) else { return false };
        left.is_alphabetic() && right.is_alphabetic() && !(left.is_lowercase() && right.is_uppercase())
    };
    let begins = !goes_on(before, first) || ends_in_escape(&text[..range.start]);
    begins && !goes_on(last, after)
}

/// Whether the last letter belongs to an escape sequence of a string (`\n`) or of a URL (`%2F`).
fn ends_in_escape(text: &str) -> bool {
    let mut back = text.chars().rev();
    let (last, second, third) = (back.next(), back.next(), back.next());
    let is_hex = |c: Option<char>| c.is_some_and(|c| c.is_ascii_hexdigit());
    second == Some('\\') || (third == Some('%') && is_hex(second) && is_hex(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(name: &str, title: &str) -> Product {
        Product { name: name.to_owned(), title: title.to_owned() }
    }

    fn gravel() -> Product {
        product("gravel", "Gravel")
    }

    fn kettle() -> Product {
        product("tin-kettle", "Tin Kettle")
    }

    /// Both ways: the second name is found again where the first one stood.
    #[test]
    fn every_form_is_found_and_found_again() {
        for (before, after) in [
            ("the binary `gravel` of Gravel", "the binary `tin-kettle` of Tin Kettle"),
            ("GRAVEL_DATA_DIR=x, or GRAVEL_", "TIN_KETTLE_DATA_DIR=x, or TIN_KETTLE_"),
            ("from gravel_client.api import x", "from tin_kettle_client.api import x"),
            ("gravel(gravel::run)", "tin_kettle(tin_kettle::run)"),
            ("struct GravelError; OfGravel", "struct TinKettleError; OfTinKettle"),
            ("const gravelUrl = 1", "const tinKettleUrl = 1"),
            ("env!(\"CARGO_BIN_EXE_gravel\")", "env!(\"CARGO_BIN_EXE_tin-kettle\")"),
            ("__Host-gravel_refresh, /var/lib/gravel", "__Host-tin_kettle_refresh, /var/lib/tin-kettle"),
            (
                "a\\nGRAVEL_X=1\\ngravel.toml, %2Fgravel",
                "a\\nTIN_KETTLE_X=1\\ntin-kettle.toml, %2Ftin-kettle",
            ),
            ("Gravel's gravel-1 and GRAVEL01", "Tin Kettle's tin-kettle-1 and TIN_KETTLE01"),
            ("gravel.gravel/gravel", "tin-kettle.tin-kettle/tin-kettle"),
        ] {
            assert_eq!(gravel().renamed(before, &kettle()), after);
            assert_eq!(kettle().renamed(after, &gravel()), before);
        }
    }

    #[test]
    fn another_word_is_left_alone() {
        for text in ["gravels", "Gravely", "SKYGRAVEL", "agravel", "tin kettle", "kettle", "a tin"] {
            assert_eq!(gravel().renamed(text, &kettle()), text);
            assert_eq!(kettle().renamed(text, &gravel()), text);
        }
    }

    #[test]
    fn a_title_of_its_own_stands_where_people_read() {
        let said = product("acme", "ACME");
        assert_eq!(gravel().renamed("Gravel reads GRAVEL_X", &said), "ACME reads ACME_X");
        assert_eq!(
            said.renamed("ACME reads ACME_X, acme does", &kettle()),
            "Tin Kettle reads TIN_KETTLE_X, tin-kettle does"
        );
        let long = product("gravel", "Gravel and Steel");
        assert_eq!(long.renamed("Gravel and Steel: gravel", &kettle()), "Tin Kettle: tin-kettle");
    }

    #[test]
    fn a_name_that_begins_with_the_old_one_is_found_as_a_whole() {
        let pro = product("gravel-pro", "Gravel Pro");
        let text = gravel().renamed("gravel of Gravel: GRAVEL_X", &pro);
        assert_eq!(text, "gravel-pro of Gravel Pro: GRAVEL_PRO_X");
        assert_eq!(pro.renamed(&text, &kettle()), "tin-kettle of Tin Kettle: TIN_KETTLE_X");
    }

    #[test]
    fn the_workspace_says_what_it_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(folder.path().join("Cargo.toml"), text).unwrap();
        write("[workspace]\nmembers = []\n");
        assert_eq!(Product::find(folder.path()).unwrap(), None);
        write("[workspace.metadata.product]\nname = \"tin-kettle\"\ntitle = \"Tin Kettle\"\n");
        assert_eq!(Product::find(folder.path()).unwrap(), Some(kettle()));
    }
}
