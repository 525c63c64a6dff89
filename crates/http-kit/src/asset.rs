//! Documents that do not change until the next start.

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};

use crate::etag::Tag;

/// `Cache-Control` of documents that clients revalidate each time, mostly answered with 304.
pub const REVALIDATED: &str = "public, no-cache";

/// A document that does not change until the next start: shared by all answers and hashed once. Answered with 304 if the client
/// has it.
#[derive(Clone, Debug)]
pub struct Asset {
    content_type: String,
    cache_control: &'static str,
    bytes: Bytes,
    tag: Tag,
}

impl Asset {
    /// A document of this media type, with this `Cache-Control`.
    #[must_use]
    pub fn new(content_type: &str, cache_control: &'static str, bytes: Bytes) -> Self {
        Self { content_type: content_type.to_owned(), cache_control, tag: Tag::of_file(&bytes), bytes }
    }

    /// The answer to a request for the document.
    #[must_use]
    pub fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let is_known = self.tag.is_known_to(request);
        let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response.insert_header(self.tag.header()).insert_header((header::CACHE_CONTROL, self.cache_control));
        if is_known {
            return response.finish();
        }
        response.content_type(self.content_type.as_str()).body(self.bytes.clone())
    }
}
