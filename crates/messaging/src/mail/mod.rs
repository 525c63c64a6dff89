//! Mail, and the port for sending it.

mod file;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
pub use lettre::Address;
use lettre::Message;
pub use lettre::address::AddressError;
pub use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use shared_kernel::clock::Timestamp;
use shared_kernel::contact::Email;
use shared_kernel::id::{Id, IdKind};

pub use self::file::FileMailer;

/// A mail in plain text to one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Id of the mail, from which its `Message-ID` is made; otherwise a new one. A mail that may be sent twice has one, so that the second
    /// can be recognised: a job takes [`MailId::from_bytes`] of its own id.
    pub id: Option<MailId>,
    /// Recipient.
    pub to: Address,
    /// Subject.
    pub subject: Subject,
    /// Text, with line ends of any kind.
    pub text: String,
}

/// The subject of a mail: one line of 1 to 200 characters without control characters, so that it cannot inject
/// a header, and without `=?`, so that it is not decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(String);

/// Length of the longest subject, in characters.
const LONGEST_SUBJECT: usize = 200;

/// A text is not a valid subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a subject must be one line of 1 to {LONGEST_SUBJECT} characters without `=?`")]
pub struct InvalidSubject;

impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        let text = text.trim_matches(' ');
        // U+2028 and U+2029 end a line without being control characters.
        let ends_line = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        // lettre sends text that looks like an encoded word (RFC 2047) as it is, and the reader would see another subject.
        let looks_encoded = text.contains("=?");
        let fits = !looks_encoded && !text.trim().is_empty() && text.chars().count() <= LONGEST_SUBJECT;
        if fits && !text.contains(ends_line) { Ok(Self(text.to_owned())) } else { Err(InvalidSubject) }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Sends mail.
pub trait Mailer: Send + Sync {
    /// Sends a mail. It may be sent twice if the process dies before this returns.
    ///
    /// # Errors
    ///
    /// It is not certain that it was sent; the same mail may be sent again later.
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>>;
}

/// A mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// It cannot be written in the form of RFC 5322.
    #[error("the mail cannot be composed")]
    Compose(#[from] lettre::error::Error),
    /// The address was made without being parsed, and is invalid.
    #[error("the address of the mail is invalid")]
    Address(#[from] AddressError),
    /// The file was not written.
    #[error("the mail cannot be written to {}", path.display())]
    Write {
        /// Path of the file or its folder.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

/// The kind of [`MailId`].
#[derive(Debug)]
pub enum MailKind {}

impl IdKind for MailKind {
    const PREFIX: &'static str = "eml";
    const NAME: &'static str = "mail";
}

/// Id of a mail, from which its `Message-ID` is made.
pub type MailId = Id<MailKind>;

/// A mail as a message of RFC 5322. Date and id are given, because lettre would take them from the machine's clock and from a
/// predictable generator.
pub(crate) fn compose(mail: Mail, from: &Mailbox, id: MailId, at: Timestamp) -> Result<Message, MailError> {
    // `Address::new_dangerous` exists, and lettre writes such an address into the header as it is.
    // The domain is written in ASCII, because not every server accepts another form (RFC 6531).
    let to: Address = Email::in_ascii(mail.to.as_ref()).parse()?;
    let message = Message::builder()
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        .date(SystemTime::from(at.to_datetime()))
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(mail.subject.0)
        .header(ContentType::TEXT_PLAIN)
        .body(with_crlf(&mail.text))?;
    Ok(message)
}

/// `text` with the line ends of a mail. A lone CR is not a line end, and servers treat it differently (RFC 5322, section 2.3).
fn with_crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}
