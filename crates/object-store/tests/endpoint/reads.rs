//! Reading back: ranges, overrides, conditions.

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::builders::GetObjectFluentBuilder;
use aws_sdk_s3::types::ChecksumMode;

use crate::support::{BUCKET, Server, Signed, code, directory, hex_md5, long_ago, put, soon};

const BODY: &[u8] = b"0123456789";

fn get(client: &Client) -> GetObjectFluentBuilder {
    client.get_object().bucket(BUCKET).key("digits")
}

async fn sign(get: GetObjectFluentBuilder) -> Signed {
    get.presigned(soon()).await.unwrap().into()
}

#[tokio::test]
async fn ranges_are_read() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    put(&client, "digits", BODY).await;
    for (range, expected, content_range) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=4-", "456789", "bytes 4-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let response = sign(get(&client)).await.with("range", range).get().await;
        assert_eq!(response.status(), 206, "{range}");
        assert_eq!(response.headers()["content-range"], content_range);
        assert_eq!(response.content_length(), u64::try_from(expected.len()).ok());
        assert_eq!(response.text().await.unwrap(), expected);
    }
    let outside = sign(get(&client)).await.with("range", "bytes=10-").get().await;
    assert_eq!(outside.headers()["content-range"], "bytes */10");
    assert_eq!(code(outside).await, (416, "InvalidRange".to_owned()));
}

#[tokio::test]
async fn a_presigned_get_names_its_own_headers() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    put(&client, "digits", BODY).await;
    let disposition = "attachment; filename=\"r\u{e9}sum\u{e9}.txt\"; filename*=UTF-8''r%C3%A9sum%C3%A9.txt";
    let ascii = "attachment; filename=\"x.txt\"; filename*=UTF-8''r%C3%A9sum%C3%A9.txt";
    let signed =
        get(&client).response_content_type("text/plain").response_cache_control("private, max-age=60");
    let response = sign(signed.response_content_disposition(ascii)).await.get().await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/plain");
    assert_eq!(response.headers()["cache-control"], "private, max-age=60");
    assert_eq!(response.headers()["content-disposition"], ascii);
    assert_eq!(response.bytes().await.unwrap(), BODY);
    let stored = client.put_object().bucket(BUCKET).key("digits").cache_control("public, max-age=9999");
    stored.content_encoding("gzip").body(BODY.to_vec().into()).send().await.unwrap();
    let signed = get(&client).response_content_encoding("identity").response_cache_control("no-store");
    let response = sign(signed).await.get().await;
    assert_eq!(response.headers()["content-encoding"], "identity");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.bytes().await.unwrap(), BODY);
    let unicode = sign(get(&client).response_content_disposition(disposition)).await.get().await;
    assert!(unicode.status() == 200 || unicode.status() == 400);

    let signed = sign(get(&client).response_content_type("text/plain")).await;
    let tampered = Signed { url: signed.url.replace("text%2Fplain", "text%2Fhtml"), ..signed };
    assert_eq!(code(tampered.get().await).await.0, 403);
}

#[tokio::test]
async fn conditions_are_honoured() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    put(&client, "digits", BODY).await;
    let first = sign(get(&client)).await.get().await;
    let (etag, modified) = (first.headers()["etag"].clone(), first.headers()["last-modified"].clone());
    let (etag, modified) = (etag.to_str().unwrap(), modified.to_str().unwrap());
    for (header, value, status) in [
        ("if-none-match", etag, 304),
        ("if-none-match", "\"other\"", 200),
        ("if-match", etag, 200),
        ("if-match", "\"other\"", 412),
        ("if-modified-since", modified, 304),
        ("if-unmodified-since", modified, 200),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT", 412),
    ] {
        let response = sign(get(&client)).await.with(header, value).get().await;
        assert_eq!(response.status(), status, "{header}: {value}");
        if status == 304 {
            assert_eq!(response.headers()["etag"], etag);
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    assert_eq!(code(sign(get(&client)).await.get().await).await, (404, "NoSuchKey".to_owned()));
    let head = client.head_object().bucket(BUCKET).key("digits").send().await.unwrap_err();
    assert!(head.into_service_error().is_not_found());
    let elsewhere = client.get_object().bucket("other-bucket").key("digits").presigned(soon()).await.unwrap();
    assert_eq!(code(Signed::from(elsewhere).get().await).await, (404, "NoSuchBucket".to_owned()));
    client.delete_object().bucket(BUCKET).key("digits").send().await.unwrap();
}

#[tokio::test]
async fn an_expired_get_is_refused() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    put(&server.client(), "digits", BODY).await;
    let expired = get(&server.client()).presigned(long_ago()).await.unwrap();
    assert_eq!(code(Signed::from(expired).get().await).await, (403, "AccessDenied".to_owned()));
}

