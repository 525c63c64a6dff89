use reqwest::Method;
use serde_json::json;
use tests::{Account, PASSWORD, Request, TestServer};

const JSON: &str = "application/json";

/// The routes that accept JSON, with a user who may call them.
fn routes(server: &TestServer, admin: &Account) -> Vec<Request> {
    let user = format!("/api/v1/admin/users/{}", admin.id);
    vec![
        server.post("/api/v1/auth/signup"),
        server.post("/api/v1/auth/login"),
        server.post("/api/v1/auth/refresh"),
        server.patch("/api/v1/users/me").bearer(&admin.token),
        server.patch(&user).bearer(&admin.token),
        server.post("/api/v1/uploads").bearer(&admin.token), // domain: upload
    ]
}

/// Expects that users can still sign in.
async fn lives(server: &TestServer) {
    let ada = server.signup().await;
    server.get_as(&ada, "/api/v1/users/me").await.expect(200);
}

#[tokio::test]
async fn what_is_not_json_is_malformed() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let deep = |open: &str, close: &str| [open.repeat(200_000), close.repeat(200_000)].concat().into_bytes();
    for route in routes(&server, &admin) {
        // If the body is optional, an empty one counts as absent.
        if !route.path().ends_with("/refresh") {
            route.body(JSON, "").await.problem(400, "malformed_request");
        }
    }
    let bodies: Vec<Vec<u8>> = vec![
        b"   ".to_vec(),
        b"{".to_vec(),
        b"{\"name\": \"Ada\"} {}".to_vec(),
        b"{\"name\": \"Ada\",}".to_vec(),
        b"{'name': 'Ada'}".to_vec(),
        b"{\"name\": \"Ada\nLovelace\"}".to_vec(),
        b"{\"name\": \"A\0da\"}".to_vec(),
        b"name=Ada".to_vec(),
        b"{\"name\": \"\xff\xfe\"}".to_vec(),
        b"{\"name\": \"\xc0\x80\"}".to_vec(),
        b"{\"name\": \"\xed\xa0\x80\"}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"{\"name\": \"\\ud800\"}".to_vec(),
        b"{\"\\udfff\": 1}".to_vec(),
        b"{\"name\": NaN}".to_vec(),
        b"{\"name\": 01}".to_vec(),
        deep("[", "]"),
        deep("[", ""),
        deep("{\"a\":", ""),
    ];
    for body in bodies {
        for route in routes(&server, &admin) {
            let text = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            let answer = route.body(JSON, body.clone()).await;
            assert_eq!(answer.status, 400, "{text:?}: {answer:?}");
            answer.problem(400, "malformed_request");
        }
    }
    lives(&server).await;
}

/// JSON does not limit the size of numbers.
#[tokio::test]
async fn a_number_that_is_too_large_breaks_a_rule() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for number in ["1e400", "-1e400", "[{\"a\": 1e400}]"] {
        for route in routes(&server, &admin) {
            let answer = route.body(JSON, format!("{{\"name\": {number}}}").into_bytes()).await;
            assert_eq!(answer.problem(422, "validation_failed")["errors"][0]["code"], "out_of_range");
        }
    }
}

#[tokio::test]
async fn json_that_is_no_object_is_refused() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for body in ["[]", "null", "true", "1", "\"name\"", "[\"ada@example.com\", \"correct horse\", \"Ada\"]"] {
        for route in routes(&server, &admin) {
            let answer = route.body(JSON, body).await;
            // If the body is optional, `null` counts as absent.
            if body == "null" && answer.path.ends_with("/refresh") {
                answer.problem(401, "invalid_refresh_token");
            } else {
                answer.invalid(&[("", "type")]);
            }
        }
    }
}

