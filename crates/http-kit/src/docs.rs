//! The documentation that the server serves: Swagger UI, Redoc, the OpenAPI document and a page for each problem. Everything is in
//! the binary; browsers load nothing from elsewhere.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, Resource, Responder, guard, web};

use crate::asset::{Asset, REVALIDATED};
use crate::catalogue::{Catalogue, Entry};
use crate::problem::{ApiError, NOT_FOUND, method_not_allowed};
use crate::state::state;

/// Paths of all pages, which are served besides the API.
pub const PAGES: &[&str] = &[
    "/",
    "/openapi.json",
    "/docs",
    "/docs/{file}",
    "/redoc",
    "/redoc/{file}",
    "/problems",
    "/problems/{code}",
];

/// Registers the pages.
pub fn configure(config: &mut web::ServiceConfig) {
    config
        .service(page("/", root))
        .service(page("/openapi.json", openapi))
        .service(page("/docs", swagger_page))
        .service(page("/docs/{file}", swagger_file))
        .service(page("/redoc", redoc_page))
        .service(page("/redoc/{file}", redoc_file))
        .service(page("/problems", problems_page))
        .service(page("/problems/{code}", problem_page));
}

fn page<R: Responder + 'static>(path: &str, handler: fn(&HttpRequest) -> R) -> Resource {
    let handle = move |request: HttpRequest| std::future::ready(handler(&request));
    web::resource(path)
        .route(web::route().guard(guard::Get()).to(handle))
        .default_service(web::to(|| async { Err::<HttpResponse, _>(method_not_allowed("GET, HEAD")) }))
}

fn root(_: &HttpRequest) -> HttpResponse {
    HttpResponse::Found().insert_header((header::LOCATION, "/docs")).finish()
}

fn openapi(request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    Ok(state(request)?.document.answer(request))
}

fn swagger_page(request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let state = state(request)?;
    let html = script_page(
        &state.project_name,
        r#"<link rel="stylesheet" href="/docs/swagger-ui.css">"#,
        r#"<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js" charset="utf-8"></script>
<script src="/docs/start.js"></script>"#,
    );
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' \
         data:; connect-src 'self' {}; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        state.connect_origins.join(" ")
    );
    Ok(html_page(html, policy))
}

/// A page that one of our scripts fills.
fn script_page(project_name: &str, head: &str, body: &str) -> String {
    let title = escape(project_name);
    format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
{head}
</head>
<body>
{body}
</body>
</html>
"#
    )
}

const SWAGGER_START: &str = r##"window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  displayRequestDuration: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
"##;

/// Files that the page loads. Not its own page, which starts with an inline script that our policy forbids.
const SWAGGER_FILES: [&str; 4] =
    ["favicon-16x16.png", "favicon-32x32.png", "swagger-ui-bundle.js", "swagger-ui.css"];

static SWAGGER: LazyLock<BTreeMap<&str, Asset>> = LazyLock::new(|| {
    let config = Arc::new(utoipa_swagger_ui::Config::from("/openapi.json"));
    let file = |name| utoipa_swagger_ui::serve(name, config.clone()).ok().flatten();
    let files = SWAGGER_FILES.into_iter().filter_map(|name| Some((name, file(name)?)));
    let start = ("start.js", Asset::new(SCRIPT, REVALIDATED, Bytes::from_static(SWAGGER_START.as_bytes())));
    files
        .map(|(name, file)| {
            let content_type = match file.content_type.as_str() {
                "text/javascript" | "application/javascript" => SCRIPT,
                other => other,
            };
            (name, Asset::new(content_type, REVALIDATED, bytes(file.bytes)))
        })
        .chain([start])
        .collect()
});

fn bytes(content: Cow<'static, [u8]>) -> Bytes {
    match content {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    }
}

fn swagger_file(request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    file_of(&SWAGGER, request)
}

fn file_of(files: &BTreeMap<&str, Asset>, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let name = request.match_info().get("file").unwrap_or_default();
    let file = files.get(name).ok_or_else(|| ApiError::new(&NOT_FOUND, "there is no such file"))?;
    Ok(file.answer(request))
}

fn redoc_page(request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let html = script_page(
        &state(request)?.project_name,
        "<style>body { margin: 0 }</style>",
        r#"<div id="redoc"></div>
<script src="/redoc/redoc.standalone.js" charset="utf-8"></script>
<script src="/redoc/start.js"></script>"#,
    );
    let policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src \
                  'self' data:; connect-src 'self'; worker-src blob:; frame-ancestors 'none'; base-uri 'none'";
    Ok(html_page(html, policy.to_owned()))
}

const REDOC: &[u8] = include_bytes!("../assets/redoc/redoc.standalone.js");
const REDOC_START: &str = r#"Redoc.init("/openapi.json", { disableSearch: false, nativeScrollbars: true }, document.getElementById("redoc"));
"#;

static REDOC_FILES: LazyLock<BTreeMap<&str, Asset>> = LazyLock::new(|| {
    let script = |bytes| Asset::new(SCRIPT, REVALIDATED, Bytes::from_static(bytes));
    BTreeMap::from([("redoc.standalone.js", script(REDOC)), ("start.js", script(REDOC_START.as_bytes()))])
});

fn redoc_file(request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    file_of(&REDOC_FILES, request)
}

fn problems_page(request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let mut list = String::new();
    for entry in state(request)?.problems.iter() {
        let (code, title) = (entry.problem.code, escape(entry.problem.title));
        let _ =
            writeln!(list, r#"<dt><a href="/problems/{code}"><code>{code}</code></a></dt><dd>{title}</dd>"#);
    }
    Ok(text_page(
        "Problems",
        &format!("<p>Every error of this API has one of these codes.</p>\n<dl>\n{list}</dl>"),
    ))
}

fn problem_page(request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let code = request.match_info().get("code").unwrap_or_default();
    let catalogue = &state(request)?.problems;
    let entry = catalogue.get(code);
    let entry = entry.ok_or_else(|| ApiError::new(&NOT_FOUND, "there is no problem of this name"))?;
    let problem = entry.problem;
    let status = ApiError::new(problem, "").status();
    let body = format!(
        "<p><code>{}</code> · status {}</p>\n<p>{}</p>\n{}<p><a href=\"/problems\">All problems</a></p>",
        problem.code,
        status.as_u16(),
        marked(problem.help),
        operations(catalogue, entry)
    );
    Ok(text_page(problem.title, &body))
}

/// Where the problem occurs.
fn operations(catalogue: &Catalogue, entry: &Entry) -> String {
    if entry.operations.is_empty() {
        return String::new();
    }
    if catalogue.is_everywhere(entry) {
        return "<p>Every operation can answer with it.</p>\n".to_owned();
    }
    let mut list = String::new();
    for operation in &entry.operations {
        let [fragment, name, summary] =
            [&operation.fragment, &operation.name, &operation.summary].map(|text| escape(text));
        let _ = writeln!(list, r#"<li><a href="/docs#{fragment}"><code>{name}</code></a><br>{summary}</li>"#);
    }
    format!("<h2>Operations that can answer with it</h2>\n<ul>\n{list}</ul>\n")
}

fn text_page(title: &str, body: &str) -> HttpResponse {
    let title = escape(title);
    let html = format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem }} dd {{ margin: 0 0 .5rem }}</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"#
    );
    html_page(
        html,
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'".to_owned(),
    )
}

fn html_page(html: String, policy: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .body(html)
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
/// A text of ours, with code between backticks.
fn marked(text: &str) -> String {
    let text = escape(text);
    let parts = text.split('`').enumerate();
    parts
        .map(|(at, part)| if at % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() })
        .collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
