//! The product, running, for the steps that look at it from outside.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::process::{Invocation, Running, poll};
use crate::workspace::Workspace;

/// How long a started server may take until it is ready, and a stopped one until it is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often readiness is asked for.
const PAUSE: Duration = Duration::from_millis(200);

/// Where the product listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    /// The API.
    pub(crate) api: u16,
    /// The embedded object store.
    pub(crate) store: u16,
}

/// What a user has who has configured nothing.
pub(crate) const DEFAULT_PORTS: Ports = Ports { api: 8000, store: 9000 };

impl Ports {
    /// Two that nobody uses.
    fn free() -> Result<Self> {
        // Both at once, so that they differ.
        let listeners = [TcpListener::bind("127.0.0.1:0"), TcpListener::bind("127.0.0.1:0")];
        let mut ports = listeners.iter().flatten().filter_map(|listener| listener.local_addr().ok());
        let mut next = || ports.next().map(|address| address.port()).context("no free port");
        Ok(Self { api: next()?, store: next()? })
    }

    /// Fails with a clear sentence when somebody listens there already.
    pub(crate) fn expect_free(self) -> Result<()> {
        for port in [self.api, self.store] {
            TcpListener::bind(("127.0.0.1", port)).with_context(|| {
                format!(
                    "port {port} is taken, and this step needs the ports a user has: stop what listens there"
                )
            })?;
        }
        Ok(())
    }
}

/// The keys of the embedded object store, for the steps that call it as an S3 client.
pub(crate) const STORE_KEYS: (&str, &str) = ("ashlar-xtask", "not-a-secret-of-anybody-0123456789");

/// A user who has signed up.
#[derive(Debug)]
pub(crate) struct Account {
    /// The id.
    pub(crate) id: String,
    /// The address.
    pub(crate) email: String,
    /// The password.
    pub(crate) password: &'static str,
    /// An access token.
    pub(crate) token: String,
}

/// Builds the binary as `cargo run` does and says where it is.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    Invocation::new("cargo").args(["build", "--locked"]).current_dir(&workspace.root).run()?;
    let binary = workspace.target.join("debug/ashlar");
    if !binary.is_file() {
        bail!("`cargo build` made no {}", binary.display());
    }
    Ok(binary)
}

/// A running server, killed when dropped.
pub(crate) struct Server {
    process: Running,
    ports: Ports,
    binary: PathBuf,
    folder: PathBuf,
}

impl Server {
    /// Builds it and starts it on free ports with an empty data folder below `target/xtask/NAME`.
    pub(crate) fn start(workspace: &Workspace, name: &str) -> Result<Self> {
        let binary = build(workspace)?;
        let folder = workspace.scratch(name)?;
        let ports = Ports::free()?;
        let command = configured(Invocation::new(&binary), ports, &folder);
        let process = command.start(&folder.join("server.log"))?;
        Self::ready(process, ports, binary, folder)
    }

    /// Takes over a server that was started otherwise.
    pub(crate) fn ready(
        mut process: Running,
        ports: Ports,
        binary: PathBuf,
        folder: PathBuf,
    ) -> Result<Self> {
        wait_until_ready(&mut process, ports)?;
        Ok(Self { process, ports, binary, folder })
    }

    /// Its address, as the browser knows it.
    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}", self.ports.api)
    }

    /// The object store's origins.
    pub(crate) fn store_urls(&self) -> [String; 2] {
        ["127.0.0.1", "localhost"].map(|host| format!("http://{host}:{}", self.ports.store))
    }

    /// Its folder, for logs and reports.
    pub(crate) fn folder(&self) -> &PathBuf {
        &self.folder
    }

    /// Its binary, for what starts servers of its own.
    pub(crate) fn binary(&self) -> &PathBuf {
        &self.binary
    }

    /// Signs a new user up, over HTTP.
    pub(crate) fn sign_up(&self, name: &str) -> Result<Account> {
        let (email, password) = (format!("{name}@example.org"), "Blue-Granite-Stairs-51");
        let body = json!({ "email": email, "password": password, "name": name });
        let answer = self.post("/api/v1/auth/signup", &body)?;
        let token = answer.get("access_token").and_then(Value::as_str);
        let token =
            token.with_context(|| format!("signup answered without an access token: {answer}"))?.to_owned();
        let id = answer.get("user").and_then(|user| user.get("id")).and_then(Value::as_str);
        let id = id.with_context(|| format!("signup answered without a user: {answer}"))?.to_owned();
        Ok(Account { id, email, password, token })
    }

    /// Makes a user an admin, with the command line that an operator has.
    pub(crate) fn promote(&self, account: &Account) -> Result<()> {
        let command = Invocation::new(&self.binary).args(["admin", "create", "--user-id", &account.id]);
        configured(command, self.ports, &self.folder).run()
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
            .arg(format!("http://127.0.0.1:{}{path}", self.ports.api))
            .input(body.to_string())
            .capture()?;
        serde_json::from_str(&answer).with_context(|| format!("{path} answered no JSON: {answer}"))
    }

    /// What it printed last, for a failure's report.
    pub(crate) fn tail(&self) -> String {
        format!("the end of {}:\n{}", self.process.log().display(), self.process.tail())
    }

    /// Asks it to stop, as a process manager does; it has to end by itself and without an error.
    pub(crate) fn stop(mut self) -> Result<()> {
        let status = self.process.stop("TERM", PATIENCE).context("the server didn't stop")?;
        if !status.success() {
            bail!("after SIGTERM the server ended with {status} instead of 0; {}", self.tail());
        }
        Ok(())
    }
}

fn configured(command: Invocation, ports: Ports, folder: &PathBuf) -> Invocation {
    command
        .without_configuration()
        .env("ASHLAR_SERVER__BIND", format!("127.0.0.1:{}", ports.api))
        .env("ASHLAR_SERVER__PUBLIC_URL", format!("http://localhost:{}", ports.api))
        .env("ASHLAR_STORAGE__EMBEDDED_BIND", format!("127.0.0.1:{}", ports.store))
        .env("ASHLAR_STORAGE__ACCESS_KEY", STORE_KEYS.0)
        .env("ASHLAR_STORAGE__SECRET_KEY", STORE_KEYS.1)
        .env("ASHLAR_DATA_DIR", folder.join("data"))
        .current_dir(folder)
}

fn wait_until_ready(process: &mut Running, ports: Ports) -> Result<()> {
    let url = format!("http://127.0.0.1:{}/health/ready", ports.api);
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
