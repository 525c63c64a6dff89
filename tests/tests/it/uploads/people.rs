//! Real-world files: with names of all systems, types declared by different browsers, and contents saved by different programs.

use serde_json::{Value, json};
use tests::client::members;
use tests::store::png;
use tests::{Account, Answer, TestServer};

use super::{announce_as, complete, path, send};

/// Creates, sends and completes an upload.
async fn publish(
    server: &TestServer,
    account: &Account,
    filename: &str,
    content_type: &str,
    bytes: &[u8],
) -> Value {
    let body = json!({"filename": filename, "content_type": content_type, "size": bytes.len()});
    let created = announce_as(server, account, &body).await.expect(201).json();
    send(server, &created["request"], bytes, &[]).await.expect(200);
    complete(server, account, &created["upload"]).await.expect(200).json()
}

/// The response of the store to a request for inline display.
async fn shown(server: &TestServer, account: &Account, upload: &Value) -> Answer {
    let redirect = server.get_as(account, &(path(upload) + "/download?disposition=inline")).await.expect(302);
    server.get(redirect.header("location").unwrap()).unchecked().await.expect(200)
}

#[tokio::test]
async fn a_type_is_taken_by_each_of_its_names_and_kept_under_one() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    for (filename, declared, kept) in [
        ("a.zip", "application/x-zip-compressed", "application/zip"),
        ("a.zip", "application/x-zip", "application/zip"),
        ("a.jpg", "image/jpg", "image/jpeg"),
        ("a.jpg", "image/pjpeg", "image/jpeg"),
        ("a.png", "image/x-png", "image/png"),
        ("a.png", "IMAGE/PNG", "image/png"),
        ("a.mp3", "audio/mp3", "audio/mpeg"),
        ("a.mp3", "audio/x-mpeg", "audio/mpeg"),
        ("a.m4v", "video/x-m4v", "video/mp4"),
        ("a.pdf", "application/x-pdf", "application/pdf"),
        ("a.csv", "TEXT/CSV", "text/csv"),
        ("a.csv", "application/csv", "text/csv"),
        // Windows with Excel installed.
        ("a.csv", "application/vnd.ms-excel", "text/csv"),
        // Blobs and recordings of pages.
        ("a.csv", "text/csv;charset=utf-8;", "text/csv"),
        ("a.txt", "text/plain; charset=\"Windows-1252\"", "text/plain"),
        ("a.webm", "video/webm;codecs=vp8,opus", "video/webm"),
    ] {
        let body = json!({"filename": filename, "content_type": declared, "size": 64});
        let created = announce_as(&server, &ada, &body).await.expect(201).json();
        assert_eq!(created["upload"]["content_type"], kept, "{declared}");
        assert_eq!(created["request"]["headers"]["content-type"], kept, "{declared}");
    }
    let count = async |filter: &str| {
        let list = format!("/api/v1/uploads?limit=100&content_type={filter}");
        server.get_as(&ada, &list).await.expect(200).json()["items"].as_array().unwrap().len()
    };
    for filter in ["text/csv", "TEXT/CSV", "application/csv", "text/csv%3B%20charset=utf-8"] {
        assert_eq!(count(filter).await, 4, "{filter}");
    }
    assert_eq!(count("application/x-zip-compressed").await, 2);
    assert_eq!(count("application/vnd.ms-excel").await, 0);
}

#[tokio::test]
async fn a_type_of_an_operator_is_taken_by_each_of_its_names_too() {
    let server =
        TestServer::with_variables(&[("ASHLAR_UPLOADS__ALLOWED_TYPES", "audio/x-wav,image/svg+xml")]).await;
    let ada = server.signup().await;
    let wav = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0";
    for declared in ["audio/wav", "audio/x-wav", "audio/vnd.wave"] {
        let upload = publish(&server, &ada, "a.wav", declared, wav).await;
        assert_eq!(upload["content_type"], "audio/wav");
        let file = shown(&server, &ada, &upload).await;
        assert!(file.header("content-disposition").unwrap().starts_with("inline;"), "{file:?}");
    }
    let script = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    let upload = publish(&server, &ada, "a.svg", "image/svg+xml", script).await;
    let file = shown(&server, &ada, &upload).await;
    assert!(file.header("content-disposition").unwrap().starts_with("attachment;"), "{file:?}");
}

