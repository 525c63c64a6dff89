//! What the command line does. Every command works beside a running server and without one.

use std::io;

use auth::dto::{Device, NewPassword};
use auth::password::PasswordHasher;
use auth::service::AdminAccount;
use http_kit::request_log::panic_text;
use migration::record::{self, Standing};
use sea_orm::DatabaseExecutor;
use secrecy::ExposeSecret as _;
use shared_kernel::clock::SystemClock;
use shared_kernel::contact::Email;
use shared_kernel::crypto::SecretKey;
use shared_kernel::error::Invalid;
use shared_kernel::field::TextField;
use shared_kernel::id::UserId;
use shared_kernel::principal::Principal;
use shared_kernel::session::{Databases, ReadPrimary};
use user::dto::{DisplayName, User};

use crate::application::{Addresses, Application, make_folder, open_databases, reachable};
use crate::cli::{CommandError, CreateAdmin, MigrateCommand, Named, confirm, print};
use crate::config::{Config, redacted_url, without_slash};
use crate::document::document;
use crate::logging::Output;
use crate::migrate as schema;
use crate::occupied;

/// Runs the server until it is told to stop (SIGTERM, SIGHUP or Ctrl-C).
///
/// # Errors
///
/// The sentence that says why it cannot start.
pub async fn serve(config: Config) -> Result<(), CommandError> {
    // If ever a second TLS backend gets into the build, rustls would refuse to choose between them.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(tracing::field::display);
        tracing::error!(panic = panic_text(panic.payload()), place, "panic");
    }));
    raise_file_limit(&config);
    let application = Application::build(config.clone()).await?;
    // Whoever reads that it is ready may stop it at once.
    let stop = told_to_stop()?;
    announce(&config, application.addresses())?;
    application.run(stop).await
}

/// Changes the schema.
///
/// # Errors
///
/// The database's.
pub async fn migrate(config: Config, command: MigrateCommand) -> Result<(), CommandError> {
    let databases = connect(&config).await?;
    let primary = databases.primary();
    match command {
        MigrateCommand::Up { yes } => {
            let up = schema::locked(&config, primary, async |database: &DatabaseExecutor<'_>| {
                occupied::refuse(&config, database, yes).await?;
                schema::up(&config, database).await
            });
            print(&list("applied", &up.await?))
        }
        MigrateCommand::Down { all, steps, yes } => {
            let steps = (!all).then_some(steps);
            if !yes {
                confirm(&what_goes(&config, steps), "--yes does it without asking")?;
            }
            let down = async |database: &DatabaseExecutor<'_>| schema::down(&config, database, steps).await;
            print(&list("reverted", &schema::locked(&config, primary, down).await?))
        }
        MigrateCommand::Repair => {
            let repair = async |database: &DatabaseExecutor<'_>| schema::repair(&config, database).await;
            let found = schema::locked(&config, primary, repair).await?;
            print(&(list("struck off", &found.unknown) + &list("taken as it is", &found.changed)))
        }
        MigrateCommand::Status => print(&status(&record::standing(&primary.into()).await?)),
    }
}

/// One line for each migration.
fn status(standing: &Standing) -> String {
    let applied = standing.applied.iter().map(|name| {
        let state = if standing.changed.contains(name) { "changed" } else { "applied" };
        (state, name)
    });
    let pending = standing.pending.iter().map(|name| ("pending", name));
    let unknown = standing.unknown.iter().map(|name| ("unknown", name));
    let mut all: Vec<_> = applied.chain(pending).chain(unknown).collect();
    all.sort_by_key(|(_, name)| *name);
    all.iter().fold(String::new(), |text, (state, name)| text + state + "  " + name + "\n")
}

/// What a way back takes with it.
fn what_goes(config: &Config, steps: Option<u32>) -> String {
    let database = redacted_url(config.database.url.expose_secret());
    let which = match steps {
        None => "all migrations".to_owned(),
        Some(1) => "the last migration".to_owned(),
        Some(steps) => format!("the last {steps} migrations"),
    };
    format!(
        "{which} of {database} will be taken back, and what they held is lost, also for a server that is running"
    )
}

/// The value of an option, by the rule of its type.
fn option<T: TextField>(name: &str, text: &str) -> Result<T, Invalid> {
    T::parse(text).map_err(|error| Invalid(vec![error.at(name)]))
}

/// Makes an admin: of an existing account, or a new one.
///
/// Whoever signed up with an address need not be its owner. So an account that is named by its address alone is shown, and a
/// person is asked; a script has to name it by its id, or to give it a password of its own.
///
/// # Errors
///
/// The sentence that says what is wrong with the address or the password, what is to be said besides, and the database's.
pub async fn create_admin(config: Config, admin: CreateAdmin) -> Result<(), CommandError> {
    let name = option::<DisplayName>("--name", admin.name.as_deref().unwrap_or("Admin"))?;
    let password = admin
        .password
        .map(|password| option::<NewPassword>("--password-stdin", password.expose_secret()))
        .transpose()?;
    let email = match &admin.account {
        Named::Email(email) => Some(option::<Email>("--email", email)?),
        Named::Id(_) => None,
    };
    let databases = connect(&config).await?;
    if config.database.auto_migrate {
        schema::at_start(&config, databases.primary()).await?;
    }
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
    let hasher = PasswordHasher::start(config.auth.passwords)?;
    let (db, principal) = (databases.write(), Principal::system("admin create"));
    let made = auth::service::create_admin(&hasher, &reader, &db, &principal, account, password).await?;
    let made = db.commit(made).await?.into_value();
    print(&format!("{} ({}) {what}\n", made.email, made.id))
}

