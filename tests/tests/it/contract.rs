//! The OpenAPI document is complete, and the server conforms to it.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};
use tests::contract::{concrete, resolve};
use tests::{Client, TestServer};

struct Operation {
    method: Method,
    path: String,
    /// The path with unknown ids.
    concrete: String,
    item: Value,
}

impl Operation {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether everyone may call it. If it also accepts a token, the token must be valid.
    fn is_public(&self) -> bool {
        self.item["security"] == json!([]) || self.needs(|requirement| *requirement == json!({}))
    }

    fn accepts_a_token(&self) -> bool {
        self.needs(|requirement| *requirement != json!({}))
    }

    fn needs(&self, such: impl Fn(&Value) -> bool) -> bool {
        self.item["security"].as_array().is_some_and(|requirements| requirements.iter().any(such))
    }
}

async fn document(client: &Client) -> Value {
    client.get("/openapi.json").await.expect(200).json()
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, item) in item.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            let concrete = concrete(document, path);
            operations.push(Operation { method, path: path.clone(), concrete, item: item.clone() });
        }
    }
    operations
}

/// Calls `visit` with every value of the document.
fn walk(value: &Value, visit: &mut impl FnMut(&Value)) {
    visit(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        Value::Object(members) => members.values().for_each(|member| walk(member, visit)),
        _ => {}
    }
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

#[tokio::test]
async fn every_operation_is_described() {
    let server = TestServer::start().await;
    let document = document(&server).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let tags: HashSet<&str> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    assert!(document["tags"].as_array().unwrap().iter().all(|tag| is_text(&tag["description"])));
    let mut ids = HashSet::new();
    let operations = operations(&document);
    assert!(operations.len() >= 10, "{}", operations.len());
    for operation in &operations {
        let (name, item) = (operation.name(), &operation.item);
        assert!(is_text(&item["operationId"]) && ids.insert(item["operationId"].as_str().unwrap()), "{name}");
        assert!(is_text(&item["summary"]), "{name} has no summary");
        let own = item["tags"].as_array().unwrap();
        assert!(own.len() == 1 && tags.contains(own[0].as_str().unwrap()), "{name}: {own:?}");
        assert!(
            document["security"].is_array() || item["security"].is_array(),
            "{name} says nothing of security"
        );
        for parameter in item["parameters"].as_array().into_iter().flatten() {
            assert!(is_text(&parameter["description"]), "{name}: {parameter}");
            assert!(parameter["schema"].is_object(), "{name}: {parameter}");
        }
        let in_path = operation.path.matches('{').count();
        let declared =
            item["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "path").count();
        assert_eq!(in_path, declared, "{name}");
    }
}

#[tokio::test]
async fn every_answer_is_described_and_every_error_is_the_shared_problem() {
    let server = TestServer::start().await;
    let document = document(&server).await;
    for operation in operations(&document) {
        let name = operation.name();
        let responses = operation.item["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
        for (status, response) in responses {
            let response = resolve(&document, response);
            assert!(is_text(&response["description"]), "{name} {status}");
            let content = &response["content"];
            if status.starts_with('4') || status.starts_with('5') {
                // RFC 6749 defines its own form of errors.
                if operation.path == "/api/v1/auth/token" && content["application/json"].is_object() {
                    continue;
                }
                let schema = &content["application/problem+json"]["schema"];
                // A problem with additional members is the shared schema and another one.
                let shared = if schema["allOf"].is_array() { &schema["allOf"][0] } else { schema };
                assert_eq!(shared["$ref"], "#/components/schemas/Problem", "{name} {status}: {response}");
            } else if !matches!(status.as_str(), "204" | "302" | "304") {
                assert!(content["application/json"]["schema"].is_object(), "{name} {status}");
            }
        }
        let needs =
            |status: &str| assert!(responses.contains_key(status), "{name} does not tell of {status}");
        if !operation.is_public() || operation.accepts_a_token() {
            needs("401");
        }
        if operation.path.starts_with("/api/v1/admin/") {
            needs("403");
        }
        if operation.path.contains('{') {
            needs("404");
        }
        if operation.item["requestBody"].is_object() {
            ["400", "413", "415", "422"].into_iter().for_each(needs);
        }
    }
    let problem = &document["components"]["schemas"]["Problem"];
    let mut required: Vec<&str> =
        problem["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    required.sort_unstable();
    assert_eq!(required, ["code", "detail", "errors", "instance", "request_id", "status", "title", "type"]);
}

#[tokio::test]
async fn every_error_of_every_operation_lists_its_codes_with_an_example_of_its_own() {
    let server = TestServer::start().await;
    let document = document(&server).await;
    let known: HashSet<&str> = document["components"]["schemas"]["ProblemCode"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap())
        .collect();
    let code = &document["components"]["schemas"]["Problem"]["properties"]["code"];
    assert_eq!(code["$ref"], "#/components/schemas/ProblemCode", "{code}");
    let operations = operations(&document);
    let mut listed = HashSet::new();
    for operation in &operations {
        assert_eq!(
            operation.item["x-problems"],
            Value::Null,
            "{}: the catalogue lacks one",
            operation.name()
        );
        for (status, response) in operation.item["responses"].as_object().unwrap() {
            let place = format!("{} {status}", operation.name());
            let Some(problem) = response["content"].get("application/problem+json") else { continue };
            let examples = problem["examples"].as_object().unwrap_or_else(|| panic!("{place}: no code"));
            for (code, example) in examples {
                assert!(known.contains(code.as_str()), "{place}: {code}");
                listed.insert(code.as_str());
                let value = &example["value"];
                let (own, path) = (&value["code"], &value["instance"]);
                assert_eq!(
                    (own, &value["status"]),
                    (&json!(code), &json!(status.parse::<u16>().unwrap())),
                    "{place}"
                );
                assert_eq!(path, &operation.concrete, "{place}");
                let is_of_fields = !value["errors"].as_array().unwrap().is_empty();
                assert!(is_of_fields || code != "validation_failed", "{place}: {value}");
            }
        }
        assert!(
            operation.item["responses"]["503"]["headers"]["Retry-After"].is_object(),
            "{}",
            operation.name()
        );
        for (status, response) in operation.item["responses"].as_object().unwrap() {
            let id = resolve(&document, &response["headers"]["X-Request-Id"]);
            assert_eq!(id["schema"]["type"], "string", "{} {status}", operation.name());
        }
    }
    // No operation lists errors for unknown routes, and errors of credentials that no operation uses yet. Only domains whose rows
    // others may see list `not_owner`, and only those whose rows are deleted list `still_referenced`.
    let of_others = ["not_owner", "still_referenced"];
    let mut at_none: Vec<&&str> =
        known.difference(&listed).filter(|code| !of_others.contains(*code)).collect();
    at_none.sort();
    assert_eq!(at_none, [&"insufficient_scope", &"method_not_allowed", &"reauthentication_required"]);
    let of = |path: &str, method: &str, status: &str| -> Vec<String> {
        let problem =
            &document["paths"][path][method]["responses"][status]["content"]["application/problem+json"];
        problem["examples"].as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(of("/api/v1/auth/login", "post", "401"), ["invalid_credentials"]);
    assert_eq!(of("/api/v1/auth/signup", "post", "409"), ["email_taken", "phone_taken", "username_taken"]);
    assert_eq!(of("/api/v1/users/{user_id}", "get", "404"), ["not_found", "user_not_found"]);
}

/// Whether a schema, or the schemas of which it is composed, has an example for each of its members.
fn has_example(document: &Value, media: &Value) -> bool {
    if media.get("example").is_some() || media.get("examples").is_some() {
        return true;
    }
    let schema = resolve(document, &media["schema"]);
    if schema.get("example").is_some() || schema.get("examples").is_some() || schema.get("enum").is_some() {
        return true;
    }
    schema["properties"].as_object().is_some_and(|properties| !properties.is_empty())
}

#[tokio::test]
async fn the_server_accepts_the_examples_of_bodies() {
    let server = TestServer::start().await;
    let document = document(&server).await;
    for operation in operations(&document) {
        let name = operation.name();
        for (media_type, media) in operation.item["requestBody"]["content"].as_object().into_iter().flatten()
        {
            assert!(has_example(&document, media), "{name} has no example of {media_type}");
        }
        for (status, response) in operation.item["responses"].as_object().unwrap() {
            let response = resolve(&document, response);
            for (media_type, media) in response["content"].as_object().into_iter().flatten() {
                assert!(has_example(&document, media), "{name} {status} has no example of {media_type}");
            }
        }
    }
    let example = |path: &str, method: &str| {
        let content = &document["paths"][path][method]["requestBody"]["content"]["application/json"];
        content["example"].clone()
    };
    let answer =
        server.post("/api/v1/auth/signup").json(&example("/api/v1/auth/signup", "post")).await.expect(201);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    server.post("/api/v1/auth/login").json(&example("/api/v1/auth/login", "post")).await.expect(200);
    let form = &document["paths"]["/api/v1/auth/token"]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]
        ["example"];
    let form: Vec<(&str, &str)> = form
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    server.post("/api/v1/auth/token").form(&form).await.expect(200);
    server
        .patch("/api/v1/users/me")
        .bearer(&token)
        .json(&example("/api/v1/users/me", "patch"))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_parameter_is_optional_and_never_null() {
    let server = TestServer::start().await;
    let mut conditions = 0;
    for operation in operations(&document(&server).await) {
        for parameter in operation.item["parameters"].as_array().into_iter().flatten() {
            let (name, schema) = (operation.name(), &parameter["schema"]);
            assert!(!schema.to_string().contains("\"null\""), "{name}: {parameter}");
            if parameter["in"] == "header" {
                conditions += 1;
                assert_eq!(
                    (&parameter["required"], &schema["type"]),
                    (&json!(false), &json!("string")),
                    "{name}"
                );
            }
        }
    }
    assert!(conditions >= 4, "{conditions}");
}

#[tokio::test]
async fn an_enumeration_is_one_type_that_values_satisfy() {
    let server = TestServer::start().await;
    let schemas = document(&server).await["components"]["schemas"].clone();
    for body in ["Signup", "Login"] {
        let transport = &schemas[body]["properties"]["transport"];
        assert_eq!(transport["$ref"], "#/components/schemas/Transport", "{transport}");
    }
    assert_eq!(schemas["Transport"]["enum"], json!(["body", "cookie"]));
    let form = &schemas["TokenForm"];
    assert_eq!(form["required"], json!(["grant_type"]));
    assert_eq!(form["properties"]["grant_type"]["$ref"], "#/components/schemas/GrantType");
    assert_eq!(schemas["GrantType"]["enum"], json!(["password", "refresh_token"]));
    // Optional, but not nullable.
    assert_eq!(schemas["SessionResponse"]["properties"]["refresh_token"]["type"], "string");
}

#[tokio::test]
async fn the_document_and_the_configuration_that_pages_read_have_the_installations_limits() {
    let server = TestServer::start().await;
    let document = document(&server).await;
    assert_eq!(document["servers"], json!([{"url": server.origin()}]));
    let password = &document["components"]["schemas"]["Signup"]["properties"]["password"];

    let answer = server.get("/api/v1/config").await.expect(200);
    let told = answer.json();
    for (name, expected) in [
        ("password", json!({"min_length": password["minLength"], "max_length": password["maxLength"]})),
        ("signup", json!(true)),
        ("methods", json!(["password"])),
        ("providers", json!([])),
        ("locales", json!(["en"])),
    ] {
        assert_eq!(told[name], expected, "{name}: {told}");
    }
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    let tag = answer.header("etag").unwrap().to_owned();
    server.get("/api/v1/config").header("if-none-match", &tag).await.expect(304);
}

#[tokio::test]
async fn references_have_targets_in_the_document() {
    let server = TestServer::start().await;
    let document = document(&server).await;
    let mut references = 0;
    walk(&document, &mut |value| {
        if value["$ref"].is_string() {
            references += 1;
            resolve(&document, value);
        }
    });
    assert!(references > 50, "{references}");
}

#[tokio::test]
async fn secured_operations_require_a_token_and_admin_operations_an_admin() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let (mut secured, mut admins) = (0, 0);
    for operation in operations(&document(&server).await) {
        let request = || server.request(operation.method.clone(), &operation.concrete);
        let answer = request().await;
        if operation.is_public() {
            assert_ne!(
                answer.header("www-authenticate"),
                Some(r#"Bearer realm="Ashlar", error="invalid_token""#)
            );
            assert!(answer.status != 403, "{answer:?}");
            if operation.accepts_a_token() {
                secured += 1;
                request().bearer("nonsense").await.problem(401, "invalid_token");
            }
            continue;
        }
        secured += 1;
        answer.problem(401, "invalid_token");
        request().bearer("nonsense").await.problem(401, "invalid_token");
        if operation.path.starts_with("/api/v1/admin/") {
            admins += 1;
            request().bearer(&ada.token).await.problem(403, "admin_required");
        }
    }
    assert!(secured >= 5 && admins >= 2, "{secured} {admins}");
}

#[tokio::test]
async fn every_returned_status_is_documented() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for operation in operations(&document(&server).await) {
        let request = || server.request(operation.method.clone(), &operation.concrete).bearer(&admin.token);
        for request in [
            request(),
            request().json(&json!({})),
            request().json(&json!({"unknown": true})),
            request().body("application/json", "{"),
            request().body("text/plain", "x"),
            request().body("application/json", " ".repeat(1_100_000)),
            request().header("if-match", "\"v9\"").json(&json!({})),
        ] {
            let answer = request.await;
            let documented = operation.item["responses"].as_object().unwrap();
            assert!(documented.contains_key(&answer.status.to_string()), "{}: {answer:?}", operation.name());
        }
    }
}

#[tokio::test]
async fn every_problem_has_a_page() {
    let server = TestServer::start().await;
    let index = server.get("/problems").await.expect(200);
    let codes: Vec<&str> =
        index.text().split("href=\"/problems/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    for code in ["validation_failed", "invalid_token", "not_found", "email_taken", "internal_error"] {
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
    let distinct: HashSet<&&str> = codes.iter().collect();
    assert_eq!(distinct.len(), codes.len(), "{codes:?}");
    for code in codes {
        let page = server.get(&format!("/problems/{code}")).await.expect(200);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(page.text().contains(code) && !page.text().contains('`'), "{page:?}");
    }
    server.get("/problems/%3Cscript%3E").await.problem(404, "not_found");
}

#[tokio::test]
async fn the_page_of_a_problem_lists_its_operations() {
    let server = TestServer::start().await;
    let taken = server.get("/problems/email_taken").await.expect(200);
    let link = r#"<a href="/docs#/auth/signup"><code>POST /api/v1/auth/signup</code></a>"#;
    assert!(taken.text().contains(link), "{taken:?}");
    assert!(!taken.text().contains("GET /api/v1/users/me"), "{taken:?}");
    let of_all = server.get("/problems/internal_error").await.expect(200);
    assert!(of_all.text().contains("Every operation") && !of_all.text().contains("<li>"), "{of_all:?}");
    let of_none = server.get("/problems/method_not_allowed").await.expect(200);
    assert!(!of_none.text().contains("peration that") && !of_none.text().contains("<li>"), "{of_none:?}");
}

#[tokio::test]
async fn the_documentation_needs_no_other_host() {
    let server = TestServer::start().await;
    server.get("/").await.expect(302);
    for path in ["/docs", "/redoc"] {
        let page = server.get(path).await.expect(200);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            !policy.contains("https:") && !policy.contains('*') && !policy.contains("unsafe-eval"),
            "{policy}"
        );
        let scripts = policy.split("; ").find(|part| part.starts_with("script-src")).unwrap();
        assert_eq!(scripts, "script-src 'self'");
        let html = page.text();
        for attribute in ["src=\"", "href=\""] {
            for rest in html.split(attribute).skip(1) {
                let url = rest.split('"').next().unwrap();
                assert!(url.starts_with('/') && !url.starts_with("//"), "{path} refers to {url}");
                let asset = server.get(url).await.expect(200);
                assert!(!asset.body.is_empty(), "{url}");
                let tag = asset.header("etag").unwrap().to_owned();
                server.get(url).header("if-none-match", &tag).await.expect(304);
            }
        }
    }
    for path in ["/docs/index.html", "/docs/swagger-initializer.js"] {
        server.get(path).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn keys_and_document_are_public_and_typed() {
    let server = TestServer::start().await;
    let keys = server.get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(keys.header("content-type"), Some("application/json"));
    assert_eq!(keys.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(keys.json()["keys"].as_array().unwrap().len(), 1);
    let plain = server.get("/openapi.json").await.expect(200);
    assert_eq!(plain.header("content-type"), Some("application/json"));
    let tag = plain.header("etag").unwrap().to_owned();
    server.get("/openapi.json").header("if-none-match", &tag).await.expect(304);
    let name = TestServer::with_variables(&[("ASHLAR_PROJECT_NAME", "Acme & <Co>")]).await;
    assert_eq!(document(&name).await["info"]["title"], "Acme & <Co> API");
    let page = name.get("/docs").await.expect(200);
    assert!(page.text().contains("Acme &amp; &lt;Co&gt;") && !page.text().contains("<Co>"), "{page:?}");
}

#[tokio::test]
async fn operations_are_in_the_order_of_their_tags_and_sign_up_is_the_first() {
    let server = TestServer::start().await;
    let answer = server.get("/openapi.json").await.expect(200);
    let document = answer.json();
    // The order in the text: a map in memory need not keep it.
    let mut paths: Vec<_> = document["paths"].as_object().unwrap().iter().collect();
    paths.sort_by_key(|(path, _)| answer.text().find(&format!("\"{path}\":")).unwrap());
    assert_eq!(paths[0].0, "/api/v1/auth/signup");
    let operations = paths.iter().flat_map(|(_, item)| item.as_object().unwrap().values());
    let mut tags: Vec<&Value> = operations.map(|operation| &operation["tags"][0]).collect();
    tags.dedup();
    let expected: Vec<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    assert_eq!(tags, expected, "the operations of one tag are together");
}
