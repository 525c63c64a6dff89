//! Runs the tests on PostgreSQL: on the server in `TEST_DATABASE_URL`, or on a temporary one.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Outcome, coverage, missing};
use crate::process::{Invocation, Running, on_path, poll};
use crate::workspace::Workspace;

/// Every test has a database and connections of its own.
const SETTINGS: [&str; 6] = [
    "max_connections=300",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "timezone=UTC",
    "log_min_messages=warning",
];

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    with_server(workspace, |url| test(workspace, url))
}

/// Calls a function with the URL of a server: the one in `TEST_DATABASE_URL`, or a temporary one that stops afterwards.
pub(super) fn with_server(
    workspace: &Workspace,
    work: impl FnOnce(&str) -> Result<Outcome>,
) -> Result<Outcome> {
    if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
        crate::output::say!("using the server in TEST_DATABASE_URL");
        return work(&url);
    }
    let Some(programs) = programs() else {
        return missing("the PostgreSQL server programs (initdb, postgres) are not installed");
    };
    let log = workspace.kept("postgres")?.join("server.log");
    let server = Server::start(&programs, &log)?;
    let outcome = work(&server.url());
    server.stop()?;
    outcome
}

fn test(workspace: &Workspace, url: &str) -> Result<Outcome> {
    coverage::tests(workspace)?
        .arg("--tests")
        .env("TEST_DATABASE_URL", url)
        // Tests with a streaming replica need the server programs.
        .env("TEST_REPLICATION", if programs().is_some() { "1" } else { "0" })
        .run()?;
    Ok(Outcome::Passed)
}

/// The folder of the newest server programs, which Debian does not put on the path.
fn programs() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| folder.join("initdb").is_file())
        .collect();
    versions.sort();
    let newest = versions.pop().map(|(_, folder)| folder);
    newest.or_else(|| on_path("initdb").then(PathBuf::new))
}

/// The user that the server runs as, because PostgreSQL refuses to run as root.
#[derive(Debug, Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// `None` if the current user is not root.
    fn needed() -> Result<Option<Self>> {
        let id = |args: &[&str]| -> Result<u32> {
            Invocation::new("id").args(args).capture()?.trim().parse().context("`id` printed no number")
        };
        if id(&["-u"])? != 0 {
            return Ok(None);
        }
        let why = "PostgreSQL doesn't run as root, and there is no user `postgres` to run it as";
        let uid = id(&["-u", "postgres"]).context(why)?;
        Ok(Some(Self { uid, gid: id(&["-g", "postgres"])? }))
    }
}

/// A temporary server. When it is dropped, it is killed and its folder is removed.
struct Server {
    // Declared before the folder, because the process must end before the folder is removed.
    process: Running,
    _folder: Folder,
    port: u16,
}

impl Server {
    fn start(programs: &Path, log: &Path) -> Result<Self> {
        let user = User::needed()?;
        let folder = Folder::make(user)?;
        let data = folder.path.join("data");
        let initdb =
            ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"];
        as_user(user, &programs.join("initdb"))
            .args(initdb)
            .arg(&data)
            .current_dir(&folder.path)
            .capture()?;
        let port = free_port()?;
        let settings = SETTINGS.iter().flat_map(|setting| ["-c", setting]);
        let process = as_user(user, &programs.join("postgres"))
            .args(["-D".as_ref(), data.as_os_str()])
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k"])
            .arg(&folder.path)
            .args(settings)
            .current_dir(&folder.path)
            .start(log)?;
        let mut server = Self { process, _folder: folder, port };
        server.wait(&programs.join("pg_isready"))?;
        Ok(server)
    }

    fn wait(&mut self, pg_isready: &Path) -> Result<()> {
        let port = self.port.to_string();
        let ready = poll(150, Duration::from_millis(200), || {
            if let Some(status) = self.process.ended()? {
                bail!("PostgreSQL ended immediately ({status}):\n{}", self.process.tail());
            }
            Ok(Invocation::new(pg_isready).args(["-q", "-h", "127.0.0.1", "-p", &port]).succeeds())
        })?;
        if !ready {
            bail!("PostgreSQL was not ready after 30 s:\n{}", self.process.tail());
        }
        Ok(())
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn stop(mut self) -> Result<()> {
        // SIGINT is PostgreSQL's fast shutdown: it doesn't wait for clients.
        self.process.stop("INT", Duration::from_secs(30)).context("PostgreSQL didn't stop")?;
        Ok(())
    }
}

/// The command, as the user that may run it; it ends with this program, even if that is killed.
fn as_user(user: Option<User>, program: &Path) -> Invocation {
    match user {
        Some(User { uid, gid }) => Invocation::new("setpriv")
            .args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()])
            .args(["--pdeathsig", "INT"])
            .arg(program),
        None => Invocation::new(program),
    }
}

/// A folder that the server can read. The target folder may be below a home folder that it can't read.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn make(user: Option<User>) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("ashlar-postgres-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("can't make {}", path.display()))?;
        let folder = Self { path };
        if let Some(User { uid, gid }) = user {
            chown(&folder.path, Some(uid), Some(gid)).context("can't give the folder to postgres")?;
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            crate::output::say!("can't remove {}: {error}", self.path.display());
        }
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr().context("a port without a number")?.port())
}
