//! The commands on a small workspace of their own, with templates that are easy to follow. Cargo is real.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::domain::manifest::{Manifest, hash};
use crate::domain::refusal::Refusal;

const ROOT: &str = "\
[workspace]
resolver = \"3\"
members = [\"crates/*\", \"migration\"]

[workspace.dependencies]
# The fixture.
user = { path = \"crates/user\" }
server = { path = \"crates/server\" }
migration = { path = \"migration\" }

# Others.
";

const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", ROOT),
    (
        "crates/user/Cargo.toml",
        "[package]\nname = \"user\"\ndescription = \"Accounts.\"\nedition = \"2024\"\n",
    ),
    ("crates/upload-port/Cargo.toml", "[package]\nname = \"upload-port\"\nedition = \"2024\"\n"),
    ("crates/upload-port/src/lib.rs", "//! Ids.\n"),
    ("crates/user/src/lib.rs", "impl IdKind for User {\n    const PREFIX: &'static str = \"abc\";\n}\n"),
    (
        "crates/server/Cargo.toml",
        "[package]\nname = \"server\"\nedition = \"2024\"\n\n[dependencies]\nuser.workspace = true\n",
    ),
    ("crates/server/src/lib.rs", "//! The server.\nmod routers;\n"),
    (
        "crates/server/src/routers/mod.rs",
        "macro_rules! domains {\n    () => {};\n}\n\ndomains! { auth, user }\n",
    ),
    ("migration/Cargo.toml", "[package]\nname = \"migration\"\nedition = \"2024\"\n"),
    ("migration/RELEASED", "# Why.\nnone\n"),
    ("migration/src/lib.rs", "migrations! {\n    m20261120_000001_create_users,\n}\n"),
    ("migration/src/m20261120_000001_create_users.rs", "fn up() { resource(\"users\") }\n"),
];

/// A workspace in a folder of its own.
struct Fixture {
    _folder: TempDir,
    workspace: Workspace,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let fixture = Self { workspace: Workspace { target: root.join("target"), root }, _folder: folder };
        for (path, text) in FILES {
            fixture.write(path, text);
        }
        lock(&fixture.workspace).unwrap();
        fixture.list_write();
        fixture
    }

    fn list_write(&self) {
        let survey = Survey::of(&self.workspace.root).unwrap();
        let mut plan = Plan::new(&self.workspace.root);
        write_catalogue(&mut plan, &survey, &survey.specs()).unwrap();
        plan.apply().unwrap();
    }

    fn path(&self, path: &str) -> PathBuf {
        self.workspace.root.join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} has no {from}:\n{text}");
        self.write(path, &text.replace(from, to));
    }

    /// Every file and folder.
    fn tree(&self) -> BTreeMap<PathBuf, Option<String>> {
        fn below(folder: &Path, found: &mut BTreeMap<PathBuf, Option<String>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    found.insert(path.clone(), None);
                    below(&path, found);
                } else {
                    found.insert(path.clone(), Some(fs::read_to_string(&path).unwrap()));
                }
            }
        }
        let mut found = BTreeMap::new();
        below(&self.workspace.root, &mut found);
        found
    }

    fn manifest(&self, name: &str) -> Manifest {
        Manifest::parse(&self.read(&format!("crates/{name}/domain.toml"))).unwrap()
    }

    fn on_site<T>(&self, age: u32, work: impl FnOnce(&Site<'_>) -> T) -> T {
        work(&Site { workspace: &self.workspace, render: &Simple { age }, now: "20261121_000001".to_owned() })
    }

    fn carry_out(&self, plan: &Plan) {
        assert!(carry_out(&self.workspace, plan, How { dry_run: false, no_openapi: true }).unwrap());
    }

    fn new_domain(&self, line: &[&str]) -> Result<()> {
        let options = parsed::<new_domain::Options>(line);
        let plan = self.on_site(1, |site| {
            if options.on.is_empty() {
                new_domain::draft(site, &options).map(|(plan, _)| plan)
            } else {
                compose::draft(site, &options.request())
            }
        })?;
        self.carry_out(&plan);
        Ok(())
    }

    /// The files with edits in them, by templates of that age.
    fn add_field(&self, age: u32, line: &[&str]) -> Result<Vec<String>> {
        let options = parsed::<add_field::Options>(line);
        let draft = self.on_site(age, |site| add_field::draft(site, &options))?;
        self.carry_out(&draft.plan);
        Ok(draft.merged)
    }

    fn remove_domain(&self, line: &[&str]) -> Result<()> {
        let draft = remove_domain::draft(&self.workspace, &parsed::<remove_domain::Options>(line))?;
        self.carry_out(&draft.plan);
        Ok(())
    }
}

/// As clap would read it.
fn parsed<T: Args>(line: &[&str]) -> T {
    let command = T::augment_args(clap::Command::new("test"));
    T::from_arg_matches(&command.get_matches_from(std::iter::once(&"test").chain(line))).unwrap()
}

fn told<T: std::fmt::Debug>(result: Result<T>) -> (String, bool) {
    let error = result.unwrap_err();
    (format!("{error:#}"), error.is::<Refusal>())
}

/// Templates of an age: from 2 on they begin their files otherwise.
struct Simple {
    age: u32,
}

impl Simple {
    fn code(&self, spec: &Spec) -> String {
        let mut code = format!("//! Made {}.\n\nfn first() {{}}\n\n", self.age);
        for field in &spec.fields {
            code.extend(["const ", &field.column().to_uppercase(), ": u8 = 1;\n"]);
        }
        code + "\nfn last() {}\n"
    }

    /// What the tests of a domain know of those that it refers to.
    fn tests(spec: &Spec, specs: &Specs) -> String {
        let mut code = "//! Tests.\n".to_owned();
        let others = specs.values().filter(|target| target.name != spec.name);
        for target in others.filter(|target| add_field::refers(spec, &target.name)) {
            code.extend(["// ", &target.name, " ", &target.fields.len().to_string(), "\n"]);
            code.push_str(&Self::tests(target, specs));
        }
        code
    }
}

impl Render for Simple {
    fn domain(&self, spec: &Spec, specs: &Specs, migration: &str) -> Result<Vec<Rendered>> {
        let name = &spec.name;
        let file = |path: String, text: String| Rendered { path: path.into(), text };
        let manifest = format!(
            "[package]\nname = \"{name}\"\ndescription = \"{} of ours.\"\nedition = \"2024\"\n",
            spec.plural
        );
        let mut files = vec![
            file(format!("crates/{name}/Cargo.toml"), manifest),
            file(format!("crates/{name}/src/lib.rs"), self.code(spec)),
            file(format!("crates/{name}/tests/it/main.rs"), Self::tests(spec, specs)),
            file(format!("crates/server/src/routers/{name}.rs"), "//! Routes.\n".to_owned()),
            file(format!("docs/domains/{name}.md"), format!("# {name}\n")),
            file(
                format!("migration/src/{migration}.rs"),
                format!("fn up() {{ resource(\"{}\", {}) }}\n", spec.plural, spec.fields.len()),
            ),
        ];
        if spec.fields.iter().any(|field| field.search) {
            files.push(file(format!("crates/{name}/src/search.rs"), "//! Search.\n".to_owned()));
        }
        Ok(files)
    }

