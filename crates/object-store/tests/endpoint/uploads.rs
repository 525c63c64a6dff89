//! Presigned and direct PUTs: what was declared is stored, anything else is refused and leaves nothing.

use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};

use crate::support::{
    BUCKET, MAX_SIZE, Server, Signed, code, config, declared, directory, files, hex_md5, long_ago, md5, put,
    read, sha256, sign, soon,
};

const BODY: &[u8] = b"the body that was declared";

#[tokio::test]
async fn the_declared_upload_is_stored() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    let response = sign(declared(&client, "photo", BODY)).await.put(BODY).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["etag"], format!("\"{}\"", hex_md5(BODY)).as_str());

    let head = client.head_object().bucket(BUCKET).key("photo").checksum_mode(ChecksumMode::Enabled);
    let head = head.send().await.unwrap();
    assert_eq!(head.content_length(), i64::try_from(BODY.len()).ok());
    assert_eq!(head.content_type(), Some("image/png"));
    assert_eq!(head.checksum_sha256(), Some(sha256(BODY).as_str()));
    assert_eq!(head.e_tag(), Some(format!("\"{}\"", hex_md5(BODY)).as_str()));
    assert!(head.last_modified().is_some());
    assert_eq!(read(&client, "photo").await.as_deref(), Some(BODY));
}

#[tokio::test]
async fn what_differs_from_the_signature_is_refused() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let signed = sign(declared(&server.client(), "photo", BODY)).await;
    let other_key = Signed { url: signed.url.replace("photo", "phony"), ..signed.clone() };
    let last = signed.url.find("X-Amz-Signature=").unwrap() + "X-Amz-Signature=".len();
    let digit = if signed.url.as_bytes()[last] == b'0' { "1" } else { "0" };
    let mut forged = signed.clone();
    forged.url.replace_range(last..=last, digit);

    let longer = [BODY, b"!"].concat();
    let shorter = &BODY[1..];
    let cases = [
        ("longer", signed.clone().with("content-length", &longer.len().to_string()).put(longer).await),
        ("shorter", signed.clone().with("content-length", &shorter.len().to_string()).put(shorter).await),
        ("another type", signed.clone().with("content-type", "text/html").put(BODY).await),
        ("no type", signed.clone().without("content-type").put(BODY).await),
        ("another checksum", signed.clone().with("x-amz-checksum-sha256", &sha256(b"x")).put(BODY).await),
        ("no checksum", signed.clone().without("x-amz-checksum-sha256").put(BODY).await),
        ("no condition", signed.clone().without("if-none-match").put(BODY).await),
        ("another key", other_key.put(BODY).await),
        ("another signature", forged.put(BODY).await),
        ("read instead", signed.clone().without("content-length").get().await),
    ];
    for (case, response) in cases {
        assert_eq!(code(response).await, (403, "SignatureDoesNotMatch".to_owned()), "{case}");
        assert_eq!(files(directory.path()), <[std::path::PathBuf; 0]>::default(), "{case}");
    }
    assert_eq!(signed.put(BODY).await.status(), 200, "the original still works");
}

#[tokio::test]
async fn an_expired_url_is_refused() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let put = declared(&server.client(), "photo", BODY).presigned(long_ago()).await.unwrap();
    assert_eq!(code(Signed::from(put).put(BODY).await).await, (403, "AccessDenied".to_owned()));
    assert!(files(directory.path()).is_empty());
}

#[tokio::test]
async fn unsigned_is_forbidden() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    put(&server.client(), "photo", BODY).await;
    let http = reqwest::Client::new();
    let url = server.url("/uploads/photo");
    for response in [
        http.get(&url).send().await.unwrap(),
        http.put(&url).body("x").send().await.unwrap(),
        http.delete(&url).send().await.unwrap(),
        http.get(server.url("/uploads?list-type=2")).send().await.unwrap(),
        http.get(server.url("/")).send().await.unwrap(),
    ] {
        assert_eq!(code(response).await, (403, "AccessDenied".to_owned()));
    }
    assert_eq!(http.head(&url).send().await.unwrap().status(), 403);
    assert_eq!(read(&server.client(), "photo").await.as_deref(), Some(BODY));
}

