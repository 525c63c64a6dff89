//! `cargo xtask add-field`: adds fields to a generated domain, whose files may have been edited since.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;

use super::{How, Site, carry_out, on_site, parse_fields, write_catalogue};
use crate::domain::by_hand;
use crate::domain::composition::Composition;
use crate::domain::lists;
use crate::domain::manifest::{self, Manifest, Migration, hash};
use crate::domain::merge::{Outcome, Versions, merge};
use crate::domain::migrations;
use crate::domain::plan::Plan;
use crate::domain::refusal::{Refusal, refuse};
use crate::domain::render::Rendered;
use crate::domain::rules;
use crate::domain::spec::{Field, Kind, Spec};
use crate::domain::survey::{MIGRATIONS, Survey};
use crate::domain::view::Specs;
use crate::domain::warnings::warnings;
use crate::process::Invocation;
use crate::workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask add-field post subtitle:string:1..200:optional
  cargo xtask add-field post pinned:bool=false:filter stars:int:0..5:default=0:sort
  cargo xtask add-field post slug:string:unique:optional --merge

The table may already have rows, so a new field must be optional or have a default. Your edits of the generated files are
preserved: if they conflict with the new lines, the command prints the names of the files and writes nothing. With --merge
it writes both with conflict markers, as git does.";

/// The fields to add.
#[derive(Args, Debug, Default)]
#[command(after_help = EXAMPLES, after_long_help = format!("{}\n\n{EXAMPLES}", super::FIELDS))]
pub(crate) struct Options {
    /// The domain, as `cargo xtask domains` lists it.
    domain: String,
    /// The new fields, as in `subtitle:string:optional`; see --help for all types and modifiers.
    #[arg(value_name = "FIELD")]
    fields: Vec<String>,
    /// On conflicts with your edits, write both with conflict markers, as git does.
    #[arg(long)]
    merge: bool,
    #[command(flatten)]
    how: How,
}

/// The plan, the files in which edits and new code were merged, and those with conflicts.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) plan: Plan,
    pub(super) merged: Vec<String>,
    pub(super) conflicts: Vec<String>,
}

/// Adds the fields.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let draft = on_site(workspace, |site| draft(site, options))?;
    // Files with conflict markers do not compile.
    let how = How { no_openapi: options.how.no_openapi || !draft.conflicts.is_empty(), ..options.how };
    let is_done = carry_out(workspace, &draft.plan, how)?;
    if !draft.merged.is_empty() {
        crate::output::say!(
            "\nYour edits in these files were merged; check them with `git diff`:\n  {}",
            draft.merged.join("\n  ")
        );
    }
    if !draft.conflicts.is_empty() {
        crate::output::say!(
            "\nYour edits conflict with the new lines in these files. Search for `<<<<<<<`, resolve the conflicts, then run `cargo xtask openapi`:\n  {}",
            draft.conflicts.join("\n  ")
        );
        return Ok(false);
    }
    if is_done {
        crate::output::say!(
            "\nNext:\n  cargo test -p migration -p {}\n  git add --all && git commit",
            options.domain
        );
    }
    Ok(true)
}

/// What adding them will do.
pub(super) fn draft(site: &Site<'_>, options: &Options) -> Result<Draft> {
    let survey = Survey::of(&site.workspace.root)?;
    let old = find(&survey, &options.domain)?;
    let new = parse_fields(&options.fields)?;
    if new.is_empty() {
        refuse("there is nothing to add: write a field, as in `subtitle:string:optional`")?;
    }
    let spec = Spec { fields: old.spec.fields.iter().chain(&new).cloned().collect(), ..old.spec.clone() };
    rules::check_added(&new)?;
    rules::check_fields(&spec)?;
    rules::check_references(&spec, &survey)?;
    rules::check_choices(&spec, &new, &survey)?;
    refuse_written(site, &spec, &new)?;

    let before = survey.specs();
    let mut after = before.clone();
    after.insert(spec.name.clone(), spec.clone());
    let mut work = Work {
        site,
        before: &before,
        after: &after,
        plan: Plan::new(&site.workspace.root),
        merged: Vec::new(),
        conflicts: options.merge.then(Vec::new),
        stuck: Vec::new(),
    };
    let mut manifest = work.renew(old)?;
    work.migrate(&mut manifest, &new, &survey)?;
    work.plan.write(manifest::path(&spec.name), manifest.text())?;
    for other in referring(&after, &spec.name) {
        let Some(known) = survey.generated.get(&other) else { continue };
        let manifest = work.renew(known)?;
        work.plan.write(manifest::path(&other), manifest.text())?;
    }
    for other in survey.compositions.values().filter(|other| other.on.contains(&spec.name)) {
        let renewed = work.renew_composition(other)?;
        work.plan.write(manifest::path(&other.name), renewed.text())?;
    }
    write_catalogue(&mut work.plan, &survey, &after)?;
    work.plan.warn(warnings(&spec, &new, &after));
    work.finish()
}

