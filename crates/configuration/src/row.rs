//! A key as operators see it: its names and its entry in the reference.

/// One key of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Section and name, as in the file.
    pub(crate) name: String,
    /// The variable that sets it.
    pub(crate) variable: String,
    /// A variable without the prefix that sets it too.
    pub(crate) alias: Option<Alias>,
    pub(crate) kind: Kind,
    /// What it accepts, in words that follow "must be".
    pub(crate) expected: String,
    /// Default as text.
    pub(crate) default: String,
    /// Default in words, if it depends on other values.
    pub(crate) default_words: Option<String>,
    /// One or two sentences for operators.
    pub(crate) meaning: &'static str,
}

/// How a value is written, and how much of it may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// Secret text.
    Secret,
    /// A URL that may contain a password.
    SecretUrl,
    /// A list of such.
    SecretUrls,
    List,
    Integer,
    /// A whole number of bytes.
    Bytes,
    Boolean,
    /// A reserved name, whose feature comes later. Its value may be a URL with a password, too.
    Promised(&'static str),
}

/// A name without the program's prefix, as people expect it (`DATABASE_URL`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alias {
    pub(crate) name: &'static str,
    /// How its value is put into the present one, if it is only a part of it.
    pub(crate) part: Option<Part>,
}

/// A part of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// What it accepts, in words that follow "needs".
    pub(crate) needs: &'static str,
    /// Makes the whole value out of the present one and the part; `None` if the part is invalid.
    pub(crate) put: fn(&str, &str) -> Option<String>,
}

impl Row {
    /// Name of its section; empty for the keys at the top.
    pub(crate) fn section(&self) -> &str {
        self.name.split_once('.').map_or("", |(section, _)| section)
    }

    /// The name of the alias variable, if there is one.
    pub(crate) fn alias_name(&self) -> Option<&'static str> {
        self.alias.map(|alias| alias.name)
    }

    /// The names of all variables that set it.
    pub(crate) fn variables(&self) -> Vec<&str> {
        [self.variable.as_str()].into_iter().chain(self.alias_name()).collect()
    }

    /// Whether its value must be redacted.
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::SecretUrl | Kind::SecretUrls)
    }

    /// Its default for the reference.
    pub(crate) fn default_text(&self) -> String {
        match &self.default_words {
            Some(words) => words.clone(),
            None if self.kind == Kind::List => format!("`{}`", self.default.replace(',', ", ")),
            None => format!("`{}`{}", self.default, self.size().unwrap_or_default()),
        }
    }

    /// The default of a size in its largest exact unit: " (4 GiB)".
    fn size(&self) -> Option<String> {
        let bytes: u64 = self.default.parse().ok().filter(|bytes| *bytes > 0 && self.kind == Kind::Bytes)?;
        let (power, unit) = [(30, "GiB"), (20, "MiB"), (10, "KiB")]
            .into_iter()
            .find(|(power, _)| bytes.trailing_zeros() >= *power)?;
        Some(format!(" ({} {unit})", bytes >> power))
    }
}
