//! Tests /docs and /redoc in a real browser with all other hosts blocked, and that the browser retains no data of one user when
//! another one signs in.

use anyhow::{Result, bail};

use super::{Outcome, missing};
use crate::node;
use crate::process::{self, Invocation};
use crate::server::Server;
use crate::workspace::Workspace;

/// Names of the programs of installed browsers.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let Some(browser) = BROWSERS.into_iter().find_map(process::find) else {
        return missing("Chromium is not installed");
    };
    if let Some(reason) = node::missing()? {
        return missing(&reason);
    }
    let scripts = workspace.root.join("tests/browser");
    node::install(&scripts)?;
    let server = Server::start(workspace, "browser")?;
    let account = server.sign_up("browser")?;
    let looked = Invocation::new("node")
        .args(["--test", "--test-reporter=spec", "--test-concurrency=1"])
        .args(["docs.test.mjs", "accounts.test.mjs"])
        .env("ASHLAR_TEST_BROWSER", browser)
        .env("ASHLAR_TEST_URL", server.url())
        .env("ASHLAR_TEST_ORIGINS", server.origins()?.join(","))
        .env("ASHLAR_TEST_EMAIL", &account.email)
        .env("ASHLAR_TEST_PASSWORD", account.password)
        .env("ASHLAR_TEST_FOLDER", server.folder())
        .env("ASHLAR_TEST_BINARY", server.binary())
        .current_dir(&scripts)
        .run();
    crate::output::say!("screenshots: {}", server.folder().display());
    if let Err(error) = looked {
        bail!("a test in the browser failed: {error}\n{}", server.tail());
    }
    server.stop()?;
    Ok(Outcome::Passed)
}
