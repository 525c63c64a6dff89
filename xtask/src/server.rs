//! A running server, for steps that test it over HTTP.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::process::{Invocation, Running, poll};
use crate::workspace::Workspace;

/// Time limit for the start and the stop of a server.
const PATIENCE: Duration = Duration::from_secs(30);

/// Interval of requests for readiness.
const PAUSE: Duration = Duration::from_millis(200);

/// Default port of the API.
pub(crate) const DEFAULT_PORT: u16 = 8000;

/// All default ports.
const DEFAULT_PORTS: &[u16] = &[
    DEFAULT_PORT,
    9000, // domain: upload
];

/// Fails with a clear sentence if another program listens on a default port.
pub(crate) fn expect_default_ports_free() -> Result<()> {
    for &port in DEFAULT_PORTS {
        TcpListener::bind(("127.0.0.1", port)).with_context(|| {
            format!("port {port} is in use, but this step needs the default ports: stop the program that listens there")
        })?;
    }
    Ok(())
}

/// A free port.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr().context("no free port")?.port())
}

// domain: upload
/// Keys of the embedded object store, for the steps that call it as an S3 client.
pub(crate) const STORE_KEYS: (&str, &str) = ("ashlar-xtask", "not-a-secret-of-anybody-0123456789");
// end: upload

/// A user who has signed up.
#[derive(Debug)]
pub(crate) struct Account {
    /// Id of the user.
    pub(crate) id: String,
    /// E-mail address.
    pub(crate) email: String,
    /// The password.
    pub(crate) password: &'static str,
    /// An access token.
    pub(crate) token: String,
}

/// Builds the binary as `cargo run` does, and returns its path.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    Invocation::new("cargo").args(["build", "--locked"]).current_dir(&workspace.root).run()?;
    let binary = workspace.binary("debug")?;
    if !binary.is_file() {
        bail!("`cargo build` did not create {}", binary.display());
    }
    Ok(binary)
}

/// A running server, killed when dropped.
pub(crate) struct Server {
    process: Running,
    port: u16,
    binary: PathBuf,
    folder: PathBuf,
}

impl Server {
    /// Builds it and starts it on free ports with an empty data folder below `target/xtask/NAME`.
    pub(crate) fn start(workspace: &Workspace, name: &str) -> Result<Self> {
        let binary = build(workspace)?;
        let folder = workspace.scratch(name)?;
        let port = free_port()?;
        let command = configured(Invocation::new(&binary), port, &folder);
        let process = command.start(&folder.join("server.log"))?;
        Self::ready(process, port, binary, folder)
    }

    /// Uses a server that was started by other means.
    pub(crate) fn ready(mut process: Running, port: u16, binary: PathBuf, folder: PathBuf) -> Result<Self> {
        wait_until_ready(&mut process, port)?;
        Ok(Self { process, port, binary, folder })
    }

    /// Its URL for a browser.
    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    // domain: upload
    /// The URL of another of its endpoints, by the name in its log.
    pub(crate) fn url_of(&self, name: &str) -> Result<String> {
        let others = self.others()?;
        let found = others.into_iter().find(|(other, _)| other == name);
        found
            .map(|(_, url)| url)
            .with_context(|| format!("the server has no endpoint {name}: {}", self.tail()))
    }
    // end: upload

    /// All its origins, with both names of this machine.
    pub(crate) fn origins(&self) -> Result<Vec<String>> {
        let others = self.others()?.into_iter().map(|(_, url)| url);
        let both = |url: String| {
            let port = url.rsplit(':').next().unwrap_or_default().to_owned();
            ["127.0.0.1", "localhost"].map(|host| format!("http://{host}:{port}"))
        };
        Ok([self.url()].into_iter().chain(others).flat_map(both).collect())
    }

