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
