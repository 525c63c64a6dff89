//! The command `admin`.

use std::fmt;
use std::io::{self, Read as _};

use app_config::Config;
use app_kit::console::{CommandError, LONGEST_LINE, confirm, print};
use app_kit::module::Invocation;
use auth::dto::{Device, NewPassword};
use auth::password::PasswordHasher;
use auth::service::{self, AdminAccount};
use auth::settings::AuthSettings;
use clap::{Args, CommandFactory as _, Parser};
use secrecy::{ExposeSecret as _, SecretString};
use shared_kernel::contact::Email;
use shared_kernel::error::Invalid;
use shared_kernel::field::TextField;
use shared_kernel::id::UserId;
use shared_kernel::principal::Principal;
use shared_kernel::session::ReadPrimary;
use user::dto::{DisplayName, User};

pub(super) fn commands() -> clap::Command {
    AdminCommand::command()
}

pub(super) async fn run(invocation: Invocation) -> Result<(), CommandError> {
    match invocation.arguments()? {
        AdminCommand::Create(arguments) => {
            let (config, admin) = (invocation.start()?, arguments.read()?);
            create_admin(&invocation, &config, admin).await
        }
    }
}

/// Manage administrators
#[derive(Debug, Parser)]
#[command(name = "admin")]
enum AdminCommand {
    /// Create an administrator, or make one of an existing account
    Create(CreateAdminArgs),
}

/// The arguments of `admin create`.
#[derive(Debug, Args)]
struct CreateAdminArgs {
    /// E-mail address of the account; an existing account is shown for confirmation on a terminal
    #[arg(long, required_unless_present = "user_id")]
    email: Option<String>,
    /// Id of an existing account, which needs no confirmation
    #[arg(long, value_name = "ID", conflicts_with_all = ["email", "name"])]
    user_id: Option<UserId>,
    /// Name of a new account; an existing one keeps its own
    #[arg(long)]
    name: Option<String>,
    /// Read the password from the first line of stdin: required for a new account; for an existing one it is changed, and its sessions end
    #[arg(long)]
    password_stdin: bool,
}

/// An administrator to be created.
#[derive(Clone, Debug)]
struct CreateAdmin {
    /// Account.
    account: Named,
    /// Name of a new account.
    name: Option<String>,
    /// Password of a new account, which is required, or a new password of an existing one.
    password: Option<SecretString>,
}

/// How an operator names an account.
#[derive(Clone, Debug)]
enum Named {
    /// By an e-mail address, with which anybody may have signed up.
    Email(String),
    /// By its id.
    Id(UserId),
}

impl CreateAdminArgs {
    /// Adds the password, if it is to be read.
    ///
    /// # Errors
    ///
    /// Stdin cannot be read, is not UTF-8, or has no password.
    fn read(self) -> Result<CreateAdmin, CommandError> {
        let password = if self.password_stdin { Some(first_line(io::stdin().lock())?) } else { None };
        let account = self.user_id.map_or_else(|| Named::Email(self.email.unwrap_or_default()), Named::Id);
        Ok(CreateAdmin { account, name: self.name, password })
    }
}

fn first_line(input: impl io::Read) -> Result<SecretString, CommandError> {
    let mut text = String::new();
    input.take(LONGEST_LINE).read_to_string(&mut text).map_err(|error| no_password(&error))?;
    match text.lines().next() {
        None | Some("") => Err(no_password(&"it is empty")),
        Some(line) => Ok(SecretString::from(line)),
    }
}

fn no_password(reason: &dyn fmt::Display) -> CommandError {
    CommandError::message(format!("no password can be read from stdin: {reason}"))
}

/// Parses the value of an option by the rules of its type.
fn option<T: TextField>(name: &str, text: &str) -> Result<T, Invalid> {
    T::parse(text).map_err(|error| Invalid(vec![error.at(name)]))
}