fn find<'a>(survey: &'a Survey, name: &str) -> Result<&'a Manifest, Refusal> {
    if let Some(manifest) = survey.generated.get(name) {
        return Ok(manifest);
    }
    let known: Vec<&str> = survey.generated.keys().map(String::as_str).collect();
    if survey.compositions.contains_key(name) {
        return refuse(format!(
            "`{name}` has no table, so a field of its body is a line in crates/{name}/src/dto.rs"
        ));
    }
    if survey.crates.contains(name) {
        return refuse(format!(
            "`{name}` was written by hand: write its new fields by hand, too, as docs/adding-a-domain.md shows"
        ));
    }
    match known.as_slice() {
        [] => refuse(format!(
            "there is no domain `{name}`, nor any that was generated: make one with `cargo xtask new-domain`"
        )),
        _ => refuse(format!("there is no domain `{name}`: write one of {}", known.join(", "))),
    }
}

/// Fields that were written by hand must not have the name of a new field.
fn refuse_written(site: &Site<'_>, spec: &Spec, new: &[Field]) -> Result<()> {
    let plan = Plan::new(&site.workspace.root);
    let read =
        |module| plan.read(format!("crates/{}/src/{module}.rs", spec.name)).map(Option::unwrap_or_default);
    let (model, dto) = (read("model")?, read("dto")?);
    for field in new {
        if let Some(there) = by_hand::clash(spec, field, &model, &dto)? {
            refuse(format!(
                "{there}, which this generator did not write: choose another name for the new field `{}`, or remove the lines that were written by hand",
                field.name
            ))?;
        }
    }
    Ok(())
}

/// The other domains that refer to this one, directly or indirectly: their tests create rows of it.
fn referring(specs: &Specs, name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![name.to_owned()];
    while let Some(target) = open.pop() {
        for spec in specs.values().filter(|spec| refers(spec, &target) && spec.name != name) {
            if found.insert(spec.name.clone()) {
                open.push(spec.name.clone());
            }
        }
    }
    found
}

/// Whether it has a reference to that domain.
pub(super) fn refers(spec: &Spec, target: &str) -> bool {
    spec.fields.iter().any(|field| field.kind == Kind::Ref(target.to_owned()))
}

/// Files of one domain, or their hashes, by their paths.
type Files = BTreeMap<String, String>;

fn by_path(files: Vec<Rendered>) -> Files {
    files.into_iter().map(|file| (file.path.display().to_string(), file.text)).collect()
}

struct Work<'a> {
    site: &'a Site<'a>,
    /// The domains before and after the change.
    before: &'a Specs,
    after: &'a Specs,
    plan: Plan,
    merged: Vec<String>,
    /// The files with conflict markers, with `--merge`.
    conflicts: Option<Vec<String>>,
    stuck: Vec<String>,
}