#[tokio::test]
async fn text_is_taken_in_any_encoding_and_none_is_claimed_that_was_not_checked() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let long = "ä".repeat(200_000);
    for (content_type, bytes, served) in [
        ("text/csv", &b"Stra\xdfe;5\r\n"[..], "text/csv"),
        ("text/plain", b"caf\xe9 au lait", "text/plain"),
        ("text/plain", b"\xff\xfea\0\r\0\n\0", "text/plain"),
        ("text/plain", "naïve".as_bytes(), "text/plain; charset=utf-8"),
        ("text/csv", b"\xef\xbb\xbfa;b", "text/csv; charset=utf-8"),
        ("text/plain", long.as_bytes(), "text/plain"),
    ] {
        let upload = publish(&server, &ada, "a.txt", content_type, bytes).await;
        assert_eq!(upload["content_type"], content_type);
        let file = shown(&server, &ada, &upload).await;
        assert_eq!(file.header("content-type"), Some(served));
        assert_eq!(file.body, bytes);
    }
}

#[tokio::test]
async fn a_pdf_may_have_something_before_its_header() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    for before in [&b"\xef\xbb\xbf"[..], b"\r\n", b"\n\n\n"] {
        let bytes = [before, b"%PDF-1.7\n%%EOF\n"].concat();
        let upload = publish(&server, &ada, "a.pdf", "application/pdf", &bytes).await;
        let file = shown(&server, &ada, &upload).await;
        assert!(file.header("content-disposition").unwrap().starts_with("attachment;"), "{file:?}");
    }
}

/// A photo of 40 by 30 pixels with the orientation of a camera.
fn photo(orientation: u8) -> Vec<u8> {
    let mut bytes = b"\xff\xd8\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    bytes.push(orientation);
    bytes.extend(b"\0\0\0\0\0\0");
    bytes.extend(b"\xff\xc0\0\x11\x08\0\x1e\0\x28\x03\x01\x11\0\x02\x11\x01\x03\x11\x01\xff\xd9");
    bytes
}

#[tokio::test]
async fn an_image_is_as_large_as_viewers_show_it() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    for (orientation, width, height) in [(1, 40, 30), (3, 40, 30), (6, 30, 40), (8, 30, 40), (9, 40, 30)] {
        let upload = publish(&server, &ada, "a.jpg", "image/jpeg", &photo(orientation)).await;
        assert_eq!((&upload["width"], &upload["height"]), (&json!(width), &json!(height)), "{orientation}");
    }
}

#[tokio::test]
async fn a_file_is_saved_under_a_name_that_fits_its_type() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let bytes = png(2, 2);
    for (filename, saved) in [
        ("harbour.png", "harbour.png"),
        ("HARBOUR.PNG", "HARBOUR.PNG"),
        ("evil.html", "evil.html.png"),
        ("a.png.", "a.png"),
        ("CON.png", "_CON.png"),
        ("harbour", "harbour.png"),
    ] {
        let upload = publish(&server, &ada, filename, "image/png", &bytes).await;
        assert_eq!(upload["filename"], filename, "people see what they wrote");
        let file = shown(&server, &ada, &upload).await;
        let disposition = file.header("content-disposition").unwrap();
        assert!(disposition.ends_with(&format!("filename*=UTF-8''{saved}")), "{disposition}");
    }
}

#[tokio::test]
async fn a_size_is_an_integer_however_it_is_written() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let announce = async |size: &str| {
        let body = format!(r#"{{"filename": "a.png", "content_type": "image/png", "size": {size}}}"#);
        let request = server.post("/api/v1/uploads").bearer(&ada.token);
        request.header("content-type", "application/json").bytes(body.as_bytes()).await
    };
    for size in ["5.0", "5e0", "5"] {
        let created = announce(size).await.expect(201).json();
        assert_eq!(created["upload"]["size"].to_string(), "5");
        assert_eq!(members(&created), ["expires_at", "request", "upload"]);
    }
    for (size, code) in [("5.5", "type"), ("1e400", "out_of_range"), ("-5.0", "too_small"), ("\"5\"", "type")]
    {
        announce(size).await.invalid(&[("/size", code)]);
    }
}