    fn composition(&self, composition: &Composition, specs: &Specs) -> Result<Vec<Rendered>> {
        let name = &composition.name;
        let file = |path: String, text: String| Rendered { path: path.into(), text };
        let uses: Vec<String> = composition.on.iter().map(|on| format!("{on}.workspace = true\n")).collect();
        let uses = uses.concat();
        let manifest = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n\n[dependencies]\n{uses}");
        let files = composition.on.iter().filter_map(|on| specs.get(on)).any(Spec::has_files);
        let start = if files { "fn start(files: Files) {}" } else { "fn start() {}" };
        Ok(vec![
            file(format!("crates/{name}/Cargo.toml"), manifest),
            file(format!("crates/{name}/src/lib.rs"), "//! Rules.\n".to_owned()),
            file(
                format!("crates/server/src/routers/{name}.rs"),
                format!("{start}\n\nfn stop() {{}}\n\nfn configure() {{}}\n"),
            ),
        ])
    }

    fn added_fields(&self, spec: &Spec, new: &[Field], _specs: &Specs, migration: &str) -> Result<Rendered> {
        let text = format!("fn up() {{ add(\"{}\", {}) }}\n", spec.plural, new.len());
        Ok(Rendered { path: format!("migration/src/{migration}.rs").into(), text })
    }

    fn job(&self, job: &JobView) -> Result<[Rendered; 2]> {
        let file =
            |name: &str, text: String| Rendered { path: format!("{}/{name}.rs", job.folder()).into(), text };
        let kind = format!("//! {job:?}\n");
        Ok([file(job.name(), kind), file("mod", format!("jobs! {{ {} }}\n", job.name()))])
    }

    fn reserved_types(&self) -> Result<BTreeSet<String>> {
        Ok(["Page".to_owned()].into())
    }
}

const POST: [&str; 3] = ["post", "title:string:1..200", "author:ref=user:owner"];
const CODE: &str = "crates/post/src/lib.rs";
const CREATED: &str = "m20261121_000001_create_posts";

#[test]
fn a_domain_is_made() {
    let fixture = Fixture::new();
    fixture.new_domain(&POST).unwrap();
    assert!(
        fixture
            .read("Cargo.toml")
            .contains("migration = { path = \"migration\" }\npost = { path = \"crates/post\" }\n\n# Others")
    );
    assert!(
        fixture
            .read("crates/server/Cargo.toml")
            .ends_with("[dependencies]\npost.workspace = true\nuser.workspace = true\n")
    );
    assert!(fixture.read("crates/server/src/routers/mod.rs").ends_with("domains! { auth, user, post }\n"));
    assert_eq!(
        fixture.read("migration/src/lib.rs"),
        format!("migrations! {{\n    m20261120_000001_create_users,\n    {CREATED},\n}}\n")
    );
    assert!(fixture.read("docs/domains/README.md").ends_with(
        "| [post](post.md) | posts of ours. | `/api/v1/posts` | `pst_…` | by `new-domain` |\n\
         | [user](../../crates/user/src/lib.rs) | Accounts. | | | by hand |\n"
    ));
    assert!(fixture.read("Cargo.lock").contains("name = \"post\""));
    let manifest = fixture.manifest("post");
    assert_eq!((manifest.spec.plural.as_str(), manifest.spec.prefix.as_str()), ("posts", "pst"));
    assert_eq!(manifest.files.len(), 6);
    assert_eq!(manifest.files[CODE], hash(&fixture.read(CODE)));
    assert_eq!(manifest.migrations.len(), 1);
    assert!(fixture.path(&add_field::module(CREATED)).is_file());
}

#[test]
fn removed_it_leaves_nothing_behind() {
    let fixture = Fixture::new();
    let empty = fixture.tree();
    fixture.new_domain(&POST).unwrap();
    let one = fixture.tree();
    fixture.new_domain(&["comment", "post:ref=post", "body:text", "--public-read", "--shared"]).unwrap();
    fixture.add_field(1, &["post", "pinned:bool=false", "cover:upload:optional"]).unwrap();
    assert_eq!(fixture.read("migration/src/lib.rs").lines().count(), 6);
    fixture.remove_domain(&["comment"]).unwrap();
    fixture.remove_domain(&["post"]).unwrap();
    assert_eq!(fixture.tree(), empty);
    fixture.new_domain(&POST).unwrap();
    assert_eq!(fixture.tree(), one);
}

#[test]
fn a_domain_that_was_removed_and_made_again_has_another_migration() {
    let fixture = Fixture::new();
    fixture.new_domain(&POST).unwrap();
    let removed = remove_domain::draft(&fixture.workspace, &parsed(&["post"])).unwrap();
    assert!(
        removed.databases.contains(&format!("A database in which `{CREATED}` ran")),
        "{}",
        removed.databases
    );
    assert!(removed.databases.contains("migrate down --steps 1`"), "{}", removed.databases);
    fixture.carry_out(&removed.plan);
    let options = parsed::<new_domain::Options>(&POST);
    let later =
        Site { workspace: &fixture.workspace, render: &Simple { age: 1 }, now: "20261121_000042".to_owned() };
    let (plan, _) = new_domain::draft(&later, &options).unwrap();
    fixture.carry_out(&plan);
    assert_eq!(fixture.manifest("post").migrations[0].name, "m20261121_000042_create_posts");
}

/// As git for Windows checks out where nothing tells it otherwise.
#[test]
fn a_checkout_with_other_line_ends_is_no_edit() {
    let fixture = Fixture::new();
    fixture.new_domain(&POST).unwrap();
    for (path, text) in fixture.tree() {
        let Some(text) = text else { continue };
        let ours = path.starts_with(fixture.path("crates")) || path.starts_with(fixture.path("migration"));
        if ours || path.extension().is_some_and(|extension| extension == "toml" || extension == "md") {
            fs::write(path, text.replace('\n', "\r\n")).unwrap();
        }
    }
    let survey = Survey::of(&fixture.workspace.root).unwrap();
    let listing = list::listing(&Plan::new(&fixture.workspace.root), &survey).unwrap();
    assert!(listing.contains("edited      nothing"), "{listing}");
    assert!(fixture.add_field(1, &["post", "pinned:bool=false"]).unwrap().is_empty());
    let code = fixture.read(CODE);
    assert!(code.contains("const PINNED: u8 = 1;\r\n"), "{code:?}");
    assert_eq!(code.matches('\n').count(), code.matches("\r\n").count(), "{code:?}");
    fixture.remove_domain(&["post"]).unwrap();
    assert!(!fixture.path("crates/post").exists());
}

