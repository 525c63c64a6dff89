//! Entity tags (RFC 9110, section 8.8.3).
//!
//! Browsers cache by URL, and `/users/me` is a different account for each user. They send the tag that they cached for one user with
//! the request of the next, even if `Vary` tells them that the cached answer does not apply. So a tag names the resource, its state,
//! and the edition of the API: 304 is answered only to clients that have exactly what a 200 would send, and `If-Match` holds for its
//! own resource only.

use std::fmt::Write as _;

use actix_web::HttpRequest;
use actix_web::http::header::{self, ETag, EntityTag, Header as _, IfNoneMatch};
use shared_kernel::crypto::sha256;
use shared_kernel::repository::Revision;

/// The strong tag of a representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(String);

impl Tag {
    /// The tag of a resource in that state. `edition` changes with the representation: after a deployment that adds a field, the old
    /// form is out of date.
    #[must_use]
    pub fn of(revision: &Revision, edition: &str) -> Self {
        Self(format!("{revision}.{edition}"))
    }

    /// The tag of a file that is not a resource.
    #[must_use]
    pub fn of_file(content: &[u8]) -> Self {
        Self(digest(content))
    }

    /// The value of the header of an answer.
    #[must_use]
    pub fn header(&self) -> ETag {
        ETag(EntityTag::new_strong(self.0.clone()))
    }

    /// Whether the client has this representation: `If-None-Match`, by weak comparison (RFC 9110, section 13.1.2).
    #[must_use]
    pub fn is_known_to(&self, request: &HttpRequest) -> bool {
        match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => request.headers().contains_key(header::IF_NONE_MATCH),
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| without_encoding(tag.tag()) == self.0),
            Err(_) => false,
        }
    }
}

/// The state of a resource that a tag names, for strong comparison (RFC 9110, section 13.1.1): a weak tag names none. The edition
/// does not matter for changes.
#[must_use]
pub fn revision_of(tag: &EntityTag) -> Option<Revision> {
    if tag.weak {
        return None;
    }
    let mut parts = without_encoding(tag.tag()).splitn(3, '.');
    let (id, version) = (parts.next()?, parts.next()?);
    format!("{id}.{version}").parse().ok()
}

/// The tag as the server sent it: compressing proxies append their encoding (`"…-gzip"`). Our tags have no `-`.
fn without_encoding(tag: &str) -> &str {
    tag.split('-').next().unwrap_or_default()
}

/// A short digest of `bytes`: 64 bits of their SHA-256, which is enough because nobody gains anything by a collision.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    sha256(bytes).iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use shared_kernel::id::UserId;

    use super::*;

    fn revision(first: u8, version: i64) -> Revision {
        Revision::new(UserId::from_bytes([first; 16]), version)
    }

    #[test]
    fn each_resource_each_state_and_each_edition_has_a_tag_of_its_own() {
        let tags = [
            Tag::of(&revision(1, 1), "a"),
            Tag::of(&revision(1, 2), "a"),
            Tag::of(&revision(2, 1), "a"),
            Tag::of(&revision(1, 1), "b"),
            Tag::of_file(b"a"),
        ];
        for tag in &tags {
            assert_eq!(tags.iter().filter(|other| *other == tag).count(), 1, "{tag:?}");
            let text = tag.header().to_string();
            assert!(text.starts_with('"') && text.ends_with('"') && !text.contains('-'), "strong: {text}");
            for known in [text.clone(), format!("W/{text}"), format!("\"x\", {text}"), "*".to_owned()] {
                let request = TestRequest::get().insert_header((header::IF_NONE_MATCH, known.clone()));
                let request = request.to_http_request();
                assert!(tag.is_known_to(&request), "{known}");
                let mut others = tags.iter().filter(|other| *other != tag);
                assert!(known == "*" || !others.any(|other| other.is_known_to(&request)), "{known}");
            }
        }
        assert!(!tags[0].is_known_to(&TestRequest::get().to_http_request()));
    }

    #[test]
    fn a_tag_reads_back_as_the_state_that_it_names() {
        let state = revision(1, 12);
        for edition in ["a", "b"] {
            let ETag(tag) = Tag::of(&state, edition).header();
            assert_eq!(revision_of(&tag), Some(state.clone()));
            let compressed = EntityTag::new_strong(format!("{}-gzip", tag.tag()));
            assert_eq!(revision_of(&compressed), Some(state.clone()));
            assert_eq!(revision_of(&EntityTag::new_weak(tag.tag().to_owned())), None);
        }
        let id = UserId::from_bytes([1; 16]).to_string();
        for text in
            ["", ".", "v12", "12", &id, &format!("{id}.+12"), &format!("{id}.012"), &format!("{id}.x")]
        {
            assert_eq!(revision_of(&EntityTag::new_strong(text.to_owned())), None, "{text}");
        }
    }
}
