//! What is said on a terminal: answers, questions and failures.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use configuration::ConfigError;

/// Longer than any line that is accepted, and an end to what a wrong pipe sends.
pub const LONGEST_LINE: u64 = 4_096;

/// Why a command failed. Every error becomes one; its text is the whole chain of causes on one line.
#[derive(Debug)]
pub struct CommandError(Box<dyn Error + Send + Sync>);

impl<E: Error + Send + Sync + 'static> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl CommandError {
    /// A failure that no error stands behind.
    #[must_use]
    pub fn message(sentence: impl Into<String>) -> Self {
        Self(sentence.into().into())
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let reason = error.to_string();
            // Many errors repeat their cause at their own end.
            if !text.ends_with(&reason) {
                text.push_str(": ");
                text.push_str(&reason);
            }
            cause = error.source();
        }
        f.write_str(&text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// Writes an answer to stdout. A reader that has seen enough (`config | head`) is no failure.
///
/// # Errors
///
/// Stdout cannot be written to for another reason.
pub fn print(text: &str) -> Result<(), CommandError> {
    match io::stdout().lock().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Asks a person whether to go on; without one there, that is refused.
///
/// # Errors
///
/// The sentence that says how to go on without being asked, or that nothing was done.
pub fn confirm(question: &str, otherwise: &str) -> Result<(), CommandError> {
    if !io::stdin().is_terminal() {
        return Err(CommandError::message(format!("{question}: nobody is there to ask; {otherwise}")));
    }
    write!(io::stderr().lock(), "{question}. Go on? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().take(LONGEST_LINE).read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CommandError::message("nothing was done")),
    }
}

/// Tells a failure on stderr, each fault of a configuration on a line of its own. Where even that fails, nobody is left to be
/// told.
pub fn print_error(error: &CommandError) {
    let mut stderr = io::stderr().lock();
    let _ = match error.0.downcast_ref::<ConfigError>() {
        Some(faults) => faults.sentences().try_for_each(|sentence| writeln!(stderr, "error: {sentence}")),
        None => writeln!(stderr, "error: {error}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_with_each_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: {0}")]
        struct Repeats(#[source] io::Error);
        #[derive(Debug, thiserror::Error)]
        #[error("first\nline")]
        struct Hides(#[source] Repeats);
        let error = CommandError::from(Hides(Repeats(io::Error::other("inner"))));
        assert_eq!(error.to_string(), "first line: outer: inner");
    }
}