#[tokio::test]
async fn keys_and_regions_that_are_not_ours_are_refused() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let when = RequestChecksumCalculation::WhenRequired;
    let refusal = |client: aws_sdk_s3::Client| async move {
        let error = client.get_object().bucket(BUCKET).key("k").send().await.unwrap_err();
        error.code().map(str::to_owned)
    };
    let wrong_secret = server.client_with("us-east-1", "another secret", when);
    assert_eq!(refusal(wrong_secret).await.as_deref(), Some("SignatureDoesNotMatch"));
    let wrong_region = server.client_with("eu-west-1", "a-secret-of-the-test", when);
    assert_eq!(refusal(wrong_region).await.as_deref(), Some("AuthorizationHeaderMalformed"));
}

#[tokio::test]
async fn a_body_that_is_not_what_was_declared_is_not_stored() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    let other = [b'x'; BODY.len()];
    let by_sha256 = sign(declared(&client, "photo", BODY)).await;
    assert_eq!(code(by_sha256.put(other.to_vec()).await).await, (400, "BadDigest".to_owned()));

    let by_md5 = client.put_object().bucket(BUCKET).key("photo").content_md5(md5(BODY));
    let by_md5 = sign(by_md5).await;
    assert_eq!(code(by_md5.clone().put(other.to_vec()).await).await, (400, "BadDigest".to_owned()));
    assert!(files(directory.path()).is_empty());
    assert_eq!(by_md5.put(BODY).await.status(), 200);
}

#[tokio::test]
async fn headers_that_were_not_signed_do_not_count() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    put(&client, "of somebody else", b"secret").await;
    let plain = sign(client.put_object().bucket(BUCKET).key("mine")).await;
    for (name, value) in [
        ("x-amz-copy-source", "/uploads/of%20somebody%20else"),
        ("x-amz-meta-role", "admin"),
        ("x-amz-acl", "public-read"),
        ("x-amz-checksum-sha256", "AAAA"),
        ("content-encoding", "gzip"),
        ("content-disposition", "inline"),
        ("content-language", "de"),
        ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
    ] {
        let response = plain.clone().with(name, value).put("").await;
        assert_eq!(code(response).await, (403, "AccessDenied".to_owned()), "{name}");
    }
    assert_eq!(read(&client, "mine").await, None);
}

#[tokio::test]
async fn labels_that_were_signed_are_stored() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    let put = client.put_object().bucket(BUCKET).key("labelled").cache_control("no-cache");
    let put = put.content_encoding("gzip").content_disposition("inline").content_language("de");
    assert_eq!(sign(put).await.put(BODY).await.status(), 200);
    let head = client.head_object().bucket(BUCKET).key("labelled").send().await.unwrap();
    assert_eq!(head.cache_control(), Some("no-cache"));
    assert_eq!(head.content_encoding(), Some("gzip"));
    assert_eq!(head.content_disposition(), Some("inline"));
    assert_eq!(head.content_language(), Some("de"));
}

#[tokio::test]
async fn a_cache_control_that_a_browser_adds_is_not_stored() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    let signed = sign(declared(&client, "photo", BODY)).await.with("cache-control", "public, max-age=9999");
    assert_eq!(signed.put(BODY).await.status(), 200);
    let head = client.head_object().bucket(BUCKET).key("photo").send().await.unwrap();
    assert_eq!(head.cache_control(), None);
}

