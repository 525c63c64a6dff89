//! Multipart uploads.

use std::ops::Range;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, CopyPartResult,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput, MultipartUpload, Part, StorageClass,
    UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::conditions::Conditions;
use super::content::Described;
use super::write::{expected, storable};
use super::{Answer, Protocol, conditions, encode, page_size, signed, timestamp, unsupported};
use crate::error::{reply, too_large};
use crate::store::milliseconds;
use crate::store::uploads::{self, Completion, NamedPart, PartMeta, Promise, Upload};

/// The limit of S3.
const MAX_PARTS: i32 = 10_000;

impl Protocol {
    pub(super) async fn upload_create(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        self.admit(&request.input.bucket, request.region.as_ref())?;
        unsupported::in_write!(request.input)?;
        let input = request.input;
        storable(&input.key)?;
        let content = Described {
            content_type: input.content_type,
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: input.content_encoding,
            content_language: input.content_language,
            metadata: input.metadata,
        };
        let id = self.store.begin_upload(Promise { key: input.key.clone(), content: content.into() }).await?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            ..Default::default()
        }))
    }

    pub(super) async fn upload_add(&self, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        self.admit(&request.input.bucket, request.region.as_ref())?;
        let expected = expected!(request);
        let input = request.input;
        unsupported::in_read(None, input.sse_customer_algorithm.as_deref())?;
        let number = part_number(Some(input.part_number))?;
        let length = self.declared(input.content_length)?;
        let upload = self.store.upload(&input.upload_id, &input.key).await?;
        let claim = self.store.claims().claim(format!("{}\0{number}", upload.id));
        let received = self.receive(input.body, length, expected, request.trailing_headers, &claim).await?;
        let (md5, sha256) = (received.digests.md5, received.digests.sha256);
        let meta = PartMeta { number, md5, sha256, modified: milliseconds(received.finished.modified()) };
        let etag = meta.etag();
        self.store.add_part(&upload.id, received.finished, meta).await?;
        let sums = received.digests.sums().clone();
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(ETag::Strong(etag)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            ..Default::default()
        }))
    }

    pub(super) async fn upload_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> Answer<UploadPartCopyOutput> {
        self.admit(&request.input.bucket, request.region.as_ref())?;
        let input = request.input;
        unsupported::in_read(None, input.sse_customer_algorithm.as_deref())?;
        unsupported::in_read(None, input.copy_source_sse_customer_algorithm.as_deref())?;
        let number = part_number(Some(input.part_number))?;
        let source = self.store.get(self.copy_source(&input.copy_source)?).await?;
        let conditions = Conditions::of_copy(
            &request.headers,
            input.copy_source_if_modified_since,
            input.copy_source_if_unmodified_since,
        );
        conditions.check_copy(&source.meta)?;
        let range = copied_range(input.copy_source_range.as_deref(), source.size)?;
        if range.end - range.start > self.max_object_size {
            return Err(too_large());
        }
        let upload = self.store.upload(&input.upload_id, &input.key).await?;
        let meta = self.store.copy_part(&upload.id, number, source, range).await?;
        let result = CopyPartResult {
            e_tag: Some(ETag::Strong(meta.etag())),
            checksum_sha256: Some(meta.checksum()),
            last_modified: Some(timestamp(meta.modified)),
            ..Default::default()
        };
        Ok(S3Response::new(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() }))
    }

    pub(super) async fn upload_parts(&self, request: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        self.admit(&request.input.bucket, request.region.as_ref())?;
        let input = request.input;
        let limit = page_size(input.max_parts)?;
        let marker = u32::try_from(input.part_number_marker.unwrap_or(0)).unwrap_or(0);
        let upload = self.store.upload(&input.upload_id, &input.key).await?;
        let mut parts = self.store.parts(&upload.id).await?;
        parts.retain(|part| part.meta.number > marker);
        let truncated = parts.len() > limit;
        parts.truncate(limit);
        let last = parts.last().and_then(|part| i32::try_from(part.meta.number).ok());
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            part_number_marker: input.part_number_marker,
            next_part_number_marker: last.filter(|_| truncated),
            max_parts: i32::try_from(limit).ok(),
            is_truncated: Some(truncated),
            parts: Some(parts.iter().map(listed_part).collect()),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            ..Default::default()
        }))
    }

    pub(super) async fn upload_complete(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        self.admit(&request.input.bucket, request.region.as_ref())?;
        let input = request.input;
        let publish = conditions::publish(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let parts = named_parts(input.multipart_upload.and_then(|list| list.parts).unwrap_or_default())?;
        let upload = self.store.upload(&input.upload_id, &input.key).await?;
        let completion = Completion {
            parts,
            publish,
            max_size: self.max_object_size,
            said_size: input.mpu_object_size.and_then(|size| u64::try_from(size).ok()),
            said_sha256: input.checksum_sha256,
        };
        let meta = self.store.complete_upload(upload, completion).await?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", self.bucket, encode(&meta.key, Some(&url_encoding())))),
            bucket: Some(input.bucket),
            key: Some(meta.key),
            e_tag: Some(ETag::Strong(meta.etag)),
            checksum_sha256: Some(meta.sha256),
            checksum_type: Some(ChecksumType::from_static(ChecksumType::COMPOSITE)),
            ..Default::default()
        }))
    }

    pub(super) async fn upload_abort(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        self.admit(&request.input.bucket, request.region.as_ref())?;
        let input = request.input;
        unsupported::refuse(
            input.if_match_initiated_time.is_some(),
            "Conditional aborts are not implemented.",
        )?;
        let upload = self.store.upload(&input.upload_id, &input.key).await?;
        self.store.abort_upload(&upload.id).await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    pub(super) async fn uploads_list(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        self.admit(&request.input.bucket, request.region.as_ref())?;
        let input = request.input;
        let delimited = input.delimiter.as_deref().is_some_and(|delimiter| !delimiter.is_empty());
        unsupported::refuse(delimited, "Listing uploads by delimiter is not implemented.")?;
        let limit = page_size(input.max_uploads)?;
        let mut uploads = self.store.list_uploads(input.prefix.as_deref().unwrap_or_default()).await?;
        let (key, id) = (input.key_marker.as_deref(), input.upload_id_marker.as_deref());
        uploads.retain(|upload| is_behind(upload, key, id));
        let truncated = uploads.len() > limit;
        uploads.truncate(limit);
        let encoding = input.encoding_type.as_ref();
        let last = uploads.last().filter(|_| truncated);
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            next_key_marker: last.map(|upload| encode(&upload.promise.key, encoding)),
            next_upload_id_marker: last.map(|upload| upload.id.clone()),
            key_marker: input.key_marker.map(|key| encode(&key, encoding)),
            upload_id_marker: input.upload_id_marker,
            prefix: input.prefix.map(|prefix| encode(&prefix, encoding)),
            max_uploads: i32::try_from(limit).ok(),
            is_truncated: Some(truncated),
            uploads: Some(uploads.iter().map(|upload| listed_upload(upload, encoding)).collect()),
            encoding_type: input.encoding_type,
            ..Default::default()
        }))
    }
}

