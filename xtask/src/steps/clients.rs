//! Tests the API with tools of frontend teams: linters check its document, generators generate clients from it, and these clients
//! and libraries for tokens call the running server.
//!
//! The programs are in `tests/clients`; they run in a copy below the target folder, beside the generated clients.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Outcome, missing};
use crate::process::Invocation;
use crate::server::STORE_KEYS; // domain: upload
use crate::server::{Account, Server};
use crate::workspace::Workspace;
use crate::{node, python};

const PROGRAMS: &str = "tests/clients";

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    if let Some(reason) = node::missing()? {
        return missing(&reason);
    }
    let folder = copied(workspace)?;
    node::install(&folder)?;
    let python = python::environment(workspace, "python-clients", "tests/clients/requirements.txt")?;
    let server = Server::start(workspace, "clients")?;
    let account = server.sign_up("client")?;
    server.promote(&account)?;
    let clients = Clients { folder, python, server: &server, account };
    if let Err(error) = clients.try_all() {
        bail!("a third-party tool reports an error: {error:#}\n{}", server.tail());
    }
    server.stop()?;
    Ok(Outcome::Passed)
}

/// Copies the programs, without the files generated in the last run.
fn copied(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.kept("client-programs")?;
    for generated in ["built", "python"] {
        let path = folder.join(generated);
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("can't empty {}", path.display()))?;
        }
    }
    for file in workspace.files()?.iter().filter(|file| file.starts_with(PROGRAMS)) {
        let name = file.file_name().context("a file without a name")?;
        fs::copy(workspace.root.join(file), folder.join(name))
            .with_context(|| format!("can't copy {}", file.display()))?;
    }
    Ok(folder)
}

struct Clients<'s> {
    folder: PathBuf,
    python: PathBuf,
    server: &'s Server,
    account: Account,
}

impl Clients<'_> {
    fn try_all(&self) -> Result<()> {
        let document = self.folder.join("openapi.json");
        self.tool("curl")
            .args(["--silent", "--show-error", "--fail", "--max-time", "30", "--output"])
            .arg(&document)
            .arg(format!("{}/openapi.json", self.server.url()))
            .run()?;
        self.lint(&document)?;
        self.typescript(&document)?;
        self.python(&document)?;
        self.store()?; // domain: upload
        Ok(())
    }

    fn lint(&self, document: &Path) -> Result<()> {
        self.npm_tool("spectral")
            .args(["lint", "--quiet", "--ruleset", "spectral.yaml", "--fail-severity", "warn"])
            .arg(document)
            .run()?;
        self.npm_tool("redocly")
            .args(["lint", "--config", "redocly.yaml", "--format", "stylish", "--max-problems", "1000"])
            .arg(document)
            .env("REDOCLY_TELEMETRY", "off")
            .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")
            .run()
    }

    /// The program of a web page in strict TypeScript, with every field of every body set.
    fn typescript(&self, document: &Path) -> Result<()> {
        self.npm_tool("openapi-typescript").arg(document).args(["--output", "api.ts"]).run()?;
        let filled = self.tool("node").arg("filled.mjs").arg(document).capture()?;
        fs::write(self.folder.join("filled.ts"), filled).context("can't write the filled bodies")?;
        self.npm_tool("tsc").arg("--project").arg(".").run()?;
        let tests = [
            "built/calls.test.js",
            "built/tokens.test.js",
            "built/uploads.test.js", // domain: upload
        ];
        self.called(Invocation::new("node")).args(["--test", "--test-reporter=spec"]).args(tests).run()
    }

    fn python(&self, document: &Path) -> Result<()> {
        self.tool(self.python.join("openapi-python-client"))
            .args([
                "generate",
                "--meta",
                "none",
                "--fail-on-warning",
                "--config",
                "openapi-python-client.yaml",
            ])
            .args(["--output-path", "python/ashlar_client", "--path"])
            .arg(document)
            .run()?;
        let programs = [
            "typed_calls.py",
            "upload_calls.py", // domain: upload
        ];
        programs.into_iter().try_for_each(|program| {
            self.called(Invocation::new(self.python.join("python")))
                .arg(program)
                .env("PYTHONPATH", self.folder.join("python"))
                .run()
        })
    }

    // domain: upload
    /// An S3 client calls the embedded object store.
    fn store(&self) -> Result<()> {
        let (access_key, secret_key) = STORE_KEYS;
        self.called(Invocation::new(self.python.join("python")))
            .arg("store_calls.py")
            .env("ASHLAR_TEST_STORE_URL", self.server.url_of("Objects")?)
            .env("ASHLAR_TEST_STORE_ACCESS_KEY", access_key)
            .env("ASHLAR_TEST_STORE_SECRET_KEY", secret_key)
            .run()
    }
    // end: upload

    fn tool(&self, program: impl AsRef<std::ffi::OsStr>) -> Invocation {
        Invocation::new(program).current_dir(&self.folder)
    }

    fn npm_tool(&self, name: &str) -> Invocation {
        self.tool(self.folder.join("node_modules/.bin").join(name))
    }

    /// A program that calls the server, with its addresses in environment variables.
    fn called(&self, program: Invocation) -> Invocation {
        program
            .env("ASHLAR_TEST_URL", self.server.url())
            .env("ASHLAR_TEST_EMAIL", &self.account.email)
            .env("ASHLAR_TEST_PASSWORD", self.account.password)
            .env("ASHLAR_TEST_FOLDER", self.server.folder())
            .current_dir(&self.folder)
    }
}