#[tokio::test]
async fn the_second_upload_to_a_key_fails() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let signed = sign(declared(&server.client(), "photo", BODY)).await;
    assert_eq!(signed.clone().put(BODY).await.status(), 200);
    assert_eq!(code(signed.put(BODY).await).await, (412, "PreconditionFailed".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_simultaneous_uploads_one_wins() {
    let directory = directory();
    // Two stores on one directory, as two processes would be: no lock in memory can decide this.
    let (one, two) = (Server::start(directory.path()).await, Server::start(directory.path()).await);
    for round in 0..8 {
        let key = format!("contested-{round}");
        let bodies: Vec<Vec<u8>> = (0..6_u8).map(|n| vec![n; 100_000]).collect();
        let mut uploads = tokio::task::JoinSet::new();
        for (n, body) in bodies.iter().cloned().enumerate() {
            let client = if n % 2 == 0 { one.client() } else { two.client() };
            let signed = sign(declared(&client, &key, &body)).await;
            uploads.spawn(async move { (signed.put(body.clone()).await.status().as_u16(), body) });
        }
        let results = uploads.join_all().await;
        let winners: Vec<_> = results.iter().filter(|(status, _)| *status == 200).collect();
        assert_eq!(winners.len(), 1);
        // Too late, or displaced by a later one.
        assert_eq!(results.iter().filter(|(status, _)| matches!(status, 409 | 412)).count(), 5);
        assert_eq!(read(&one.client(), &key).await.as_ref(), Some(&winners[0].1));
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_sent() {
    let directory = directory();
    let server = Server::start_with({
        let mut config = config(directory.path());
        config.max_object_size = 10;
        config
    })
    .await;
    let client = server.client();
    let signed = sign(declared(&client, "photo", BODY)).await;
    assert_eq!(code(signed.put(BODY).await).await, (400, "EntityTooLarge".to_owned()));
    assert!(files(directory.path()).is_empty());
    let exact = sign(declared(&client, "photo", &BODY[..10])).await;
    assert_eq!(exact.put(&BODY[..10]).await.status(), 200);
}

#[tokio::test]
async fn a_body_without_a_length_is_refused() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let signed = sign(server.client().put_object().bucket(BUCKET).key("photo")).await;
    let mut head = signed.head("PUT").replace("\r\nhost:", "\r\ntransfer-encoding: chunked\r\nhost:");
    head.push_str("1\r\nx\r\n0\r\n\r\n");
    let answer = crate::hostile::exchange(server.address, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 411") && answer.contains("MissingContentLength"), "{answer}");
    assert!(files(directory.path()).is_empty());
}

#[tokio::test]
async fn keys_are_not_paths() {
    let directory = directory();
    let inside = directory.path().join("a").join("b");
    let server = Server::start(&inside).await;
    let client = server.client();
    let keys = [
        "../../evil",
        "/etc/passwd",
        "a/../../b",
        ".",
        "..",
        "a//b",
        "ключ/鍵 ?#%",
        "C:\\x",
        "a/b/",
        "%2e%2e%2f",
    ];
    for key in keys {
        put(&client, key, key.as_bytes()).await;
    }
    for key in keys {
        assert_eq!(read(&client, key).await.as_deref(), Some(key.as_bytes()));
    }
    let listed = client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert_eq!(listed.contents().len(), keys.len());
    let objects = inside.join("buckets").join(BUCKET).join("objects");
    let all = files(directory.path());
    assert_eq!(all.len(), keys.len());
    assert!(all.iter().all(|path| path.starts_with(&objects)), "{all:?}");
}

#[tokio::test]
async fn a_raw_traversal_stays_inside() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    // reqwest would truncate_log such a path up before sending it.
    let signed = sign(server.client().put_object().bucket(BUCKET).key("x")).await;
    let head = signed.head("PUT").replace("/uploads/x", "/uploads/../../../x");
    let answer = crate::hostile::exchange(server.address, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(files(directory.path()).is_empty());
}

#[tokio::test]
async fn a_key_no_listing_could_show_is_refused() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let request = server.client().put_object().bucket(BUCKET).key("nul\0key").send().await;
    assert_eq!(request.unwrap_err().code(), Some("InvalidArgument"));
}

#[tokio::test]
async fn the_sdk_uploads_as_it_comes() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.default_client();
    put(&client, "crc32 in a header", BODY).await;
    assert_eq!(read(&client, "crc32 in a header").await.as_deref(), Some(BODY));

    let source = directory.path().join("source");
    std::fs::write(&source, vec![7; 300_000]).unwrap();
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
    ] {
        let key = algorithm.as_str();
        // A file is streamed, and its checksum follows as a trailer of an aws-chunked body.
        let body = ByteStream::from_path(&source).await.unwrap();
        let put =
            client.put_object().bucket(BUCKET).key(key).checksum_algorithm(algorithm.clone()).body(body);
        put.send().await.unwrap();
        let object = client.get_object().bucket(BUCKET).key(key).send().await.unwrap();
        assert_eq!(object.content_encoding(), None);
        assert_eq!(object.body.collect().await.unwrap().to_vec(), vec![7; 300_000]);
    }
}

#[tokio::test]
async fn metadata_is_kept_and_overwritten_with_the_bytes() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    let request =
        client.put_object().bucket(BUCKET).key("doc").metadata("owner", "me").cache_control("no-store");
    request.content_type("text/plain").body(b"one".to_vec().into()).send().await.unwrap();
    let head = client.head_object().bucket(BUCKET).key("doc").send().await.unwrap();
    assert_eq!(head.metadata().unwrap()["owner"], "me");
    assert_eq!(head.cache_control(), Some("no-store"));

    put(&client, "doc", b"another one").await;
    let head = client.head_object().bucket(BUCKET).key("doc").send().await.unwrap();
    assert!(head.metadata().is_none_or(std::collections::HashMap::is_empty));
    assert_eq!((head.cache_control(), head.content_length()), (None, Some(11)));
    assert_eq!(files(directory.path()).len(), 1);
}

