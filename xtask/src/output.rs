//! The output of the tool. A closed pipe (`cargo xtask new-domain … | head -1`) must not interrupt a command, so lines that can't be
//! written are dropped. The exit code is the result of the command.

use std::fmt::{Arguments, Display};
use std::io::{self, Write as _};

/// Prints text, like `print!`.
pub(crate) fn text(text: &dyn Display) {
    let _nobody_listens = write!(io::stdout().lock(), "{text}").and_then(|()| io::stdout().flush());
}

/// Prints a line, like `println!`; [`say!`] is shorter.
pub(crate) fn line(line: Arguments<'_>) {
    text(&format_args!("{line}\n"));
}

/// Like `println!`, without its panic on a closed pipe.
macro_rules! say {
    ($($part:tt)*) => { $crate::output::line(format_args!($($part)*)) };
}
pub(crate) use say;