#[test]
fn a_field_that_was_written_by_hand_is_refused() {
    let fixture = Fixture::new();
    fixture.new_domain(&POST).unwrap();
    fixture
        .write("crates/post/src/model.rs", "pub struct Model {\n    pub edited_at: Option<Timestamp>,\n}\n");
    let before = fixture.tree();
    let (told, refused) = told(fixture.add_field(1, &["post", "edited_at:timestamp:optional"]));
    assert!(
        refused && told.starts_with("`Model` in crates/post/src/model.rs already has `edited_at`"),
        "{told}"
    );
    assert_eq!(fixture.tree(), before);
    fixture.add_field(1, &["post", "seen_at:timestamp:optional"]).unwrap();
}

#[test]
fn rows_that_every_user_may_change_are_asked_for_in_so_many_words() {
    let fixture = Fixture::new();
    let before = fixture.tree();
    let (open, refused) = told(fixture.new_domain(&["note", "title:string"]));
    assert!(open.starts_with("every signed-in user could change and delete all notes") && refused, "{open}");
    let (owned, refused) =
        told(fixture.new_domain(&["note", "author:ref=user:owner", "title:string", "--shared"]));
    assert!(owned.starts_with("`--shared` has no effect on notes") && refused, "{owned}");
    assert_eq!(fixture.tree(), before);
    fixture.new_domain(&["note", "title:string", "--shared"]).unwrap();
}

#[test]
fn what_may_not_be_meant_is_printed_with_the_changes() {
    let fixture = Fixture::new();
    fixture.new_domain(&["diary", "title:string", "author:ref=user:owner"]).unwrap();
    let warned = |arguments: &[&str]| {
        let options = parsed::<new_domain::Options>(arguments);
        let (plan, _) = fixture.on_site(1, |site| new_domain::draft(site, &options)).unwrap();
        let warning =
            plan.to_string().split_once("\nwarning: ").map(|(_, warning)| warning.trim().to_owned());
        warning.unwrap_or_default()
    };
    let owner = "author:ref=user:owner";
    assert_eq!(
        warned(&["note", "diary:ref=diary", owner, "--public-read"]),
        "everyone can read notes, and only its owner can read the diary in `diary_id`: whoever reads a note learns the id of a diary \
         that they can't read. If notes should be as private as that, leave out `--public-read`"
    );
    let shared = warned(&["note", "diary:ref=diary", "--shared"]);
    assert!(
        shared.starts_with("all signed-in users can read notes") && shared.contains("give them an owner"),
        "{shared}"
    );
    assert_eq!(warned(&["note", "diary:ref=diary", owner]), "");
    assert_eq!(warned(&["note", "diary:ref=diary", "--admin-only"]), "");
    let answers = ["note", "diary:ref=diary", "parent:ref=note:optional", owner];
    assert_eq!(
        warned(&answers),
        "the note in `parent_id` may have another `diary_id` than the row itself. If that would be wrong, write \
         `parent:ref=note:optional:within=diary`"
    );
    assert_eq!(warned(&["note", "diary:ref=diary", "parent:ref=note:optional:within=diary", owner]), "");
    assert_eq!(warned(&["note", "title:string", "parent:ref=note:optional", owner]), "");

    fixture.new_domain(&["note", "diary:ref=diary", owner]).unwrap();
    let options = parsed::<add_field::Options>(&["note", "parent:ref=note:optional"]);
    let draft = fixture.on_site(2, |site| add_field::draft(site, &options)).unwrap();
    assert!(draft.plan.to_string().contains("`parent:ref=note:optional:within=diary`"), "{}", draft.plan);
}

#[test]
fn a_dry_run_writes_nothing() {
    let fixture = Fixture::new();
    let before = fixture.tree();
    let options = parsed::<new_domain::Options>(&POST);
    let (plan, _) = fixture.on_site(1, |site| new_domain::draft(site, &options)).unwrap();
    assert!(!carry_out(&fixture.workspace, &plan, How { dry_run: true, no_openapi: true }).unwrap());
    assert_eq!(fixture.tree(), before);
}

#[test]
fn what_breaks_a_rule_is_refused_before_anything_is_written() {
    let fixture = Fixture::new();
    fixture.new_domain(&POST).unwrap();
    let before = fixture.tree();
    let refusals: &[(&[&str], &str)] = &[
        (&["post", "a:int"], "there is a domain `post` already"),
        (&["user", "a:int"], "`user` is the name of a folder in crates/"),
        (&["routers", "a:int"], "`routers` is a reserved name"),
        (&["thing"], "a domain has at least one field"),
        (&["page", "a:int"], "a domain `page` would have a type `Page`"),
        (&["thing", "a:strng"], "in the field `a:strng`, there is no type `strng`"),
        (&["thing", "a:int", "a:int"], "there are two fields `a`"),
        (&["thing", "a:ref=user:owner", "b:ref=user:owner"], "a row has only one owner"),
        (
            &["thing", "a:ref=stuff"],
            "the field `a` can't refer to `stuff`: write one of user, post, or generate that domain first",
        ),
        (&["thing", "a:int", "--prefix", "pst"], "the prefix `pst` is in use"),
        (&["thing", "a:int", "--prefix", "abc"], "the prefix `abc` is in use"),
        (&["things", "a:int"], "`things` is a plural, and the name of a domain is a singular: write `thing`"),
        (&["thing", "a:int", "--plural", "posts"], "there already is a table or a route `posts`"),
        (&["thing", "a:int", "--plural", "users"], "there already is a table or a route `users`"),
        (&["thing", "a:int", "--plural", "Things"], "`Things` is not a valid name"),
    ];
    for (line, sentence) in refusals {
        let outcome = fixture.new_domain(line);
        assert!(outcome.is_err(), "{line:?}");
        let (told, refused) = told(outcome);
        assert!(told.starts_with(sentence) && refused, "{line:?}: {told}");
    }
    let is_refused = |line: &[&str]| told(fixture.add_field(1, line));
    assert_eq!(
        is_refused(&["nothing", "a:int"]),
        ("there is no domain `nothing`: write one of post".to_owned(), true)
    );
    assert!(is_refused(&["post"]).0.starts_with("there is nothing to add: write a field"));
    assert!(is_refused(&["user", "a:int"]).0.starts_with("`user` was written by hand"));
    assert!(is_refused(&["post", "a:int"]).0.starts_with("existing rows have no `a`"));
    assert!(is_refused(&["post", "title:int:optional"]).0.starts_with("there are two fields `title`"));
    assert_eq!(fixture.tree(), before);
}

#[test]
fn nothing_is_overwritten() {
    let fixture = Fixture::new();
    fixture.write("docs/domains/post.md", "# Mine\n");
    let before = fixture.tree();
    let (told, refused) = told(fixture.new_domain(&POST));
    assert_eq!(
        told,
        "docs/domains/post.md already exists, and no file is overwritten: choose another name for the domain, or move the file away"
    );
    assert!(refused);
    fs::create_dir(fixture.path("crates/post")).unwrap();
    fs::remove_file(fixture.path("docs/domains/post.md")).unwrap();
    fixture.new_domain(&POST).unwrap();
    assert!(before.contains_key(&fixture.path("docs/domains/post.md")));
}