#[tokio::test]
async fn objects_can_do_nothing_in_a_browser() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    put(&client, "digits", BODY).await;
    for response in [
        sign(get(&client)).await.get().await,
        sign(client.get_object().bucket(BUCKET).key("none")).await.get().await,
    ] {
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.headers()["content-security-policy"], "default-src 'none'; sandbox");
        assert!(!response.headers().contains_key("server"));
    }
}

#[tokio::test]
async fn checksums_are_given_when_asked_for_and_only_for_the_whole() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    put(&client, "digits", BODY).await;
    let whole = get(&client).checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(whole.checksum_sha256(), Some(crate::support::sha256(BODY).as_str()));
    // The SDK compares while it reads.
    assert_eq!(whole.body.collect().await.unwrap().to_vec(), BODY);
    let part = get(&client).checksum_mode(ChecksumMode::Enabled).range("bytes=0-1").send().await.unwrap();
    assert_eq!(part.checksum_sha256(), None);
    assert_eq!(part.body.collect().await.unwrap().to_vec(), b"01");
}

#[tokio::test]
async fn the_empty_object_is_an_object() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    put(&client, "digits", b"").await;
    let response = sign(get(&client)).await.get().await;
    assert_eq!((response.status().as_u16(), response.content_length()), (200, Some(0)));
}

#[tokio::test]
async fn a_condition_may_name_several_tags() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    put(&client, "k", b"0123456789").await;
    let get = || async {
        Signed::from(client.get_object().bucket(BUCKET).key("k").presigned(soon()).await.unwrap())
    };
    let tag = format!("\"{}\"", hex_md5(b"0123456789"));
    for (name, value, status) in [
        ("if-none-match", format!("\"x\", {tag}"), 304),
        ("if-none-match", format!("W/\"x,y\",W/{tag}"), 304),
        ("if-none-match", "\"x\", \"y\"".to_owned(), 200),
        ("if-match", format!("\"x\", {tag}"), 200),
        ("if-match", "\"x\", \"y\"".to_owned(), 412),
    ] {
        assert_eq!(get().await.with(name, &value).get().await.status(), status, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_range_is_of_the_bytes_that_the_client_has_a_part_of() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    put(&client, "k", b"0123456789").await;
    let get = || async {
        Signed::from(client.get_object().bucket(BUCKET).key("k").presigned(soon()).await.unwrap())
    };
    let modified = get().await.get().await.headers()["last-modified"].to_str().unwrap().to_owned();
    let tag = format!("\"{}\"", hex_md5(b"0123456789"));
    for (condition, status) in [
        (tag.as_str(), 206),
        (&modified, 206),
        ("\"x\"", 200),
        (&format!("W/{tag}"), 200),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 200),
        ("nonsense", 200),
    ] {
        let answer = get().await.with("range", "bytes=0-3").with("if-range", condition).get().await;
        assert_eq!(answer.status(), status, "{condition}");
        assert_eq!(answer.bytes().await.unwrap().len(), if status == 206 { 4 } else { 10 }, "{condition}");
    }
}