    /// Its other endpoints: names and URLs.
    fn others(&self) -> Result<Vec<(String, String)>> {
        let log = fs::read_to_string(self.process.log()).context("can't read the server's log")?;
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let others = events.filter(|event| event["message"] == "listening");
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Ok(others.filter_map(|other| Some((text(&other["name"])?, text(&other["url"])?))).collect())
    }

    /// Its folder, for logs and reports.
    pub(crate) fn folder(&self) -> &PathBuf {
        &self.folder
    }

    /// Its binary, for tests that start servers themselves.
    pub(crate) fn binary(&self) -> &PathBuf {
        &self.binary
    }

    /// Signs a new user up, over HTTP.
    pub(crate) fn sign_up(&self, name: &str) -> Result<Account> {
        let (email, password) = (format!("{name}@example.org"), "Blue-Granite-Stairs-51");
        let body = json!({ "email": email, "password": password, "name": name });
        let answer = self.post("/api/v1/auth/signup", &body)?;
        let token = answer.get("access_token").and_then(Value::as_str);
        let token = token
            .with_context(|| format!("the response to the sign-up has no access token: {answer}"))?
            .to_owned();
        let id = answer.get("user").and_then(|user| user.get("id")).and_then(Value::as_str);
        let id = id.with_context(|| format!("the response to the sign-up has no user: {answer}"))?.to_owned();
        Ok(Account { id, email, password, token })
    }

    /// Makes a user an admin, with the command line of the product.
    pub(crate) fn promote(&self, account: &Account) -> Result<()> {
        let command = Invocation::new(&self.binary).args(["admin", "create", "--user-id", &account.id]);
        configured(command, self.port, &self.folder).run()
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = Invocation::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "30",
                "--header",
                "content-type: application/json",
            ])
            .args(["--data-binary", "@-"])
            .arg(format!("http://127.0.0.1:{}{path}", self.port))
            .input(body.to_string())
            .capture()?;
        serde_json::from_str(&answer).with_context(|| format!("the response of {path} is not JSON: {answer}"))
    }

    /// The end of its output, for error messages.
    pub(crate) fn tail(&self) -> String {
        format!("the end of {}:\n{}", self.process.log().display(), self.process.tail())
    }

    /// Stops it with SIGTERM, as a process manager does; it must exit with code 0.
    pub(crate) fn stop(mut self) -> Result<()> {
        let status = self.process.stop("TERM", PATIENCE).context("the server didn't stop")?;
        if !status.success() {
            bail!("after SIGTERM the server ended with {status} instead of 0; {}", self.tail());
        }
        Ok(())
    }
}

fn configured(command: Invocation, port: u16, folder: &PathBuf) -> Invocation {
    // domain: upload
    let command = command
        .env("ASHLAR_STORAGE__EMBEDDED_BIND", "127.0.0.1:0")
        .env("ASHLAR_STORAGE__ACCESS_KEY", STORE_KEYS.0)
        .env("ASHLAR_STORAGE__SECRET_KEY", STORE_KEYS.1);
    // end: upload
    command
        .without_configuration()
        .env("ASHLAR_SERVER__BIND", format!("127.0.0.1:{port}"))
        .env("ASHLAR_SERVER__PUBLIC_URL", format!("http://localhost:{port}"))
        .env("ASHLAR_DATA_DIR", folder.join("data"))
        .current_dir(folder)
}

fn wait_until_ready(process: &mut Running, port: u16) -> Result<()> {
    let url = format!("http://127.0.0.1:{port}/health/ready");
    crate::output::say!("waiting for {url}");
    let ready = poll(150, PAUSE, || {
        if let Some(status) = process.ended()? {
            bail!("the server ended before it was ready ({status}):\n{}", process.tail());
        }
        Ok(Invocation::new("curl").args(["--silent", "--fail", "--max-time", "5", &url]).succeeds())
    })?;
    if !ready {
        bail!("the server was not ready after {} s:\n{}", PATIENCE.as_secs(), process.tail());
    }
    Ok(())
}
