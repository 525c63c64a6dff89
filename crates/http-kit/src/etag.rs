//! Entity tags (RFC 9110, section 8.8.3).
//!
//! A browser keys what it keeps by the URL, and `/users/me` is another account for each who asks. It sends the tag of what it
//! keeps for one along with the request of the next, also where `Vary` tells it that what it keeps is not the answer. So a
//! tag says which resource it is of, in which state, and in which edition of the API it is shown: 304 is answered to nobody
//! but who has what a 200 would send, and `If-Match` holds for no resource but its own.

use std::fmt::Write as _;

use actix_web::HttpRequest;
use actix_web::http::header::{self, ETag, EntityTag, Header as _, IfNoneMatch};
use shared_kernel::crypto::sha256;
use shared_kernel::repository::Revision;

/// The strong tag of a representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(String);

impl Tag {
    /// Of a resource in that state. `edition` changes with what the API shows of resources: after a deployment that adds a
    /// field, who has the old form does not have the new one.
    #[must_use]
    pub fn of(revision: &Revision, edition: &str) -> Self {
        Self(format!("{revision}.{edition}"))
    }

    /// Of a file that is no resource.
    #[must_use]
    pub fn of_file(content: &[u8]) -> Self {
        Self(digest(content))
    }

    /// As a header of the answer.
    #[must_use]
    pub fn header(&self) -> ETag {
        ETag(EntityTag::new_strong(self.0.clone()))
    }

    /// Whether the client has what this is the tag of: `If-None-Match`, compared weakly (RFC 9110, section 13.1.2).
    #[must_use]
    pub fn is_known_to(&self, request: &HttpRequest) -> bool {
        match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => request.headers().contains_key(header::IF_NONE_MATCH),
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| without_encoding(tag.tag()) == self.0),
            Err(_) => false,
        }
    }
}

/// The state of a resource that a tag names, compared strongly (RFC 9110, section 13.1.1): a weak tag names none. In which
/// edition it was shown does not matter to who changes it.
#[must_use]
pub fn revision_of(tag: &EntityTag) -> Option<Revision> {
    if tag.weak {
        return None;
    }
    let mut parts = without_encoding(tag.tag()).splitn(3, '.');
    let (id, version) = (parts.next()?, parts.next()?);
    format!("{id}.{version}").parse().ok()
}

/// The tag as it was given out: a proxy that compresses adds its encoding (`"…-gzip"`). Ours have no `-`.
fn without_encoding(tag: &str) -> &str {
    tag.split('-').next().unwrap_or_default()
}

/// Names `bytes`: 64 bits of their SHA-256, because nobody gains anything by two of the same name.
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