#[test]
fn a_field_is_added_to_what_nobody_edited() {
    let fixture = Fixture::new();
    fixture.new_domain(&POST).unwrap();
    let merged =
        fixture.add_field(2, &["post", "subtitle:string:optional:search", "stars:int:default=0"]).unwrap();
    assert!(merged.is_empty());
    assert!(
        fixture
            .read(CODE)
            .contains("const AUTHOR_ID: u8 = 1;\nconst SUBTITLE: u8 = 1;\nconst STARS: u8 = 1;\n")
    );
    let manifest = fixture.manifest("post");
    let fields: Vec<String> = manifest.spec.fields.iter().map(ToString::to_string).collect();
    assert_eq!(fields[2..], ["subtitle:string:optional:search", "stars:int:default=0"]);
    let added = &manifest.migrations[1];
    assert_eq!(added.name, "m20261121_000002_add_subtitle_and_1_more_to_posts");
    assert_eq!(added.fields, ["subtitle", "stars"]);
    assert!(fixture.read("migration/src/lib.rs").ends_with(&format!("    {},\n}}\n", added.name)));
    assert_eq!(fixture.read(&add_field::module(&added.name)), "fn up() { add(\"posts\", 2) }\n");
    assert_eq!(
        fixture.read(&add_field::module(CREATED)),
        "fn up() { resource(\"posts\", 2) }\n",
        "never made again"
    );
    assert_eq!(manifest.files["crates/post/src/search.rs"], hash("//! Search.\n"));
    for (path, recorded) in &manifest.files {
        assert_eq!(*recorded, hash(&fixture.read(path)), "{path}");
    }
    fixture.add_field(2, &["post", "third:int:optional"]).unwrap();
    assert_eq!(fixture.manifest("post").migrations[2].name, "m20261121_000003_add_third_to_posts");
}

#[test]
fn a_field_is_added_beside_edits() {
    let fixture = Fixture::new();
    fixture.new_domain(&POST).unwrap();
    fixture.edit(CODE, "fn last() {}", "fn last() { 1+1; }");
    fixture.edit("docs/domains/post.md", "# post", "# Posts");
    assert_eq!(fixture.add_field(1, &["post", "a:int:optional"]).unwrap(), [CODE]);
    let code = fixture.read(CODE);
    assert!(code.contains("const A: u8 = 1;") && code.contains("    1 + 1;\n"), "{code}");
    assert_eq!(fixture.read("docs/domains/post.md"), "# Posts\n");
    let manifest = fixture.manifest("post");
    assert_ne!(manifest.files[CODE], hash(&code), "what was generated, and not what became of it");
    assert_eq!(manifest.files["docs/domains/post.md"], hash("# post\n"));
    assert_eq!(fixture.add_field(1, &["post", "b:int:optional"]).unwrap(), [CODE]);
    assert!(fixture.read(CODE).contains("const B: u8 = 1;"));
}

#[test]
fn edits_in_the_way_stop_it() {
    let fixture = Fixture::new();
    fixture.new_domain(&POST).unwrap();
    fixture.edit(CODE, "const AUTHOR_ID: u8 = 1;\n", "const AUTHOR_ID: u8 = 1;\nconst MINE: u8 = 1;\n");
    fs::remove_file(fixture.path("crates/post/tests/it/main.rs")).unwrap();
    let before = fixture.tree();
    let (told, refused) = told(fixture.add_field(1, &["post", "a:int:optional"]));
    assert!(
        told.starts_with(&format!(
            "nothing was written, because of conflicts with edits:\n- {CODE} was edited where it needs changes\n"
        )),
        "{told}"
    );
    assert!(!refused, "it ends with 1");
    assert_eq!(fixture.tree(), before);
}

#[test]
fn edits_in_the_way_are_marked_where_that_is_wanted() {
    let fixture = Fixture::new();
    fixture.new_domain(&POST).unwrap();
    fixture.edit(CODE, "const AUTHOR_ID: u8 = 1;\n", "const AUTHOR_ID: u8 = 1;\nconst MINE: u8 = 1;\n");
    let options = parsed::<add_field::Options>(&["post", "a:int:optional", "--merge"]);
    let draft = fixture.on_site(1, |site| add_field::draft(site, &options)).unwrap();
    fixture.carry_out(&draft.plan);
    assert_eq!(draft.conflicts, [CODE]);
    let code = fixture.read(CODE);
    let marked =
        "<<<<<<< ours\nconst MINE: u8 = 1;\n||||||| original\n=======\nconst A: u8 = 1;\n>>>>>>> theirs\n";
    assert!(code.contains(marked), "{code}");
    // What was settled is merged the next time.
    let settled = code
        .lines()
        .filter(|line| !["<", "|", "=", ">"].iter().any(|sign| line.starts_with(&sign.repeat(7))));
    fixture.write(CODE, &settled.fold(String::new(), |text, line| text + line + "\n"));
    fixture.edit(CODE, "const MINE: u8 = 1;\nconst A: u8 = 1;\n", "const A: u8 = 1;\n");
    fixture.edit(CODE, "fn last() {}", "fn last() {}\n\nconst MINE: u8 = 1;\n");
    assert_eq!(fixture.add_field(1, &["post", "b:int:optional"]).unwrap(), [CODE]);
    assert!(fixture.read(CODE).contains("const B: u8 = 1;"));
}

