//! Answers to reads. Answers to writes are made by [`Write`](crate::write::Write).

use actix_web::body::BoxBody;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Responder};
use serde::Serialize;
use shared_kernel::page::Page;
use shared_kernel::repository::Representation;

use crate::state::tag;

/// 200 with a resource and its `ETag`; 304 if the client has this version (RFC 9110, section 13.1.2), unless it contains signed
/// URLs, which may have expired.
pub struct Resource<T>(pub T);

impl<T: Serialize + Representation> Responder for Resource<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let tag = tag(request, &self.0.revision());
        if !T::HOLDS_SIGNED_URLS && tag.is_known_to(request) {
            return HttpResponse::NotModified().insert_header(tag.header()).finish();
        }
        shown(request, HttpResponse::Ok(), self.0)
    }
}

/// An answer with a resource.
fn shown<T: Serialize + Representation>(
    request: &HttpRequest,
    mut response: HttpResponseBuilder,
    resource: T,
) -> HttpResponse {
    response.insert_header(tag(request, &resource.revision()).header());
    keep_no_urls::<T>(&mut response);
    response.json(resource)
}

/// Signed URLs give access to files, so no cache may store them.
fn keep_no_urls<T: Representation>(response: &mut HttpResponseBuilder) {
    if T::HOLDS_SIGNED_URLS {
        response.insert_header((header::CACHE_CONTROL, "no-store"));
    }
}

/// 200 with a value that has no version.
pub struct Json<T>(pub T);

impl<T: Serialize> Responder for Json<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().json(self.0)
    }
}

/// 200 with a page and a `Link` to the next page, if there is one (RFC 8288).
pub struct Paged<T>(pub Page<T>);

impl<T: Serialize + Representation> Responder for Paged<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        keep_no_urls::<T>(&mut response);
        if let Some(cursor) = &self.0.next_cursor {
            let link = format!("<{}>; rel=\"next\"", next_link(request, cursor));
            response.insert_header((header::LINK, link));
        }
        response.json(self.0)
    }
}

/// The URL of the request with the cursor of the next page.
fn next_link(request: &HttpRequest, cursor: &str) -> String {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(request.query_string()).unwrap_or_default();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs.iter().filter(|(name, _)| name != "cursor" && name != "offset"));
    query.append_pair("cursor", cursor);
    format!("{}?{}", request.path(), query.finish())
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::http::StatusCode;
    use actix_web::test::TestRequest;
    use shared_kernel::id::{SessionId, UserId};
    use shared_kernel::repository::Revision;

    use super::*;
    use crate::etag::Tag;

    #[derive(Serialize)]
    struct Post {
        cover_url: &'static str,
    }

    impl Representation for Post {
        const HOLDS_SIGNED_URLS: bool = true;

        fn revision(&self) -> Revision {
            Revision::new(SessionId::from_bytes([1; 16]), 7)
        }
    }

    #[derive(Clone, Serialize)]
    struct Note {
        text: &'static str,
        #[serde(skip)]
        of: u8,
    }

    impl Representation for Note {
        const HOLDS_SIGNED_URLS: bool = false;

        fn revision(&self) -> Revision {
            Revision::new(UserId::from_bytes([self.of; 16]), 7)
        }
    }

    const POST: Post = Post { cover_url: "https://files.test/a?X-Amz-Signature=b" };

    fn asking(tag: &str) -> HttpRequest {
        TestRequest::get().insert_header((header::IF_NONE_MATCH, tag)).to_http_request()
    }

    fn tag_of(response: &HttpResponse) -> String {
        response.headers().get(header::ETAG).unwrap().to_str().unwrap().to_owned()
    }

    #[actix_web::test]
    async fn a_body_with_presigned_urls_is_always_sent_anew_and_kept_by_nobody() {
        let tag = Tag::of(&POST.revision(), "").header().to_string();
        for known in [tag.as_str(), &format!("W/{tag}"), "*", "\"x\""] {
            let response = Resource(POST).respond_to(&asking(known));
            assert_eq!(response.status(), StatusCode::OK, "{known}");
            assert_eq!(tag_of(&response), tag);
            assert_eq!(response.headers().get(header::CACHE_CONTROL).unwrap(), "no-store");
            assert_eq!(response.headers().get(header::CONTENT_TYPE).unwrap(), "application/json");
            let body = to_bytes(response.into_body()).await.unwrap();
            assert_eq!(body, r#"{"cover_url":"https://files.test/a?X-Amz-Signature=b"}"#);
        }
        let page = Page { items: vec![POST], next_cursor: None, total: None };
        let response = Paged(page).respond_to(&TestRequest::get().to_http_request());
        assert_eq!(response.headers().get(header::CACHE_CONTROL).unwrap(), "no-store");
    }

    #[actix_web::test]
    async fn only_who_has_this_resource_is_told_so() {
        let mine = Note { text: "a", of: 1 };
        let tag = tag_of(&Resource(mine.clone()).respond_to(&TestRequest::get().to_http_request()));
        let status = |note: &Note| Resource(note.clone()).respond_to(&asking(&tag)).status();
        assert_eq!(status(&mine), StatusCode::NOT_MODIFIED);
        assert_eq!(status(&Note { of: 2, ..mine }), StatusCode::OK);
    }
}
