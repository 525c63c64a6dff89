//! Renders the templates and formats the result.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::composition::Composition;
use super::grammar;
use super::imports;
use super::job::JobView;
use super::plan::lines;
use super::spec::{Field, Spec};
use super::view::{self, Specs};

/// A rendered file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// Its path, relative to the root of the workspace.
    pub(crate) path: PathBuf,
    /// Its text.
    pub(crate) text: String,
}

macro_rules! template {
    ($name:literal) => {
        ($name, include_str!(concat!("../../templates/", $name, ".jinja")))
    };
}

const TEMPLATES: [(&str, &str); 28] = [
    template!("domain/crate/Cargo.toml"),
    template!("domain/crate/src/lib.rs"),
    template!("domain/crate/src/dto.rs"),
    template!("domain/crate/src/error.rs"),
    template!("domain/crate/src/event.rs"),
    template!("domain/crate/src/model.rs"),
    template!("domain/crate/src/repository.rs"),
    template!("domain/crate/src/service.rs"),
    template!("domain/crate/tests/it/main.rs"),
    template!("domain/crate/tests/it/resource.rs"),
    template!("domain/router.rs"),
    template!("domain/black_box.rs"),
    template!("domain/page.md"),
    template!("domain/migration.rs"),
    template!("migration/add_fields.rs"),
    template!("composition/crate/Cargo.toml"),
    template!("composition/crate/src/lib.rs"),
    template!("composition/crate/src/dto.rs"),
    template!("composition/crate/src/error.rs"),
    template!("composition/crate/src/event.rs"),
    template!("composition/crate/src/model.rs"),
    template!("composition/crate/src/repository.rs"),
    template!("composition/crate/src/service.rs"),
    template!("composition/crate/tests/it.rs"),
    template!("composition/router.rs"),
    template!("composition/black_box.rs"),
    template!("job/mod.rs"),
    template!("job/job.rs"),
];

/// All files of a domain except `domain.toml`. `migration` is the module of the migration that creates its table.
///
/// # Errors
///
/// rustfmt is not installed, or the output of a template is not valid Rust, which is an error in the template.
pub(crate) fn domain(root: &Path, spec: &Spec, specs: &Specs, migration: &str) -> Result<Vec<Rendered>> {
    let view = view::view(spec, specs);
    let name = &spec.name;
    let in_crate = |file: &str| (format!("domain/crate/{file}"), format!("crates/{name}/{file}"));
    let files = [
        in_crate("Cargo.toml"),
        in_crate("src/lib.rs"),
        in_crate("src/dto.rs"),
        in_crate("src/error.rs"),
        in_crate("src/event.rs"),
        in_crate("src/model.rs"),
        in_crate("src/repository.rs"),
        in_crate("src/service.rs"),
        in_crate("tests/it/main.rs"),
        in_crate("tests/it/resource.rs"),
        ("domain/router.rs".to_owned(), format!("crates/server/src/routers/{name}.rs")),
        ("domain/black_box.rs".to_owned(), format!("tests/tests/it/domains/{name}.rs")),
        ("domain/page.md".to_owned(), format!("docs/domains/{name}.md")),
        ("domain/migration.rs".to_owned(), format!("migration/src/{migration}.rs")),
    ];
    let templates = templates()?;
    files.iter().map(|(template, path)| rendered(&templates, root, template, path, &view)).collect()
}

/// All files of a domain without a table except `domain.toml`.
///
/// # Errors
///
/// As [`domain`].
pub(crate) fn composition(root: &Path, composition: &Composition, specs: &Specs) -> Result<Vec<Rendered>> {
    let view = view::composition(composition, specs);
    let name = &composition.name;
    let in_crate = |file: &str| (format!("composition/crate/{file}"), format!("crates/{name}/{file}"));
    let files = [
        in_crate("Cargo.toml"),
        in_crate("src/lib.rs"),
        in_crate("src/dto.rs"),
        in_crate("src/error.rs"),
        in_crate("src/event.rs"),
        in_crate("src/model.rs"),
        in_crate("src/repository.rs"),
        in_crate("src/service.rs"),
        in_crate("tests/it.rs"),
        ("composition/router.rs".to_owned(), format!("crates/server/src/routers/{name}.rs")),
        ("composition/black_box.rs".to_owned(), format!("tests/tests/it/domains/{name}.rs")),
    ];
    let templates = templates()?;
    files.iter().map(|(template, path)| rendered(&templates, root, template, path, &view)).collect()
}

/// The migration that adds fields to the table of a domain. `spec` already contains them.
///
/// # Errors
///
/// As [`domain`].
pub(crate) fn added_fields(
    root: &Path,
    spec: &Spec,
    new: &[Field],
    specs: &Specs,
    migration: &str,
) -> Result<Rendered> {
    let path = format!("migration/src/{migration}.rs");
    rendered(&templates()?, root, "migration/add_fields.rs", &path, &view::added(spec, new, specs))
}