/// The templates of the workspace: where people add a variant, a new unique field does not add its own.
#[test]
fn a_variant_by_hand_and_a_unique_field_go_together() {
    const KERNEL: &str =
        "    /// A field breaks a rule, the client has another version of the row, or the database failed.\n";
    const MINE: &str = "    /// The post is locked.\n    #[error(\"the post is locked\")]\n    #[problem(\n        kind = Conflict,\n        code = \"post_locked\",\n        title = \"The post is locked\",\n        help = \"Nobody may change it.\"\n    )]\n    Locked,\n";
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let rendered = |fields: &[&str], file: &str| {
        let fields = fields.iter().map(|field| crate::domain::grammar::parse(field).unwrap()).collect();
        let spec = Spec {
            name: "post".into(),
            plural: "posts".into(),
            prefix: "pst".into(),
            public_read: false,
            admin_only: false,
            events: true,
            fields,
        };
        let specs = [("post".to_owned(), spec.clone())].into();
        let files = render::domain(root, &spec, &specs, "m20261121_000001_create_posts").unwrap();
        files.into_iter().find(|rendered| rendered.path.ends_with(file)).unwrap().text
    };
    let merged = |file: &str, ours: &dyn Fn(&str) -> String, fields: [&[&str]; 2]| {
        let [base, theirs] = fields.map(|fields| rendered(fields, file));
        let ours = ours(&base);
        assert_ne!(ours, base, "the edit");
        let recorded = hash(&base);
        let versions = crate::domain::merge::Versions {
            recorded: Some(&recorded),
            base: Some(&base),
            ours: Some(&ours),
            theirs: Some(&theirs),
        };
        match crate::domain::merge::merge(versions) {
            crate::domain::merge::Outcome::Merged(text) => text,
            other => panic!("{file}: {other:?}"),
        }
    };
    let before_the_last = |base: &str| base.replace(KERNEL, &format!("{MINE}{KERNEL}"));
    let behind_all =
        |base: &str| base.replace("    Kernel(KernelError),\n", &format!("    Kernel(KernelError),\n{MINE}"));
    let (one, two, three) = (
        ["title:string"],
        ["title:string", "slug:string:unique:optional"],
        ["title:string", "slug:string:unique:optional", "isbn:string:unique:optional"],
    );
    for fields in [[&one[..], &two[..]], [&two[..], &three[..]]] {
        for by_hand in [&before_the_last as &dyn Fn(&str) -> String, &behind_all] {
            let error = merged("crates/post/src/error.rs", by_hand, fields);
            for expected in ["    Locked,\n", "    SlugTaken,\n", "unique = \"posts_slug_key\""] {
                assert!(error.contains(expected), "{expected} is not in\n{error}");
            }
        }
    }
    // The same of the operation that can answer so, and of the fields that the tests know.
    let names_it = |base: &str| {
        base.replacen(
            "        PostError::NOT_FOUND,\n",
            "        PostError::LOCKED,\n        PostError::NOT_FOUND,\n",
            2,
        )
    };
    let router = merged("crates/server/src/routers/post.rs", &names_it, [&one, &two]);
    assert!(
        router.contains(
            "        PostError::LOCKED,\n        PostError::NOT_FOUND,\n        PostError::SLUG_TAKEN,\n"
        ),
        "{router}"
    );
    let own = "        Field::required(\"title\", |number| json!(format!(\"Title {number}\")))\n";
    let without = |base: &str| {
        let start = base.find(own).unwrap();
        let end = start + base[start..].find("        Field::optional(").unwrap();
        format!("{}{}", &base[..start], &base[end..])
    };
    let resource = merged("crates/post/tests/it/resource.rs", &without, [&two, &three]);
    let kept = ["\"slug\"", "\"isbn\""].map(|name| resource.contains(name));
    assert_eq!((kept, resource.contains("\"title\"")), ([true, true], false), "{resource}");
    // And of a column that is not shown any more.
    let hidden = |base: &str| {
        base.replacen("    pub title: String,\n", "    #[shown(skip)]\n    pub title: String,\n", 1)
    };
    let model = merged("crates/post/src/model.rs", &hidden, [&two, &three]);
    assert!(model.contains("#[shown(skip)]") && model.contains("pub isbn: Option<String>"), "{model}");
}

#[test]
fn edits_of_what_older_templates_made_stop_it() {
    let fixture = Fixture::new();
    fixture.new_domain(&POST).unwrap();
    fixture.edit(CODE, "fn last() {}", "fn end() {}");
    let before = fixture.tree();
    let (told, _) = told(fixture.add_field(2, &["post", "a:int:optional"]));
    assert!(told.contains(&format!("- {CODE} was edited, and the templates have changed since")), "{told}");
    assert_eq!(fixture.tree(), before);
}

#[test]
fn edits_that_are_no_rust_stop_it() {
    let fixture = Fixture::new();
    fixture.new_domain(&POST).unwrap();
    fixture.edit(CODE, "fn last() {}", "fn last() {");
    let (told, _) = told(fixture.add_field(1, &["post", "a:int:optional"]));
    assert!(
        told.contains(&format!("- {CODE} was edited, and is not valid Rust with the new lines")),
        "{told}"
    );
}

#[test]
fn those_who_refer_to_it_learn_of_the_field() {
    let fixture = Fixture::new();
    fixture.new_domain(&POST).unwrap();
    fixture.new_domain(&["comment", "post:ref=post", "--shared"]).unwrap();
    fixture.new_domain(&["vote", "comment:ref=comment", "--shared"]).unwrap();
    fixture.new_domain(&["other", "a:int", "--shared"]).unwrap();
    let other = fixture.read("crates/other/domain.toml");
    fixture.add_field(1, &["post", "a:int:optional"]).unwrap();
    for (name, tests) in
        [("comment", "crates/comment/tests/it/main.rs"), ("vote", "crates/vote/tests/it/main.rs")]
    {
        assert!(fixture.read(tests).contains("// post 3\n"), "{name}");
        assert_eq!(fixture.manifest(name).files[tests], hash(&fixture.read(tests)));
        assert_eq!(fixture.manifest(name).migrations.len(), 1);
    }
    assert_eq!(fixture.read("crates/other/domain.toml"), other);
}

#[test]
fn what_others_need_is_not_removed() {
    let fixture = Fixture::new();
    fixture.new_domain(&POST).unwrap();
    fixture.new_domain(&["comment", "post:ref=post", "--shared"]).unwrap();
    for line in [&["post"][..], &["post", "--force"]] {
        let (told, refused) = told(fixture.remove_domain(line));
        assert_eq!(told, "comment refer(s) to `post`: remove the referring domains or fields first");
        assert!(!refused);
    }
    fixture.edit("crates/user/Cargo.toml", "edition", "# x\nedition");
    fixture.write(
        "crates/user/Cargo.toml",
        &format!(
            "{}\n[dev-dependencies]\ncomment.workspace = true\n",
            fixture.read("crates/user/Cargo.toml")
        ),
    );
    let (told, _) = told(fixture.remove_domain(&["comment", "--force"]));
    assert!(told.starts_with("crates/user/Cargo.toml depends on `comment`"), "{told}");
}

#[test]
fn a_domain_without_a_table_comes_and_goes() {
    let fixture = Fixture::new();
    fixture.new_domain(&POST).unwrap();
    let before = fixture.tree();
    fixture.new_domain(&["review", "--on", "post"]).unwrap();
    assert!(fixture.read("crates/server/src/routers/mod.rs").contains("review"));
    assert!(fixture.read("docs/domains/README.md").contains("by `new-domain` |\n| [user]"));
    let survey = Survey::of(&fixture.workspace.root).unwrap();
    let listing = list::listing(&Plan::new(&fixture.workspace.root), &survey).unwrap();
    let listed = "review: generated\n  cargo xtask new-domain review --on post\n  routes      /api/v1/reviews\n  edited      nothing\n";
    assert!(listing.contains(listed), "{listing}");
    let (kept, _) = told(fixture.remove_domain(&["post"]));
    assert!(kept.starts_with("crates/review/Cargo.toml depends on `post`"), "{kept}");
    let (no_table, refused) = told(fixture.add_field(1, &["review", "a:int:optional"]));
    assert!(no_table.starts_with("`review` has no table") && refused, "{no_table}");
    fixture.write("crates/review/src/more.rs", "//! More.\n");
    let (lost, _) = told(fixture.remove_domain(&["review"]));
    assert!(
        lost.starts_with("these changes would be lost:\n- crates/review/src/more.rs was not generated"),
        "{lost}"
    );
    fixture.remove_domain(&["review", "--force"]).unwrap();
    assert_eq!(fixture.tree(), before);
}