#[tokio::test]
async fn unknown_double_and_unprintable_members_are_named() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for (body, pointer, code) in [
        (r#"{"smuggled": true}"#, "/smuggled", "unknown_field"),
        (r#"{"a/b~c": true}"#, "/a~1b~0c", "unknown_field"),
        (r#"{"__proto__": {}}"#, "/__proto__", "unknown_field"),
        (r#"{"smuggled": 1, "smuggled": 2}"#, "/smuggled", "duplicate_field"),
        (r#"{"smuggled": {"x": 1, "x": 1}}"#, "/smuggled/x", "duplicate_field"),
        (r#"{"\u0073muggled": 1, "smuggled": 2}"#, "/smuggled", "duplicate_field"),
        (r#"{"smuggled": "\u0000"}"#, "/smuggled", "control_characters"),
        (r#"{"smuggled": ["x", "\u001b[31m"]}"#, "/smuggled/1", "control_characters"),
        ("{\"smuggled\": \"\u{7f}\"}", "/smuggled", "control_characters"),
        (r#"{"smug\u0000gled": 1}"#, "/smug\u{fffd}gled", "control_characters"),
    ] {
        for route in routes(&server, &admin) {
            let problem = route.body(JSON, body).await.problem(422, "validation_failed");
            let mut errors = problem["errors"].as_array().unwrap().iter();
            assert!(errors.any(|error| error["pointer"] == pointer && error["code"] == code), "{problem}");
        }
    }
    lives(&server).await;
}

#[tokio::test]
async fn a_list_of_refusals_does_not_grow_with_the_body() {
    let server = TestServer::start().await;
    let body = format!("{{\"a\": [{}1]}}", "\"\\u0000\",".repeat(50_000));
    let problem = server.post("/api/v1/auth/signup").body(JSON, body).await.problem(422, "validation_failed");
    assert!(problem["errors"].as_array().unwrap().len() <= 20, "{problem}");
}

#[tokio::test]
async fn values_of_the_wrong_type_are_named() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for value in ["1", "true", "[]", "{}", "[\"Ada\"]", "1.5", "99999999999999999999999"] {
        let body = format!(r#"{{"name": {value}}}"#);
        for path in ["/api/v1/users/me".to_owned(), format!("/api/v1/admin/users/{}", admin.id)] {
            let answer = server.patch(&path).bearer(&admin.token).body(JSON, body.clone()).await;
            answer.invalid(&[("/name", "type")]);
        }
        let body = format!(r#"{{"identifier": {value}, "password": "x"}}"#);
        server.post("/api/v1/auth/login").body(JSON, body).await.invalid(&[("/identifier", "type")]);
        let body = format!(r#"{{"refresh_token": {value}}}"#);
        server.post("/api/v1/auth/refresh").body(JSON, body).await.invalid(&[("/refresh_token", "type")]);
    }
}

#[tokio::test]
async fn what_is_no_text_where_one_of_several_words_stands_is_named() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let path = format!("/api/v1/admin/users/{}", admin.id);
    for value in [json!(null), json!(5), json!(true), json!([])] {
        let login = json!({"identifier": "ada", "password": PASSWORD, "transport": value.clone()});
        server
            .patch(&path)
            .bearer(&admin.token)
            .json(&json!({"status": value}))
            .await
            .invalid(&[("/status", "type")]);
        server.post("/api/v1/auth/login").json(&login).await.invalid(&[("/transport", "type")]);
    }
}

#[tokio::test]
async fn three_megabytes_are_too_large() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let body = format!(r#"{{"name": "{}"}}"#, "x".repeat(3 << 20));
    for route in routes(&server, &admin) {
        route.body(JSON, body.clone()).await.problem(413, "body_too_large");
    }
    lives(&server).await;
}

#[tokio::test]
async fn a_body_of_the_limit_is_read_and_one_byte_more_is_not() {
    let server = TestServer::start().await;
    let padded = |length: usize| {
        let body = json!({"identifier": "nobody", "password": PASSWORD}).to_string();
        body.clone() + &" ".repeat(length - body.len())
    };
    let login = |length| server.post("/api/v1/auth/login").body(JSON, padded(length));
    login(1 << 20).await.problem(401, "invalid_credentials");
    login((1 << 20) + 1).await.problem(413, "body_too_large");
}

#[tokio::test]
async fn the_type_of_a_body_is_json_and_nothing_else() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for content_type in [
        "text/plain",
        "text/plain; charset=utf-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonp",
        "application/problem+json",
        "application/json-patch+json",
        "application/octet-stream",
        "json",
        "*/*",
    ] {
        for route in routes(&server, &admin) {
            route.body(content_type, "{}").await.problem(415, "unsupported_media_type");
        }
    }
    for route in routes(&server, &admin) {
        route.bytes("{}").await.problem(415, "unsupported_media_type");
    }
}

/// RFC 7396 defines the media type of a PATCH. Media types are compared without case, and the coding `identity` means no coding.
#[tokio::test]
async fn a_type_is_known_by_all_its_names() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let patch = |content_type: &str, name: &str| {
        let request = server.patch("/api/v1/users/me").bearer(&ada.token);
        request.body(content_type, json!({"name": name}).to_string())
    };
    for (index, content_type) in [
        JSON,
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/merge-patch+json",
        "Application/Merge-Patch+JSON ; charset=UTF-8",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("Ada {index}");
        assert_eq!(patch(content_type, &name).await.expect(200).json()["name"], name, "{content_type}");
    }
    patch(JSON, "Ada").header("content-encoding", "Identity").await.expect(200);
    // Only for a PATCH.
    let login = server.post("/api/v1/auth/login").body("application/merge-patch+json", "{}").await;
    assert_eq!((login.header("accept"), login.header("accept-patch")), (Some(JSON), None));
    login.problem(415, "unsupported_media_type");
}

/// RFC 5789, sections 2.2 and 3.1.
#[tokio::test]
async fn an_unsupported_patch_format_lists_the_supported_ones() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let forms = Some("application/json, application/merge-patch+json");
    let refused = server.patch("/api/v1/users/me").bearer(&ada.token).body("text/plain", "{}").await;
    assert_eq!(refused.header("accept-patch"), forms);
    refused.problem(415, "unsupported_media_type");
    for method in [Method::OPTIONS, Method::PUT] {
        let refused = server.request(method, "/api/v1/users/me").await;
        assert_eq!(refused.header("accept-patch"), forms);
        refused.problem(405, "method_not_allowed");
    }
    let refused = server.request(Method::OPTIONS, "/api/v1/auth/login").await;
    assert_eq!(refused.header("accept-patch"), None);
    refused.problem(405, "method_not_allowed");

    let document = server.get("/openapi.json").await.expect(200).json();
    let mut patches = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let content = &operation["requestBody"]["content"];
            let merge_patch = &content["application/merge-patch+json"];
            if method == "patch" {
                patches += 1;
                assert_eq!((merge_patch, merge_patch.is_object()), (&content[JSON], true), "{path}");
            } else {
                assert!(merge_patch.is_null(), "{method} {path}");
            }
        }
    }
    assert!(patches >= 2, "{patches}");
}

#[tokio::test]
async fn a_compressed_body_is_not_unpacked() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for encoding in ["gzip", "br", "deflate", "zstd", "gzip, gzip"] {
        for route in routes(&server, &admin) {
            let answer = route.header("content-encoding", encoding).body(JSON, "{}").await;
            answer.problem(415, "unsupported_media_type");
        }
    }
    lives(&server).await;
}
