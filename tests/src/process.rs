//! The binary as an operator runs it: commands, and a server process that can be stopped and killed.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::SystemTime;

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use sea_orm::{ConnectionTrait as _, DbBackend};
use serde_json::Value;
use shared_kernel::testing::TestDatabase;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::server::{ENVIRONMENT, SECRET_KEY};
use crate::{Client, PATIENCE, eventually};

/// The environment of the binary: a folder, a database, environment variables. It inherits nothing else from the tests.
pub struct Installation {
    folder: TempDir,
    /// The PostgreSQL database, dropped at the end. A SQLite database is at its default place, in the data folder.
    database: Option<TestDatabase>,
    variables: Vec<(String, String)>,
    /// The binary to run; by default that of the profile of the tests, built from the current sources.
    binary: Option<PathBuf>,
}

/// A running server. Killed when dropped.
pub struct Process {
    client: Client,
    /// Address at which the API listens.
    pub address: SocketAddr,
    /// The other endpoints besides the API: name, and URL for clients.
    pub endpoints: BTreeMap<String, String>,
    child: Child,
    log: Log,
}

/// The exit code and the output of a command.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error: error messages and the log.
    pub stderr: String,
}

type Log = Arc<Mutex<String>>;

impl Installation {
    /// An installation with an empty database.
    pub async fn new() -> Self {
        let database = TestDatabase::empty().await;
        let mut installation = Self::without_database();
        if database.backend() == DbBackend::Postgres {
            installation.set("ASHLAR_DATABASE__URL", database.url());
            installation.database = Some(database);
        }
        installation
    }

    /// An installation without a PostgreSQL database, for commands that do not connect to a database.
    pub fn without_database() -> Self {
        Self::without_database_in(&std::env::temp_dir())
    }

    /// The same in a folder below `parent`. The server uses SQLite there, even if the tests run on PostgreSQL.
    pub fn without_database_in(parent: &Path) -> Self {
        let folder = tempfile::tempdir_in(parent).unwrap();
        let mut installation = Self { folder, database: None, variables: Vec::new(), binary: None };
        for &(name, value) in ENVIRONMENT {
            installation.set(name, value);
        }
        // As in production, the URL does not depend on the port: it is the issuer of the tokens.
        installation.set("ASHLAR_SERVER__PUBLIC_URL", "http://ashlar.test");
        installation
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Restores the default settings, except for the secret key and free ports: for measurements.
    pub fn use_default_settings(&mut self) {
        for &(name, _) in ENVIRONMENT {
            self.unset(name);
        }
        self.set("ASHLAR_SECRET_KEY", SECRET_KEY);
        self.set("ASHLAR_SERVER__BIND", "127.0.0.1:0");
        self.set("ASHLAR_STORAGE__EMBEDDED_BIND", "127.0.0.1:0"); // domain: upload
    }

    /// Removes a variable.
    pub fn unset(&mut self, name: &str) {
        self.variables.retain(|(other, _)| other != name);
    }

    /// Uses this binary instead of the one of the profile of the tests.
    pub fn use_binary(&mut self, binary: &Path) {
        self.binary = Some(binary.to_owned());
    }

    fn binary(&self) -> &Path {
        self.binary.as_deref().unwrap_or_else(|| binary())
    }

    /// The working directory; the data is below it in `data`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// URL of its database. A SQLite database is created on connection if it does not exist.
    pub fn database_url(&self) -> String {
        if let Some(database) = &self.database {
            return database.url().to_owned();
        }
        fs::create_dir_all(self.folder().join("data")).unwrap();
        format!("sqlite://{}?mode=rwc", self.folder().join("data/ashlar.sqlite").display())
    }

    /// Executes a statement in its database, on a connection of its own.
    pub async fn sql(&self, statement: &str) {
        let database = sea_orm::Database::connect(self.database_url()).await.unwrap();
        database.execute_unprepared(statement).await.unwrap();
        database.close().await.unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binary());
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // The file in which a coverage run collects the counters of this process.
        if let Some(profile) = option_env!("LLVM_PROFILE_FILE") {
            command.env("LLVM_PROFILE_FILE", profile);
        }
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with_input(arguments, "").await
    }

