//! The section `mail`.

use configuration::{Keys, Section, derived, empty, key, parsed, promised};
use url::{Host, Url};

/// Settings of mail.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Sender of all mail.
    pub from: String,
}

impl Section for Mail {
    const NAME: &'static str = "mail";
    /// Name of the project, and public URL of the API.
    type Given<'a> = (&'a str, &'a Url);

    fn read(keys: &mut Keys<'_>, (project_name, public_url): (&str, &Url)) -> Option<Self> {
        let mail = Self {
            from: keys.read(key(
                "from",
                parsed("a mailbox, such as Example <no-reply@example.com>", mailbox),
                derived(
                    sender(project_name, public_url),
                    "`<project_name> <no-reply@<host of server.public_url>>`",
                ),
                "Sender of all mail.",
            ))?,
        };
        keys.read(key(
            "smtp_url",
            promised("mail over SMTP"),
            empty("files below `<data_dir>/mail`"),
            "URL of the server that delivers the mail.",
        ))?;
        Some(mail)
    }
}

fn sender(project_name: &str, public_url: &Url) -> String {
    let host = match public_url.host() {
        Some(Host::Domain(name)) => name,
        _ => "localhost",
    };
    // RFC 5322, 3.4: a name with other characters is a quoted string.
    let plain = project_name.chars().all(|c| c.is_alphanumeric() || c == ' ' || c == '-');
    if plain {
        return format!("{project_name} <no-reply@{host}>");
    }
    let name = project_name.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{name}\" <no-reply@{host}>")
}

fn mailbox(text: &str) -> Option<String> {
    let address = match text.rsplit_once('<') {
        Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
        None => text,
    };
    let is_part = |part: &str| !part.is_empty() && !part.contains([' ', '<', '>', '@', ',', ';']);
    let (local, domain) = address.rsplit_once('@')?;
    (is_part(local) && is_part(domain)).then(|| text.to_owned())
}