#[test]
fn what_builds_on_a_domain_is_told_of_its_first_file() {
    let fixture = Fixture::new();
    fixture.new_domain(&POST).unwrap();
    fixture.new_domain(&["review", "--on", "post"]).unwrap();
    let router = "crates/server/src/routers/review.rs";
    let edited = format!("{}\nfn mine() {{}}\n", fixture.read(router));
    fixture.write(router, &edited);
    let merged = fixture.add_field(1, &["post", "pinned:bool=false"]).unwrap();
    assert!(merged.is_empty(), "{merged:?}");
    assert_eq!(fixture.read(router), edited);
    let merged = fixture.add_field(2, &["post", "icon:upload:optional"]).unwrap();
    assert_eq!(merged, [router]);
    assert_eq!(fixture.read(router), edited.replace("start()", "start(files: Files)"));
    // What was added is as good as generated.
    fixture.write(router, &fixture.read(router).replace("\nfn mine() {}\n", ""));
    fixture.remove_domain(&["review"]).unwrap();
}

#[test]
fn only_what_is_known_can_be_built_on() {
    let fixture = Fixture::new();
    fixture.new_domain(&POST).unwrap();
    fixture.new_domain(&["review", "--on", "post"]).unwrap();
    let before = fixture.tree();
    for (on, words) in [
        ("nothing", "there is no domain `nothing` to build on: write one of post"),
        ("cart", "`cart` can't build on itself"),
        ("post,post", "`--on` names `post` twice"),
        ("user", "`user` has no generated table"),
        ("review", "`review` has no generated table"),
    ] {
        let (told, refused) = told(fixture.new_domain(&["cart", "--on", on]));
        assert!(told.starts_with(words) && refused, "{on}: {told}");
    }
    let (nothing, refused) = told(fixture.new_domain(&["cart"]));
    assert!(nothing.starts_with("a domain has at least one field") && refused, "{nothing}");
    assert_eq!(fixture.tree(), before);
}

#[test]
fn work_is_not_removed_without_force() {
    let fixture = Fixture::new();
    let empty = fixture.tree();
    fixture.new_domain(&POST).unwrap();
    fixture.edit(CODE, "first", "mine");
    fixture.write("crates/post/src/more.rs", "//! More.\n");
    fs::write(fixture.path("crates/post/picture"), [0xff, 0]).unwrap();
    fs::remove_file(fixture.path("docs/domains/post.md")).unwrap();
    let (told, _) = told(fixture.remove_domain(&["post"]));
    assert_eq!(
        told,
        format!(
            "these changes would be lost:\n- {CODE} was edited\n- crates/post/picture was not generated\n- crates/post/src/more.rs was not generated\nUse --force to delete them, or move them away first"
        )
    );
    fixture.remove_domain(&["post", "--force"]).unwrap();
    assert_eq!(fixture.tree(), empty);
}

#[test]
fn what_was_released_stays() {
    let fixture = Fixture::new();
    let (told_unknown, refused) = told(fixture.remove_domain(&["user"]));
    assert!(told_unknown.starts_with("`user` can't be removed: auth builds on it") && !refused);
    fixture.new_domain(&POST).unwrap();
    fixture.write("migration/RELEASED", &format!("{CREATED}\n"));
    let (told, _) = told(fixture.remove_domain(&["post"]));
    assert!(
        told.starts_with(&format!("the migration `{CREATED}` was released (see migration/RELEASED)")),
        "{told}"
    );
    fixture.remove_domain(&["post", "--force"]).unwrap();
    assert!(fixture.read("migration/src/lib.rs").contains(CREATED), "databases have it");
    assert!(fixture.path(&add_field::module(CREATED)).is_file());
    assert!(!fixture.path("crates/post").exists());
    fixture.new_domain(&["note", "a:int", "--shared"]).unwrap();
    fixture.remove_domain(&["note"]).unwrap();
}

/// A domain that was written by hand, with all that can belong to one.
const SHOP: &[(&str, &str)] = &[
    (
        "crates/shop/domain.toml",
        "made = \"by hand\"\nname = \"shop\"\ncrates = [\"shop-port\"]\npaths = [\"docs/shop\", \"tests/shop.rs\"]\ntables = [\"shops\"]\n\
         migrations = [\"m20261120_000002_create_shops\"]\n",
    ),
    (
        "crates/shop/Cargo.toml",
        "[package]\nname = \"shop\"\ndescription = \"Shops.\"\nedition = \"2024\"\n\n[dependencies]\nshop-port.workspace = true\n",
    ),
    ("crates/shop/src/lib.rs", "//! Shops.\n"),
    ("crates/shop-port/Cargo.toml", "[package]\nname = \"shop-port\"\nedition = \"2024\"\n"),
    ("crates/shop-port/src/lib.rs", "//! Ids.\n"),
    ("docs/shop/page.md", "# Shops\n"),
    ("tests/shop.rs", "//! Tests.\n"),
    ("migration/src/m20261120_000002_create_shops.rs", "fn up() { resource(\"shops\") }\n"),
];

impl Fixture {
    /// Makes the domain, commits everything, and says what there was before it.
    fn with_shop() -> (Self, BTreeMap<PathBuf, Option<String>>) {
        let fixture = Self::new();
        fixture.write("README.md", "# Workspace\n\n```text\ncrates/\n  user/   accounts\n```\n");
        fixture.write("docs/list.md", "| a |\n|---|\n| b |\n");
        fixture.write("tests/all.rs", "fn a() {}\n");
        let before = fixture.tree();
        for (path, text) in SHOP {
            fixture.write(path, text);
        }
        fixture.edit("README.md", "```text", "<!-- domain: shop -->\nShops.\n<!-- end: shop -->\n\n```text");
        fixture.edit("README.md", "accounts\n", "accounts\n  shop/   shops\n  shop-port/  ids\n");
        fixture.edit("docs/list.md", "| b |\n", "| b |\n| shop | <!-- domain: shop -->\n");
        fixture.edit("tests/all.rs", "fn a", "// domain: shop\nmod shop;\n// end: shop\n\nfn a");
        fixture.edit("Cargo.toml", "# Others.", "# Others.\nx = \"1\" # domain: shop");
        let member = |name: &str| format!("{name} = {{ path = \"crates/{name}\" }}\n");
        fixture.edit(
            "Cargo.toml",
            "server = {",
            &format!("{}{}server = {{", member("shop"), member("shop-port")),
        );
        fixture.edit("crates/server/Cargo.toml", "user.", "shop.workspace = true\nuser.");
        fixture.edit("crates/server/src/routers/mod.rs", "auth, user", "auth, shop, user");
        let shops = "create_users,\n    m20261120_000002_create_shops,";
        fixture.edit("migration/src/lib.rs", "create_users,", shops);
        lock(&fixture.workspace).unwrap();
        fixture.list_write();
        fixture.git("init --quiet");
        fixture.commit();
        (fixture, before)
    }