/// The id of `user`, if the person at the terminal says that it is the one.
async fn confirmed(reader: &ReadPrimary, user: &User) -> Result<UserId, CommandError> {
    let first = auth::service::first_sign_in(reader, user.id).await?;
    let known = history(user, first.as_ref());
    let otherwise = format!(
        "whoever signed up need not be the owner of the address: if this is the account, name it with --user-id {}, or give it a \
         password with --password-stdin, which ends all of its sessions",
        user.id
    );
    confirm(&format!("{known}, and would be an admin"), &otherwise)?;
    Ok(user.id)
}

/// Since when an account exists, and from where.
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

/// The OpenAPI document.
#[must_use]
pub fn openapi(config: &Config, pretty: bool) -> String {
    let document = document(config);
    let text = if pretty { document.to_pretty_json() } else { document.to_json() };
    text.unwrap_or_default()
}

/// What an S3 client needs to get at the objects, as JSON. The keys of the embedded store are derived and stand nowhere else.
#[must_use]
pub fn credentials(config: &Config) -> String {
    let storage = &config.storage;
    let endpoint = storage.endpoint.clone().map_or_else(
        || format!("http://{}", reachable(config.embedded_store.bind)),
        |endpoint| without_slash(&endpoint).to_owned(),
    );
    let credentials = serde_json::json!({
        "endpoint": endpoint,
        "region": storage.region,
        "bucket": storage.bucket,
        "path_style": storage.path_style,
        "access_key": storage.access_key.expose_secret(),
        "secret_key": storage.secret_key.expose_secret(),
    });
    format!("{credentials}\n")
}

async fn connect(config: &Config) -> Result<Databases, CommandError> {
    let secret = SecretKey::new(&config.secret_key)?;
    make_folder(&config.data_dir)?;
    open_databases(config, SystemClock::shared(), &secret).await
}

fn list(what: &str, names: &[String]) -> String {
    if names.is_empty() {
        return format!("nothing was {what}\n");
    }
    names.iter().fold(String::new(), |text, name| text + what + "  " + name + "\n")
}

/// Says where everything is: to a person as a list, to a machine as one event.
fn announce(config: &Config, addresses: &Addresses) -> Result<(), CommandError> {
    let url = addresses.public_url.as_str().trim_end_matches('/');
    let storage = addresses.storage.as_str().trim_end_matches('/');
    let database = redacted_url(config.database.url.expose_secret());
    let origin = &config.provenance.database_url;
    if !config.provenance.unprefixed.is_empty() {
        // Other programs use these names too, so they may be in a shell for another one's sake.
        let variables = config.provenance.unprefixed.join(", ");
        tracing::info!(variables, "settings are taken from variables without the prefix ASHLAR_");
    }
    if !Output::Stdout.is_terminal() {
        tracing::info!(url, address = %addresses.api, storage, database, database_from = origin, "ready");
        return Ok(());
    }
    let data = config.data_dir.display();
    let name = &config.project_name;
    print(&format!(
        "
  {name} is ready ({environment})

    API        {url}/api/v1
    Docs       {url}/docs   and   {url}/redoc
    Health     {url}/health/ready
    Data       {data}
    Database   {database}   (from: {origin})
    Objects    {storage}
    Mail       {data}/mail

    Make an admin of an account that signed up (it is shown, and you are asked):
      cargo run -- admin create --email you@example.com     (installed: ashlar admin create …)

    Stop with Ctrl-C. All settings: ashlar config --help

",
        environment = config.environment,
    ))
}

/// Each connection is a file, and the usual 1,024 are for programs that know no more.
#[cfg(unix)]
fn raise_file_limit(config: &Config) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// Databases, files, the log.
    const OTHERS: usize = 256;
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    let wanted = config.server.connections + config.embedded_store.connections + OTHERS;
    let files = getrlimit(Resource::Nofile).current;
    if let Some(files) = files.filter(|files| u64::try_from(wanted).is_ok_and(|wanted| *files < wanted)) {
        tracing::warn!(
            files,
            wanted,
            "fewer files may be open than there may be connections: raise the limit (ulimit -n, LimitNOFILE=) or set \
             ASHLAR_SERVER__CONNECTIONS to less"
        );
    }
}

#[cfg(not(unix))]
fn raise_file_limit(_: &Config) {}

/// Done when the process is told to stop. From the call on, not from the first poll: a signal that comes before the server
/// runs must not end the process by its default.
#[cfg(unix)]
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // The terminal is closed, or somebody means "reload": there is nothing to reload, and nothing may be lost.
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

/// Done when the process is told to stop.
#[cfg(not(unix))]
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
