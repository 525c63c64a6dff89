//! Generates every kind of domain in a copy that has to pass every step with them, adds fields, and removes the domains again.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, bail};
use heck::ToUpperCamelCase as _;

use super::copy::{Build, Copy};
use crate::output::say;
use crate::process::Invocation;
use crate::steps::{Outcome, STEPS, When, postgres};
use crate::workspace::Workspace;

const DOMAINS: &str = "xtask/generator/domains.txt";
const REFUSALS: &str = "xtask/generator/refusals.txt";

/// The step with the smaller version of this test.
const SAMPLE: &str = "generator";

/// Code that a developer adds to a generated file.
const BY_HAND: &str = "\n/// By hand.\npub const BY_HAND: bool = true;\n";

/// A handler that a developer adds by hand.
const NESTED: &str = r#"
/// Read an item of an order
///
/// One of your own items, if it is that order's.
#[utoipa::path(tag = "TAG", operation_id = "getNested",
    params(
        ("order_id" = order::dto::OrderId, Path, description = "The order."),
        ("item_id" = order_item::dto::OrderItemId, Path, description = "The item."),
    ),
    responses((status = 200, description = "The item.", body = OrderItem)))]
#[get("ORDERS/{order_id}/items/{item_id}")]
async fn get_nested(
    items: web::Data<OrderItems>,
    CurrentUser(principal): CurrentUser,
    http_kit::extract::PathIds((of, id)): http_kit::extract::PathIds<(
        order::dto::OrderId,
        order_item::dto::OrderItemId,
    )>,
    Read(db): Read,
) -> Result<Resource<OrderItem>, ApiError> {
    let item = items.get(&db, &principal, id).await?;
    if item.order_id == of {
        return Ok(Resource(item));
    }
    Err(ApiError::new(&http_kit::problem::NOT_FOUND, "the order has no such item"))
}
"#;

/// Its test.
const NESTED_TEST: &str = r#"
#[tokio::test]
async fn a_route_below_another_domains_works() {
    let (server, ada) = OrderItems::server().await;
    let (item, other) =
        (OrderItems::create(&server, &ada, 1).await, OrderItems::create(&server, &ada, 2).await);
    let nested = |order: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        format!("ORDERS/{}/items/{}", text(&order["order_id"]), text(&item["id"]))
    };
    assert_eq!(server.get_as(&ada, &nested(&item)).await.expect(200).json(), item);
    server.get_as(&ada, &nested(&other)).await.problem(404, "not_found");
    server.get(&nested(&item)).await.problem(401, "invalid_token");
}
"#;

/// The rule of a domain of public rows, of which only their owners see drafts.
const DRAFTS: &str = r#"    fn visible_to(principal: Option<&Principal>) -> Condition {
        use sea_orm::ColumnTrait as _;
        Condition::any()
            .add(Column::Note.is_null())
            .add(Column::Note.not_like("Draft%"))
            .add(owned_by(principal, Column::OwnerId))
    }
"#;

/// Its test.
const DRAFTS_TEST: &str = r#"
#[tokio::test]
async fn drafts_are_visible_to_their_owner_only() {
    let server = TestServer::start().await;
    let (ada, eve) = (server.signup().await, server.signup().await);
    let body = json!({"value": {}, "note": "Draft 1"});
    let made = server.post("ROUTE").bearer(&ada.token).json(&body).await.expect(201).json();
    let path = format!("ROUTE/{}", made["id"].as_str().unwrap());
    let listed = async |request: tests::client::Request| {
        request.await.expect(200).json()["items"].as_array().unwrap().len()
    };
    let change = |account: &Account, note: &str| {
        server.patch(&path).bearer(&account.token).json(&json!({ "note": note }))
    };
    let missing = "NAME_not_found";
    server.get(&path).await.problem(404, missing);
    server.get_as(&eve, &path).await.problem(404, missing);
    change(&eve, "Mine").await.problem(404, missing);
    server.get_as(&ada, &path).await.expect(200);
    assert_eq!(listed(server.get("ROUTE")).await, 0);
    assert_eq!(listed(server.get("ROUTE").bearer(&eve.token)).await, 0);
    assert_eq!(listed(server.get("ROUTE").bearer(&ada.token)).await, 1);

    change(&ada, "Published").await.expect(200);
    server.get(&path).await.expect(200);
    change(&eve, "Mine").await.problem(403, "not_owner");
    assert_eq!(listed(server.get("ROUTE")).await, 1);
}
"#;