    /// Runs a command to its end, with this input on stdin.
    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut child = self.command(arguments).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that does not read its input may have ended already.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output =
            timeout(PATIENCE, child.wait_with_output()).await.expect("the command does not end").unwrap();
        Outcome {
            code: output.status.code().expect("no exit code"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command at a terminal in which this line is typed, and returns the text on the terminal. `script` of util-linux
    /// provides the terminal.
    pub async fn run_at_terminal(&self, arguments: &[&str], line: &str) -> String {
        let command = format!("{} {}", self.binary().display(), arguments.join(" "));
        let mut script = Command::new("script");
        script
            .args(["-qec", &command, "/dev/null"])
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = script.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        let output =
            timeout(PATIENCE, child.wait_with_output()).await.expect("the command does not end").unwrap();
        drop(stdin);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Whether its database is on PostgreSQL.
    pub fn is_on_postgres(&self) -> bool {
        self.database.is_some()
    }

    /// Starts the server, which listens on `address`, with stdout and stderr on a full device, and waits until it accepts connections.
    pub async fn start_with_full_output(&self, address: SocketAddr) -> Process {
        let process = self.spawn(&[], address, Path::new("/dev/full"));
        eventually("the server answers", async || tokio::net::TcpStream::connect(address).await.ok()).await;
        process
    }

    /// Starts the server, which listens on `address`, with its output in a file, and does not wait for it: a measurement must
    /// include the start and not the reading of the log.
    pub fn spawn(&self, arguments: &[&str], address: SocketAddr, output: &Path) -> Process {
        let output = fs::OpenOptions::new().create(true).append(true).open(output).unwrap();
        let errors = output.try_clone().unwrap();
        let child = self.command(arguments).stdout(output).stderr(errors).spawn().unwrap();
        Process {
            client: Client::new(format!("http://{address}")),
            address,
            endpoints: BTreeMap::new(),
            child,
            log: Log::default(),
        }
    }

    /// Starts the server and waits until it is ready.
    pub async fn start(&self) -> Process {
        let mut child = self.command(&[]).spawn().unwrap();
        let log = Log::default();
        collect(child.stdout.take().unwrap(), &log);
        collect(child.stderr.take().unwrap(), &log);
        let ready = eventually("the server is ready", async || {
            let text = log.lock().unwrap().clone();
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended with {status}:\n{text}");
            }
            Ready::read(&text)
        })
        .await;
        let Ready { address, endpoints } = ready;
        Process { client: Client::new(format!("http://{address}")), address, endpoints, child, log }
    }
}

/// The contents of the log event `ready`.
struct Ready {
    address: SocketAddr,
    endpoints: BTreeMap<String, String>,
}

impl Ready {
    fn read(log: &str) -> Option<Self> {
        let events = || log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let ready = events().find(|event| event["message"] == "ready")?;
        let address = ready["address"].as_str()?.parse().ok()?;
        // These events are logged before `ready`.
        let others = events().filter(|event| event["message"] == "listening");
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let endpoints =
            others.filter_map(|other| Some((text(&other["name"])?, text(&other["url"])?))).collect();
        Some(Self { address, endpoints })
    }
}

fn collect(output: impl AsyncRead + Unpin + Send + 'static, log: &Log) {
    let (mut lines, log) = (BufReader::new(output).lines(), log.clone());
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
}

impl std::ops::Deref for Process {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Process {
    /// Everything that it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends it SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(id.expect("it has ended"), signal).unwrap();
    }

    /// Its resident memory in bytes (Linux).
    pub fn memory(&self) -> u64 {
        self.status("VmRSS")
    }

    /// Its peak resident memory in bytes since the start, or since [`Process::reset_peak_memory`] (Linux).
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM")
    }

    /// Resets the peak to its current resident memory (Linux).
    pub fn reset_peak_memory(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.id()), "5").unwrap();
    }

    /// Reads a field of `proc_pid_status(5)` in kibibytes, and returns it in bytes.
    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Number of its open files and connections (Linux).
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id().unwrap())).unwrap().count()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it has ended")
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it has ended.
    pub async fn wait(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("the server does not end").unwrap()
    }

    /// Stops it as a process manager does, expects the exit code 0, and returns its log.
    pub async fn stop(mut self) -> String {
        self.terminate();
        let status = self.wait().await;
        assert_eq!(status.code(), Some(0), "{}", self.log());
        self.log()
    }

    /// Kills it (SIGKILL), possibly in the middle of a request.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// The binary, built from the current sources.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        // Tests run from `target/<profile>/deps`.
        let test = std::env::current_exe().unwrap();
        let folder = test.parent().and_then(Path::parent).unwrap();
        let binary = folder.join("ashlar");
        if !is_current(&binary, &folder.join("ashlar.d")) {
            build(folder);
        }
        assert!(binary.is_file(), "cargo made no {}", binary.display());
        binary
    })
}

/// Whether the binary exists and is newer than all its sources. `cargo test -p tests` alone does not build it.
fn is_current(binary: &Path, dependencies: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    let (Some(built), Ok(text)) = (modified(binary), fs::read_to_string(dependencies)) else { return false };
    let sources = text.split_once(": ").map_or("", |(_, sources)| sources).split_whitespace();
    let is_older = |source: &str| modified(Path::new(source)).is_none_or(|time: SystemTime| time <= built);
    let mut sources = sources;
    sources.all(is_older)
}

fn build(folder: &Path) {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--package", "server", "--bin", "ashlar"]);
    cargo.arg("--target-dir").arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).status().unwrap();
    assert!(status.success(), "the server does not build");
}
