//! The log: compact lines on a terminal, one JSON object per line elsewhere. Times are UTC with `Z`.
//!
//! `serve` logs to stdout, where container hosts collect it. The other commands answer on stdout and log to stderr, so that scripts can
//! read the answer.
//!
//! The lines of a server are written by a thread of their own, many at a time: a request does not wait for the program that reads the
//! log. If that program falls behind by more than [`BUFFERED_LINES`], further lines are dropped, and [`Writer::watch`] logs how many.

mod json;

use std::convert::Infallible;
use std::io::{self, BufWriter, IsTerminal as _};
use std::time::Duration;

use app_config::{Config, Loaded};
use configuration::ConfigError;
use tokio::time::{MissedTickBehavior, interval};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use self::json::{JsonLines, JsonMembers};

/// Destination of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// For `serve`.
    Stdout,
    /// For commands that answer on stdout.
    Stderr,
}

impl Output {
    /// Whether it is a terminal.
    pub(crate) fn is_terminal(self) -> bool {
        match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
        }
    }
}

/// Resolves the configuration and starts the log: for every command that touches data.
///
/// # Errors
///
/// The faults of the configuration.
pub(crate) fn start(loaded: Loaded, output: Output) -> Result<Config, ConfigError> {
    let config = loaded.resolve()?;
    init(&config.log_level, output);
    Ok(config)
}

/// Resolves the configuration and starts the log of a server, which ends when the writer is dropped.
///
/// # Errors
///
/// The faults of the configuration.
pub(crate) fn start_server(loaded: Loaded) -> Result<(Config, Option<Writer>), ConfigError> {
    let config = loaded.resolve()?;
    if Output::Stdout.is_terminal() {
        init(&config.log_level, Output::Stdout);
        return Ok((config, None));
    }
    let (writer, lines) = Writer::new(io::stdout());
    init_with(&config.log_level, layer(lines, false));
    Ok((config, Some(writer)))
}

/// Number of lines that wait for the program that reads the log, which is a few MiB.
const BUFFERED_LINES: usize = 16_384;

/// Interval of reports about lines that were dropped.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// The thread that writes the log. Dropped, it writes what is left, for at most about a second.
pub(crate) struct Writer {
    dropped: ErrorCounter,
    _thread: WorkerGuard,
}

impl Writer {
    fn new(output: impl io::Write + Send + 'static) -> (Self, NonBlocking) {
        let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(BUFFERED_LINES);
        // It is flushed whenever no line waits.
        let (lines, thread) = builder.thread_name("log").finish(BufWriter::new(output));
        (Self { dropped: lines.error_counter(), _thread: thread }, lines)
    }