    fn git(&self, words: &str) {
        let someone = ["-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "commit.gpgsign=false"];
        let git = Invocation::new("git").args(someone).args(words.split(' '));
        git.current_dir(&self.workspace.root).capture().unwrap();
    }

    fn commit(&self) {
        self.git("add --all");
        self.git("commit --quiet --message x");
    }

    /// Every file and folder but git's own.
    fn tree_beside_git(&self) -> BTreeMap<PathBuf, Option<String>> {
        let git = self.path(".git");
        fs::rename(&git, self.workspace.root.with_extension("git")).unwrap();
        let tree = self.tree();
        fs::rename(self.workspace.root.with_extension("git"), git).unwrap();
        tree
    }
}

#[test]
fn a_domain_written_by_hand_goes_with_all_that_is_its_own() {
    let (fixture, before) = Fixture::with_shop();
    let survey = Survey::of(&fixture.workspace.root).unwrap();
    let listing = list::listing(&Plan::new(&fixture.workspace.root), &survey).unwrap();
    assert!(listing.contains("shop: written by hand\n  crates      shop-port\n"), "{listing}");
    assert!(listing.contains("user: written by hand, without a record\n"), "{listing}");
    let draft = remove_domain::draft(&fixture.workspace, &parsed(&["shop"])).unwrap();
    assert!(draft.databases.contains("A database in which `m20261120_000002_create_shops` ran"));
    assert!(draft.is_by_hand && draft.released.is_empty());
    assert_eq!(draft.plan.documents(), ["docs/configuration.md"], "its settings leave the reference");
    fixture.carry_out(&draft.plan);
    assert_eq!(fixture.tree_beside_git(), before);
}

#[test]
fn what_git_has_not_is_not_removed_without_force() {
    let (fixture, before) = Fixture::with_shop();
    fixture.write("crates/shop/src/more.rs", "//! More.\n");
    fixture.edit("docs/shop/page.md", "Shops", "Our shops");
    fixture.edit("README.md", "Shops.", "Our shops.");
    // What is not the domain's may be edited.
    fixture.edit("tests/all.rs", "fn a", "fn b");
    let (lost, refused) = told(fixture.remove_domain(&["shop"]));
    assert_eq!(
        lost,
        "these changes would be lost:\n- crates/shop/src/more.rs is not in git\n- docs/shop/page.md was edited since the last commit\n\
         - README.md has marked lines that were edited since the last commit\nCommit them, or use --force to delete them"
    );
    assert!(!refused);
    fixture.remove_domain(&["shop", "--force"]).unwrap();
    fixture.edit("tests/all.rs", "fn b", "fn a");
    assert_eq!(fixture.tree_beside_git(), before);
}

#[test]
fn where_git_has_nothing_it_can_give_nothing_back() {
    let (fixture, before) = Fixture::with_shop();
    fs::remove_dir_all(fixture.path(".git")).unwrap();
    fixture.git("init --quiet");
    let (lost, _) = told(fixture.remove_domain(&["shop"]));
    assert!(lost.starts_with("git has no commit here"), "{lost}");
    fixture.remove_domain(&["shop", "--force"]).unwrap();
    assert_eq!(fixture.tree_beside_git(), before);
}

#[test]
fn a_domain_that_others_need_or_that_was_released_stays() {
    let (fixture, _) = Fixture::with_shop();
    let user = "crates/user/Cargo.toml";
    let alone = fixture.read(user);
    fixture.write(user, &format!("{alone}\n[dev-dependencies]\nshop-port.workspace = true\n"));
    let (needed, _) = told(fixture.remove_domain(&["shop", "--force"]));
    assert!(needed.starts_with("crates/user/Cargo.toml depends on `shop-port`"), "{needed}");
    assert_eq!(remove_by_hand::removable(&fixture.workspace).unwrap(), []);
    fixture.write(user, &alone);
    assert_eq!(remove_by_hand::removable(&fixture.workspace).unwrap().len(), 1);
    fixture.write("migration/src/m20261120_000001_create_users.rs", "fn up() { to(\"shops\") }\n");
    let (named, _) = told(fixture.remove_domain(&["shop", "--force"]));
    assert!(named.contains("create_users.rs names the table `shops`"), "{named}");
    fixture.git("checkout --quiet .");
    fixture.write("migration/RELEASED", "m20261120_000002_create_shops\n");
    let (released, _) = told(fixture.remove_domain(&["shop"]));
    assert!(released.contains("`m20261120_000002_create_shops` was released"), "{released}");
    fixture.remove_domain(&["shop", "--force"]).unwrap();
    assert!(fixture.path("migration/src/m20261120_000002_create_shops.rs").is_file(), "databases have it");
    assert!(fixture.read("migration/src/lib.rs").contains("create_shops"));
    assert!(!fixture.path("crates/shop").exists());
}

#[test]
fn fields_that_are_files_need_the_domain_that_has_them() {
    let (fixture, _) = Fixture::with_shop();
    fixture.new_domain(&["post", "cover:upload", "--shared"]).unwrap();
    fixture.edit("crates/shop/domain.toml", "\"shop-port\"", "\"upload-port\"");
    let (needed, _) = told(fixture.remove_domain(&["shop", "--force"]));
    assert_eq!(needed, "fields of post are uploads: remove those domains or fields first, then `shop`");
}

#[test]
fn a_record_that_is_not_true_and_marks_that_are_not_closed_are_told() {
    let (fixture, _) = Fixture::with_shop();
    fixture.edit("crates/shop/domain.toml", "docs/shop", "docs/shops");
    let (missing, _) = told(fixture.remove_domain(&["shop", "--force"]));
    assert!(missing.starts_with("there is no docs/shops, which the record of `shop` lists"), "{missing}");
    fixture.git("checkout --quiet .");
    fixture.edit("README.md", "<!-- end: shop -->\n", "");
    let (open, _) = told(fixture.remove_domain(&["shop", "--force"]));
    assert_eq!(open, "README.md:3: lines of `shop` begin here, but do not end");
}

#[test]
fn no_workspace_is_without_users_and_their_sign_in() {
    let fixture = Fixture::new();
    for name in ["auth", "user"] {
        let (stays, _) = told(fixture.remove_domain(&[name, "--force"]));
        assert!(stays.starts_with(&format!("`{name}` can't be removed: ")), "{stays}");
    }
    let (unknown, _) = told(fixture.remove_domain(&["nothing"]));
    assert!(unknown.starts_with("`nothing` is not a generated domain and has no record"), "{unknown}");
}

#[test]
fn an_empty_migration_is_made() {
    let fixture = Fixture::new();
    new_migration::draft(&fixture.workspace, "backfill_slugs", "20261121_000001").unwrap().apply().unwrap();
    let text = fixture.read("migration/src/m20261121_000001_backfill_slugs.rs");
    assert!(text.starts_with("//! Backfill slugs.\n\nuse sea_orm_migration::prelude::*;\n"), "{text}");
    assert!(!text.contains("{{"));
    assert!(
        fixture
            .read("migration/src/lib.rs")
            .ends_with("create_users,\n    m20261121_000001_backfill_slugs,\n}\n")
    );
    let (told, refused) = told(new_migration::draft(&fixture.workspace, &"a".repeat(61), "20261121_000001"));
    assert!(told.contains("at most 60 characters") && refused, "{told}");
}

#[test]
fn domains_are_listed() {
    let fixture = Fixture::new();
    fixture.new_domain(&POST).unwrap();
    fixture.edit(CODE, "first", "mine");
    let survey = Survey::of(&fixture.workspace.root).unwrap();
    let listing = list::listing(&Plan::new(&fixture.workspace.root), &survey).unwrap();
    assert_eq!(
        listing,
        format!(
            "post: generated\n  cargo xtask new-domain post title:string:1..200 author:ref=user:owner\n  routes      /api/v1/posts\n  migrations  {CREATED}\n  edited      {CODE}\nuser: written by hand, without a record\n"
        )
    );
}

#[test]
fn manifests_that_cargo_does_not_take_are_told_of() {
    let fixture = Fixture::new();
    fixture.edit("Cargo.toml", "[workspace]", "[workspace]\nbroken");
    let (told, _) = told(lock(&fixture.workspace));
    assert!(told.starts_with("all files are written except Cargo.lock"), "{told}");
}

#[test]
fn the_lists_of_this_workspace_are_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let survey = Survey::of(root).unwrap();
    assert!(
        survey.prefixes.contains("usr") && !survey.prefixes.contains("pst")
            || survey.generated.contains_key("post")
    );
    assert!(
        survey.tables.contains("users")
            && survey.routes.contains("users")
            && survey.schemas.contains("Problem")
    );
    assert!(
        survey.crates.contains("auth")
            && survey.packages.contains("sea_orm")
            && survey.modules.contains("routers")
    );
    let mut plan = Plan::new(root);
    let name = "no_such_domain";
    let members = crate::domain::cargo_toml::members(&plan.expect(ROOT_MANIFEST).unwrap()).unwrap();
    plan.edit(ROOT_MANIFEST, |text| crate::domain::cargo_toml::add_member(text, name)).unwrap();
    plan.edit(SERVER_MANIFEST, |text| crate::domain::cargo_toml::add_dependency(text, name, &members))
        .unwrap();
    plan.edit(&survey.domains_list, |text| crate::domain::lists::add(text, "domains", name)).unwrap();
    assert_eq!(plan.to_string().matches("(+1 -").count(), 3, "{plan}");
}

