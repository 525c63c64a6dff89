use std::collections::BTreeMap;

use reqwest::Method;
use tests::contract::concrete;
use tests::{Raw, TestServer};

/// The paths of the OpenAPI document, with ids in place of their parameters, and their methods.
async fn contract(server: &TestServer) -> BTreeMap<String, Vec<String>> {
    let document = server.get("/openapi.json").await.expect(200).json();
    let mut paths = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = concrete(&document, path);
        let mut methods: Vec<String> =
            item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        if methods.iter().any(|method| method == "GET") {
            methods.push("HEAD".to_owned());
        }
        methods.sort_unstable();
        paths.insert(path, methods);
    }
    paths
}

#[tokio::test]
async fn every_undocumented_method_is_405_and_allow_lists_the_others() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let paths = contract(&server).await;
    assert!(paths.len() > 10, "{paths:?}");
    for (path, methods) in paths {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"]
        {
            if methods.iter().any(|other| other == method) {
                continue;
            }
            // With and without a token: the method comes first.
            for token in [None, Some(&admin.token)] {
                let mut request = server.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
                if let Some(token) = token {
                    request = request.bearer(token);
                }
                let answer = request.await;
                assert_eq!(answer.status, 405, "{method} {answer:?}");
                assert_eq!(answer.header("allow"), Some(methods.join(", ").as_str()), "{answer:?}");
                if method != "HEAD" {
                    answer.problem(405, "method_not_allowed");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_error_names_of_a_path_what_routes_know() {
    let server = TestServer::start().await;
    let id = "usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T";
    let admins = format!("/api/v1/admin/users/{id}");
    for (path, instance) in [
        ("/secret", "/*"),
        ("/api", "/api"),
        ("/api/secret", "/api/*"),
        ("/%61pi/v1/secret/users", "/api/v1/*"),
        ("/api/v1/users/secret", "/api/v1/users/{user_id}"),
        ("/api/v1/users/me/secret", "/api/v1/users/me/*"),
        ("/api/v1/users/me/", "/api/v1/users/me/*"),
        ("/api/v1/admin/users/secret/secret", "/api/v1/admin/users/{user_id}/*"),
        (&format!("{admins}/secret"), &format!("{admins}/*")),
        ("/docs/secret", "/docs/{file}"),
        ("//api/secret", "//*"),
        ("/secret%0aline", "/*"),
    ] {
        let answer = server.get(path).await;
        assert!(matches!(answer.status, 401 | 404), "{answer:?}");
        assert_eq!(answer.json()["instance"], instance, "{path}");
    }
}

#[tokio::test]
async fn pages_have_two_methods() {
    let server = TestServer::start().await;
    for path in
        ["/", "/docs", "/redoc", "/openapi.json", "/problems", "/problems/not_found", "/docs/swagger-ui.css"]
    {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let answer = server.request(method, path).await;
            assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{answer:?}");
            answer.problem(405, "method_not_allowed");
        }
    }
}

#[tokio::test]
async fn a_path_that_is_not_there_is_404_for_everyone() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    for path in [
        "/nothing",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v2/users/me",
        "/api/v1/user/me",
        "/api/v1/auth",
        "/api/v1/auth/",
        "/api/v1/auth/signup/",
        "/api/v1/auth//signup",
        "//api/v1/auth/signup",
        "/API/v1/auth/signup",
        "/api/v1/users/me/",
        "/api/v1/users",
        "/api/v1/users/",
        "/api/v1/admin",
        "/api/v1/admin/users/",
        "/api/v1/admin/nothing",
        "/health/",
        "/health/nothing",
        "/docs/nothing.js",
        "/docs/",
        "/redoc/nothing",
        "/problems/nothing",
        "/openapi.json/",
        "/.well-known/openid-configuration",
        "/.env",
        "/docs/..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            if method != Method::GET
                && (path.starts_with("/docs/")
                    || path.starts_with("/redoc/")
                    || path.starts_with("/problems/"))
            {
                continue;
            }
            server.request(method.clone(), path).await.problem(404, "not_found");
            server.request(method, path).bearer(&ada.token).await.problem(404, "not_found");
        }
    }
}

#[tokio::test]
async fn what_no_path_may_have_is_not_found_or_malformed() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for id in [
        "x",
        "usr_",
        "usr_01J9ZC3V8T5Q4X2M7N6P0R1S2",
        "usr_01J9ZC3V8T5Q4X2M7N6P0R1S2TT",
        "usr_81J9ZC3V8T5Q4X2M7N6P0R1S2T",
        "usr_01J9ZC3V8T5Q4X2M7N6P0R1SUU",
        "abc_01J9ZC3V8T5Q4X2M7N6P0R1S2T",
        "USR_01J9ZC3V8T5Q4X2M7N6P0R1S2T",
        "%00",
        "usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T%00",
        "usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T%0a",
        "%ff%fe",
        "%",
        "%zz",
        "..%2fme",
        "me%00",
        "1%20OR%201=1",
        "'%20OR%20'1'='1",
        &"x".repeat(5_000),
    ] {
        let answer = server.get_as(&admin, &format!("/api/v1/users/{id}")).await;
        assert_eq!(answer.status, 404, "{answer:?}");
        let answer = server.patch(&format!("/api/v1/admin/users/{id}")).bearer(&admin.token);
        let answer = answer.json(&serde_json::json!({"name": "Ada"})).await;
        assert_eq!(answer.status, 404, "{answer:?}");
    }
    server.get_as(&admin, "/api/v1/users/me").await.expect(200);
}