/// An additional command that a workspace without uploads rejects.
const NO_UPLOADS: &str = "post cover:upload author:ref=user:owner => the field `cover` is a file, and this workspace has no uploads";

/// Fields that are added to a domain that others refer to: with a default, a check, an index, a normalized column, a foreign key,
/// each with its `down` migration.
const ADDED: [&str; 10] = [
    "subtitle:string:..80:default=none:sort:search",
    "level:int:0..9:default=1:filter",
    "color:enum=red,green:default=red",
    "fee:decimal=10,2:default=0:sort",
    "contact:email:optional:unique",
    "icon:upload:optional",
    "reviewer:ref=user:optional:set-null",
    "due:date:optional:sort:filter",
    "is_open:bool=true",
    "worth:bigint:default=-2147483649",
];

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let domains = super::domains(workspace, DOMAINS)?;
    let copy = Copy::make(workspace, "domains", Build::Own, &domains)?;
    let has_uploads = super::has_uploads(workspace);
    for line in super::lines(workspace, REFUSALS)? {
        // Without uploads, a field of this type is rejected before its other errors.
        if has_uploads || !line.contains("upload") {
            refuses(&copy, &line)?;
        }
    }
    if !has_uploads {
        refuses(&copy, NO_UPLOADS)?;
    }
    for (index, line) in domains.iter().enumerate() {
        let words = format!("new-domain {} --no-openapi", copy.renamed(line));
        if index == 0 { copy.xtask_unheard(&words)? } else { copy.xtask(&words)? }
    }
    copy.xtask("openapi")?;
    copy.commit("generated")?;
    passes_every_step(&copy)?;
    let on_postgres = postgres::with_server(workspace, |url| {
        adds_fields(workspace, &copy, url)?;
        Ok(Outcome::Passed)
    })?;
    copy.remove_domains(&copy.made(&domains))?;
    copy.xtask("openapi")?;
    copy.expect_no_trace()?;
    copy.thrown_away()?;
    Ok(on_postgres)
}

/// A copy with the generated domains passes the steps that every workspace has to pass. Each step is a command with its own time limit.
fn passes_every_step(copy: &Copy) -> Result<()> {
    let others = STEPS.iter().filter(|step| step.when == When::Always && step.name != SAMPLE);
    others.map(|step| step.name).try_for_each(|name| copy.xtask(&format!("ci --only {name}")))
}

/// The command line is rejected with the expected sentence and exit code 2, and nothing was written.
fn refuses(copy: &Copy, line: &str) -> Result<()> {
    let (line, words) =
        line.split_once(" => ").with_context(|| format!("`{line}` has no expected sentence"))?;
    let line = &copy.renamed(line);
    let ended = copy.tool().arg("new-domain").args(line.split_whitespace()).ended()?;
    if ended.code != Some(2) {
        bail!("`new-domain {line}` ended with {:?}, not with exit code 2:\n{}", ended.code, ended.printed);
    }
    let sentences = ended.printed.trim();
    if sentences.lines().count() != 1 || !sentences.starts_with("error: ") {
        bail!("`new-domain {line}` is not rejected in one line:\n{sentences}");
    }
    if !sentences.contains(words) {
        bail!("`new-domain {line}` is rejected for another reason than `{words}`:\n{sentences}");
    }
    say!("rejected: {line}\n    {sentences}");
    copy.expect_clean("a refusal")
}