#[tokio::test]
async fn what_is_not_supported_is_said() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let put = || server.client().put_object().bucket(BUCKET).key("k");
    for request in [
        put().acl(aws_sdk_s3::types::ObjectCannedAcl::PublicRead),
        put().tagging("a=b"),
        put().server_side_encryption(aws_sdk_s3::types::ServerSideEncryption::Aes256),
        put().storage_class(aws_sdk_s3::types::StorageClass::Glacier),
        put().if_match("\"etag\""),
    ] {
        assert_eq!(request.send().await.unwrap_err().code(), Some("NotImplemented"));
    }
    let acl = server.client().get_object_acl().bucket(BUCKET).key("k").send().await;
    assert_eq!(acl.unwrap_err().code(), Some("NotImplemented"));
    assert!(files(directory.path()).is_empty());
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    let body: Vec<u8> = (0..MAX_SIZE).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let signed = sign(declared(&client, "large", &body)).await;
    assert_eq!(signed.clone().put(body.clone()).await.status(), 200);
    assert!(read(&client, "large").await.is_some_and(|stored| stored == body));
    // Refused early, yet the client gets to hear it: the rest of the body is taken in.
    assert_eq!(code(signed.put(body).await).await, (412, "PreconditionFailed".to_owned()));
    let presigned = client.get_object().bucket(BUCKET).key("large").presigned(soon()).await.unwrap();
    let length = Signed::from(presigned).get().await.content_length();
    assert_eq!(length, Some(MAX_SIZE));
}

#[tokio::test]
async fn a_developer_is_told_what_came_under_a_signature() {
    let directory = directory();
    for explain in [true, false] {
        let mut config = config(directory.path());
        config.explain = explain;
        let server = Server::start_with(config).await;
        let signed = sign(declared(&server.client(), "photo", BODY)).await;
        // As a browser: the length is that of the body.
        let answer = signed.without("content-length").with("content-type", "a<b").put(&BODY[1..]).await;
        assert_eq!(answer.status(), 403);
        let text = answer.text().await.unwrap();
        assert!(text.contains("<Code>SignatureDoesNotMatch</Code>"), "{text}");
        let told = text.contains(&format!("content-length: {}", BODY.len() - 1))
            && text.contains("content-type: a&lt;b;");
        assert_eq!(told, explain, "{text}");
        assert_eq!(text.matches("<Message>").count(), usize::from(text.contains("</Message>")), "{text}");
    }
}