/// The file of a job, and the module that lists the jobs of its domain, with this job alone.
///
/// # Errors
///
/// As [`domain`].
pub(crate) fn job(root: &Path, job: &JobView) -> Result<[Rendered; 2]> {
    let (templates, folder) = (templates()?, job.folder());
    Ok([
        rendered(&templates, root, "job/job.rs", &format!("{folder}/{}.rs", job.name()), job)?,
        rendered(&templates, root, "job/mod.rs", &format!("{folder}/mod.rs"), job)?,
    ])
}

/// The permissions, in a sentence.
pub(crate) fn access(spec: &Spec) -> String {
    view::access(spec)
}

/// A domain with one field of each type, as a sample of generated domains for comparisons.
///
/// # Errors
///
/// As [`domain`].
pub(crate) fn probe(root: &Path) -> Result<Vec<Rendered>> {
    const FIELDS: [&str; 16] = [
        "string:sort:search",
        "text",
        "bool",
        "int",
        "bigint",
        "decimal=5,2",
        "float",
        "date",
        "timestamp",
        "uuid",
        "json",
        "email",
        "url",
        "enum=a",
        "upload:optional",
        "ref=user:owner",
    ];
    let field = |(number, kind): (usize, &&str)| grammar::parse(&format!("f{number}:{kind}"));
    let spec = Spec {
        name: PROBE.to_owned(),
        plural: format!("{PROBE}s"),
        prefix: "zzz".to_owned(),
        public_read: false,
        admin_only: false,
        events: true,
        fields: FIELDS.iter().enumerate().map(field).collect::<Result<_, _>>()?,
    };
    domain(root, &spec, &Specs::from([(PROBE.to_owned(), spec.clone())]), "m00000000_000000_probe")
}

const PROBE: &str = "zzprobe";

/// The types that generated code imports, which types of domains must not be named like.
///
/// # Errors
///
/// As [`domain`].
pub(crate) fn reserved_types(root: &Path) -> Result<BTreeSet<String>> {
    let mut names: BTreeSet<String> = PRELUDE.map(str::to_owned).into();
    for file in
        probe(root)?.iter().filter(|file| file.path.extension().is_some_and(|extension| extension == "rs"))
    {
        names.extend(imports::imported(&file.text)?);
    }
    for prelude in PRELUDES {
        let text = fs::read_to_string(root.join(prelude)).with_context(|| format!("can't read {prelude}"))?;
        names.extend(imports::imported(&text)?);
    }
    names.retain(|name| {
        name.starts_with(|letter: char| letter.is_ascii_uppercase()) && !name.contains("Zzprobe")
    });
    Ok(names)
}

/// The modules that generated code imports by `*`.
const PRELUDES: [&str; 2] = ["crates/shared-kernel/src/prelude.rs", "crates/http-kit/src/prelude.rs"];

/// Names without an import: the types and traits of the standard library's prelude that generated code uses, and those of sea-orm's
/// prelude in the model.
const PRELUDE: [&str; 24] = [
    "ActiveModel",
    "ActiveModelBehavior",
    "AsRef",
    "Box",
    "Clone",
    "Column",
    "Copy",
    "Debug",
    "Default",
    "Entity",
    "Eq",
    "From",
    "Into",
    "Iterator",
    "Model",
    "Option",
    "PartialEq",
    "PrimaryKey",
    "Relation",
    "Result",
    "Self",
    "String",
    "ToString",
    "Vec",
];

fn templates() -> Result<Environment<'static>> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    for (name, text) in TEMPLATES {
        templates.add_template(name, text).with_context(|| format!("the template {name}"))?;
    }
    Ok(templates)
}

fn rendered(
    templates: &Environment<'_>,
    root: &Path,
    template: &str,
    path: &str,
    view: &impl Serialize,
) -> Result<Rendered> {
    let text = templates
        .get_template(template)?
        .render(Serde(view))
        .with_context(|| format!("the template {template}"))?;
    // In a checkout, the templates may have other line endings.
    let text = lines(&format!("{}\n", text.trim_end()));
    let is_rust = Path::new(path).extension().is_some_and(|extension| extension == "rs");
    let text = if is_rust {
        let pruned = imports::prune(&text)
            .with_context(|| format!("the output of the template {template} is not valid Rust:\n{text}"))?;
        formatted(root, &pruned).with_context(|| format!("the template {template}"))?
    } else {
        text
    };
    Ok(Rendered { path: path.into(), text })
}

/// Formats a text as `cargo fmt` does.
fn formatted(root: &Path, text: &str) -> Result<String> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root.join("rustfmt.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("rustfmt is not installed: run `rustup component add rustfmt`")?;
    if let Some(mut input) = rustfmt.stdin.take() {
        input.write_all(text.as_bytes()).context("can't write to rustfmt")?;
    }
    let output = rustfmt.wait_with_output().context("rustfmt did not end")?;
    if !output.status.success() {
        bail!("rustfmt rejects the generated code: {}\n{text}", String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).context("the output of rustfmt is not UTF-8")
}
