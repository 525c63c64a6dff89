//! `cargo xtask new-job`: writes a kind of durable job into a domain.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use syn::Item;
use syn::spanned::Spanned as _;

use super::{How, Site, on_site};
use crate::domain::cargo_toml;
use crate::domain::job::{Handler, JobView, Neighbours};
use crate::domain::lists;
use crate::domain::names;
use crate::domain::plan::Plan;
use crate::domain::refusal::{Refusal, refuse};
use crate::domain::render::Rendered;
use crate::domain::survey::Survey;
use crate::workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask new-job post publish post:ref=post at:timestamp
  cargo xtask new-job user count_usage user:ref=user --handler stepped
  cargo xtask new-job post announce post:ref=post channel:enum=mail,chat --handler external --dry-run

A field is NAME:TYPE or NAME:TYPE:optional, with the types of `cargo xtask new-domain --help`. It is stored with the job, so
people and rows are named by id (`user:ref=user`), and what may change is read when the job runs.
docs/jobs.md says which handler to choose, and how a job is enqueued, delayed, made unique and tested.";

/// The job to write.
#[derive(Args, Debug, Default)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The domain, as `cargo xtask domains` lists it.
    domain: String,
    /// Name for what it does: `publish`. Jobs are stored under `DOMAIN.NAME`.
    name: String,
    /// Fields of its payload, as in `post:ref=post` and `at:timestamp:optional`.
    #[arg(value_name = "FIELD")]
    fields: Vec<String>,
    /// What the handler does.
    #[arg(long, value_enum, default_value_t)]
    handler: Handler,
    /// Print the changes without writing them.
    #[arg(long)]
    dry_run: bool,
}

/// Writes the job.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let plan = on_site(workspace, |site| draft(site, options))?;
    let how = How { dry_run: options.dry_run, no_openapi: true };
    if super::carry_out(workspace, &plan, how)? {
        let Options { domain, name, .. } = options;
        crate::output::say!(
            "\nThe code is yours now. Next:\n  write the handler in crates/{domain}/src/job/{name}.rs, and what its test expects\n  \
             enqueue the job: `session.enqueue(&{} {{ … }})?`\n  cargo test -p {domain} job",
            names::pascal(name)
        );
    }
    Ok(true)
}

/// Plans the changes.
pub(super) fn draft(site: &Site<'_>, options: &Options) -> Result<Plan> {
    let Options { domain, name, .. } = options;
    let survey = Survey::of(&site.workspace.root)?;
    let mut plan = Plan::new(&site.workspace.root);
    check_domain(&plan, &survey, domain)?;
    names::check(name, names::LONGEST).map_err(Refusal::new)?;
    if names::is_keyword(name) {
        refuse(format!(
            "`{name}` is a keyword of Rust, and a module is called like the job: write another name"
        ))?;
    }
    if name == "tests" {
        refuse("`tests` is the module of the tests: write another name")?;
    }
    let manifest = format!("crates/{domain}/Cargo.toml");
    let neighbours = neighbours(&plan.expect(&manifest)?, &survey, domain)?;
    let job = JobView::new((domain, name), options.handler, &options.fields, &neighbours)?;
    let [file, list] = site.render.job(&job)?;
    if plan.read(&file.path)?.is_some() {
        refuse(format!(
            "{} already exists, and no file is overwritten: choose another name",
            file.path.display()
        ))?;
    }
    plan.create(&file.path, &file.text)?;
    enlist(&mut plan, &list, domain, name)?;
    plan.edit(&manifest, |text| {
        let edited = job.dependencies().try_fold(text.to_owned(), |text, name| {
            cargo_toml::require(&text, "dependencies", name, &format!("{name}.workspace = true"))
        })?;
        TEST_DEPENDENCIES
            .into_iter()
            .try_fold(edited, |text, (name, line)| cargo_toml::require(&text, "dev-dependencies", name, line))
    })?;
    Ok(plan)
}

/// Crates that the test needs.
const TEST_DEPENDENCIES: [(&str, &str); 4] = [
    ("messaging", "messaging.workspace = true"),
    ("migration", "migration.workspace = true"),
    ("shared-kernel", "shared-kernel = { workspace = true, features = [\"testing\"] }"),
    ("tokio", "tokio.workspace = true"),
];

fn check_domain(plan: &Plan, survey: &Survey, domain: &str) -> Result<()> {
    let listed = lists::names(&plan.expect(&survey.domains_list)?, "domains")?.unwrap_or_default();
    let has_crate = |name: &&String| survey.crates.contains(*name);
    if listed.iter().filter(has_crate).any(|name| name == domain) {
        return Ok(());
    }
    let known: Vec<&str> = listed.iter().filter(has_crate).map(String::as_str).collect();
    Ok(refuse(format!("there is no domain `{domain}`: there are {}", known.join(", ")))?)
}

/// The domains whose ids a payload may name.
fn neighbours(manifest: &str, survey: &Survey, domain: &str) -> Result<Neighbours> {
    let mut domains = BTreeSet::new();
    for name in survey.generated.keys() {
        if name == domain || cargo_toml::depends_on(manifest, name)? {
            domains.insert(name.clone());
        }
    }
    let all = survey.generated.keys().cloned().collect();
    Ok(Neighbours { domains, all, has_uploads: survey.crates.contains("upload-port") })
}