/// Makes an existing or a new account an admin.
///
/// A person who signed up with an address need not be its owner. So an account that is named by its address alone is shown for
/// confirmation; a script has to name it by its id, or set a new password.
///
/// # Errors
///
/// The address, name or password is invalid, the confirmation is missing, or the database failed.
async fn create_admin(
    invocation: &Invocation,
    config: &Config,
    admin: CreateAdmin,
) -> Result<(), CommandError> {
    let name = option::<DisplayName>("--name", admin.name.as_deref().unwrap_or("Admin"))?;
    let password = admin
        .password
        .map(|password| option::<NewPassword>("--password-stdin", password.expose_secret()))
        .transpose()?;
    let email = match &admin.account {
        Named::Email(email) => Some(option::<Email>("--email", email)?),
        Named::Id(_) => None,
    };
    let databases = invocation.connect(config).await?;
    let reader = databases.read_primary();
    let account = match (&admin.account, email) {
        (Named::Id(id), _) => AdminAccount::Existing(*id),
        (Named::Email(_), Some(email)) => {
            match user::service::find_by_identifier(&reader, email.as_str()).await? {
                Some(user) if password.is_none() => AdminAccount::Existing(confirmed(&reader, &user).await?),
                Some(user) => AdminAccount::Existing(user.id),
                None if password.is_none() => {
                    return Err(CommandError::message(format!(
                        "nobody has signed up as {email} yet: sign up first, or give a password with --password-stdin"
                    )));
                }
                None => AdminAccount::New { email, name },
            }
        }
        (Named::Email(_), None) => return Err(CommandError::message("no account is named")),
    };
    let what = match (&account, &password) {
        (AdminAccount::Existing(_), None) => "is an admin now",
        (AdminAccount::Existing(_), Some(_)) => {
            "is an admin now, with a new password; all of its sessions were ended"
        }
        (AdminAccount::New { .. }, _) => "was created as an admin",
    };
    let hasher = PasswordHasher::start(config.section::<AuthSettings>()?.passwords)?;
    let (db, principal) = (databases.write(), Principal::system("admin create"));
    let made = service::create_admin(&hasher, &reader, &db, &principal, account, password).await?;
    let made = db.commit(made).await?.into_value();
    print(&format!("{} ({}) {what}\n", made.email, made.id))
}

/// The id of `user`, if the person at the terminal confirms it.
async fn confirmed(reader: &ReadPrimary, user: &User) -> Result<UserId, CommandError> {
    let first = service::first_sign_in(reader, user.id).await?;
    let known = history(user, first.as_ref());
    let otherwise = format!(
        "whoever signed up need not be the owner of the address: if this is the account, name it with --user-id {}, or give it a \
         password with --password-stdin, which ends all of its sessions",
        user.id
    );
    confirm(&format!("{known}, and would be an admin"), &otherwise)?;
    Ok(user.id)
}

/// Time and origin of the sign-up of an account.
fn history(user: &User, first: Option<&Device>) -> String {
    let verified = if user.email_verified { "is verified" } else { "is not verified" };
    let origin = first.map_or_else(
        || ", from where is not known".to_owned(),
        |device| {
            let address = device.address.as_deref().unwrap_or("an unknown address");
            let agent = device.user_agent.as_deref().unwrap_or("a client that did not name itself");
            format!(" from {address} with {agent}")
        },
    );
    format!("{} ({}) signed up at {}{origin}; its address {verified}", user.email, user.id, user.created_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_usage_is_refused() {
        for wrong in [
            &["admin", "create"][..],
            &["admin", "create", "--user-id", "ada@example.com"],
            &["admin", "create", "--user-id", "usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T", "--email", "ada@example.com"],
        ] {
            assert_eq!(commands().try_get_matches_from(wrong).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
    }

    #[test]
    fn a_password_is_the_first_line_without_its_end() {
        assert_eq!(first_line(&b" pass word \r\nmore"[..]).unwrap().expose_secret(), " pass word ");
        for none in [&b""[..], b"\nlater", b"\xff\xfe"] {
            assert!(
                first_line(none).unwrap_err().to_string().starts_with("no password can be read from stdin: ")
            );
        }
    }
}
