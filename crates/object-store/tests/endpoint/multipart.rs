//! Multipart uploads.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder;
use aws_sdk_s3::types::{ChecksumMode, CompletedMultipartUpload, CompletedPart};
use s3s::crypto::{Checksum as _, Md5};

use crate::support::{BUCKET, Server, Signed, code, config, directory, files, put, read, soon};

const KEY: &str = "video";
const MIN: usize = 5 * 1024 * 1024;

async fn begin(client: &Client) -> String {
    let upload = client.create_multipart_upload().bucket(BUCKET).key(KEY).content_type("video/mp4");
    upload.send().await.unwrap().upload_id().unwrap().to_owned()
}

async fn sign_part(client: &Client, id: &str, number: i32, body: &[u8]) -> Signed {
    let part = client.upload_part().bucket(BUCKET).key(KEY).upload_id(id).part_number(number);
    let part = part.content_length(i64::try_from(body.len()).unwrap());
    part.presigned(soon()).await.unwrap().into()
}

async fn add(client: &Client, id: &str, number: i32, body: &[u8]) -> CompletedPart {
    let response = sign_part(client, id, number, body).await.put(body.to_vec()).await;
    assert_eq!(response.status(), 200);
    let etag = response.headers()["etag"].to_str().unwrap();
    CompletedPart::builder().part_number(number).e_tag(etag).build()
}

fn complete(client: &Client, id: &str, parts: &[&CompletedPart]) -> CompleteMultipartUploadFluentBuilder {
    let parts = parts.iter().map(|part| (*part).clone()).collect();
    let list = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    client.complete_multipart_upload().bucket(BUCKET).key(KEY).upload_id(id).multipart_upload(list)
}

async fn refusal(request: CompleteMultipartUploadFluentBuilder) -> String {
    request.send().await.unwrap_err().code().unwrap().to_owned()
}

#[tokio::test]
async fn parts_become_one_object() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    let id = begin(&client).await;
    let (first, last) = (vec![1; MIN], vec![2; 1000]);
    // Out of order, and one of them twice: the later one counts.
    let two = add(&client, &id, 7, &last).await;
    add(&client, &id, 2, b"to be replaced").await;
    let one = add(&client, &id, 2, &first).await;

    let listed =
        client.list_parts().bucket(BUCKET).key(KEY).upload_id(&id).max_parts(1).send().await.unwrap();
    assert_eq!(listed.parts()[0].part_number(), Some(2));
    assert_eq!((listed.is_truncated(), listed.next_part_number_marker()), (Some(true), Some("2")));
    let rest = client.list_parts().bucket(BUCKET).key(KEY).upload_id(&id).part_number_marker("2");
    let rest = rest.send().await.unwrap();
    assert_eq!((rest.parts().len(), rest.parts()[0].size()), (1, Some(1000)));
    let uploads = client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(id.as_str()));
    assert_eq!(read(&client, KEY).await, None);

    let done = complete(&client, &id, &[&one, &two]).send().await.unwrap();
    let digests = [Md5::checksum(&first), Md5::checksum(&last)].concat();
    let etag = format!("\"{}-2\"", crate::support::hex_md5(&digests));
    assert_eq!(done.e_tag(), Some(etag.as_str()));
    let head = client
        .head_object()
        .bucket(BUCKET)
        .key(KEY)
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!((head.content_type(), head.e_tag()), (Some("video/mp4"), Some(etag.as_str())));
    assert!(head.checksum_sha256().unwrap().ends_with("-2"));
    assert!(read(&client, KEY).await.is_some_and(|stored| stored == [first, last].concat()));
    assert_eq!(files(directory.path()).len(), 1);
    assert_eq!(refusal(complete(&client, &id, &[&one])).await, "NoSuchUpload");
}

#[tokio::test]
async fn a_wrong_list_of_parts_is_refused_and_can_be_corrected() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    let id = begin(&client).await;
    let one = add(&client, &id, 1, &vec![1; MIN]).await;
    let small = add(&client, &id, 2, b"small").await;
    let last = add(&client, &id, 3, b"last").await;
    let unknown = CompletedPart::builder().part_number(9).e_tag("\"x\"").build();
    let other = CompletedPart::builder().part_number(1).e_tag(last.e_tag().unwrap()).build();
    for (parts, expected) in [
        (vec![&last, &one], "InvalidPartOrder"),
        (vec![&one, &one], "InvalidPartOrder"),
        (vec![&one, &unknown], "InvalidPart"),
        (vec![&other], "InvalidPart"),
        (vec![&one, &small, &last], "EntityTooSmall"),
        (vec![], "MalformedXML"),
    ] {
        assert_eq!(refusal(complete(&client, &id, &parts)).await, expected);
    }
    assert_eq!(refusal(complete(&client, &id, &[&one, &last]).mpu_object_size(1)).await, "InvalidRequest");
    assert_eq!(refusal(complete(&client, "../../objects", &[&one])).await, "NoSuchUpload");
    complete(&client, &id, &[&one, &last]).send().await.unwrap();
}