/// Adds the job to the list of its domain, and names the list in the crate and in the router unless they name it.
fn enlist(plan: &mut Plan, list: &Rendered, domain: &str, name: &str) -> Result<()> {
    let is_first = plan.read(&list.path)?.is_none();
    if is_first {
        plan.create(&list.path, &list.text)?;
    } else {
        plan.edit(&list.path, |text| lists::add(text, "jobs", name))?;
    }
    plan.edit(format!("crates/{domain}/src/lib.rs"), |text| with_module(text, is_first))?;
    let router = router(plan, domain)?;
    plan.edit(&router, |text| with_kinds(text, domain))
}

/// The crate with the module of its jobs, which is new or may be there.
fn with_module(text: &str, is_new: bool) -> Result<String> {
    let file = syn::parse_file(text).context("it can't be parsed")?;
    let modules = || {
        file.items.iter().filter_map(|item| match item {
            Item::Mod(module) if module.content.is_none() => Some(module),
            _ => None,
        })
    };
    if modules().any(|module| module.ident == "job") {
        if is_new {
            bail!("there is a module `job` already, which is not a list of jobs: rename it");
        }
        return Ok(text.to_owned());
    }
    let (at, line) =
        match (modules().find(|module| module.ident.to_string().as_str() > "job"), modules().next_back()) {
            (Some(next), _) => (next.span().byte_range().start, "pub mod job;\n"),
            (None, Some(last)) => (last.span().byte_range().end, "\npub mod job;"),
            (None, None) => {
                bail!("it declares no module, so the place for `pub mod job;` is not known: add it")
            }
        };
    let (before, after) = text.split_at(at);
    Ok(format!("{before}{line}{after}"))
}

/// The file with the value `MODULE` of a domain.
fn router(plan: &Plan, domain: &str) -> Result<String> {
    let folder = "crates/server/src/routers";
    for file in [format!("{domain}.rs"), format!("{domain}/module.rs"), format!("{domain}/mod.rs")] {
        let path = format!("{folder}/{file}");
        if plan.read(Path::new(&path))?.is_some_and(|text| text.contains(MODULE)) {
            return Ok(path);
        }
    }
    bail!("no file of the router of `{domain}` in {folder} has `{MODULE}`")
}

const MODULE: &str = "static MODULE: Module = Module {";

/// The line that `jobs` follows.
const ROUTES: &str = "    routes: configure,\n";

/// The value `MODULE` with the kinds of jobs.
fn with_kinds(text: &str, domain: &str) -> Result<String> {
    let start = text.find(MODULE).with_context(|| format!("there is no `{MODULE}`"))?;
    let end = text[start..].find("\n};").map_or(text.len(), |length| start + length + 1);
    let value = &text[start..end];
    if value.contains(&format!("{domain}::job::kinds")) {
        return Ok(text.to_owned());
    }
    if value.contains("\n    jobs:") {
        bail!(
            "`MODULE` has a field `jobs` already: its function has to return the kinds of `{domain}::job::kinds()`, too"
        );
    }
    // Beside lines that `add-field` leaves alone, because it cannot merge changes of neighbours. Otherwise before the rest, which is the
    // last line of a value that has one.
    let beside = value.find(ROUTES).map(|at| at + ROUTES.len());
    let at = beside.or_else(|| value.find("\n    ..").map(|at| at + 1)).map_or(end, |at| start + at);
    let (before, after) = text.split_at(at);
    Ok(format!("{before}    jobs: {domain}::job::kinds,\n{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_declared_where_it_belongs() {
        let crate_of =
            |modules: &str| with_module(&format!("//! Posts.\n\n{modules}\npub use a::B;\n"), true).unwrap();
        assert_eq!(
            crate_of("pub mod dto;\nmod model;\npub mod service;\n"),
            "//! Posts.\n\npub mod dto;\npub mod job;\nmod model;\npub mod service;\n\npub use a::B;\n"
        );
        assert_eq!(
            crate_of("pub mod dto;\npub mod event;\n"),
            "//! Posts.\n\npub mod dto;\npub mod event;\npub mod job;\n\npub use a::B;\n"
        );
        assert_eq!(
            crate_of("/// Rows.\npub mod model;\n"),
            "//! Posts.\n\npub mod job;\n/// Rows.\npub mod model;\n\npub use a::B;\n"
        );
        assert!(with_module("mod job;\n", true).unwrap_err().to_string().contains("rename it"));
        assert!(with_module("fn a() {}\n", true).is_err());
    }

    #[test]
    fn the_kinds_stand_in_the_value_of_the_module() {
        let text = "pub static MODULE: Module = Module {\n    routes: configure,\n    ..Module::EMPTY\n};\n\nfn a() {}\n";
        let edited = with_kinds(text, "post").unwrap();
        assert_eq!(
            edited,
            "pub static MODULE: Module = Module {\n    routes: configure,\n    jobs: post::job::kinds,\n    ..Module::EMPTY\n};\n\nfn a() {}\n"
        );
        assert_eq!(with_kinds(&edited, "post").unwrap(), edited);
        let other = edited.replace("post::job::kinds", "|| Vec::new()");
        assert!(with_kinds(&other, "post").unwrap_err().to_string().contains("has a field `jobs` already"));
        for (other, expected) in [
            ("    tags: &[],\n", "    tags: &[],\n    jobs: post::job::kinds,\n"),
            ("    tags: &[],\n    ..EMPTY\n", "    tags: &[],\n    jobs: post::job::kinds,\n    ..EMPTY\n"),
        ] {
            let module = |fields: &str| format!("pub static MODULE: Module = Module {{\n{fields}}};\n");
            assert_eq!(with_kinds(&module(other), "post").unwrap(), module(expected));
        }
    }
}
