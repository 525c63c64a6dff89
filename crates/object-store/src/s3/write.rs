//! PUT, copy and delete.

use futures_util::StreamExt as _;
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, MetadataDirective, ObjectIdentifier,
    PutObjectInput, PutObjectOutput, StreamingBlob,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, StdError, TrailingHeaders};

use super::conditions::{self, Conditions};
use super::content::Described;
use super::{Answer, Protocol, timestamp, unsupported};
use crate::body::TooSlow;
use crate::digest::{Digests, Expected, Hasher};
use crate::error::{StoreError, reply, too_large};
use crate::store::claims::{Claim, Room};
use crate::store::staging::Finished;
use crate::store::{ObjectMeta, Publish, hex, milliseconds};

/// The limit of S3.
const MAX_DELETES: usize = 1000;

/// A complete body that matches the declared digests.
pub(super) struct Received {
    pub(super) finished: Finished,
    pub(super) digests: Digests,
    /// Keeps its space in staging until it is published.
    _room: Room,
}

/// Declared digests of an operation; `PutObject` and `UploadPart` have the same fields.
macro_rules! expected {
    ($request:expr) => {{
        let (input, headers) = (&$request.input, &$request.headers);
        $crate::digest::Expected {
            md5: input.content_md5.clone(),
            sums: s3s::dto::Checksum {
                checksum_crc32: input.checksum_crc32.clone(),
                checksum_crc32c: input.checksum_crc32c.clone(),
                checksum_crc64nvme: input.checksum_crc64nvme.clone(),
                checksum_sha1: input.checksum_sha1.clone(),
                checksum_sha256: input.checksum_sha256.clone(),
                checksum_type: None,
            },
            announced: $crate::digest::Expected::announced(headers),
        }
    }};
}
pub(super) use expected;

