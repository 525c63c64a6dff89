//! The one bucket, copies and deletes.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{Delete, MetadataDirective, ObjectIdentifier};

use crate::support::{BUCKET, Server, directory, files, put, read};

#[tokio::test]
async fn the_bucket_is_there_from_the_start_and_alone() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    client.head_bucket().bucket(BUCKET).send().await.unwrap();
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    client.get_bucket_location().bucket(BUCKET).send().await.unwrap();
    let listed = client.list_buckets().send().await.unwrap();
    let names: Vec<_> = listed.buckets().iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(names, [BUCKET]);

    assert!(
        client.head_bucket().bucket("another").send().await.unwrap_err().into_service_error().is_not_found()
    );
    let second = client.create_bucket().bucket("another").send().await.unwrap_err();
    assert_eq!(second.code(), Some("TooManyBuckets"));
}

#[tokio::test]
async fn copies_are_objects_of_their_own() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    let original =
        client.put_object().bucket(BUCKET).key("a b").content_type("text/plain").metadata("n", "1");
    original.body(b"bytes".to_vec().into()).send().await.unwrap();
    client.copy_object().bucket(BUCKET).key("kept").copy_source("uploads/a%20b").send().await.unwrap();
    let replaced = client.copy_object().bucket(BUCKET).key("replaced").copy_source("uploads/a%20b");
    let replaced = replaced.metadata_directive(MetadataDirective::Replace).content_type("image/png");
    replaced.send().await.unwrap();
    client.delete_object().bucket(BUCKET).key("a b").send().await.unwrap();

    assert_eq!(read(&client, "a b").await, None);
    for (key, content_type, metadata) in [("kept", "text/plain", 1), ("replaced", "image/png", 0)] {
        assert_eq!(read(&client, key).await.as_deref(), Some(b"bytes".as_slice()));
        let head = client.head_object().bucket(BUCKET).key(key).send().await.unwrap();
        assert_eq!(head.content_type(), Some(content_type));
        assert_eq!(head.metadata().map_or(0, std::collections::HashMap::len), metadata);
    }
    let missing = client.copy_object().bucket(BUCKET).key("c").copy_source("uploads/none").send().await;
    assert_eq!(missing.unwrap_err().code(), Some("NoSuchKey"));
}

#[tokio::test]
async fn many_are_deleted_at_once() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    for key in ["a", "b", "c"] {
        put(&client, key, b"x").await;
    }
    let keys = ["a", "b", "never was"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(keys.to_vec())).build().unwrap();
    let deleted = client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert_eq!((deleted.deleted().len(), deleted.errors().len()), (3, 0));
    assert_eq!(files(directory.path()).len(), 1);
    assert!(read(&client, "c").await.is_some());
}
