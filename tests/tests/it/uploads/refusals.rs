//! Uploads that the store or the API rejects.

use serde_json::{Value, json};
use tests::TestServer;
use tests::store::{StoreKey, checksum, png};
use time::{Duration, OffsetDateTime};
use url::Url;

use super::{announce, announce_as, complete, publish, send};

/// The URL with another value of one of its parameters.
fn with_parameter(url: &str, name: &str, value: &str) -> String {
    let mut changed = Url::parse(url).unwrap();
    let pairs: Vec<(String, String)> = changed.query_pairs().into_owned().collect();
    assert!(pairs.iter().any(|(other, _)| other == name), "{url} has no {name}");
    let replaced = pairs.iter().map(|(other, old)| (other, if other == name { value } else { old }));
    changed.query_pairs_mut().clear().extend_pairs(replaced);
    changed.into()
}

/// The time of the machine, which the store uses.
fn now() -> OffsetDateTime {
    #[expect(clippy::disallowed_methods, reason = "the store has no other clock")]
    OffsetDateTime::now_utc()
}

#[tokio::test]
async fn the_store_takes_what_was_declared_and_takes_it_once() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let bytes = png(64, 48);
    let created = announce(&server, &ada, &bytes).await;
    let request = &created["request"];
    let url = request["url"].as_str().unwrap();

    let longer = [bytes.as_slice(), &[0]].concat();
    send(&server, request, &longer, &[]).await.expect(403);
    send(&server, request, &bytes[1..], &[]).await.expect(403);
    let mut other = bytes.clone();
    other[60] ^= 1;
    send(&server, request, &other, &[]).await.expect(400);
    for changes in [
        ("content-type", Some("text/html")),
        ("content-type", Some("image/png; charset=utf-8")),
        ("content-type", None),
        ("x-amz-checksum-sha256", Some(checksum(&other).as_str())),
        ("x-amz-checksum-sha256", None),
        ("if-none-match", None),
        ("x-amz-acl", Some("public-read")),
        ("x-amz-copy-source", Some("/ashlar/uploads/another")),
    ] {
        send(&server, request, &bytes, &[changes]).await.expect(403);
    }
    send(&server, request, &other, &[("x-amz-checksum-sha256", Some(&checksum(&other)))]).await.expect(403);
    for url in [
        url.replace("/uploads/", "/uploads/x"),
        with_parameter(url, "X-Amz-Expires", "604800"),
        with_parameter(url, "X-Amz-Signature", &"0".repeat(64)),
        url.split('?').next().unwrap().to_owned(),
    ] {
        let mut changed = request.clone();
        changed["url"] = url.into();
        send(&server, &changed, &bytes, &[]).await.expect(403);
    }
    let delete = server.delete(url).unchecked().await;
    assert_eq!(delete.status, 403, "a URL for PUT is for PUT: {delete:?}");
    assert_eq!(server.get(url).unchecked().await.status, 403);

    let incomplete = complete(&server, &ada, &created["upload"]).await;
    incomplete.problem(409, "upload_incomplete");
    send(&server, request, &bytes, &[]).await.expect(200);
    send(&server, request, &bytes, &[]).await.expect(412);
    complete(&server, &ada, &created["upload"]).await.expect(200);
    send(&server, request, &bytes, &[]).await.expect(412);
}

#[tokio::test]
async fn the_store_refuses_what_is_late() {
    const KEY: StoreKey = StoreKey { access_key: "tests", secret_key: "a-secret-that-only-tests-have" };
    let variables =
        [("ASHLAR_STORAGE__ACCESS_KEY", KEY.access_key), ("ASHLAR_STORAGE__SECRET_KEY", KEY.secret_key)];
    let server = TestServer::with_variables(&variables).await;
    let ada = server.signup().await;
    let bytes = png(4, 4);
    let created = announce(&server, &ada, &bytes).await;
    let url = Url::parse(created["request"]["url"].as_str().unwrap()).unwrap();
    let headers = created["request"]["headers"].as_object().unwrap();
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    // The same signature with another time, as the API would have signed it an hour ago.
    let signed = |at: OffsetDateTime, seconds: u32| {
        let mut request = created["request"].clone();
        request["url"] = KEY.presign_put(&url, &headers, at, seconds).as_str().into();
        request
    };
    for late in [signed(now() - Duration::hours(1), 900), signed(now() - Duration::seconds(61), 60)] {
        let answer = send(&server, &late, &bytes, &[]).await.expect(403);
        assert!(answer.text().contains("expired"), "{answer:?}");
    }
    let moved = with_parameter(
        signed(now() - Duration::hours(1), 900)["url"].as_str().unwrap(),
        "X-Amz-Expires",
        "7200",
    );
    let mut prolonged = created["request"].clone();
    prolonged["url"] = moved.into();
    send(&server, &prolonged, &bytes, &[]).await.expect(403);
    for forever in [
        signed(now(), 604_801),
        signed(now() - Duration::days(8), 604_800),
        signed(now() + Duration::hours(1), 900),
    ] {
        let answer = send(&server, &forever, &bytes, &[]).await;
        assert!(matches!(answer.status, 400 | 403), "{answer:?}");
    }
    // The control: signed by the same code, in time.
    send(&server, &signed(now(), 900), &bytes, &[]).await.expect(200);
}

