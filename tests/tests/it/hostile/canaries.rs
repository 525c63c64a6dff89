//! No error and no log contains values that a client has sent, because one may be a password in the wrong field. Tested with every
//! field of every body, every parameter and the usual headers of every operation in the document.

use reqwest::Method;
use serde_json::{Value, json};
use tests::process::{Installation, Process};
use tests::{Answer, PASSWORD, Request};

/// The value to search for, as text and as a number.
const TEXT: &str = "canary-qzx7w";
const NUMBER: &str = "774398213";

/// The name of an unknown field or parameter. The error contains it, but the log does not.
const NAME: &str = "canary-vjk4y";

/// Values of all JSON types, each with a canary.
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
        json!(774_398_213.5),
        json!([TEXT, number]),
        json!({"of": TEXT}),
        json!(null),
        json!({TEXT: {}}),
    ]
}

fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let target = value["$ref"].as_str().and_then(|reference| document.pointer(reference.strip_prefix('#')?));
    target.unwrap_or(value)
}

/// The names of the fields of a schema, including composed ones.
fn fields(document: &Value, schema: &Value) -> Vec<String> {
    let schema = resolve(document, schema);
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let parts = ["allOf", "anyOf", "oneOf"]
        .into_iter()
        .flat_map(|name| schema[name].as_array().into_iter().flatten());
    own.chain(parts.flat_map(|part| fields(document, part))).collect()
}

/// Fails if an error contains the sent value.
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

/// An operation of the document, with a user who may call it.
struct Operation<'d> {
    process: &'d Process,
    document: &'d Value,
    method: Method,
    path: &'d str,
    item: &'d Value,
    token: String,
}

impl Operation<'_> {
    fn request(&self, path: &str) -> Request {
        self.process.request(self.method.clone(), path).bearer(&self.token)
    }

    /// The path with values for its parameters.
    fn with(&self, parameter: impl Fn(&str) -> &'static str) -> String {
        let segments = self.path.split('/');
        segments
            .map(|segment| if segment.starts_with('{') { parameter(segment) } else { segment })
            .collect::<Vec<_>>()
            .join("/")
    }

    /// The path with unknown ids.
    fn concrete(&self) -> String {
        tests::contract::concrete(self.document, self.path)
    }

    /// Sends canaries in the path and in each parameter.
    async fn in_parameters(&self) -> Vec<Answer> {
        let (concrete, mut answers) = (self.concrete(), Vec::new());
        if self.path.contains('{') {
            answers.push(self.request(&self.with(|_| TEXT)).await);
        }
        let above = concrete.rsplit_once('/').map_or("", |(above, _)| above);
        for path in
            [format!("{concrete}/{TEXT}"), format!("{above}/{TEXT}"), format!("{above}/{TEXT}/{TEXT}")]
        {
            answers.push(self.request(&path).await);
        }
        answers.push(self.request(&format!("{concrete}?{NAME}={TEXT}")).await);
        for parameter in self.item["parameters"].as_array().into_iter().flatten() {
            let parameter = resolve(self.document, parameter);
            let field = parameter["name"].as_str().unwrap();
            let long = TEXT.repeat(100);
            for value in [TEXT, NUMBER, "canary-qzx7w%0a", &long, "%2B774398213"] {
                answers.push(match parameter["in"].as_str().unwrap() {
                    "query" => self.request(&format!("{concrete}?{field}={value}")).await,
                    "header" => self.request(&concrete).header(field, value).await,
                    _ => continue,
                });
            }
            if parameter["in"] == "query" {
                answers.push(self.request(&format!("{concrete}?{field}={TEXT}&{field}={NUMBER}")).await);
            }
        }
        answers
    }

    /// Sends canaries in common headers.
    async fn in_headers(&self) -> Vec<Answer> {
        let (concrete, mut answers) = (self.concrete(), Vec::new());
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
            for value in [TEXT, "\"canary-qzx7w", "__Host-ashlar_refresh=canary-qzx7w"] {
                answers.push(self.request(&concrete).header(header, value).await);
            }
        }
        for authorization in ["Bearer canary-qzx7w", "Basic canary-qzx7w", TEXT] {
            let request = self.process.request(self.method.clone(), &concrete);
            answers.push(request.header("authorization", authorization).await);
        }
        answers
    }

    /// Sends canaries instead of the body, and in each of its fields.
    async fn in_body(&self) -> Vec<Answer> {
        let (concrete, mut answers) = (self.concrete(), Vec::new());
        for (media_type, content) in self.item["requestBody"]["content"].as_object().into_iter().flatten() {
            for text in [TEXT, "{\"canary-qzx7w", "{\"a\": 774398213x", "[774398213]", "\"canary-qzx7w\""] {
                answers.push(self.request(&concrete).body(media_type, text).await);
            }
            for field in fields(self.document, &content["schema"]).into_iter().chain([NAME.to_owned()]) {
                for canary in canaries() {
                    if media_type == "application/x-www-form-urlencoded" {
                        let text = canary.as_str().map_or_else(|| canary.to_string(), str::to_owned);
                        let once = [(field.as_str(), text.as_str())];
                        answers.push(self.request(&concrete).form(&once).await);
                        answers.push(self.request(&concrete).form(&[once[0], once[0]]).await);
                        continue;
                    }
                    let mut body = content["example"].clone();
                    if !body.is_object() {
                        body = json!({});
                    }
                    body[&field] = canary;
                    answers.push(self.request(&concrete).body(media_type, body.to_string()).await);
                }
            }
        }
        answers
    }
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
        for (method, item) in item.as_object().unwrap() {
            // Some of them end their session.
            let token = session(&process, "root@example.com").await;
            let method = method.to_uppercase().parse().unwrap();
            let operation = Operation { process: &process, document: &document, method, path, item, token };
            let mut answers = operation.in_parameters().await;
            answers.extend(operation.in_headers().await);
            answers.extend(operation.in_body().await);
            for answer in &answers {
                assert_silent(answer, path);
                refused += usize::from(answer.status >= 400);
                assert_ne!(answer.status, 500, "{answer:?}");
            }
        }
    }
    assert!(refused > 300, "{refused}");
    let log = process.stop().await;
    let told = log.lines().find(|line| [TEXT, NUMBER, NAME].iter().any(|canary| line.contains(canary)));
    assert_eq!(told, None);
    assert!(log.lines().count() > refused, "what was refused was logged");
}
