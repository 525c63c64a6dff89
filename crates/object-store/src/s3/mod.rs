//! `impl s3s::S3`: the operations. The modules implement them by topic.

mod buckets;
mod conditions;
mod content;
pub(crate) mod explain;
mod listing;
mod multipart;
mod read;
mod unsupported;
mod write;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CreateBucketInput, CreateBucketOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, EncodingType, GetBucketLocationInput, GetBucketLocationOutput,
    GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput,
    ListBucketsInput, ListBucketsOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput,
    ListPartsOutput, PutObjectInput, PutObjectOutput, Timestamp, UploadPartCopyInput, UploadPartCopyOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::region::Region;
use s3s::{S3, S3ErrorCode, S3Request, S3Response, S3Result};

use crate::error::reply;
use crate::store::Store;

/// The store behind the S3 protocol.
#[derive(Debug)]
pub(crate) struct Protocol {
    store: Store,
    bucket: String,
    region: String,
    max_object_size: u64,
}

type Answer<T> = S3Result<S3Response<T>>;

impl Protocol {
    pub(crate) fn new(store: Store, bucket: String, region: String, max_object_size: u64) -> Self {
        Self { store, bucket, region, max_object_size }
    }

    /// Checks the bucket; every operation on one begins with it.
    fn admit(&self, bucket: &str, region: Option<&Region>) -> S3Result<()> {
        self.admit_region(region)?;
        if bucket == self.bucket {
            return Ok(());
        }
        Err(reply(S3ErrorCode::NoSuchBucket, "The specified bucket does not exist."))
    }

    /// Checks the region: a signature for another region is for another store.
    fn admit_region(&self, region: Option<&Region>) -> S3Result<()> {
        if region.is_some_and(|region| region.as_str() == self.region) {
            return Ok(());
        }
        Err(reply(S3ErrorCode::AuthorizationHeaderMalformed, "The request is signed for another region."))
    }
}

#[async_trait::async_trait]
impl S3 for Protocol {
    async fn list_buckets(&self, request: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        self.buckets(request).await
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        self.bucket_head(&request)
    }

    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        self.bucket_create(&request)
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> Answer<GetBucketLocationOutput> {
        self.bucket_location(&request)
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        self.objects_list(request).await
    }

    /// Version 1 of the listing, which `s3cmd` and other old clients use.
    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
        self.objects_list_by_marker(request).await
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        self.object_get(request).await
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        self.object_head(request).await
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        self.object_put(request).await
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        self.object_copy(request).await
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        self.object_delete(request).await
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        self.objects_delete(request).await
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        self.upload_create(request).await
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        self.upload_add(request).await
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> Answer<UploadPartCopyOutput> {
        self.upload_copy(request).await
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        self.upload_parts(request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        self.upload_complete(request).await
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        self.upload_abort(request).await
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        self.uploads_list(request).await
    }
}

/// Milliseconds since 1970 as S3 writes them.
fn timestamp(milliseconds: u64) -> Timestamp {
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(milliseconds);
    Timestamp::from(time)
}

/// A size as S3 types it, which is signed. No file reaches the limit.
fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// Size of a page, at most 1,000 as in S3.
fn page_size(asked: Option<i32>) -> S3Result<usize> {
    match usize::try_from(asked.unwrap_or(1000)) {
        Ok(size) => Ok(size.min(1000)),
        Err(_) => Err(reply(S3ErrorCode::InvalidArgument, "A page can't have a negative size.")),
    }
}

/// Encodes keys for `encoding-type=url`.
fn encode(name: &str, encoding: Option<&EncodingType>) -> String {
    if encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL) {
        // Clients decode %20 everywhere, but `+` only in some places.
        return url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20");
    }
    name.to_owned()
}
