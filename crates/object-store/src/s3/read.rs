//! GET and HEAD.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, HeaderValue, header};
use s3s::dto::{
    ChecksumMode, ChecksumType, ETag, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
    StreamingBlob,
};
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, StdError};
use tokio::io::{AsyncReadExt as _, Take};
use tokio_util::io::ReaderStream;

use super::conditions::{self, Conditions};
use super::{Answer, Protocol, signed, timestamp, unsupported};
use crate::error::reply;
use crate::store::sealed::Sealed;
use crate::store::{ObjectMeta, blocking};

/// Size in bytes of a read from the disk; a download uses memory for one such piece.
const PIECE: usize = 64 * 1024;
/// Media type of objects for which none was declared, as in S3.
const UNKNOWN_TYPE: &str = "binary/octet-stream";

impl Protocol {
    pub(super) async fn object_get(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        self.admit(&request.input.bucket, request.region.as_ref())?;
        let input = request.input;
        unsupported::version(input.version_id.as_deref())?;
        unsupported::in_read(input.part_number, input.sse_customer_algorithm.as_deref())?;
        let Sealed { file, size, meta } = self.store.get(&input.key).await?;
        let conditions =
            Conditions::of_read(&request.headers, input.if_modified_since, input.if_unmodified_since);
        conditions.check_read(&meta)?;
        let range = input.range.filter(|_| conditions::range_holds(&request.headers, &meta));
        let range = select(range, size)?;
        let body = download(file, range.clone().unwrap_or(0..size)).await?;
        // s3s applies the `response-*` parameters of the query afterwards.
        let head = head(meta, size, range.as_ref(), input.checksum_mode.as_ref());
        Ok(S3Response::new(GetObjectOutput { body: Some(body), ..get_output(head) }))
    }

    pub(super) async fn object_head(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        self.admit(&request.input.bucket, request.region.as_ref())?;
        let input = request.input;
        unsupported::version(input.version_id.as_deref())?;
        unsupported::in_read(input.part_number, input.sse_customer_algorithm.as_deref())?;
        let Sealed { size, meta, .. } = self.store.get(&input.key).await?;
        let conditions =
            Conditions::of_read(&request.headers, input.if_modified_since, input.if_unmodified_since);
        conditions.check_read(&meta)?;
        let range = input.range.filter(|_| conditions::range_holds(&request.headers, &meta));
        let range = select(range, size)?;
        let mut output = head(meta, size, range.as_ref(), input.checksum_mode.as_ref());
        output.content_type = input.response_content_type.or(output.content_type);
        output.content_disposition = input.response_content_disposition.or(output.content_disposition);
        output.cache_control = input.response_cache_control.or(output.cache_control);
        output.content_encoding = input.response_content_encoding.or(output.content_encoding);
        output.content_language = input.response_content_language.or(output.content_language);
        let mut response = S3Response::new(output);
        response.status = range.is_some().then_some(http::StatusCode::PARTIAL_CONTENT);
        Ok(response)
    }
}

fn select(range: Option<s3s::dto::Range>, size: u64) -> S3Result<Option<Range<u64>>> {
    let Some(range) = range else { return Ok(None) };
    range.check(size).map(Some).map_err(|_| {
        let mut error = reply(S3ErrorCode::InvalidRange, "The requested range is not satisfiable.");
        if let Ok(value) = HeaderValue::try_from(format!("bytes */{size}")) {
            error.set_headers(HeaderMap::from_iter([(header::CONTENT_RANGE, value)]));
        }
        error
    })
}

fn head(
    meta: ObjectMeta,
    size: u64,
    range: Option<&Range<u64>>,
    mode: Option<&ChecksumMode>,
) -> HeadObjectOutput {
    // The digest of the object does not apply to a part, and the SDK would compare it.
    let wanted = range.is_none() && mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
    let whole = if meta.sha256.contains('-') { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    let ObjectMeta { etag, sha256, modified, content, .. } = meta;
    let length = range.map_or(size, |range| range.end - range.start);
    HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: content.cache_control,
        checksum_sha256: wanted.then_some(sha256),
        checksum_type: wanted.then(|| ChecksumType::from_static(whole)),
        content_disposition: content.content_disposition,
        content_encoding: content.content_encoding,
        content_language: content.content_language,
        content_length: Some(signed(length)),
        content_range: range
            .map(|range| format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1))),
        content_type: Some(content.content_type.unwrap_or_else(|| UNKNOWN_TYPE.to_owned())),
        e_tag: Some(ETag::Strong(etag)),
        last_modified: Some(timestamp(modified)),
        metadata: (!content.user.is_empty()).then(|| content.user.into_iter().collect()),
        ..Default::default()
    }
}

fn get_output(head: HeadObjectOutput) -> GetObjectOutput {
    GetObjectOutput {
        accept_ranges: head.accept_ranges,
        cache_control: head.cache_control,
        checksum_sha256: head.checksum_sha256,
        checksum_type: head.checksum_type,
        content_disposition: head.content_disposition,
        content_encoding: head.content_encoding,
        content_language: head.content_language,
        content_length: head.content_length,
        content_range: head.content_range,
        content_type: head.content_type,
        e_tag: head.e_tag,
        last_modified: head.last_modified,
        metadata: head.metadata,
        ..Default::default()
    }
}

async fn download(mut file: File, range: Range<u64>) -> S3Result<StreamingBlob> {
    let (start, length) = (range.start, range.end - range.start);
    let file = blocking(move || {
        file.seek(SeekFrom::Start(start))?;
        Ok(file)
    })
    .await?;
    let remaining = usize::try_from(length).map_err(S3Error::internal_error)?;
    let inner = ReaderStream::with_capacity(tokio::fs::File::from_std(file).take(length), PIECE);
    Ok(StreamingBlob::new(Download { inner, remaining }))
}

/// Body with the bytes of an object, whose length is known.
struct Download {
    inner: ReaderStream<Take<tokio::fs::File>>,
    remaining: usize,
}

impl Stream for Download {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = std::task::ready!(Pin::new(&mut self.inner).poll_next(context));
        Poll::Ready(match piece {
            Some(Ok(bytes)) => {
                self.remaining = self.remaining.saturating_sub(bytes.len());
                Some(Ok(bytes))
            }
            Some(Err(error)) => Some(Err(error.into())),
            // An early end must be an error.
            None if self.remaining > 0 => Some(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())),
            None => None,
        })
    }
}

impl ByteStream for Download {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact(self.remaining)
    }
}
