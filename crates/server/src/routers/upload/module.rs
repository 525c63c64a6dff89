//! The module of uploads.

use std::sync::Arc;

use app_config::SectionReader;
use app_kit::console::{CommandError, print};
use app_kit::module::{Invocation, Module, Verb};
use app_kit::wiring::{Role, Wiring};
use configuration::{Environment, without_slash};
use futures_util::future::{FutureExt as _, ready};
use secrecy::ExposeSecret as _;
use shared_kernel::crypto::SecretKey;
use upload::files::SignedFiles;
use upload::service::{self, UploadService};
use upload::settings::{StorageSettings, UploadSettings};
use upload::storage::Storage;
use upload_port::Files;

use super::embedded_store::{self, EmbeddedStore};
use super::{bounds, configure, purge, rules};

/// Uploads.
pub static MODULE: Module = Module {
    tags: &[("uploads", "Files, which clients send directly to the object store.")],
    routes: configure,
    problems: upload::error::PROBLEMS,
    resources: service::RESOURCES,
    settings,
    installation: rules::members,
    document: bounds::write,
    dependencies: &[("storage", "Object store.")],
    claims_data_dir: |config| Ok(config.section::<StorageSettings>()?.endpoint.is_none()),
    schedules: || Ok(vec![purge::schedule()?]),
    start: |wiring| start(wiring).boxed_local(),
    commands: &[Verb { command: commands, run: |invocation| ready(run(&invocation)).boxed_local() }],
    ..Module::EMPTY
};

fn settings(reader: &mut SectionReader<'_, '_>) -> Option<()> {
    let storage = reader.read::<StorageSettings>(())?;
    let embedded = reader.read::<EmbeddedStore>(())?;
    let uploads = reader.read::<UploadSettings>(())?;
    // Otherwise a file of the largest size would be answered with 503 for ever.
    let largest = uploads.max_size.unsigned_abs();
    let has_room = storage.endpoint.is_some() || embedded.unfinished_bytes >= largest;
    let must = format!("be {largest} at least, which is `uploads.max_size`");
    reader.keys.must("storage.embedded_unfinished_bytes", has_room, &must);
    Some(())
}

async fn start(wiring: &mut Wiring<'_>) -> Result<(), CommandError> {
    let config = wiring.config;
    let settings = config.section::<UploadSettings>()?.clone();
    let configured = config.section::<StorageSettings>()?.clone();
    let is_embedded = configured.endpoint.is_none();
    let storage = match (is_embedded, wiring.role) {
        (false, _) => configured,
        (true, Role::Server) => embedded_store::open(wiring, configured).await?,
        (true, Role::Worker) => embedded_store::of_the_server(wiring, configured)?,
    };
    if let Some(public) = storage.public_endpoint.as_ref().or(storage.endpoint.as_ref()) {
        wiring.serves("Objects", public.clone());
    }
    let storage = Storage::new(&storage, wiring.databases.clock().clone());
    if !is_embedded && config.environment == Environment::Development {
        make_bucket(&storage).await;
    }
    let asked = storage.clone();
    wiring.depend("storage", move || {
        let storage = asked.clone();
        async move { storage.ping().await.is_ok() }
    });
    let files: Arc<dyn Files> = Arc::new(SignedFiles::new(storage.clone(), settings.url_ttl));
    wiring.state(files);
    let uploads = Arc::new(UploadService { storage, settings });
    wiring.job(purge::kind(wiring.databases, uploads.clone()));
    wiring.state(uploads);
    Ok(())
}

/// Creates the bucket of a store that a developer has just started. If this fails, readiness reports it.
async fn make_bucket(storage: &Storage) {
    if let Err(error) = storage.ensure_bucket().await {
        tracing::warn!(?error, "the bucket cannot be made; uploads fail until it is there");
    }
}

/// Manage uploads
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Parser)]
#[command(name = "uploads")]
enum UploadsCommand {
    /// Print address and credentials of the object store as JSON, for an S3 client
    Credentials,
}

fn commands() -> clap::Command {
    <UploadsCommand as clap::CommandFactory>::command()
}

fn run(invocation: &Invocation) -> Result<(), CommandError> {
    match invocation.arguments()? {
        UploadsCommand::Credentials => print(&credentials(invocation)?),
    }
}

/// Address and credentials of the object store, as JSON. The keys of the embedded store are derived and stored nowhere.
fn credentials(invocation: &Invocation) -> Result<String, CommandError> {
    let config = invocation.load()?.resolve()?;
    let secret = SecretKey::new(&config.secret_key)?;
    let storage = embedded_store::with_keys(config.section::<StorageSettings>()?.clone(), &secret);
    let endpoint = storage.endpoint.map_or_else(
        || Ok(format!("http://{}", embedded_store::address(&config)?)),
        |endpoint| Ok::<_, CommandError>(without_slash(&endpoint).to_owned()),
    )?;
    let credentials = serde_json::json!({
        "endpoint": endpoint,
        "region": storage.region,
        "bucket": storage.bucket,
        "path_style": storage.path_style,
        "access_key": storage.access_key.expose_secret(),
        "secret_key": storage.secret_key.expose_secret(),
    });
    Ok(format!("{credentials}\n"))
}
