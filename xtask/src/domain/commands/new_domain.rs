//! `cargo xtask new-domain`: generates all parts of a domain.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Args;

use super::compose::Request;
use super::entry::{checked_plural, create_files, enlist};
use super::{How, Site, carry_out, compose, on_site, parse_fields, write_catalogue};
use crate::domain::lists;
use crate::domain::manifest::{self, Manifest, Migration};
use crate::domain::migrations;
use crate::domain::names;
use crate::domain::plan::Plan;
use crate::domain::prefix;
use crate::domain::refusal::{Refusal, refuse};
use crate::domain::render::{self, Rendered};
use crate::domain::rules;
use crate::domain::spec::Spec;
use crate::domain::survey::{MIGRATIONS, Survey};
use crate::domain::warnings::warnings;
use crate::workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask new-domain note title:string:1..100 body:text:optional author:ref=user:owner --dry-run
  cargo xtask new-domain post title:string:1..200:unique content:text published:bool=false \\
      category:enum=news,essay,note:filter rating:int:0..5:optional:sort price:decimal=10,2:optional \\
      author:ref=user:owner --public-read
  cargo xtask new-domain checkout --on order,product

Permissions: with a field that has the modifier `owner`, each user may read and write only their own rows. With --shared,
signed-in users may read and write all rows; with --admin-only, only admins may. --public-read lets everyone read.";

/// The domain to generate.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Args, Debug, Default)]
#[command(after_help = EXAMPLES, after_long_help = format!("{}\n\n{EXAMPLES}", super::FIELDS))]
pub(crate) struct Options {
    /// Name of the domain, in the singular: `blog_post`. The crate, the types and the table are named after it.
    name: String,
    /// Its fields, as in `title:string:1..200` and `author:ref=user:owner`; see --help for all types and modifiers.
    #[arg(value_name = "FIELD")]
    fields: Vec<String>,
    /// The three letters that its ids start with; by default derived from the name.
    #[arg(long, value_name = "ABC")]
    prefix: Option<String>,
    /// Plural of the name, for the table and the routes; by default derived from the name.
    #[arg(long, value_name = "NAMES")]
    plural: Option<String>,
    /// Domains that it builds on, separated by commas. It then has no table, and its service calls theirs.
    #[arg(
        long,
        value_name = "DOMAIN",
        value_delimiter = ',',
        conflicts_with_all = ["fields", "prefix", "public_read", "admin_only", "shared", "no_events"]
    )]
    pub(super) on: Vec<String>,
    /// Let everyone read, signed in or not.
    #[arg(long)]
    public_read: bool,
    /// Let only admins read and write, except what is public.
    #[arg(long)]
    admin_only: bool,
    /// Let signed-in users change and delete every row. Required if rows have no owner and --admin-only is not set.
    #[arg(long, conflicts_with = "admin_only")]
    shared: bool,
    /// Generate no events.
    #[arg(long)]
    no_events: bool,
    #[command(flatten)]
    how: How,
}

impl Options {
    /// The options of a domain without a table.
    pub(super) fn request(&self) -> Request<'_> {
        Request { name: &self.name, plural: self.plural.as_deref(), on: &self.on }
    }
}

/// Generates the domain.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    if !options.on.is_empty() {
        let plan = on_site(workspace, |site| compose::draft(site, &options.request()))?;
        if carry_out(workspace, &plan, options.how)? {
            crate::output::say!("\n{}", compose::next_steps(&options.name));
        }
        return Ok(true);
    }
    let (plan, spec) = on_site(workspace, |site| draft(site, options))?;
    if carry_out(workspace, &plan, options.how)? {
        crate::output::say!("\n{}", next_steps(&spec));
    }
    Ok(true)
}

fn next_steps(spec: &Spec) -> String {
    let name = &spec.name;
    let title = names::capitalized(&spec.plural.replace('_', " "));
    let access = render::access(spec);
    format!(
        "{title}: {access}\n\nThe code is yours now. Next:\n  cargo test -p {name}\n  read crates/{name}/src/dto.rs and service.rs, and docs/domains/{name}.md\n  cargo run, then open http://localhost:8000/docs\n  git add --all && git commit"
    )
}

/// Plans the changes.
pub(super) fn draft(site: &Site<'_>, options: &Options) -> Result<(Plan, Spec)> {
    let root = &site.workspace.root;
    let survey = Survey::of(root)?;
    let spec = spec(options, &survey, &site.render.reserved_types()?)?;
    let migration = migrations::next(&survey.migrations, &site.now, &format!("create_{}", spec.plural))?;
    let mut specs = survey.specs();
    specs.insert(spec.name.clone(), spec.clone());
    let files = site.render.domain(&spec, &specs, &migration)?;
    let mut plan = Plan::new(root);
    create(&mut plan, &spec, &files, &migration)?;
    enlist(&mut plan, &spec.name, &survey)?;
    plan.edit(MIGRATIONS, |text| lists::add(text, "migrations", &migration))?;
    write_catalogue(&mut plan, &survey, &specs)?;
    plan.warn(warnings(&spec, &spec.fields, &specs));
    Ok((plan, spec))
}

/// The domain, if it satisfies the rules.
fn spec(options: &Options, survey: &Survey, reserved: &BTreeSet<String>) -> Result<Spec, Refusal> {
    let name = &options.name;
    let spec = Spec {
        plural: checked_plural(&options.name, options.plural.as_deref(), survey)?,
        name: name.clone(),
        prefix: prefix::choose(name, options.prefix.as_deref(), &survey.prefixes)?,
        public_read: options.public_read,
        admin_only: options.admin_only,
        events: !options.no_events,
        fields: parse_fields(&options.fields)?,
    };
    rules::check_fields(&spec)?;
    rules::check_references(&spec, survey)?;
    rules::check_types(&spec, survey, reserved)?;
    check_sharing(&spec, options.shared)?;
    Ok(spec)
}

/// Domains without an owner require an explicit flag.
fn check_sharing(spec: &Spec, shared: bool) -> Result<(), Refusal> {
    let (name, plural) = (&spec.name, spec.plural.replace('_', " "));
    match (spec.is_shared(), shared) {
        (true, false) => refuse(format!(
            "every signed-in user could change and delete all {plural}: add an owner to `{name}` (`author:ref=user:owner`), or use \
             `--shared` or `--admin-only`"
        )),
        (false, true) => refuse(format!("`--shared` has no effect on {plural}, which have an owner")),
        (true, true) | (false, false) => Ok(()),
    }
}

fn create(plan: &mut Plan, spec: &Spec, files: &[Rendered], migration: &str) -> Result<()> {
    let migrations = vec![Migration { name: migration.to_owned(), fields: Vec::new() }];
    let manifest = Manifest { spec: spec.clone(), migrations, files: create_files(plan, files)? };
    plan.create(manifest::path(&spec.name), manifest.text())
}