#[tokio::test]
async fn a_part_must_be_what_was_signed() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    let id = begin(&client).await;
    let signed = sign_part(&client, &id, 1, b"12345").await;
    let longer = signed.clone().with("content-length", "6").put("123456").await;
    assert_eq!(code(longer).await.0, 403);
    let other_part = Signed { url: signed.url.replace("partNumber=1", "partNumber=2"), ..signed.clone() };
    assert_eq!(code(other_part.put("12345").await).await.0, 403);
    let too_many = sign_part(&client, &id, 10_001, b"12345").await;
    assert_eq!(code(too_many.put("12345").await).await, (400, "InvalidArgument".to_owned()));
    assert_eq!(signed.put("12345").await.status(), 200);
}

#[tokio::test]
async fn an_aborted_upload_is_gone() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    let id = begin(&client).await;
    let part = add(&client, &id, 1, b"part").await;
    let late = sign_part(&client, &id, 2, b"late").await;
    client.abort_multipart_upload().bucket(BUCKET).key(KEY).upload_id(&id).send().await.unwrap();
    assert_eq!(code(late.put("late").await).await, (404, "NoSuchUpload".to_owned()));
    assert_eq!(refusal(complete(&client, &id, &[&part])).await, "NoSuchUpload");
    assert!(client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap().uploads().is_empty());
    assert!(files(directory.path()).is_empty());
}

#[tokio::test]
async fn completing_respects_conditions_and_limits() {
    let directory = directory();
    let mut config = config(directory.path());
    config.max_object_size = u64::try_from(MIN).unwrap() + 10;
    let server = Server::start_with(config).await;
    let client = server.client();
    put(&client, KEY, b"first").await;
    let id = begin(&client).await;
    let one = add(&client, &id, 1, &vec![1; MIN]).await;
    let two = add(&client, &id, 2, &[2; 11]).await;
    assert_eq!(refusal(complete(&client, &id, &[&one, &two])).await, "EntityTooLarge");
    let conditional = complete(&client, &id, &[&one]).if_none_match("*");
    assert_eq!(refusal(conditional).await, "PreconditionFailed");
    assert_eq!(read(&client, KEY).await.as_deref(), Some(b"first".as_slice()));
    complete(&client, &id, &[&one]).send().await.unwrap();
}

#[tokio::test]
async fn an_upload_survives_a_restart() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let id = begin(&server.client()).await;
    let one = add(&server.client(), &id, 1, b"part").await;
    server.stop().await;
    let server = Server::start(directory.path()).await;
    complete(&server.client(), &id, &[&one]).send().await.unwrap();
    assert_eq!(read(&server.client(), KEY).await.as_deref(), Some(b"part".as_slice()));
}

#[tokio::test]
async fn the_sdk_adds_checksums_of_its_own() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.default_client();
    let id = begin(&client).await;
    let part = client.upload_part().bucket(BUCKET).key(KEY).upload_id(&id).part_number(1);
    let part = part.body(b"part".to_vec().into()).send().await.unwrap();
    let part = CompletedPart::builder()
        .part_number(1)
        .e_tag(part.e_tag().unwrap())
        .set_checksum_crc32(part.checksum_crc32().map(str::to_owned))
        .set_checksum_sha256(part.checksum_sha256().map(str::to_owned))
        .build();
    complete(&client, &id, &[&part]).send().await.unwrap();
    assert_eq!(read(&client, KEY).await.as_deref(), Some(b"part".as_slice()));
}

#[tokio::test]
async fn parts_are_copied_from_objects() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    let body: Vec<u8> = (0..6 * 1024 * 1024_u32).map(|n| n.to_be_bytes()[2]).collect();
    put(&client, "source", &body).await;
    let upload = client.create_multipart_upload().bucket(BUCKET).key("copy").send().await.unwrap();
    let id = upload.upload_id().unwrap();
    let copy = |number, range: &str| {
        let copy = client.upload_part_copy().bucket(BUCKET).key("copy").upload_id(id).part_number(number);
        copy.copy_source(format!("{BUCKET}/source")).copy_source_range(range)
    };
    let middle = 5 * 1024 * 1024;
    let ranges = [format!("bytes=0-{}", middle - 1), format!("bytes={middle}-{}", body.len() - 1)];
    let mut parts = Vec::new();
    for (number, range) in (1..).zip(&ranges) {
        let part = copy(number, range).send().await.unwrap();
        let tag = part.copy_part_result().unwrap().e_tag().unwrap();
        parts.push(CompletedPart::builder().part_number(number).e_tag(tag).build());
    }
    for range in ["bytes=0-", "bytes=5-4", "0-4", &format!("bytes=0-{}", body.len())] {
        assert!(copy(3, range).send().await.is_err(), "{range}");
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("copy").upload_id(id);
    complete.multipart_upload(parts).send().await.unwrap();
    assert_eq!(read(&client, "copy").await.as_deref(), Some(body.as_slice()));
}
