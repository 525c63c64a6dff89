//! A key as operators see it: its names, and what the reference says of it.

/// One key of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Section and name, as in the file.
    pub(crate) name: String,
    /// The variable that sets it.
    pub(crate) variable: String,
    /// A variable without the prefix that sets it too.
    pub(crate) plain: Option<Plain>,
    pub(crate) kind: Kind,
    /// What it must be, to follow "must be".
    pub(crate) expected: String,
    /// Its value when nobody set it, as text.
    pub(crate) default: String,
    /// The same in words, where it is not always the same.
    pub(crate) default_words: Option<String>,
    /// One or two sentences for operators.
    pub(crate) meaning: &'static str,
}

/// How a value is written, and how much of it may be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// Text that nobody may see.
    Secret,
    /// A URL that may hold a password.
    SecretUrl,
    /// A list of such.
    SecretUrls,
    List,
    Whole,
    /// A whole number of bytes.
    Bytes,
    Switch,
    /// A name that is promised: what it switches on comes later. That may be a URL with a password, too.
    Promised(&'static str),
}

/// A name without the program's prefix, as people expect it (`DATABASE_URL`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain {
    pub(crate) name: &'static str,
    /// How its value is put into the one that is there, if it is a part of it only.
    pub(crate) part: Option<Part>,
}

/// A part of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// What it must be, to follow "needs".
    pub(crate) needs: &'static str,
    /// The whole value, out of the one that is there and the part; nothing when the part cannot be used.
    pub(crate) put: fn(&str, &str) -> Option<String>,
}

impl Row {
    /// The section that it stands in; empty for those at the top.
    pub(crate) fn section(&self) -> &str {
        self.name.split_once('.').map_or("", |(section, _)| section)
    }

    /// The name of the plain variable, if there is one.
    pub(crate) fn plain_name(&self) -> Option<&'static str> {
        self.plain.map(|plain| plain.name)
    }

    /// The names of all variables that set it.
    pub(crate) fn variables(&self) -> Vec<&str> {
        [self.variable.as_str()].into_iter().chain(self.plain_name()).collect()
    }

    /// Whether its value must not be shown, or not as it is.
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::SecretUrl | Kind::SecretUrls)
    }

    /// Its default, in words where it is not a value.
    pub(crate) fn default_text(&self) -> String {
        match &self.default_words {
            Some(words) => words.clone(),
            None if self.kind == Kind::List => format!("`{}`", self.default.replace(',', ", ")),
            None => format!("`{}`{}", self.default, self.size().unwrap_or_default()),
        }
    }

    /// The default in the largest unit that it is a whole number of, where it is a size: " (4 GiB)".
    fn size(&self) -> Option<String> {
        let bytes: u64 = self.default.parse().ok().filter(|bytes| *bytes > 0 && self.kind == Kind::Bytes)?;
        let (power, unit) = [(30, "GiB"), (20, "MiB"), (10, "KiB")]
            .into_iter()
            .find(|(power, _)| bytes.trailing_zeros() >= *power)?;
        Some(format!(" ({} {unit})", bytes >> power))
    }
}