fn url_encoding() -> s3s::dto::EncodingType {
    s3s::dto::EncodingType::from_static(s3s::dto::EncodingType::URL)
}

/// `bytes=first-last` with both positions, as S3 requires; the whole object if it is absent.
fn copied_range(range: Option<&str>, size: u64) -> S3Result<Range<u64>> {
    let Some(range) = range else { return Ok(0..size) };
    let bounds = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let bounds = bounds.and_then(|(first, last)| Some((first.parse().ok()?, last.parse::<u64>().ok()?)));
    match bounds {
        Some((first, last)) if first <= last && last < size => Ok(first..last + 1),
        _ => Err(reply(S3ErrorCode::InvalidRange, "The copied range is not one of the source.")),
    }
}

fn part_number(number: Option<i32>) -> S3Result<u32> {
    let number = number
        .filter(|number| (1..=MAX_PARTS).contains(number))
        .and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| reply(S3ErrorCode::InvalidArgument, "Part numbers go from 1 to 10000."))
}

fn named_parts(parts: Vec<CompletedPart>) -> S3Result<Vec<NamedPart>> {
    if parts.is_empty() {
        return Err(reply(S3ErrorCode::MalformedXML, "At least one part must be named."));
    }
    let parts = parts.into_iter().map(named_part).collect::<S3Result<Vec<_>>>()?;
    if parts.is_sorted_by(|a, b| a.number < b.number) {
        return Ok(parts);
    }
    Err(reply(S3ErrorCode::InvalidPartOrder, "Parts must be named in ascending order, each once."))
}

fn named_part(part: CompletedPart) -> S3Result<NamedPart> {
    let number = part_number(part.part_number)?;
    let etag = part.e_tag.ok_or_else(|| S3Error::new(S3ErrorCode::InvalidPart))?;
    Ok(NamedPart { number, etag: etag.into_value(), sha256: part.checksum_sha256 })
}

fn listed_part(part: &uploads::Part) -> Part {
    Part {
        part_number: i32::try_from(part.meta.number).ok(),
        e_tag: Some(ETag::Strong(part.meta.etag())),
        checksum_sha256: Some(part.meta.checksum()),
        last_modified: Some(timestamp(part.meta.modified)),
        size: Some(signed(part.size)),
        ..Default::default()
    }
}

fn listed_upload(upload: &Upload, encoding: Option<&s3s::dto::EncodingType>) -> MultipartUpload {
    MultipartUpload {
        key: Some(encode(&upload.promise.key, encoding)),
        upload_id: Some(upload.id.clone()),
        initiated: Some(timestamp(upload.started)),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        checksum_algorithm: Some(ChecksumAlgorithm::from_static(ChecksumAlgorithm::SHA256)),
        ..Default::default()
    }
}

/// Whether an upload comes after the marker; a marker without an id means after all uploads of its key.
fn is_behind(upload: &Upload, key: Option<&str>, id: Option<&str>) -> bool {
    let Some(marker) = key.filter(|key| !key.is_empty()) else { return true };
    match upload.promise.key.as_str().cmp(marker) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => id.is_some_and(|id| upload.id.as_str() > id),
        std::cmp::Ordering::Less => false,
    }
}