    /// Logs how many lines were dropped, whenever there are more of them. Never ends.
    pub(crate) async fn watch(&self) -> Infallible {
        let mut interval = interval(REPORT_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reported = 0;
        loop {
            interval.tick().await;
            let lines = self.dropped.dropped_lines();
            if lines > reported {
                tracing::warn!(lines, "the log is read too slowly: lines were dropped");
                reported = lines;
            }
        }
    }
}

/// Starts the log, filtered by `level` in the syntax of [`EnvFilter`]. `false` if this process logs already, which a test
/// does that starts a second server.
fn init(level: &str, output: Output) -> bool {
    let layer = match output {
        Output::Stdout => layer(io::stdout, output.is_terminal()),
        Output::Stderr => layer(io::stderr, output.is_terminal()),
    };
    init_with(level, layer)
}

fn init_with(level: &str, layer: Box<dyn Layer<Registry> + Send + Sync>) -> bool {
    // A global filter, not one of the layer: a library that only asks whether an event would be logged (sqlx does, for each notice of
    // PostgreSQL) makes a layer's filter drop the next event, whichever it is.
    tracing_subscriber::registry().with(layer).with(filter(level)).try_init().is_ok()
}

/// Directives for noisy libraries: routine reports, invalid HTTP of clients, and s3s, which logs each refused request as an error and
/// whole requests with their signatures at debug. A directive for the same target in `log_level` wins.
const QUIET: &str =
    "actix_http::h1=off,actix_server=warn,sea_orm_migration=warn,s3s=off,sqlx::postgres::notice=warn";

/// Whether a filter enables statements, as `info,sql=debug` does. A global level does not, because there are too many.
pub(crate) fn shows_sql(level: &str) -> bool {
    level.split(',').filter_map(|directive| directive.split_once('=')).any(|(target, level)| {
        let wanted = ["debug", "trace"].contains(&level.trim().to_lowercase().as_str());
        // A target is a prefix of a module's path: `sql` matches `sqlx::query`.
        wanted && "sqlx::query".starts_with(target.trim()) && target.trim().starts_with("sql")
    })
}

/// An invalid filter falls back to `info`; the configuration has refused it before.
fn filter(level: &str) -> EnvFilter {
    EnvFilter::try_new(format!("{QUIET},{level}")).unwrap_or_else(|_| EnvFilter::new(format!("{QUIET},info")))
}

fn layer<W>(writer: W, terminal: bool) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    if terminal {
        // Colours are on unless NO_COLOR is set, which the layer reads itself.
        return fmt::layer().compact().with_writer(writer).boxed();
    }
    fmt::layer().fmt_fields(JsonMembers).event_format(JsonLines).with_writer(writer).with_ansi(false).boxed()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(terminal: bool) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = layer(move || writer.clone(), terminal).with_filter(filter("info"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(status = 200, "answered");
            tracing::debug!("not shown");
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn elsewhere_than_in_a_terminal_every_line_is_json_with_a_utc_time() {
        let text = logged(false);
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "answered");
        assert_eq!(line["status"], 200);
        assert_eq!(line["level"], "INFO");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{text}");
    }

    /// The line of an event that `log` logs.
    fn json_of(log: impl FnOnce()) -> serde_json::Value {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = layer(move || writer.clone(), false);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn every_value_is_valid_json_in_one_line() {
        let hostile = "\"quoted\" \\ \n\r\t\0\u{1b}[31m \u{2028} \u{1f642}";
        let line = json_of(|| {
            let error = io::Error::other(hostile);
            let error: &(dyn std::error::Error + 'static) = &error;
            let (absent, present) = (None::<u16>, Some(7_u8));
            tracing::info!(
                hostile, error, debug = ?hostile, display = %hostile, absent, present, r#type = "t", no = false,
                float = 0.25, infinite = f64::INFINITY, large = u64::MAX, "{hostile}"
            );
        });
        assert_eq!([&line["hostile"], &line["error"], &line["display"], &line["message"]], [hostile; 4]);
        assert_eq!(line["debug"], format!("{hostile:?}"));
        let numbers = serde_json::json!([7, false, 0.25, null, u64::MAX]);
        let logged = ["present", "no", "float", "infinite", "large"].map(|name| line[name].clone());
        assert_eq!(serde_json::json!(logged), numbers);
        assert!(line.get("absent").is_none() && line.get("span").is_none(), "{line}");
        assert_eq!((&line["type"], &line["target"]), (&"t".into(), &module_path!().into()));
    }

    #[test]
    fn a_line_has_the_fields_of_its_span_also_those_that_were_recorded_later() {
        let line = json_of(|| {
            let span = tracing::info_span!("request", path = "/\"a\"", user = tracing::field::Empty);
            let _entered = span.enter();
            span.record("user", "b");
            tracing::warn!("answered");
        });
        assert_eq!(line["span"], serde_json::json!({ "name": "request", "path": "/\"a\"", "user": "b" }));
        assert_eq!(line["level"], "WARN");
    }

    /// What the crate `log` writes has the target of its own module.
    #[test]
    fn a_record_of_the_crate_log_is_a_line_like_others() {
        let line = json_of(|| {
            let record = log::Record::builder();
            let message = format_args!("said");
            let record = { record }.args(message).level(log::Level::Warn).target("a::module").build();
            tracing_log::format_trace(&record).unwrap();
        });
        assert_eq!(
            (&line["message"], &line["level"], &line["target"]),
            (&"said".into(), &"WARN".into(), &"a::module".into())
        );
        assert!(line.get("log.target").is_none(), "{line}");
    }

    #[test]
    fn in_a_terminal_a_line_is_text() {
        let text = logged(true);
        assert!(
            text.contains("answered") && serde_json::from_str::<serde_json::Value>(&text).is_err(),
            "{text}"
        );
    }

    #[test]
    fn statements_are_shown_to_who_asks_for_them() {
        for level in ["info,sql=debug", "sqlx::query=trace,warn", "info, sqlx = DEBUG"] {
            assert!(shows_sql(level), "{level}");
        }
        for level in ["info", "debug", "trace", "info,sql=info", "info,sqlx=warn", "auth=debug"] {
            assert!(!shows_sql(level), "{level}");
        }
    }

    /// An output that takes nothing until it is let go.
    struct Blocked(std::sync::mpsc::Receiver<()>, Lines);

    impl io::Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Its other end was dropped: go on.
            let _ = self.0.recv();
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_nobody_reads_drops_lines_and_counts_them() {
        let (lines, (go_on, blocked)) = (Lines::default(), std::sync::mpsc::channel());
        let (writer, mut sink) = Writer::new(Blocked(blocked, lines.clone()));
        // Whatever fits into the buffers of the writer, this is more.
        let sent = 2 * BUFFERED_LINES;
        for _ in 0..sent {
            io::Write::write_all(&mut sink, &[b'x'; 100]).unwrap();
        }
        let dropped = writer.dropped.dropped_lines();
        assert!((1..=sent - BUFFERED_LINES).contains(&dropped), "{dropped} of {sent}");
        drop(go_on);
        drop(writer);
        assert_eq!(lines.0.lock().unwrap().len(), (sent - dropped) * 100, "what was not dropped is written");
    }

    #[test]
    fn a_second_start_of_the_log_does_no_harm() {
        init("info", Output::Stderr);
        assert!(!init("debug", Output::Stderr));
    }
}