impl Work<'_> {
    /// Merges the difference between the old and the new domain into its files, and updates the manifest.
    fn renew(&mut self, old: &Manifest) -> Result<Manifest> {
        let (base, theirs) = (self.files(old, self.before)?, self.files(old, self.after)?);
        let spec = self.after.get(&old.spec.name).unwrap_or(&old.spec).clone();
        let files = self.renew_files(&old.files, &base, &theirs)?;
        Ok(Manifest { spec, files, ..old.clone() })
    }

    /// The same of a domain without a table that builds on it, and makes its service.
    fn renew_composition(&mut self, old: &Composition) -> Result<Composition> {
        let files = |specs| Ok::<_, anyhow::Error>(by_path(self.site.render.composition(old, specs)?));
        let (base, theirs) = (files(self.before)?, files(self.after)?);
        Ok(Composition { files: self.renew_files(&old.files, &base, &theirs)?, ..old.clone() })
    }

    /// Merges the difference between two versions of generated files into those of the workspace. The hashes of what was generated
    /// before, and those of what is generated now.
    fn renew_files(&mut self, recorded: &Files, base: &Files, theirs: &Files) -> Result<Files> {
        let mut hashes = recorded.clone();
        for path in base.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
            let ours = self.plan.read(path)?;
            let versions = Versions {
                recorded: recorded.get(path).map(String::as_str),
                base: base.get(path).map(String::as_str),
                ours: ours.as_deref(),
                theirs: theirs.get(path).map(String::as_str),
            };
            let untouched = ours.as_deref().is_some_and(|ours| recorded.get(path) == Some(&hash(ours)));
            self.put(path, merge(versions), theirs.get(path), &mut hashes)?;
            // Nobody edited it, so that what it became is as good as generated.
            if untouched {
                self.merged.retain(|merged| merged != path);
                hashes.extend(self.plan.read(path)?.map(|text| (path.clone(), hash(&text))));
            }
        }
        Ok(hashes)
    }

    /// What is generated for a domain, but for the migration that made its table: that one is never made again.
    fn files(&self, old: &Manifest, specs: &Specs) -> Result<Files> {
        let spec = specs.get(&old.spec.name).unwrap_or(&old.spec);
        let first = old.migrations.first().map(|migration| migration.name.as_str()).unwrap_or_default();
        let mut files = by_path(self.site.render.domain(spec, specs, first)?);
        files.remove(&module(first));
        Ok(files)
    }

    fn put(
        &mut self,
        path: &str,
        outcome: Outcome,
        theirs: Option<&String>,
        hashes: &mut Files,
    ) -> Result<()> {
        let text = match outcome {
            Outcome::Keep => return Ok(()),
            Outcome::Stuck(why) => {
                self.stuck.push(format!("{path} {why}"));
                return Ok(());
            }
            Outcome::Delete => {
                hashes.remove(path);
                return self.plan.delete(path);
            }
            Outcome::Conflict(marked, why) => {
                if let Some(conflicts) = &mut self.conflicts {
                    conflicts.push(path.to_owned());
                    marked
                } else {
                    self.stuck.push(format!("{path} {why}"));
                    return Ok(());
                }
            }
            Outcome::Take => theirs.cloned().unwrap_or_default(),
            Outcome::Merged(text) => {
                let Some(text) = self.formatted(path, text) else { return Ok(()) };
                self.merged.push(path.to_owned());
                text
            }
        };
        hashes.extend(theirs.map(|theirs| (path.to_owned(), hash(theirs))));
        self.plan.write(path, text)
    }

    /// Formats a merged file, because merged lines may not be formatted as `cargo fmt` does.
    fn formatted(&mut self, path: &str, text: String) -> Option<String> {
        if Path::new(path).extension().is_none_or(|extension| extension != "rs") {
            return Some(text);
        }
        let rustfmt = Invocation::new("rustfmt").args(["--edition", "2024"]).input(text);
        let formatted = rustfmt.current_dir(&self.site.workspace.root).capture();
        if formatted.is_err() {
            self.stuck.push(format!("{path} was edited, and is not valid Rust with the new lines"));
        }
        formatted.ok()
    }

    /// The migration that adds the fields to the table.
    fn migrate(&mut self, manifest: &mut Manifest, new: &[Field], survey: &Survey) -> Result<()> {
        let name = migrations::next(&survey.migrations, &self.site.now, &what(&manifest.spec, new))?;
        let file = self.site.render.added_fields(&manifest.spec, new, self.after, &name)?;
        self.plan.create(&file.path, &file.text)?;
        manifest.files.insert(file.path.display().to_string(), hash(&file.text));
        self.plan.edit(MIGRATIONS, |text| lists::add(text, "migrations", &name))?;
        let fields = new.iter().map(|field| field.name.clone()).collect();
        manifest.migrations.push(Migration { name, fields });
        Ok(())
    }

    fn finish(self) -> Result<Draft> {
        if self.stuck.is_empty() {
            let conflicts = self.conflicts.unwrap_or_default();
            return Ok(Draft { plan: self.plan, merged: self.merged, conflicts });
        }
        bail!(
            "nothing was written, because of conflicts with edits:\n- {}\nRun this again with --merge to write both with conflict markers, or restore the generated files (`git show` prints them), run this again, and apply your edits again",
            self.stuck.join("\n- ")
        )
    }
}

/// The file of a migration.
pub(super) fn module(migration: &str) -> String {
    format!("migration/src/{migration}.rs")
}

/// The name of the migration, without its prefix.
fn what(spec: &Spec, new: &[Field]) -> String {
    let first = new.first().map(Field::column).unwrap_or_default();
    match new.len() {
        1 => format!("add_{first}_to_{}", spec.plural),
        count => format!("add_{first}_and_{}_more_to_{}", count - 1, spec.plural),
    }
}
