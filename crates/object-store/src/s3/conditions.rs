//! Conditional requests (RFC 9110, section 13).

use http::{HeaderMap, HeaderName, HeaderValue, header};
use s3s::dto::{ETagCondition, Timestamp, TimestampFormat};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::timestamp;
use crate::error::reply;
use crate::store::{ObjectMeta, Publish};

const COPY_SOURCE_IF_MATCH: HeaderName = HeaderName::from_static("x-amz-copy-source-if-match");
const COPY_SOURCE_IF_NONE_MATCH: HeaderName = HeaderName::from_static("x-amz-copy-source-if-none-match");

/// The conditions of a read, or on the source of a copy.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) matches: Option<Tags>,
    pub(super) none_match: Option<Tags>,
    pub(super) modified_since: Option<Timestamp>,
    pub(super) unmodified_since: Option<Timestamp>,
}

/// Entity tags of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tags {
    Any,
    These(Vec<Tag>),
}

/// An entity tag (RFC 9110, section 8.8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    weak: bool,
    value: String,
}

impl Tags {
    /// The tags of all headers of this name. s3s parses only one tag.
    fn of(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let list = values.collect::<Vec<_>>().join(",");
        match list.trim() {
            "" => None,
            "*" => Some(Self::Any),
            list => Some(Self::These(read_tags(list))),
        }
    }

    /// All our tags are strong, so the strong and the weak comparison agree.
    fn include(&self, meta: &ObjectMeta) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|tag| tag.value == meta.etag),
        }
    }
}

/// Splits at commas outside quotes, because a tag may contain a comma. Unquoted tags are accepted, because S3 clients send them.
fn read_tags(list: &str) -> Vec<Tag> {
    let (mut tags, mut rest) = (Vec::new(), list);
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return tags;
        }
        let weak = rest.starts_with("W/");
        rest = rest.strip_prefix("W/").unwrap_or(rest);
        let (value, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        tags.push(Tag { weak, value: value.trim_end().to_owned() });
        rest = behind;
    }
}

/// Whether `If-Range` allows a partial answer (RFC 9110, section 13.1.5): only if the client has a part of the same bytes.
pub(super) fn range_holds(headers: &HeaderMap, meta: &ObjectMeta) -> bool {
    let Some(condition) = headers.get(header::IF_RANGE) else { return true };
    let condition = condition.to_str().unwrap_or_default().trim();
    if condition.starts_with('"') || condition.starts_with("W/") {
        return matches!(read_tags(condition).as_slice(), [tag] if !tag.weak && tag.value == meta.etag);
    }
    let date = Timestamp::parse(TimestampFormat::HttpDate, condition);
    date.is_ok_and(|date| date == timestamp(meta.modified / 1000 * 1000))
}

/// Result of evaluating conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Proceed,
    NotModified,
    Failed,
}

impl Conditions {
    /// Conditions of a read.
    pub(super) fn of_read(
        headers: &HeaderMap,
        modified_since: Option<Timestamp>,
        unmodified_since: Option<Timestamp>,
    ) -> Self {
        Self {
            matches: Tags::of(headers, &header::IF_MATCH),
            none_match: Tags::of(headers, &header::IF_NONE_MATCH),
            modified_since,
            unmodified_since,
        }
    }

    /// Conditions on the source of a copy.
    pub(super) fn of_copy(
        headers: &HeaderMap,
        modified_since: Option<Timestamp>,
        unmodified_since: Option<Timestamp>,
    ) -> Self {
        Self {
            matches: Tags::of(headers, &COPY_SOURCE_IF_MATCH),
            none_match: Tags::of(headers, &COPY_SOURCE_IF_NONE_MATCH),
            modified_since,
            unmodified_since,
        }
    }

    /// Evaluates in the order of the RFC: tags before dates.
    pub(super) fn verdict(&self, meta: &ObjectMeta) -> Verdict {
        // HTTP dates have whole seconds.
        let modified = timestamp(meta.modified / 1000 * 1000);
        let matches = match &self.matches {
            Some(tags) => tags.include(meta),
            None => self.unmodified_since.as_ref().is_none_or(|since| modified <= *since),
        };
        let unchanged = match &self.none_match {
            Some(tags) => tags.include(meta),
            None => self.modified_since.as_ref().is_some_and(|since| modified <= *since),
        };
        match (matches, unchanged) {
            (false, _) => Verdict::Failed,
            (true, true) => Verdict::NotModified,
            (true, false) => Verdict::Proceed,
        }
    }

    pub(super) fn check_read(&self, meta: &ObjectMeta) -> S3Result<()> {
        match self.verdict(meta) {
            Verdict::Proceed => Ok(()),
            Verdict::Failed => Err(failed()),
            Verdict::NotModified => Err(not_modified(meta)),
        }
    }

    pub(super) fn check_copy(&self, meta: &ObjectMeta) -> S3Result<()> {
        if self.verdict(meta) == Verdict::Proceed { Ok(()) } else { Err(failed()) }
    }
}

/// The condition of a write: `If-None-Match: *` or none.
pub(super) fn publish(
    matches: Option<&ETagCondition>,
    none_match: Option<&ETagCondition>,
) -> S3Result<Publish> {
    match (matches, none_match) {
        (None, None) => Ok(Publish::Replace),
        (None, Some(ETagCondition::Any)) => Ok(Publish::IfAbsent),
        _ => Err(reply(S3ErrorCode::NotImplemented, "A write knows no condition but If-None-Match: *.")),
    }
}

fn failed() -> S3Error {
    reply(S3ErrorCode::PreconditionFailed, "At least one of the preconditions you specified did not hold.")
}

fn not_modified(meta: &ObjectMeta) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    if let Ok(etag) = HeaderValue::try_from(format!("\"{}\"", meta.etag)) {
        error.set_headers(HeaderMap::from_iter([(header::ETAG, etag)]));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_tags_are_read() {
        let tag = |weak, value: &str| Tag { weak, value: value.to_owned() };
        for (list, tags) in [
            (r#""a""#, vec![tag(false, "a")]),
            (r#""a", W/"b,c" ,"""#, vec![tag(false, "a"), tag(true, "b,c"), tag(false, "")]),
            ("a,b ", vec![tag(false, "a"), tag(false, "b")]),
            (r#""a"#, vec![tag(false, "a")]),
            (" , ", vec![]),
        ] {
            assert_eq!(read_tags(list), tags, "{list:?}");
        }
    }
}
