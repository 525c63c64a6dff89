//! What a domain is: the data that the command line is parsed into, `domain.toml` keeps, and the templates are filled from.

use std::collections::BTreeSet;
use std::fmt;

/// The domain of the accounts, which was written by hand and to which any domain may refer.
pub(crate) const USERS: &str = "user";

/// A domain, as its owner described it. The rules hold: it was made by the parser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    /// The crate, in the singular: `blog_post`.
    pub(crate) name: String,
    /// The table, and the last part of the routes: `blog_posts`.
    pub(crate) plural: String,
    /// What its ids start with: three lower-case letters.
    pub(crate) prefix: String,
    /// Everyone may read, signed in or not.
    pub(crate) public_read: bool,
    /// Only admins may do what is not public.
    pub(crate) admin_only: bool,
    /// Whether it tells of what happens in it.
    pub(crate) events: bool,
    /// Its fields, in order.
    pub(crate) fields: Vec<Field>,
}

/// A field.
#[expect(clippy::struct_excessive_bools, reason = "each is a modifier of its own, and any go together")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// As it was written: `cover`, whatever it is called in bodies.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) kind: Kind,
    /// May be absent and null.
    pub(crate) optional: bool,
    /// No two living rows have the same.
    pub(crate) unique: bool,
    /// Has an index.
    pub(crate) index: bool,
    /// The list can be narrowed by it.
    pub(crate) filter: bool,
    /// The list can be sorted by it.
    pub(crate) sort: bool,
    /// The list's `q` looks into it.
    pub(crate) search: bool,
    /// On a `ref=user`: set from the token.
    pub(crate) owner: bool,
    /// Bounds of its length or value.
    pub(crate) range: Range,
    /// What it is when it is absent from a new row.
    pub(crate) default: Option<String>,
    /// On a reference: what happens when its target goes. Always there on references and uploads, never elsewhere.
    pub(crate) on_delete: Option<OnDelete>,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One line.
    String,
    /// Several lines.
    Text,
    Bool,
    /// 32 bits.
    Int,
    /// 64 bits.
    BigInt,
    /// Exact, with so many digits in all and after the point.
    Decimal {
        precision: u32,
        scale: u32,
    },
    Float,
    Date,
    Timestamp,
    Uuid,
    /// A JSON object.
    Json,
    Email,
    /// http or https.
    Url,
    /// One of these.
    Enum(Vec<String>),
    /// A row of another domain, or of this one.
    Ref(String),
    /// A completed upload of whoever sets it.
    Upload,
}

/// Bounds, either end open. Texts, because a decimal's are exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) min: Option<String>,
    pub(crate) max: Option<String>,
}

/// What happens to a row when what it refers to is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnDelete {
    /// It goes too.
    Cascade,
    /// The deletion is refused.
    Restrict,
    /// It forgets what it referred to.
    SetNull,
}

impl fmt::Display for OnDelete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cascade => "cascade",
            Self::Restrict => "restrict",
            Self::SetNull => "set-null",
        })
    }
}

impl Field {
    /// Its column, and what it is called in the bodies that come in: `author_id`, `cover_upload_id`, `title`.
    pub(crate) fn column(&self) -> String {
        match self.kind {
            Kind::Ref(_) => format!("{}_id", self.name),
            Kind::Upload => format!("{}_upload_id", self.name),
            _ => self.name.clone(),
        }
    }

    /// What it is called in the bodies that go out: `author_id`, `cover_url`, `title`.
    pub(crate) fn shown(&self) -> String {
        match self.kind {
            Kind::Upload => format!("{}_url", self.name),
            _ => self.column(),
        }
    }

    /// The column with the form in which texts are searched, sorted and compared whatever their spelling; only where it
    /// is needed.
    pub(crate) fn normalized_column(&self) -> Option<String> {
        let compared = matches!(self.kind, Kind::Email) && (self.unique || self.filter);
        (self.is_text() && (self.search || self.sort) || compared)
            .then(|| format!("{}_normalized", self.name))
    }

    /// Holds text that people type.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.kind, Kind::String | Kind::Text | Kind::Email | Kind::Url)
    }
}

impl Spec {
    /// The field that says whose a row is.
    pub(crate) fn owner(&self) -> Option<&Field> {
        self.fields.iter().find(|field| field.owner)
    }

    /// The generated domains that it builds on: those that it refers to, because it has the ids of their rows.
    pub(crate) fn builds_on(&self) -> BTreeSet<String> {
        let target = |field: &Field| match &field.kind {
            Kind::Ref(domain) if domain != USERS && *domain != self.name => Some(domain.clone()),
            _ => None,
        };
        self.fields.iter().filter_map(target).collect()
    }

    /// Whether everyone who is signed in may change every row.
    pub(crate) fn is_shared(&self) -> bool {
        self.owner().is_none() && !self.admin_only
    }
}
