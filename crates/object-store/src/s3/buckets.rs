//! The one bucket.

use s3s::dto::{
    Bucket, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, GetBucketLocationInput,
    GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput, ListBucketsOutput, Owner,
    Timestamp,
};
use s3s::{S3ErrorCode, S3Request, S3Response};

use super::{Answer, Protocol};
use crate::error::reply;

impl Protocol {
    pub(super) async fn buckets(&self, request: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        self.admit_region(request.region.as_ref())?;
        let bucket = Bucket {
            name: Some(self.bucket.clone()),
            creation_date: Some(Timestamp::from(self.store.created().await?)),
            bucket_region: Some(self.region.clone()),
        };
        let prefix = request.input.prefix;
        let wanted = prefix.as_deref().is_none_or(|prefix| self.bucket.starts_with(prefix));
        let buckets = if wanted { vec![bucket] } else { Vec::new() };
        let output = ListBucketsOutput {
            buckets: Some(buckets),
            owner: Some(Owner::default()),
            prefix,
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    pub(super) fn bucket_head(&self, request: &S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        self.admit(&request.input.bucket, request.region.as_ref())?;
        let output = HeadBucketOutput { bucket_region: Some(self.region.clone()), ..Default::default() };
        Ok(S3Response::new(output))
    }

    /// Idempotent for the configured bucket; others cannot be created.
    pub(super) fn bucket_create(&self, request: &S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        self.admit_region(request.region.as_ref())?;
        if request.input.bucket != self.bucket {
            return Err(reply(
                S3ErrorCode::TooManyBuckets,
                "This store has one bucket, set by its configuration.",
            ));
        }
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{}", self.bucket)) }))
    }

    pub(super) fn bucket_location(
        &self,
        request: &S3Request<GetBucketLocationInput>,
    ) -> Answer<GetBucketLocationOutput> {
        self.admit(&request.input.bucket, request.region.as_ref())?;
        // us-east-1 is represented by an absent constraint.
        let constraint =
            (self.region != "us-east-1").then(|| BucketLocationConstraint::from(self.region.clone()));
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint: constraint }))
    }
}
