//! The generator, tried on a copy of the workspace: what it makes passes every check unedited, on both engines, and what it
//! takes away leaves no trace.
//!
//! The domains stand in `xtask/generator/domains.txt`, a command line each; where the workspace has one of that name, it gets
//! another. While nothing has changed that the generator depends on, there is nothing to try: `domain::proved` tells.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use heck::ToUpperCamelCase as _;

use super::{Outcome, postgres};
use crate::domain::{proved, spare};
use crate::output::say;
use crate::process::Invocation;
use crate::workspace::Workspace;

const DOMAINS: &str = "xtask/generator/domains.txt";
const REFUSALS: &str = "xtask/generator/refusals.txt";

/// What a developer writes into a generated file.
const BY_HAND: &str = "\n/// By hand.\npub const BY_HAND: bool = true;\n";

/// A handler that a developer adds by hand.
const NESTED: &str = r#"
/// Read an item of an order
///
/// One of one's own items, if it is that order's.
#[utoipa::path(tag = "TAG", operation_id = "getNested",
    params(
        ("order_id" = order_item::dto::OrderId, Path, description = "The order."),
        ("item_id" = OrderItemId, Path, description = "The item."),
    ),
    responses((status = 200, description = "The item.", body = OrderItem)))]
#[get("ORDERS/{order_id}/items/{item_id}")]
async fn get_nested(
    CurrentUser(principal): CurrentUser,
    http_kit::extract::PathIds((of, id)): http_kit::extract::PathIds<(order_item::dto::OrderId, OrderItemId)>,
    Read(db): Read,
) -> Result<Resource<OrderItem>, ApiError> {
    let item = service::get(&db, &principal, id).await?;
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
    let (server, ada) = house().await;
    let (item, other) = (create(&server, &ada, 1).await, create(&server, &ada, 2).await);
    let nested = |order: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        format!("ORDERS/{}/items/{}", text(&order["order_id"]), text(&item["id"]))
    };
    assert_eq!(server.get_as(&ada, &nested(&item)).await.expect(200).json(), item);
    server.get_as(&ada, &nested(&other)).await.problem(404, "not_found");
    server.get(&nested(&item)).await.problem(401, "invalid_token");
}
"#;

/// What is added to a domain that others refer to: a default, a check, an index, a shadow column, a foreign key, each with its way
/// back.
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
    if proved::is_proved(workspace)? {
        return Ok(Outcome::Skipped(format!(
            "nothing that the generator depends on has changed since it passed ({} says so; without that file it is tried)",
            proved::PATH
        )));
    }
    // Of what is tried: somebody may go on working meanwhile.
    let page = proved::page(workspace)?;
    let outcome = attempt(workspace)?;
    if matches!(outcome, Outcome::Passed) {
        fs::write(workspace.root.join(proved::PATH), page)
            .with_context(|| format!("can't write {}", proved::PATH))?;
        say!("wrote {}: commit it, and the step is skipped until the generator changes", proved::PATH);
    }
    Ok(outcome)
}

fn attempt(workspace: &Workspace) -> Result<Outcome> {
    let domains = lines(workspace, DOMAINS)?;
    let wanted: Vec<&str> = domains.iter().filter_map(|line| line.split_whitespace().next()).collect();
    let copy = Copy::make(workspace, spare::names(&workspace.root, &wanted)?)?;
    for line in lines(workspace, REFUSALS)? {
        copy.refuses(&line)?;
    }
    for (index, line) in domains.iter().enumerate() {
        let words = format!("new-domain {} --no-openapi", spare::renamed(line, &copy.names));
        if index == 0 { copy.xtask_unheard(&words)? } else { copy.xtask(&words)? }
    }
    copy.xtask("openapi")?;
    copy.git("add --all")?;
    copy.git("commit --quiet --message generated")?;
    copy.checks()?;
    let made: Vec<&str> = wanted.iter().map(|name| copy.name(name)).collect();
    let engines = postgres::with_server(workspace, |url| {
        copy.tests(&made, Some(url))?;
        copy.adds_fields(url)?;
        Ok(Outcome::Passed)
    })?;
    copy.removes(&made)?;
    Ok(engines)
}

