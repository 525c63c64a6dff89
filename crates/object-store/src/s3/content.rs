//! Headers that describe the content of an upload.

use s3s::dto::Metadata;

use crate::store::Labels;

/// The headers that describe the content, from any operation.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) content_type: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) metadata: Option<Metadata>,
}

impl From<Described> for Labels {
    fn from(said: Described) -> Self {
        Self {
            content_type: said.content_type,
            cache_control: said.cache_control,
            content_disposition: said.content_disposition,
            content_encoding: said.content_encoding.and_then(|encoding| without_transfer(&encoding)),
            content_language: said.content_language,
            user: said.metadata.unwrap_or_default().into_iter().collect(),
        }
    }
}

/// Removes `aws-chunked`, which is a transfer coding and not a property of the content.
fn without_transfer(encoding: &str) -> Option<String> {
    let kept: Vec<_> = encoding.split(',').map(str::trim).filter(|name| *name != "aws-chunked").collect();
    (!kept.is_empty()).then(|| kept.join(", "))
}
