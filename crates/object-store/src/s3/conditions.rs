//! Conditional requests (RFC 9110, section 13).

use http::{HeaderMap, HeaderValue, header};
use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::timestamp;
use crate::error::reply;
use crate::store::{ObjectMeta, Publish};

/// The conditions of a read, or on the source of a copy.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) matches: Option<ETagCondition>,
    pub(super) none_match: Option<ETagCondition>,
    pub(super) modified_since: Option<Timestamp>,
    pub(super) unmodified_since: Option<Timestamp>,
}

/// What the conditions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Proceed,
    NotModified,
    Failed,
}

impl Conditions {
    /// In the order of the RFC: tags go before dates.
    pub(super) fn verdict(&self, meta: &ObjectMeta) -> Verdict {
        // HTTP dates have whole seconds.
        let modified = timestamp(meta.modified / 1000 * 1000);
        let matches = match &self.matches {
            Some(condition) => is(condition, meta),
            None => self.unmodified_since.as_ref().is_none_or(|since| modified <= *since),
        };
        let unchanged = match &self.none_match {
            Some(condition) => is(condition, meta),
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

/// The conditions of a write: `If-None-Match: *` or none, as S3 began with.
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

fn is(condition: &ETagCondition, meta: &ObjectMeta) -> bool {
    condition.as_etag().is_none_or(|etag| etag.value() == meta.etag)
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