/// A workspace with a domain that was written by hand, as far as jobs change it.
fn with_router() -> Fixture {
    let fixture = Fixture::new();
    fixture.write("crates/user/src/lib.rs", "//! Accounts.\n\npub mod dto;\npub mod service;\n");
    fixture.write(
        "crates/server/src/routers/user.rs",
        "pub static MODULE: Module = Module {\n    routes: configure,\n    ..Module::EMPTY\n};\n",
    );
    fixture
}

fn new_job(fixture: &Fixture, line: &[&str]) -> Result<Plan> {
    fixture.on_site(1, |site| new_job::draft(site, &parsed::<new_job::Options>(line)))
}

#[test]
fn the_first_job_of_a_domain_is_named_in_its_crate_and_its_router_and_the_next_one_in_the_list() {
    let fixture = with_router();
    new_job(&fixture, &["user", "count", "user:ref=user", "key:uuid:optional"]).unwrap().apply().unwrap();
    assert_eq!(
        fixture.read("crates/user/src/lib.rs"),
        "//! Accounts.\n\npub mod dto;\npub mod job;\npub mod service;\n"
    );
    assert_eq!(fixture.read("crates/user/src/job/mod.rs"), "jobs! { count }\n");
    let view = fixture.read("crates/user/src/job/count.rs");
    for part in ["kind: \"user.count\"", "user_id", "Option<Uuid>", "\"transactional\""] {
        assert!(view.contains(part), "{part} in {view}");
    }
    let router = fixture.read("crates/server/src/routers/user.rs");
    assert!(router.contains("    jobs: user::job::kinds,\n    ..Module::EMPTY\n"), "{router}");
    let manifest = fixture.read("crates/user/Cargo.toml");
    assert!(
        manifest.contains("[dependencies]\nserde.workspace = true\nuuid.workspace = true\n"),
        "{manifest}"
    );
    assert!(manifest.contains("[dev-dependencies]\nmessaging.workspace = true\nmigration"), "{manifest}");

    // Somebody has tidied up.
    fixture.edit("crates/server/src/routers/user.rs", "    jobs: user::job::kinds,\n", "");
    let plan = new_job(&fixture, &["user", "remind", "--handler", "external"]).unwrap();
    let changed: Vec<_> = plan.edited().map(|path| path.display().to_string()).collect();
    assert_eq!(changed, ["crates/server/src/routers/user.rs", "crates/user/src/job/mod.rs"]);
    plan.apply().unwrap();
    assert_eq!(fixture.read("crates/user/src/job/mod.rs"), "jobs! { count, remind }\n");
    assert_eq!(fixture.read("crates/server/src/routers/user.rs"), router);
    assert_eq!(fixture.read("crates/user/Cargo.toml"), manifest);
}

#[test]
fn a_job_that_cannot_be_is_refused() {
    let fixture = with_router();
    let before = fixture.tree();
    for (line, reason) in [
        (&["usr", "count"][..], "there is no domain `usr`: there are user"),
        (&["server", "count"], "there is no domain `server`"),
        (&["user", "Count"], "write `count`"),
        (&["user", "move"], "`move` is a keyword of Rust"),
        (&["user", "handler"], "the job would have a type `Handler`"),
        (&["user", "json", "object:enum=a,b"], "the job would have a type `JsonObject`"),
        (&["user", "count", "a:string:unique"], "`unique` is about tables and requests"),
        (&["user", "count", "a:int:default=1"], "`default=1` is about tables and requests"),
        (&["user", "count", "a:int:1..5"], "`1..5` is about tables and requests"),
        (&["user", "tests"], "`tests` is the module of the tests"),
        (&["user", "count", "a:email"], "name the account, `user:ref=user`"),
        (&["user", "count", "a:ref=post"], "there is no domain `post` that was generated"),
        (&["user", "count", "a:ref=upload"], "an upload has a type of its own: write `upload`"),
        (&["user", "count", "a:int", "a:text"], "two fields are called `a`"),
        (&["user", "count", "type:int"], "`type` is a keyword of Rust"),
    ] {
        let (error, is_refusal) = told(new_job(&fixture, line));
        assert!(error.contains(reason) && is_refusal, "{line:?}: {error}");
    }
    fixture.write("crates/user/src/lib.rs", "mod job;\n");
    assert!(told(new_job(&fixture, &["user", "count"])).0.contains("there is a module `job` already"));
    fixture.write("crates/user/src/lib.rs", "//! Accounts.\n\npub mod dto;\npub mod service;\n");
    assert_eq!(fixture.tree(), before);
}