impl Protocol {
    pub(super) async fn object_put(&self, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        self.admit(&request.input.bucket, request.region.as_ref())?;
        unsupported::in_write!(request.input)?;
        let expected = expected!(request);
        let input = request.input;
        unsupported::refuse(input.write_offset_bytes.is_some(), "Appending is not implemented.")?;
        storable(&input.key)?;
        let publish = conditions::publish(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let length = self.declared(input.content_length)?;
        if publish == Publish::IfAbsent && self.store.contains(&input.key).await? {
            return Err(StoreError::Exists.into());
        }
        let claim = self.store.claims().claim(input.key.clone());
        let received = self.receive(input.body, length, expected, request.trailing_headers, &claim).await?;
        let meta = ObjectMeta {
            key: input.key,
            etag: hex(&received.digests.md5),
            sha256: received.digests.sums().checksum_sha256.clone().unwrap_or_default(),
            modified: milliseconds(received.finished.modified()),
            content: Described {
                content_type: input.content_type,
                cache_control: input.cache_control,
                content_disposition: input.content_disposition,
                content_encoding: input.content_encoding,
                content_language: input.content_language,
                metadata: input.metadata,
            }
            .into(),
        };
        let meta = self.store.publish(received.finished, meta, publish).await?;
        let sums = received.digests.sums().clone();
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(ETag::Strong(meta.etag)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            ..Default::default()
        }))
    }

    pub(super) async fn object_copy(&self, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        self.admit(&request.input.bucket, request.region.as_ref())?;
        unsupported::in_write!(request.input)?;
        let input = request.input;
        storable(&input.key)?;
        let source = self.copy_source(&input.copy_source)?;
        let source = self.store.get(source).await?;
        let conditions = Conditions::of_copy(
            &request.headers,
            input.copy_source_if_modified_since,
            input.copy_source_if_unmodified_since,
        );
        conditions.check_copy(&source.meta)?;
        let mut meta = ObjectMeta { key: input.key, ..source.meta.clone() };
        let replace = MetadataDirective::REPLACE;
        if input.metadata_directive.is_some_and(|directive| directive.as_str() == replace) {
            meta.content = Described {
                content_type: input.content_type,
                cache_control: input.cache_control,
                content_disposition: input.content_disposition,
                content_encoding: input.content_encoding,
                content_language: input.content_language,
                metadata: input.metadata,
            }
            .into();
        }
        let copy = self.store.duplicate(source).await?;
        meta.modified = milliseconds(copy.modified());
        let meta = self.store.publish(copy, meta, Publish::Replace).await?;
        let result = CopyObjectResult {
            e_tag: Some(ETag::Strong(meta.etag)),
            checksum_sha256: Some(meta.sha256),
            last_modified: Some(timestamp(meta.modified)),
            ..Default::default()
        };
        Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() }))
    }

    pub(super) async fn object_delete(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> Answer<DeleteObjectOutput> {
        self.admit(&request.input.bucket, request.region.as_ref())?;
        let input = request.input;
        unsupported::version(input.version_id.as_deref())?;
        let conditional = input.if_match.is_some()
            || input.if_match_size.is_some()
            || input.if_match_last_modified_time.is_some();
        unsupported::refuse(conditional, "Conditional deletes are not implemented.")?;
        self.store.delete(&input.key).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    pub(super) async fn objects_delete(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> Answer<DeleteObjectsOutput> {
        self.admit(&request.input.bucket, request.region.as_ref())?;
        let delete = request.input.delete;
        if delete.objects.len() > MAX_DELETES {
            return Err(reply(S3ErrorCode::MalformedXML, "At most 1000 keys can be deleted at once."));
        }
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in delete.objects {
            match self.delete_one(&object).await {
                Ok(()) => deleted.push(DeletedObject { key: Some(object.key), ..Default::default() }),
                Err(error) => errors.push(s3s::dto::Error {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: error.message().map(str::to_owned),
                    version_id: object.version_id,
                }),
            }
        }
        let quiet = delete.quiet.unwrap_or(false);
        let output = DeleteObjectsOutput {
            deleted: (!quiet).then_some(deleted),
            errors: (!errors.is_empty()).then_some(errors),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn delete_one(&self, object: &ObjectIdentifier) -> S3Result<()> {
        unsupported::version(object.version_id.as_deref())?;
        let conditional =
            object.e_tag.is_some() || object.size.is_some() || object.last_modified_time.is_some();
        unsupported::refuse(conditional, "Conditional deletes are not implemented.")?;
        Ok(self.store.delete(&object.key).await?)
    }

    pub(super) fn copy_source<'a>(&self, source: &'a CopySource) -> S3Result<&'a str> {
        let CopySource::Bucket { bucket, key, version_id } = source else {
            return Err(reply(S3ErrorCode::NotImplemented, "Access points are not implemented."));
        };
        unsupported::version(version_id.as_deref())?;
        if **bucket == self.bucket {
            return Ok(key);
        }
        Err(reply(S3ErrorCode::NoSuchBucket, "The specified bucket does not exist."))
    }

    /// Requires a declared length: without one, a body could fill the disk before it is refused.
    pub(super) fn declared(&self, length: Option<i64>) -> S3Result<u64> {
        let length = length.ok_or_else(|| S3Error::new(S3ErrorCode::MissingContentLength))?;
        let length = u64::try_from(length).map_err(|_| S3Error::new(S3ErrorCode::InvalidArgument))?;
        if length > self.max_object_size { Err(too_large()) } else { Ok(length) }
    }

    /// Streams a body to the disk. After an error nothing is left of it.
    pub(super) async fn receive(
        &self,
        body: Option<StreamingBlob>,
        length: u64,
        mut expected: Expected,
        trailers: Option<TrailingHeaders>,
        claim: &Claim,
    ) -> S3Result<Received> {
        let mut room = self.store.claims().room();
        let mut writer = self.store.staging().writer().map_err(StoreError::from)?;
        let mut hasher = Hasher::new(&expected);
        let mut missing = length;
        if let Some(mut body) = body {
            while let Some(bytes) = unless_lost(claim, body.next()).await? {
                let bytes = bytes.map_err(|error| broken(&error))?;
                let came = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                missing = missing.checked_sub(came).ok_or_else(wrong_length)?;
                room.grow(came)?;
                hasher.update(&bytes);
                writer.write(&bytes).await?;
            }
        }
        if missing > 0 {
            return Err(wrong_length());
        }
        let digests = hasher.finish();
        expected.add_trailers(trailers.as_ref())?;
        digests.verify(&expected)?;
        Ok(Received { finished: writer.finish().await?, digests, _room: room })
    }
}

/// The next piece, or an error if a newer upload has replaced this one.
async fn unless_lost<T>(claim: &Claim, next: impl Future<Output = T>) -> Result<T, StoreError> {
    tokio::select! {
        biased;
        () = claim.lost() => Err(StoreError::Displaced),
        next = next => Ok(next),
    }
}

/// Refuses characters that XML 1.0 cannot represent: such a key would break every listing that contains it.
pub(super) fn storable(key: &str) -> S3Result<()> {
    if key.chars().any(|letter| letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}')) {
        return Err(reply(S3ErrorCode::InvalidArgument, "A key must not contain control characters."));
    }
    Ok(())
}

fn wrong_length() -> S3Error {
    reply(
        S3ErrorCode::IncompleteBody,
        "The body has not the number of bytes that the Content-Length header specified.",
    )
}

/// The error types of s3s are private, so they are distinguished by their texts.
fn broken(error: &StdError) -> S3Error {
    let text = error.to_string();
    tracing::debug!(error = text, "an upload broke off");
    if text.contains(TooSlow::TEXT) {
        return reply(S3ErrorCode::RequestTimeout, "The body arrived too slowly.");
    }
    if text.contains("Sha256Mismatch") {
        return reply(
            S3ErrorCode::BadDigest,
            "The provided x-amz-content-sha256 does not match what was received.",
        );
    }
    if text.contains("SignatureMismatch") {
        return reply(S3ErrorCode::SignatureDoesNotMatch, "The signature of a chunk does not match.");
    }
    wrong_length()
}
