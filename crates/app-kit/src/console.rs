//! Input and output of commands: answers, questions and errors.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use configuration::ConfigError;

/// Number of bytes that are read of an input line, which bounds the input of a wrong pipe.
pub const LONGEST_LINE: u64 = 4_096;

/// The error of a command. Every error converts into one; its text is the whole chain of causes on one line.
#[derive(Debug)]
pub struct CommandError(Box<dyn Error + Send + Sync>);

impl<E: Error + Send + Sync + 'static> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl CommandError {
    /// An error with this message.
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

/// Writes an answer to stdout. A closed pipe (`config | head`) is not an error.
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

/// Asks for confirmation on a terminal, and fails without one.
///
/// # Errors
///
/// There is no terminal (the message says how to confirm otherwise), or the answer was no.
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

/// Writes an error to stderr, each fault of a configuration on a line of its own. A failure to write is ignored.
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
