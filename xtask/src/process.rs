//! Runs other programs: prints their command lines, limits their time, and stops them.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Time limit of a command, longer than any step needs, so that a command that hangs does not block the whole run.
const LIMIT: Duration = Duration::from_mins(40);

/// Interval of polling.
const TICK: Duration = Duration::from_millis(50);

/// Prefixes of environment variables that configure the product; those that a developer has set must not affect a check.
const PRODUCT_VARIABLES: [&str; 8] = [
    "DATABASE_URL",
    "ENVIRONMENT",
    "LOG_LEVEL",
    "PORT",
    "PROJECT_NAME",
    "REDIS_URL",
    "SECRET_KEY",
    "TEST_DATABASE_URL",
];

/// A command line.
#[derive(Debug)]
pub(crate) struct Invocation {
    program: OsString,
    args: Vec<OsString>,
    set: Vec<(String, OsString)>,
    unset: Vec<String>,
    directory: Option<PathBuf>,
    input: Option<String>,
}

impl Invocation {
    /// A program on the path.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            set: Vec::new(),
            unset: Vec::new(),
            directory: None,
            input: None,
        }
    }

    /// Adds one argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub(crate) fn args<I: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = I>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable, which is printed with the command.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.set.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Removes the configuration of the product from the environment.
    pub(crate) fn without_configuration(mut self) -> Self {
        let ours = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        self.unset.extend(ours.filter(|name| name.starts_with("ASHLAR_")));
        self.unset.extend(PRODUCT_VARIABLES.map(str::to_owned));
        self
    }

    /// Lets a test binary run more tests at once than there are cores, unless the environment sets the number: black-box tests mostly
    /// wait for a server.
    pub(crate) fn overlapping_tests(self) -> Self {
        const THREADS: &str = "RUST_TEST_THREADS";
        if std::env::var_os(THREADS).is_some() {
            return self;
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.env(THREADS, (4 * cores).min(16).max(cores).to_string())
    }

    /// Runs in this folder.
    pub(crate) fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Passes this text on standard input, which is empty otherwise.
    pub(crate) fn input(mut self, text: impl Into<String>) -> Self {
        self.input = Some(text.into());
        self
    }

    /// The command line as it would be typed.
    pub(crate) fn shown(&self) -> String {
        let set = self.set.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
        let rest = std::iter::once(&self.program).chain(&self.args).map(|part| quoted(part));
        set.chain(rest).collect::<Vec<_>>().join(" ")
    }

    /// Prints the command, runs it with the output of this program, and fails if it fails.
    pub(crate) fn run(&self) -> Result<()> {
        crate::output::say!("$ {}", self.shown());
        let mut command = self.command();
        let child = command.spawn().with_context(|| self.cannot_start())?;
        let status = self.finish(child)?;
        self.expect_success(status)
    }

    /// Runs the command and returns its stdout; its stderr goes to that of this program.
    pub(crate) fn capture(&self) -> Result<String> {
        let mut command = self.command();
        command.stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| self.cannot_start())?;
        self.feed(&mut child)?;
        let output = child.wait_with_output().with_context(|| self.cannot_start())?;
        self.expect_success(output.status)?;
        String::from_utf8(output.stdout).with_context(|| format!("`{}` printed invalid UTF-8", self.shown()))
    }

    /// Runs the command, and returns its exit code, stdout and stderr even if it fails.
    pub(crate) fn ended(&self) -> Result<Ended> {
        let output = self.command().output().with_context(|| self.cannot_start())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Ended { code: output.status.code(), printed: text(&output.stdout) + &text(&output.stderr) })
    }

    /// True if the command can be run and succeeds; its output is dropped.
    pub(crate) fn succeeds(&self) -> bool {
        let mut command = self.command();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Prints the command and runs it in the background, with its output in a file.
    pub(crate) fn start(&self, log: &Path) -> Result<Running> {
        crate::output::say!("$ {} > {} &", self.shown(), log.display());
        let file = File::create(log).with_context(|| format!("can't write {}", log.display()))?;
        let errors = file.try_clone().context("can't share the log")?;
        let child =
            self.command().stdout(file).stderr(errors).spawn().with_context(|| self.cannot_start())?;
        Ok(Running { child, log: log.to_owned() })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        command.stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() });
        for name in &self.unset {
            command.env_remove(name);
        }
        command.envs(self.set.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }

    fn feed(&self, child: &mut Child) -> Result<()> {
        let (Some(text), Some(mut pipe)) = (&self.input, child.stdin.take()) else {
            return Ok(());
        };
        pipe.write_all(text.as_bytes()).with_context(|| format!("`{}` reads no input", self.shown()))
    }

    fn finish(&self, mut child: Child) -> Result<ExitStatus> {
        self.feed(&mut child)?;
        if let Some(status) = wait_until(&mut child, Instant::now() + LIMIT)? {
            return Ok(status);
        }
        child.kill().context("can't stop it")?;
        bail!("`{}` was still running after {} minutes and was stopped", self.shown(), LIMIT.as_secs() / 60)
    }

    fn expect_success(&self, status: ExitStatus) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        bail!("`{}` failed ({status})", self.shown())
    }

    fn cannot_start(&self) -> String {
        format!("can't run `{}`: is it installed?", self.program.display())
    }
}