fn lines(workspace: &Workspace, file: &str) -> Result<Vec<String>> {
    let text = workspace.read(file)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

/// This program, as a file that no build replaces: the tests of the workspace build it with other features, in its place.
fn program(workspace: &Workspace) -> Result<PathBuf> {
    Invocation::new("cargo")
        .args(["build", "--locked", "--package", "xtask"])
        .current_dir(&workspace.root)
        .run()?;
    let name = format!("xtask{}", std::env::consts::EXE_SUFFIX);
    let program = workspace.kept("generator")?.join(&name);
    fs::copy(workspace.target.join("debug").join(&name), &program).context("can't copy this program")?;
    Ok(program)
}

/// A copy of the workspace as it stands, under a git of its own, with a target folder of its own.
struct Copy {
    root: PathBuf,
    target: PathBuf,
    program: PathBuf,
    /// What the domains of the list are called here, where the workspace has domains of its own.
    names: BTreeMap<String, String>,
}

impl Copy {
    fn make(workspace: &Workspace, names: BTreeMap<String, String>) -> Result<Self> {
        let root = workspace.scratch("generator")?.join("workspace");
        for file in workspace.files()? {
            let to = root.join(&file);
            fs::create_dir_all(to.parent().unwrap_or(&root)).context("can't make the copy's folders")?;
            fs::copy(workspace.root.join(&file), &to)
                .with_context(|| format!("can't copy {}", file.display()))?;
        }
        let target = workspace.target.join("xtask/generator/target");
        lend(&workspace.target.join("debug"), &target.join("debug"))?;
        let copy = Self { root, target, program: program(workspace)?, names };
        copy.git("init --quiet")?;
        copy.git("add --all")?;
        copy.git("commit --quiet --message before")?;
        Ok(copy)
    }

    fn name<'a>(&'a self, name: &'a str) -> &'a str {
        self.names.get(name).map_or(name, String::as_str)
    }

    fn in_copy(&self, program: impl AsRef<Path>) -> Invocation {
        Invocation::new(program.as_ref())
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            // Nobody builds this twice.
            .env("CARGO_INCREMENTAL", "0")
    }

    fn xtask(&self, words: &str) -> Result<()> {
        self.in_copy(&self.program).args(words.split_whitespace()).run()
    }

    /// As `cargo xtask … | head -1` would have it: nobody reads what it says, and all of it is done.
    fn xtask_unheard(&self, words: &str) -> Result<()> {
        let shell = self.in_copy("bash").args(["-o", "pipefail", "-c", r#""$0" "$@" | true"#]);
        shell.arg(&self.program).args(words.split_whitespace()).run()
    }

    fn cargo(&self, words: &str) -> Invocation {
        self.in_copy("cargo").args(words.split_whitespace()).without_configuration()
    }

    fn git(&self, words: &str) -> Result<String> {
        let someone =
            ["-c", "user.name=xtask", "-c", "user.email=xtask@localhost", "-c", "commit.gpgsign=false"];
        self.in_copy("git").args(someone).args(words.split_whitespace()).capture()
    }

    /// The line is refused for the reason that it names, with one sentence and exit code 2, and nothing was written.
    fn refuses(&self, line: &str) -> Result<()> {
        let (line, words) = line.split_once(" => ").with_context(|| format!("`{line}` says not why"))?;
        let line = &spare::renamed(line, &self.names);
        let ended = self.in_copy(&self.program).arg("new-domain").args(line.split_whitespace()).ended()?;
        if ended.code != Some(2) {
            bail!(
                "`new-domain {line}` ended with {:?}, not with exit code 2:\n{}",
                ended.code,
                ended.printed
            );
        }
        let sentences = ended.printed.trim();
        if sentences.lines().count() != 1 || !sentences.starts_with("error: ") {
            bail!("`new-domain {line}` is not refused in one line:\n{sentences}");
        }
        if !sentences.contains(words) {
            bail!("`new-domain {line}` is refused for another reason than `{words}`:\n{sentences}");
        }
        say!("refused: {line}\n    {sentences}");
        self.expect_clean("a refusal")
    }

    fn expect_clean(&self, after: &str) -> Result<()> {
        let left = self.git("status --porcelain")?;
        if left.is_empty() {
            Ok(())
        } else {
            bail!("{after} left the tree changed:\n{left}\n{}", self.git("diff")?)
        }
    }

    /// Every check that looks at the code as a whole, and every test of the workspace with the domains in it, on SQLite: whoever
    /// makes a domain runs those next.
    fn checks(&self) -> Result<()> {
        self.xtask("ci --fail-fast --only fmt,links,architecture,clippy,docs,openapi,contract")?;
        self.cargo("test --locked --workspace").run()
    }

    fn tests(&self, domains: &[&str], url: Option<&str>) -> Result<Outcome> {
        let mut crates: Vec<String> = domains.iter().map(|name| format!("--package {name}")).collect();
        crates.push("--package migration".to_owned());
        for words in [
            format!("test --locked {}", crates.join(" ")),
            "test --locked --package tests domains::".to_owned(),
        ] {
            let test = self.cargo(&words);
            match url {
                Some(url) => test.env("TEST_DATABASE_URL", url).run()?,
                None => test.run()?,
            }
        }
        Ok(Outcome::Passed)
    }

    /// Fields of many kinds are added: to a domain that somebody worked on, where what was written by hand stays, and to one
    /// that others refer to. Among what was written by hand is a route below another domain's.
    fn adds_fields(&self, url: &str) -> Result<()> {
        let post = self.name("post");
        let service = format!("crates/{post}/src/service.rs");
        self.edit(&service, |text| text.replacen("/// Makes a ", "/// Said by hand: makes a ", 1) + BY_HAND)?;
        self.nests()?;
        self.xtask(&format!("add-field {post} subtitle:string:1..80:optional:sort:search --no-openapi"))?;
        let merged = fs::read_to_string(self.root.join(&service))?;
        if !merged.contains("Said by hand") || !merged.contains(BY_HAND) {
            bail!("add-field lost what was written by hand in {service}");
        }
        let category = self.name("category");
        self.xtask(&format!("add-field {category} {} --no-openapi", ADDED.join(" ")))?;
        self.xtask("openapi")?;
        self.xtask("ci --fail-fast --only fmt,links,architecture,clippy,openapi")?;
        let touched = [post, category, self.name("torture"), self.name("remark")];
        self.tests(&touched, None)?;
        self.tests(&touched, Some(url))?;
        // Back to what was generated.
        self.git("reset --quiet --hard")?;
        self.git("clean --quiet --force -d").map(drop)
    }

    /// A route with two ids below `orders`, in the router of the items, which is registered after the orders'.
    fn nests(&self) -> Result<()> {
        let (order, item) = (self.name("order"), self.name("order_item"));
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
        self.edit(&format!("crates/server/src/routers/{item}.rs"), |text| {
            text.replacen("    routes\n", "    routes.handle(get_nested);\n    routes\n", 1) + &filled(NESTED)
        })?;
        self.edit(&format!("tests/tests/it/domains/{item}.rs"), |text| text + &filled(NESTED_TEST))?;
        self.cargo("fmt").run()
    }

    fn edit(&self, path: &str, change: impl FnOnce(String) -> String) -> Result<()> {
        let path = self.root.join(path);
        let text = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
        fs::write(&path, change(text)).context("can't edit the copy")
    }

    /// In the other order, so that nobody refers to what goes; the tree is then what it was before.
    fn removes(&self, domains: &[&str]) -> Result<()> {
        for name in domains.iter().rev() {
            self.xtask(&format!("remove-domain {name} --no-openapi"))?;
        }
        self.xtask("openapi")?;
        self.git("add --all")?;
        let difference = self.git("diff --cached --stat HEAD~1")?;
        if difference.is_empty() {
            Ok(())
        } else {
            bail!("what was removed left a trace:\n{difference}\n{}", self.git("diff --cached HEAD~1")?)
        }
    }
}

/// Lends the build of the dependencies to another target folder: the same files, by hard links. What is built of this
/// workspace stays here, because cargo tells two workspaces apart by their files' times only.
fn lend(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).context("can't make the copy's target folder")?;
    // What cargo writes into again is copied.
    for (folder, how) in [("build", "-al"), ("deps", "-al"), (".fingerprint", "-a")] {
        if from.join(folder).is_dir() {
            Invocation::new("cp").arg(how).arg(from.join(folder)).arg(to).run()?;
        }
    }
    for member in members()? {
        for folder in ["build", "deps", ".fingerprint"] {
            forget(&to.join(folder), &member)?;
        }
    }
    Ok(())
}

/// The names by which files of this workspace's own build start.
fn members() -> Result<Vec<String>> {
    let metadata = Invocation::new("cargo")
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .capture()?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.flat_map(|package| {
        let targets = package["targets"].as_array().into_iter().flatten();
        targets
            .chain([package])
            .filter_map(|it| it["name"].as_str())
            .map(|name| name.replace('-', "_"))
            .collect::<Vec<_>>()
    });
    Ok(targets.collect())
}

/// Removes `NAME-HASH` and `libNAME-HASH`, whatever their endings.
fn forget(folder: &Path, name: &str) -> Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry?.path();
        let file = path.file_name().map(|name| name.to_string_lossy().replace('-', "_")).unwrap_or_default();
        let is_own = |file: &str| {
            file.strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('_'))
                .is_some_and(|hash| hash.split('.').next().is_some_and(|hash| hash.len() == 16))
        };
        if is_own(&file) || file.strip_prefix("lib").is_some_and(is_own) {
            if path.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
        }
    }
    Ok(())
}
