//! Both versions of `ListObjects`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::{
    ChecksumAlgorithm, CommonPrefix, ETag, EncodingType, ListObjectsInput, ListObjectsOutput,
    ListObjectsV2Input, ListObjectsV2Output, Object, ObjectStorageClass,
};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};

use super::{Answer, Protocol, encode, page_size, signed, timestamp};
use crate::error::reply;
use crate::store::ObjectMeta;
use crate::store::listing::{Entry, Page, Query};

impl Protocol {
    pub(super) async fn objects_list(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> Answer<ListObjectsV2Output> {
        self.admit(&request.input.bucket, request.region.as_ref())?;
        let input = request.input;
        let limit = page_size(input.max_keys)?;
        let query = Query {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().filter(|delimiter| !delimiter.is_empty()),
            start_after: input.start_after.clone().unwrap_or_default(),
            resume_after: input
                .continuation_token
                .as_deref()
                .map(read_token)
                .transpose()?
                .unwrap_or_default(),
            limit,
        };
        let page = self.page(query).await?;
        Ok(S3Response::new(output(input, page, limit)))
    }

    pub(super) async fn objects_list_by_marker(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> Answer<ListObjectsOutput> {
        self.admit(&request.input.bucket, request.region.as_ref())?;
        let input = request.input;
        let limit = page_size(input.max_keys)?;
        let query = Query {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().filter(|delimiter| !delimiter.is_empty()),
            start_after: String::new(),
            resume_after: input.marker.clone().unwrap_or_default(),
            limit,
        };
        let page = self.page(query).await?;
        Ok(S3Response::new(output_by_marker(input, page, limit)))
    }

    async fn page(&self, query: Query) -> S3Result<Page> {
        if query.limit == 0 { Ok(Page::default()) } else { Ok(self.store.list(query).await?) }
    }
}

fn output_by_marker(input: ListObjectsInput, page: Page, limit: usize) -> ListObjectsOutput {
    let encoding = input.encoding_type.as_ref();
    let next = page.entries.last_key_value().filter(|_| page.truncated);
    let next = next.map(|(name, _)| encode(name, encoding));
    let truncated = page.truncated;
    let (contents, prefixes) = listed(page, encoding);
    ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encode(input.prefix.as_deref().unwrap_or_default(), encoding)),
        marker: Some(encode(input.marker.as_deref().unwrap_or_default(), encoding)),
        max_keys: i32::try_from(limit).ok(),
        is_truncated: Some(truncated),
        next_marker: next,
        contents: Some(contents),
        common_prefixes: (!prefixes.is_empty()).then_some(prefixes),
        delimiter: input.delimiter.map(|delimiter| encode(&delimiter, encoding)),
        encoding_type: input.encoding_type,
        ..Default::default()
    }
}

fn listed(page: Page, encoding: Option<&EncodingType>) -> (Vec<Object>, Vec<CommonPrefix>) {
    let (mut contents, mut prefixes) = (Vec::new(), Vec::new());
    for (name, entry) in page.entries {
        match entry {
            Entry::Object { meta, size } => contents.push(object(&meta, size, encoding)),
            Entry::CommonPrefix => prefixes.push(CommonPrefix { prefix: Some(encode(&name, encoding)) }),
        }
    }
    (contents, prefixes)
}

fn output(input: ListObjectsV2Input, page: Page, limit: usize) -> ListObjectsV2Output {
    let encoding = input.encoding_type.as_ref();
    let next = page.entries.last_key_value().filter(|_| page.truncated).map(|(name, _)| token(name));
    let count = page.entries.len();
    let truncated = page.truncated;
    let (contents, prefixes) = listed(page, encoding);
    ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encode(input.prefix.as_deref().unwrap_or_default(), encoding)),
        max_keys: i32::try_from(limit).ok(),
        key_count: i32::try_from(count).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(truncated),
        next_continuation_token: next,
        contents: Some(contents),
        common_prefixes: (!prefixes.is_empty()).then_some(prefixes),
        delimiter: input.delimiter.map(|delimiter| encode(&delimiter, encoding)),
        start_after: input.start_after.map(|key| encode(&key, encoding)),
        encoding_type: input.encoding_type,
        ..Default::default()
    }
}

fn object(meta: &ObjectMeta, size: u64, encoding: Option<&EncodingType>) -> Object {
    Object {
        key: Some(encode(&meta.key, encoding)),
        size: Some(signed(size)),
        e_tag: Some(ETag::Strong(meta.etag.clone())),
        last_modified: Some(timestamp(meta.modified)),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        checksum_algorithm: Some(vec![ChecksumAlgorithm::from_static(ChecksumAlgorithm::SHA256)]),
        ..Default::default()
    }
}

/// Position of the end of a page. It stays valid after a restart, and contains only a name that the client has seen.
fn token(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

fn read_token(token: &str) -> S3Result<String> {
    let name = URL_SAFE_NO_PAD.decode(token).ok().and_then(|name| String::from_utf8(name).ok());
    name.ok_or_else(|| {
        reply(S3ErrorCode::InvalidArgument, "The continuation token is not one of this store.")
    })
}