/// The result of a program.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Its output.
    pub(crate) printed: String,
}

/// A program in the background. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// The file with its output.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Its status, if it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("can't read the status of a running program")
    }

    /// Sends a signal, by name, and waits until the program ends.
    pub(crate) fn stop(&mut self, signal: &str, patience: Duration) -> Result<ExitStatus> {
        let kill = format!("kill -{signal} {}", self.child.id());
        Invocation::new("sh").args(["-c", &kill]).run()?;
        match wait_until(&mut self.child, Instant::now() + patience)? {
            Some(status) => Ok(status),
            None => bail!("it was still running {} s after SIG{signal}", patience.as_secs()),
        }
    }

    /// The end of its output, for error messages.
    pub(crate) fn tail(&self) -> String {
        let text = std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let text = text.unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error here means that it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Retries until success, with a pause between, a limited number of times.
pub(crate) fn poll(tries: u32, pause: Duration, mut attempt: impl FnMut() -> Result<bool>) -> Result<bool> {
    for _ in 0..tries {
        if attempt()? {
            return Ok(true);
        }
        std::thread::sleep(pause);
    }
    Ok(false)
}

/// The program of this name on the path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// True when a program of this name is on the path.
pub(crate) fn on_path(program: &str) -> bool {
    find(program).is_some()
}

fn wait_until(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>> {
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().context("can't wait for it")? {
            return Ok(Some(status));
        }
        std::thread::sleep(TICK);
    }
    Ok(None)
}

fn quoted(part: &OsStr) -> String {
    let text = part.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let invocation = Invocation::new("echo").env("A", "b c").args(["it's", "fine", ""]);
        assert_eq!(invocation.shown(), r"A='b c' echo 'it'\''s' fine ''");
    }

    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        let error = Invocation::new("sh").args(["-c", "exit 3"]).run().unwrap_err();
        assert!(error.to_string().contains("exit 3"), "{error}");
    }

    #[test]
    fn a_missing_program_is_an_error_that_says_so() {
        let error = Invocation::new("no-such-program").run().unwrap_err();
        assert!(error.to_string().contains("is it installed"), "{error}");
    }

    #[test]
    fn input_reaches_the_program() {
        assert_eq!(Invocation::new("cat").input("hello").capture().unwrap(), "hello");
    }

    #[test]
    fn polling_gives_up() {
        let mut count = 0;
        let found = poll(3, Duration::ZERO, || {
            count += 1;
            Ok(false)
        });
        assert!(!found.unwrap());
        assert_eq!(count, 3);
    }
}