#[tokio::test]
async fn a_query_that_cannot_be_read_is_malformed_and_an_unknown_parameter_is_refused() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let lists = [
        "/api/v1/admin/users",
        "/api/v1/uploads", // domain: upload
    ];
    for path in lists {
        for query in ["limit=%ff", "%ff=1", "content_type=%c0%80", "cursor=%ed%a0%80"] {
            server.get_as(&admin, &format!("{path}?{query}")).await.problem(400, "malformed_request");
        }
        for (query, pointer) in [("x=1", "/x"), ("Limit=1", "/Limit"), ("=1", "/"), ("limit[]=1", "/limit[]")]
        {
            server
                .get_as(&admin, &format!("{path}?{query}"))
                .await
                .invalid(&[(pointer, "unknown_parameter")]);
        }
        let twice = server.get_as(&admin, &format!("{path}?limit=1&limit=1")).await;
        twice.invalid(&[("/limit", "duplicate_parameter")]);
        let twice = server.get_as(&admin, &format!("{path}?limit=1&%6cimit=2")).await;
        twice.invalid(&[("/limit", "duplicate_parameter")]);
        let nul = server.get_as(&admin, &format!("{path}?cursor=a%00b")).await;
        nul.invalid(&[("/cursor", "control_characters")]);
    }
    let nul = server.get_as(&admin, "/api/v1/admin/users?q=a%00b").await;
    nul.invalid(&[("/q", "control_characters")]);
    for (method, path) in [
        (Method::GET, "/api/v1/users/me?expand=all".to_owned()),
        (Method::PATCH, "/api/v1/users/me?is_admin=true".to_owned()),
        (Method::GET, format!("/api/v1/users/{}?x=1", admin.id)),
        (Method::POST, "/api/v1/auth/signup?x=1".to_owned()),
        (Method::POST, "/api/v1/auth/token?x=1".to_owned()),
        (Method::POST, "/api/v1/auth/logout?x=1".to_owned()),
        (Method::GET, "/health?x=1".to_owned()),
        (Method::GET, "/health/ready?x=1".to_owned()),
        (Method::GET, "/.well-known/jwks.json?x=1".to_owned()),
    ] {
        let answer = server.request(method, &path).bearer(&admin.token).await;
        answer.problem(422, "validation_failed");
    }
    let many = (0..200).map(|index| format!("p{index}=1")).collect::<Vec<_>>().join("&");
    let problem =
        server.get_as(&admin, &format!("/api/v1/admin/users?{many}")).await.problem(422, "validation_failed");
    assert!(problem["errors"].as_array().unwrap().len() <= 20, "{problem}");
}

/// Before routing and authentication.
#[tokio::test]
async fn a_url_that_is_too_long_is_refused_as_such() {
    let server = TestServer::with_variables(&[("ASHLAR_LIMITS__URL_BYTES", "20000")]).await;
    let ada = server.admin().await;
    let of_length = |path: &str, length: usize| format!("{path}{}", "0".repeat(length - path.len()));
    for path in ["/api/v1/admin/users?cursor=", "/api/v1/users/me?x=", "/api/v1/users/", "/nothing/"] {
        for length in [20_001, 65_000] {
            server.get(&of_length(path, length)).await.problem(414, "uri_too_long");
            server.get_as(&ada, &of_length(path, length)).await.problem(414, "uri_too_long");
        }
    }
    let fits = server.get_as(&ada, &of_length("/api/v1/admin/users?cursor=", 20_000)).await;
    fits.invalid(&[("/cursor", "too_long")]);
    server
        .get_as(&ada, &of_length("/api/v1/admin/users?cursor=", 12_000))
        .await
        .invalid(&[("/cursor", "cursor")]);
    server.get(&of_length("/nothing/", 20_000)).await.problem(404, "not_found");
}

