//! How answers are made. What tells of a write is built from a [`Committed`], so a forgotten commit does not compile.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ETag, EntityTag, Header as _, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Responder};
use serde::Serialize;
use shared_kernel::page::Page;
use shared_kernel::repository::Versioned;
use shared_kernel::session::{Committed, ConsistencyToken};

use super::cors::names::CONSISTENCY_TOKEN;
use super::extract::version_of;

/// 200 with a resource and its `ETag`; 304 where the client has this version (RFC 9110, section 13.1.2).
pub struct Found<T>(pub T);

impl<T: Serialize + Versioned> Responder for Found<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let version = self.0.version();
        if client_has(request, version) {
            return HttpResponse::NotModified().insert_header(tag(version)).finish();
        }
        HttpResponse::Ok().insert_header(tag(version)).json(self.0)
    }
}

/// 200 with a resource whose body has presigned URLs, and its `ETag`, which is good for `If-Match`. Never 304: the client
/// would keep a body with URLs that have expired. No cache may keep it either, because who has the URLs has the files.
pub struct Signed<T>(pub T);

impl<T: Serialize + Versioned> Responder for Signed<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header(tag(self.0.version()))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .json(self.0)
    }
}

/// 200 with something that has no version.
pub struct Plain<T>(pub T);

impl<T: Serialize> Responder for Plain<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().json(self.0)
    }
}

/// 201 with what was made and where it is.
pub struct Created<T> {
    /// The path of the new resource.
    pub location: String,
    /// The new resource.
    pub made: Committed<T>,
}

impl<T: Serialize> Responder for Created<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let (made, seen) = self.made.into_parts();
        let mut response = HttpResponse::build(StatusCode::CREATED);
        response.insert_header((header::LOCATION, self.location));
        with_token(&mut response, seen).json(made)
    }
}

/// 200 with what was changed and its new `ETag`.
pub struct Updated<T>(pub Committed<T>);

impl<T: Serialize + Versioned> Responder for Updated<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let (updated, seen) = self.0.into_parts();
        let mut response = HttpResponse::Ok();
        response.insert_header(tag(updated.version()));
        with_token(&mut response, seen).json(updated)
    }
}

/// 200 with the outcome of a write that is no resource.
pub struct Done<T>(pub Committed<T>);

impl<T: Serialize> Responder for Done<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let (outcome, seen) = self.0.into_parts();
        with_token(&mut HttpResponse::Ok(), seen).json(outcome)
    }
}

/// 204 after a write that leaves nothing to show.
pub struct NoContent(pub Committed<()>);

impl Responder for NoContent {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let ((), seen) = self.0.into_parts();
        with_token(&mut HttpResponse::NoContent(), seen).finish()
    }
}

/// 200 with a page and, where there is a next one, a `Link` to it (RFC 8288).
pub struct Paged<T>(pub Page<T>);

impl<T: Serialize> Responder for Paged<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        if let Some(cursor) = &self.0.next_cursor {
            let link = format!("<{}>; rel=\"next\"", next_link(request, cursor));
            response.insert_header((header::LINK, link));
        }
        response.json(self.0)
    }
}

/// The request's own URL with the cursor of the next page.
fn next_link(request: &HttpRequest, cursor: &str) -> String {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(request.query_string()).unwrap_or_default();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs.iter().filter(|(name, _)| name != "cursor" && name != "offset"));
    query.append_pair("cursor", cursor);
    format!("{}?{}", request.path(), query.finish())
}

fn tag(version: i64) -> ETag {
    ETag(EntityTag::new_strong(format!("v{version}")))
}

fn client_has(request: &HttpRequest, version: i64) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => request.headers().contains_key(header::IF_NONE_MATCH),
        // Compared weakly (RFC 9110, section 13.1.2).
        Ok(IfNoneMatch::Items(tags)) => tags
            .into_iter()
            .any(|tag| version_of(&EntityTag::new_strong(tag.tag().to_owned())) == Some(version)),
        Err(_) => false,
    }
}

fn with_token(
    response: &mut HttpResponseBuilder,
    seen: Option<ConsistencyToken>,
) -> &mut HttpResponseBuilder {
    if let Some(seen) = seen {
        response.insert_header((CONSISTENCY_TOKEN, seen.to_string()));
    }
    response
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::test::TestRequest;

    use super::*;

    #[derive(Serialize)]
    struct Post {
        cover_url: &'static str,
    }

    impl Versioned for Post {
        fn version(&self) -> i64 {
            7
        }
    }

    const POST: Post = Post { cover_url: "https://files.test/a?X-Amz-Signature=b" };

    #[actix_web::test]
    async fn a_body_with_presigned_urls_is_always_sent_anew_and_kept_by_nobody() {
        for known in ["\"v7\"", "W/\"v7\"", "*", "\"v6\""] {
            let request = TestRequest::get().insert_header((header::IF_NONE_MATCH, known)).to_http_request();
            let response = Signed(POST).respond_to(&request);
            assert_eq!(response.status(), StatusCode::OK, "{known}");
            assert_eq!(response.headers().get(header::ETAG).unwrap(), "\"v7\"");
            assert_eq!(response.headers().get(header::CACHE_CONTROL).unwrap(), "no-store");
            let body = to_bytes(response.into_body()).await.unwrap();
            assert_eq!(body, r#"{"cover_url":"https://files.test/a?X-Amz-Signature=b"}"#);
        }
    }

    #[actix_web::test]
    async fn any_other_resource_that_the_client_has_is_not_sent_again() {
        for (known, status) in [("\"v7\"", StatusCode::NOT_MODIFIED), ("\"v6\"", StatusCode::OK)] {
            let request = TestRequest::get().insert_header((header::IF_NONE_MATCH, known)).to_http_request();
            assert_eq!(Found(POST).respond_to(&request).status(), status);
        }
    }
}
