//! The specification of a domain: parsed from the command line, stored in `domain.toml`, and the input of the templates.

use std::collections::BTreeSet;
use std::fmt;

/// The domain of the accounts, which was written by hand and to which any domain may refer.
pub(crate) const USERS: &str = "user";

/// The specification of a domain. It satisfies the rules, because the parser creates it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    /// Name of the crate, in the singular: `blog_post`.
    pub(crate) name: String,
    /// Name of the table and last segment of the routes: `blog_posts`.
    pub(crate) plural: String,
    /// Prefix of its ids: three lowercase letters.
    pub(crate) prefix: String,
    /// Everyone may read, signed in or not.
    pub(crate) public_read: bool,
    /// Only admins may read and write, except what is public.
    pub(crate) admin_only: bool,
    /// Whether it emits events.
    pub(crate) events: bool,
    /// Its fields, in order.
    pub(crate) fields: Vec<Field>,
}

/// A field.
#[expect(clippy::struct_excessive_bools, reason = "each is an independent modifier")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// Its name on the command line: `cover`, even if its name in bodies differs.
    pub(crate) name: String,
    /// Its type.
    pub(crate) kind: Kind,
    /// May be absent and null.
    pub(crate) optional: bool,
    /// No two living rows have the same value.
    pub(crate) unique: bool,
    /// Has an index.
    pub(crate) index: bool,
    /// The list can be filtered by it.
    pub(crate) filter: bool,
    /// The list can be sorted by it.
    pub(crate) sort: bool,
    /// The parameter `q` of the list searches it.
    pub(crate) search: bool,
    /// On a `ref=user`: set from the token.
    pub(crate) owner: bool,
    /// Bounds of its length or value.
    pub(crate) range: Range,
    /// The value if it is absent from a new row.
    pub(crate) default: Option<String>,
    /// On a reference: the action when its target is deleted. Always set on references and uploads, and only there.
    pub(crate) on_delete: Option<OnDelete>,
    /// On a reference to the same domain: the field of another reference that both rows must agree in.
    pub(crate) within: Option<String>,
}

/// The type of a field.
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
    /// An exact number with these numbers of digits in total and after the point.
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
    /// One of these values.
    Enum(Vec<String>),
    /// The id of a row of another domain, or of the same domain.
    Ref(String),
    /// A completed upload of the caller.
    Upload,
}

/// Bounds, of which one may be absent. They are texts, because those of a decimal are exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) min: Option<String>,
    pub(crate) max: Option<String>,
}

/// The action when the referenced row is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnDelete {
    /// The referring row is deleted too.
    Cascade,
    /// The deletion is rejected.
    Restrict,
    /// The reference is set to null.
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

/// Who may read the rows of a domain, from the fewest to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Readers {
    Admins,
    /// Of each row, the user to whom it belongs.
    Owner,
    SignedIn,
    Everyone,
}

impl Field {
    /// Its column, and its name in requests: `author_id`, `cover_upload_id`, `title`.
    pub(crate) fn column(&self) -> String {
        match self.kind {
            Kind::Ref(_) => format!("{}_id", self.name),
            Kind::Upload => format!("{}_upload_id", self.name),
            _ => self.name.clone(),
        }
    }

    /// Its name in responses: `author_id`, `cover`, `title`.
    pub(crate) fn shown(&self) -> String {
        match self.kind {
            Kind::Upload => self.name.clone(),
            _ => self.column(),
        }
    }

    /// The column with the normalized text for searches, sorting and comparisons; `None` if it is not needed.
    pub(crate) fn normalized_column(&self) -> Option<String> {
        let compared = matches!(self.kind, Kind::Email) && (self.unique || self.filter);
        (self.is_text() && (self.search || self.sort) || compared)
            .then(|| format!("{}_normalized", self.name))
    }

    /// Whether it is a text that users type.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.kind, Kind::String | Kind::Text | Kind::Email | Kind::Url)
    }
}

impl Spec {
    /// The field with the owner of a row.
    pub(crate) fn owner(&self) -> Option<&Field> {
        self.fields.iter().find(|field| field.owner)
    }

    /// The field of that name.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Whether rows refer to uploads, so that its service needs their files.
    pub(crate) fn has_files(&self) -> bool {
        self.fields.iter().any(|field| field.kind == Kind::Upload)
    }

    /// The generated domains that it builds on: those that it refers to, because it uses their ids.
    pub(crate) fn builds_on(&self) -> BTreeSet<String> {
        let target = |field: &Field| match &field.kind {
            Kind::Ref(domain) if domain != USERS && *domain != self.name => Some(domain.clone()),
            _ => None,
        };
        self.fields.iter().filter_map(target).collect()
    }

    /// The references that a row can have in common with one that it refers to: to rows of another domain.
    pub(crate) fn common_references(&self) -> Vec<&Field> {
        let is_common = |field: &&Field| match &field.kind {
            Kind::Ref(domain) => !field.owner && !field.unique && *domain != self.name,
            _ => false,
        };
        self.fields.iter().filter(is_common).collect()
    }

    /// Who may read its rows.
    pub(crate) fn readers(&self) -> Readers {
        match (self.public_read, self.admin_only, self.owner()) {
            (true, ..) => Readers::Everyone,
            (false, true, _) => Readers::Admins,
            (false, false, Some(_)) => Readers::Owner,
            (false, false, None) => Readers::SignedIn,
        }
    }

    /// Whether all signed-in users may change every row.
    pub(crate) fn is_shared(&self) -> bool {
        self.owner().is_none() && !self.admin_only
    }
}