/// The schema lets clients know which cursors they may send.
#[tokio::test]
async fn a_cursor_is_of_a_known_form() {
    let server = TestServer::start().await;
    let document = server.get("/openapi.json").await.expect(200).json();
    let mut cursors = 0;
    for operation in
        document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
    {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["name"] == "cursor" {
                cursors += 1;
                assert_eq!(parameter["schema"]["pattern"], "^[A-Za-z0-9_-]+$", "{parameter}");
                assert_eq!(parameter["schema"]["maxLength"], 12_000, "{parameter}");
            }
        }
    }
    assert!(cursors >= 1, "{cursors}");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let pages = [
        "/docs",
        "/redoc",
        "/openapi.json",
        "/problems",
        "/problems/not_found",
        "/redoc/redoc.standalone.js",
    ];
    let paths = contract(&server)
        .await
        .into_iter()
        .filter(|(_, methods)| methods.iter().any(|method| method == "GET"));
    let paths: Vec<String> = paths.map(|(path, _)| path).chain(pages.map(str::to_owned)).collect();
    for path in paths {
        for token in [None, Some(&admin.token)] {
            let request = |method| {
                let request = server.request(method, &path);
                token.iter().fold(request, tests::Request::bearer)
            };
            let (get, head) = (request(Method::GET).await, request(Method::HEAD).await);
            assert_eq!(head.status, get.status, "{path}");
            for name in ["content-type", "etag", "cache-control", "location", "www-authenticate"] {
                assert_eq!(head.header(name), get.header(name), "{name} of {path}");
            }
            assert!(head.body.is_empty());
        }
    }
    // On the connection: the next response begins after the head of this one.
    let mut raw = Raw::connect(server.addresses().api).await;
    let path = "/.well-known/jwks.json";
    raw.send(format!("HEAD {path} HTTP/1.1\r\nhost: x\r\n\r\nGET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    let head = raw.answer("HEAD", path).await.expect(200);
    let get = raw.answer("GET", path).await.expect(200);
    assert!(get.json()["keys"].is_array());
    let length: usize = head.header("content-length").unwrap().parse().unwrap();
    assert_eq!(length, get.body.len(), "what GET would have answered");
}

#[tokio::test]
async fn a_request_id_is_kept_if_it_is_fit_for_a_log() {
    let server = TestServer::start().await;
    for id in ["abc", "req_01J9ZC3V8T5Q4X2M7N6P0R1S2T", "a-b.c_D", &"x".repeat(100)] {
        let answer = server.get("/nothing").header("x-request-id", id).await;
        assert_eq!(answer.header("x-request-id"), Some(id));
    }
    for id in ["", " ", "a b", "a\"b", "<script>", "ä", "a;b", &"x".repeat(101)] {
        let answer = server.get("/health").header("x-request-id", id).await;
        let given = answer.header("x-request-id").unwrap();
        assert!(given.starts_with("req_") && given.len() == 30, "{id:?}: {given}");
    }
    let ids = [server.get("/health").await, server.get("/health").await];
    assert_ne!(ids[0].header("x-request-id"), ids[1].header("x-request-id"));
}

/// The router decodes a path before it matches, so access control must check the same path. Every literal letter of
/// every operation is sent encoded, without a token.
#[tokio::test]
async fn an_encoded_letter_opens_no_door() {
    let server = TestServer::start().await;
    let document = server.get("/openapi.json").await.expect(200).json();
    for (template, operations) in document["paths"].as_object().unwrap() {
        let path = concrete(&document, template);
        for (method, operation) in operations.as_object().unwrap() {
            let security = operation["security"].as_array();
            if security.is_some_and(|security| security.contains(&serde_json::json!({}))) {
                continue;
            }
            let method: Method = method.to_uppercase().parse().unwrap();
            for (at, letter) in path.char_indices().filter(|(_, letter)| letter.is_ascii_alphabetic()) {
                let encoded = format!("{}%{:02x}{}", &path[..at], letter as u32, &path[at + 1..]);
                let answer = server.request(method.clone(), &encoded).await;
                assert!([401, 404].contains(&answer.status), "{method} {encoded}: {answer:?}");
            }
        }
    }
}