/// Adds fields of many kinds: to a domain with manual edits, which are preserved, and to one that others refer to. The manual edits
/// include a route below another domain's, and jobs.
fn adds_fields(workspace: &Workspace, copy: &Copy, url: &str) -> Result<()> {
    let post = copy.name("post");
    let service = format!("crates/{post}/src/service.rs");
    copy.edit(&service, |text| text.replacen("/// Creates a ", "/// Said by hand: creates a ", 1) + BY_HAND)?;
    nests(copy)?;
    hides_drafts(copy)?;
    let with_jobs = super::write_jobs(workspace, copy)?;
    copy.xtask(&format!("add-field {post} subtitle:string:1..80:optional:sort:search --no-openapi"))?;
    let merged = fs::read_to_string(copy.root.join(&service))?;
    if !merged.contains("Said by hand") || !merged.contains(BY_HAND) {
        bail!("add-field lost the manual edit in {service}");
    }
    let category = copy.name("category");
    let added =
        if super::has_uploads(workspace) { ADDED.join(" ") } else { super::without_files(&ADDED.join(" ")) };
    copy.xtask(&format!("add-field {category} {added} --no-openapi"))?;
    copy.xtask("openapi")?;
    copy.xtask("ci --fail-fast --only fmt,links,architecture,clippy,openapi")?;
    let others = [post, category, copy.name("torture"), copy.name("remark"), copy.name("data")];
    let touched: BTreeSet<&str> = others.into_iter().chain(with_jobs.iter().map(String::as_str)).collect();
    let touched: Vec<&str> = touched.into_iter().collect();
    copy.tests(&touched, None)?;
    copy.tests(&touched, Some(url))?;
    // Back to the generated state.
    copy.back("HEAD")
}

/// A rule by which fewer rows are public.
fn hides_drafts(copy: &Copy) -> Result<()> {
    let data = copy.name("data");
    let (route, generated) =
        (format!("/api/v1/{}", data.replace('_', "-")), "fn visible_to(_: Option<&Principal>)");
    copy.edit(&format!("crates/{data}/src/repository.rs"), |text| {
        let Some((before, rest)) = text.split_once(&format!("    {generated}")) else { return text };
        let after = rest.split_once("    }\n").map_or("", |(_, after)| after);
        format!("{before}{DRAFTS}{after}")
    })?;
    let test = DRAFTS_TEST.replace("ROUTE", &route).replace("NAME", data);
    copy.edit(&format!("tests/tests/it/domains/{data}.rs"), |text| text + &test)
}

/// A route with two ids below `orders`, in the router of the items, which is registered after the orders'.
fn nests(copy: &Copy) -> Result<()> {
    let (order, item) = (copy.name("order"), copy.name("order_item"));
    let (order_type, item_type) = (order.to_upper_camel_case(), item.to_upper_camel_case());
    let tag = format!("{item}s").replace('_', " ");
    let filled = |text: &str| {
        [
            ("ORDERS", format!("/api/v1/{}s", order.replace('_', "-"))),
            ("TAG", tag.clone()),
            ("OrderItem", item_type.clone()),
            ("OrderId", format!("{order_type}Id")),
            ("order_item::", format!("{item}::")),
        ]
        .iter()
        .fold(text.to_owned(), |text, (word, name)| text.replace(word, name))
    };
    let router = format!("crates/server/src/routers/{item}.rs");
    copy.edit(&router, |text| {
        text.replacen("    routes\n", "    routes.handle(get_nested);\n    routes\n", 1) + &filled(NESTED)
    })?;
    copy.edit(&format!("tests/tests/it/domains/{item}.rs"), |text| text + &filled(NESTED_TEST))?;
    copy.cargo("fmt").run()?;
    // Not a module that `cargo fmt` finds; how its lines break depends on the names.
    Invocation::new("rustfmt").args(["--edition", "2024", &router]).current_dir(&copy.root).run()
}