#[tokio::test]
async fn what_lies_in_the_store_must_be_what_was_declared() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let script = b"<script>alert(document.domain)</script>";
    for (content_type, bytes) in [
        ("image/png", script.as_slice()),
        ("image/jpeg", &png(2, 2)),
        ("application/pdf", script),
        ("application/zip", &png(2, 2)),
        ("text/plain", &png(2, 2)),
        ("text/plain", b"caf\xe9\x01 au lait"),
        ("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI\0\0\0\x02\0\0\0\x03"),
        ("video/mp4", b"\0\0\0\x14ftypqt  \0\0\x02\0qt  "),
        ("video/mp4", script),
        ("image/png", b"\x89PNG\r\n\x1a\n"),
    ] {
        let body = json!({"filename": "a", "content_type": content_type, "size": bytes.len()});
        let created = announce_as(&server, &ada, &body).await.expect(201).json();
        send(&server, &created["request"], bytes, &[]).await.expect(200);
        for _ in 0..2 {
            complete(&server, &ada, &created["upload"]).await.problem(422, "content_mismatch");
        }
        let upload = server.get_as(&ada, &super::path(&created["upload"])).await.expect(200).json();
        assert_eq!(upload["status"], "pending", "nothing is published");
        let download = super::path(&upload) + "/download";
        server.get_as(&ada, &download).await.problem(409, "upload_incomplete");
    }
}

#[tokio::test]
async fn what_is_announced_must_be_within_the_rules() {
    let server = TestServer::with_variables(&[
        ("ASHLAR_UPLOADS__QUOTA", "3000"),
        ("ASHLAR_UPLOADS__MAX_SIZE", "2000"),
    ])
    .await;
    let ada = server.signup().await;
    let with = |field: &str, value: Value| {
        let mut body = json!({"filename": "a.png", "content_type": "image/png", "size": 1_000});
        body[field] = value;
        body
    };
    for (field, value, code) in [
        ("filename", json!(""), "too_short"),
        ("filename", json!("a".repeat(256)), "too_long"),
        ("filename", json!("../../etc/passwd"), "filename"),
        ("filename", json!("a\r\nSet-Cookie: x"), "control_characters"),
        ("content_type", json!("text/html"), "choice"),
        ("content_type", json!("image/svg+xml"), "choice"),
        ("content_type", json!("application/vnd.ms-excel"), "choice"),
        ("content_type", json!("image/png; charset=utf-8"), "choice"),
        ("size", json!(0), "too_small"),
        ("size", json!(-1), "too_small"),
        ("size", json!(2_001), "too_large"),
        ("size", json!(1.5), "type"),
        ("size", json!(-5.0), "too_small"),
        ("size", json!(1e300), "too_large"),
        ("size", json!("1000"), "type"),
        ("checksum_sha256", json!("abc"), "checksum"),
        ("visibility", json!("secret"), "choice"),
        ("key", json!("uploads/x"), "unknown_field"),
        ("owner_id", json!("usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T"), "unknown_field"),
    ] {
        let pointer = format!("/{field}");
        announce_as(&server, &ada, &with(field, value)).await.invalid(&[(&pointer, code)]);
    }
    announce_as(&server, &ada, &with("size", json!(2_000))).await.expect(201);
    let full = announce_as(&server, &ada, &with("size", json!(1_001))).await.problem(422, "quota_exceeded");
    assert_eq!(full["errors"][0]["pointer"], "/size");
    let last = announce_as(&server, &ada, &with("size", json!(1_000))).await.expect(201).json();
    announce_as(&server, &ada, &with("size", json!(1))).await.problem(422, "quota_exceeded");
    // A deleted upload counts until its object is removed, because its URL may still be used.
    server.delete(&super::path(&last["upload"])).bearer(&ada.token).await.expect(204);
    announce_as(&server, &ada, &with("size", json!(1_000))).await.problem(422, "quota_exceeded");
    let eve = server.signup().await;
    announce_as(&server, &eve, &with("size", json!(2_000))).await.expect(201);
}

#[tokio::test]
async fn a_quota_holds_whatever_comes_at_once() {
    let server = TestServer::with_variables(&[("ASHLAR_UPLOADS__QUOTA", "3000")]).await;
    let ada = server.signup().await;
    let body = json!({"filename": "a.png", "content_type": "image/png", "size": 1_000});
    let answers = futures_util::future::join_all((0..12).map(|_| announce_as(&server, &ada, &body))).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(created, 3);
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.problem(422, "quota_exceeded");
    }
}

#[tokio::test]
async fn a_download_url_opens_its_object_alone() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let upload = publish(&server, &ada, &png(2, 2)).await;
    let redirect = server.get_as(&ada, &(super::path(&upload) + "/download")).await.expect(302);
    let url = redirect.header("location").unwrap();
    for changed in [
        url.replace("/uploads/", "/uploads/x"),
        url.replace("attachment", "inline"),
        url.replace("image%2Fpng", "text%2Fhtml"),
        with_parameter(url, "X-Amz-Expires", "604800"),
        url.split('?').next().unwrap().to_owned(),
        server.storage().to_string(),
        format!("{}ashlar?list-type=2", server.storage()),
    ] {
        assert_ne!(changed, url);
        assert_eq!(server.get(&changed).unchecked().await.status, 403, "{changed}");
    }
    server.get(url).unchecked().await.expect(200);
}
