//! What a client sends stands in no error and in no log: it may be a password in the wrong field. Tried with every field of
//! every body, every parameter and the usual headers of every operation in the document.

use reqwest::Method;
use serde_json::{Value, json};
use tests::process::{Installation, Process};
use tests::{Answer, PASSWORD};

/// What is looked for, as text and as a number.
const TEXT: &str = "canary-qzx7w";
const NUMBER: &str = "774398213";

/// Values of every type that a field can be sent, each with a canary.
fn canaries() -> Vec<Value> {
    let number: i64 = NUMBER.parse().unwrap();
    vec![
        json!(TEXT),
        json!(format!("{TEXT}\n")),
        json!(format!("{TEXT}@{TEXT}")),
        json!(format!("+{NUMBER}{NUMBER}")),
        json!(TEXT.repeat(1_000)),
        json!(number),
        json!(-number),
        json!(number as f64 + 0.5),
        json!([TEXT, number]),
        json!({"of": TEXT}),
        json!({TEXT: {}})["nothing"].clone(),
    ]
}

fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let target = value["$ref"].as_str().and_then(|reference| document.pointer(reference.strip_prefix('#')?));
    target.unwrap_or(value)
}

/// The names of the fields of a schema, whatever it is put together from.
fn fields(document: &Value, schema: &Value) -> Vec<String> {
    let schema = resolve(document, schema);
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let parts = ["allOf", "anyOf", "oneOf"]
        .into_iter()
        .flat_map(|name| schema[name].as_array().into_iter().flatten());
    own.chain(parts.flat_map(|part| fields(document, part))).collect()
}

/// Fails if an error says what was sent.
fn assert_silent(answer: &Answer, sent: &str) {
    if answer.status < 400 {
        return;
    }
    let told = format!("{:?} {}", answer.headers, answer.text());
    assert!(!told.contains(TEXT) && !told.contains(NUMBER), "{sent}: {answer:?}");
}

async fn session(process: &Process, email: &str) -> String {
    let body = json!({"identifier": email, "password": PASSWORD});
    let session = process.post("/api/v1/auth/login").json(&body).await.expect(200).json();
    session["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn no_error_and_no_log_has_what_was_sent() {
    let mut installation = Installation::new().await;
    installation.set("ASHLAR_AUTH__SESSIONS_PER_USER", "1000");
    let process = installation.start().await;
    let admin = ["admin", "create", "--email", "root@example.com", "--password-stdin"];
    assert_eq!(installation.run_with_input(&admin, &format!("{PASSWORD}\n")).await.code, 0);
    let document = process.get("/openapi.json").await.expect(200).json();
    let mut refused = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            let token = session(&process, "root@example.com").await;
            let name = format!("{method} {path}");
            let concrete: String = path
                .split('/')
                .map(|segment| match segment {
                    "{upload_id}" => "upl_01J9ZC3V8T5Q4X2M7N6P0R1S2T".to_owned(),
                    parameter if parameter.starts_with('{') => "usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T".to_owned(),
                    segment => segment.to_owned(),
                })
                .collect::<Vec<_>>()
                .join("/");
            let request = |path: &str| process.request(method.clone(), path).bearer(&token);
            let mut answers = Vec::new();
            // In the path.
            if path.contains('{') {
                let hostile =
                    path.split('/').map(|segment| if segment.starts_with('{') { TEXT } else { segment });
                answers.push(request(&hostile.collect::<Vec<_>>().join("/")).await);
            }
            // In the query and in headers.
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let parameter = resolve(&document, parameter);
                let field = parameter["name"].as_str().unwrap();
                for value in [
                    TEXT.to_owned(),
                    NUMBER.to_owned(),
                    format!("{TEXT}%0a"),
                    TEXT.repeat(100),
                    format!("%2B{NUMBER}"),
                ] {
                    answers.push(match parameter["in"].as_str().unwrap() {
                        "query" => request(&format!("{concrete}?{field}={value}")).await,
                        "header" => request(&concrete).header(field, &value).await,
                        _ => continue,
                    });
                }
                if parameter["in"] == "query" {
                    answers.push(request(&format!("{concrete}?{field}={TEXT}&{field}={NUMBER}")).await);
                }
            }
            for header in [
                "if-match",
                "if-none-match",
                "consistency-token",
                "origin",
                "content-type",
                "content-encoding",
                "accept",
                "cookie",
                "x-forwarded-for",
                "user-agent",
            ] {
                for value in [TEXT.to_owned(), format!("\"{TEXT}"), format!("__Host-ashlar_refresh={TEXT}")] {
                    answers.push(request(&concrete).header(header, &value).await);
                }
            }
            for authorization in [format!("Bearer {TEXT}"), format!("Basic {TEXT}"), TEXT.to_owned()] {
                answers.push(
                    process.request(method.clone(), &concrete).header("authorization", &authorization).await,
                );
            }
            // In the body.
            for (media_type, content) in operation["requestBody"]["content"].as_object().into_iter().flatten()
            {
                let names = fields(&document, &content["schema"]);
                assert!(!names.is_empty() || name.contains("/complete"), "{name} has a body without fields");
                for text in [
                    TEXT.to_owned(),
                    format!("{{\"{TEXT}"),
                    format!("{{\"a\": {NUMBER}x"),
                    format!("[{NUMBER}]"),
                    format!("\"{TEXT}\""),
                ] {
                    answers.push(request(&concrete).body(media_type, text).await);
                }
                for field in names {
                    for canary in canaries() {
                        if media_type == "application/x-www-form-urlencoded" {
                            let text = canary.as_str().map_or_else(|| canary.to_string(), str::to_owned);
                            answers.push(request(&concrete).form(&[(&field, &text), (&field, &text)]).await);
                            answers.push(request(&concrete).form(&[(&field, &text)]).await);
                            continue;
                        }
                        let mut body = content["example"].clone();
                        if !body.is_object() {
                            body = json!({});
                        }
                        body[&field] = canary;
                        answers.push(request(&concrete).body(media_type, body.to_string()).await);
                    }
                }
            }
            for answer in &answers {
                assert_silent(answer, &name);
                refused += usize::from(answer.status >= 400);
                assert!(answer.status != 500, "{name}: {answer:?}");
            }
        }
    }
    assert!(refused > 300, "{refused}");
    let log = process.stop().await;
    let told = log.lines().find(|line| line.contains(TEXT) || line.contains(NUMBER));
    assert_eq!(told, None);
    assert!(log.lines().count() > refused, "what was refused was logged");
}
