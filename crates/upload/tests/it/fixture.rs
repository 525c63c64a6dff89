//! The fixture of each test: a database, an object store, a clock that stands still, and users.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use migration::Migrator;
use object_store::{CorsOrigins, ObjectStore, ObjectStoreConfig, ObjectStoreLimits, ObjectStoreTimeouts};
use sea_orm::sea_query::{Alias, Expr, ExprTrait as _, Query};
use sea_orm::{Condition, ConnectionTrait as _, DbBackend};
use secrecy::ExposeSecret as _;
use shared_kernel::clock::{Clock as _, SharedClock, SystemClock, Timestamp};
use shared_kernel::crypto::sha256;
use shared_kernel::error::DomainError as _;
use shared_kernel::event::DomainEvent;
use shared_kernel::frozen::OBJECT_SEAL;
use shared_kernel::json;
use shared_kernel::page::{Page, PageRequest};
use shared_kernel::principal::Principal;
use shared_kernel::resource::{OnDelete, Reference, Resource, Resources};
use shared_kernel::testing::{self, FixedClock, TestDatabase};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use upload::dto::{
    CreateUpload, CreatedUpload, Disposition, Download, PresignedRequest, ShownUpload, Upload, UploadFilter,
    UploadId,
};
use upload::error::UploadError;
use upload::files::SignedFiles;
use upload::service::{self, UploadService};
use upload::settings::{StorageSettings, UploadSettings};
use upload::storage::{Reading, Storage};

pub(crate) struct Fixture {
    pub(crate) database: TestDatabase,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) storage: Storage,
    pub(crate) settings: UploadSettings,
    address: SocketAddr,
    http: reqwest::Client,
    _store: DropGuard,
    _folder: TempDir,
}

/// As the domain of accounts has it.
const USERS: Resource = Resource {
    active: || Condition::all().add(Expr::col("status").eq("active")),
    ..Resource::visible_to_all("users")
};

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::at(SystemClock.now()).await
    }

    /// One whose clock stands at `now`. The store has the machine's clock: it decides what is expired there.
    pub(crate) async fn at(now: Timestamp) -> Self {
        Self::with(now, service::RESOURCES.iter().chain([&USERS]).collect()).await
    }

    /// One with another domain's table `frames`, whose rows cannot do without their file.
    pub(crate) async fn with_frames() -> Self {
        const FRAMES: Resource = Resource {
            references: &[Reference { column: "upload_id", to: "uploads", on_delete: OnDelete::Restrict }],
            ..Resource::visible_to_all("frames")
        };
        let resources = service::RESOURCES.iter().chain([&USERS, &FRAMES]).collect();
        let fixture = Self::with(SystemClock.now(), resources).await;
        let moment = if fixture.database.backend() == DbBackend::Postgres { "timestamptz" } else { "text" };
        let sql = format!(
            "CREATE TABLE frames (id varchar(30) PRIMARY KEY, version bigint NOT NULL, updated_at {moment}, \
             deleted_at {moment}, upload_id varchar(30) NOT NULL REFERENCES uploads (id) ON DELETE RESTRICT)"
        );
        fixture.execute(&sql).await;
        fixture
    }

    async fn with(now: Timestamp, resources: Resources) -> Self {
        let clock = Arc::new(FixedClock::new(now));
        let folder = tempfile::tempdir().unwrap();
        let (address, store) = serve(&folder).await;
        Self {
            database: TestDatabase::with_resources::<Migrator>(clock.clone(), resources).await,
            storage: Storage::new(&storage_settings(address), clock.clone()),
            clock,
            settings: configuration::defaults(()).unwrap(),
            address,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _store: store.drop_guard(),
            _folder: folder,
        }
    }

    /// The operations on its uploads.
    pub(crate) fn service(&self) -> UploadService {
        self.service_with(&self.storage)
    }

    /// The same with another store.
    pub(crate) fn service_with(&self, storage: &Storage) -> UploadService {
        UploadService { storage: storage.clone(), settings: self.settings.clone() }
    }

    /// The port to files, as other domains use it.
    pub(crate) fn files(&self) -> SignedFiles {
        SignedFiles::new(self.storage.clone(), self.settings.url_ttl)
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.database.primary().execute_unprepared(sql).await.unwrap();
    }

    /// The same store, by another clock.
    pub(crate) fn storage_at(&self, clock: SharedClock) -> Storage {
        Storage::new(&storage_settings(self.address), clock)
    }

    pub(crate) async fn list(
        &self,
        principal: &Principal,
        filter: &UploadFilter,
        request: &PageRequest,
    ) -> Page<Upload> {
        self.service().list(&self.database.read(None), principal, filter, request).await.unwrap()
    }

    /// A new user, signed in.
    pub(crate) async fn user(&self) -> Principal {
        self.database.user().await
    }

    pub(crate) async fn try_create(
        &self,
        principal: &Principal,
        new: CreateUpload,
    ) -> Result<CreatedUpload, UploadError> {
        let session = self.database.write();
        let created = self.service().create(&session, principal, new).await?;
        Ok(session.commit(created).await?.into_value())
    }

    pub(crate) async fn create(&self, principal: &Principal, new: CreateUpload) -> CreatedUpload {
        self.try_create(principal, new).await.unwrap()
    }

    pub(crate) async fn complete(&self, principal: &Principal, id: UploadId) -> Result<Upload, UploadError> {
        self.complete_at(&self.storage, principal, id).await
    }

    pub(crate) async fn complete_at(
        &self,
        storage: &Storage,
        principal: &Principal,
        id: UploadId,
    ) -> Result<Upload, UploadError> {
        let (read, write) = (self.database.read_primary(), self.database.write());
        let upload = self.service_with(storage).complete(&read, &write, principal, id).await?;
        Ok(write.commit(upload).await?.into_value())
    }

    /// One's own.
    pub(crate) async fn get(&self, principal: &Principal, id: UploadId) -> Result<Upload, UploadError> {
        match self.show(Some(principal), id).await? {
            ShownUpload::Own(upload) => Ok(upload),
            ShownUpload::Public(upload) => panic!("it is another's: {upload:?}"),
        }
    }

    pub(crate) async fn show(
        &self,
        principal: Option<&Principal>,
        id: UploadId,
    ) -> Result<ShownUpload, UploadError> {
        self.service().get(&self.database.read_primary(), principal, id).await
    }

    pub(crate) async fn download(
        &self,
        principal: impl Into<Option<&Principal>>,
        id: UploadId,
        disposition: Disposition,
    ) -> Result<Download, UploadError> {
        let (session, principal) = (self.database.read_primary(), principal.into());
        self.service().download(&session, principal, id, (Reading::Get, disposition)).await
    }

    pub(crate) async fn delete(&self, principal: &Principal, id: UploadId) -> Result<(), UploadError> {
        let session = self.database.write();
        self.service()
            .delete(&session, principal, id, &shared_kernel::repository::Precondition::None)
            .await?;
        let _committed = session.commit(()).await?;
        Ok(())
    }

    /// A completed upload of `bytes`.
    pub(crate) async fn publish(&self, principal: &Principal, new: CreateUpload, bytes: &[u8]) -> Upload {
        let created = self.create(principal, new).await;
        assert_eq!(self.put(&created.request, bytes).await, 200);
        self.complete(principal, created.upload.id).await.unwrap()
    }

    /// Sends `bytes` as `request` says, with their own length as a browser and curl do; the store's status.
    pub(crate) async fn put(&self, request: &PresignedRequest, bytes: &[u8]) -> u16 {
        let mut sent = self.http.put(&request.url).body(bytes.to_vec());
        for (name, value) in request.headers.iter().filter(|(name, _)| *name != "content-length") {
            sent = sent.header(name, value);
        }
        sent.send().await.unwrap().status().as_u16()
    }

    pub(crate) async fn fetch(&self, url: &str) -> reqwest::Response {
        self.http.get(url).send().await.unwrap()
    }

    /// Where an upload's object lies, which no answer tells.
    pub(crate) async fn object_key(&self, id: UploadId) -> Option<String> {
        let select = Query::select()
            .column(Alias::new("object_key"))
            .from(Alias::new("uploads"))
            .and_where(Expr::col(Alias::new("id")).eq(id))
            .to_owned();
        let row = self.database.primary().query_one(&select).await.unwrap()?;
        Some(row.try_get("", "object_key").unwrap())
    }

    /// The events of that name about that upload.
    pub(crate) async fn events<E: DomainEvent>(&self, id: UploadId) -> Vec<E> {
        let mut events = testing::events::<E>(&self.database).await;
        events.retain(|event| event.aggregate_id().to_string() == id.to_string());
        events
    }

    /// How many rows there are, deleted ones too.
    pub(crate) async fn rows(&self, ids: &[UploadId]) -> usize {
        join_all(ids.iter().map(|&id| self.object_key(id))).await.into_iter().flatten().count()
    }
}

async fn serve(folder: &TempDir) -> (SocketAddr, CancellationToken) {
    let StorageSettings { region, bucket, access_key, secret_key, .. } = storage_settings(localhost(0));
    let config = ObjectStoreConfig {
        directory: folder.path().to_owned(),
        bucket,
        seal: OBJECT_SEAL,
        region,
        access_key: access_key.expose_secret().to_owned(),
        secret_key,
        cors_origins: CorsOrigins::none(),
        max_object_size: 1 << 30,
        limits: ObjectStoreLimits::default(),
        explain: false,
        timeouts: ObjectStoreTimeouts::default(),
    };
    let store = ObjectStore::bind(config, localhost(0)).await.unwrap();
    let (address, shutdown) = (store.address(), CancellationToken::new());
    tokio::spawn(store.run(shutdown.clone()));
    (address, shutdown)
}

pub(crate) fn localhost(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

pub(crate) fn storage_settings(address: SocketAddr) -> StorageSettings {
    StorageSettings {
        endpoint: Some(format!("http://{address}").parse().unwrap()),
        public_endpoint: None,
        region: "us-east-1".into(),
        bucket: "ashlar".into(),
        access_key: "tests".into(),
        secret_key: "a secret that only tests may have".to_owned().into(),
        path_style: true,
    }
}

/// Two by three pixels.
pub(crate) fn png() -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x03\x08\x02\0\0\0".to_vec();
    bytes.extend((0..2_000_u32).flat_map(u32::to_be_bytes));
    bytes
}

/// What a client sends to upload `bytes`.
pub(crate) fn declare(filename: &str, content_type: &str, bytes: &[u8]) -> CreateUpload {
    request(&serde_json::json!({"filename": filename, "content_type": content_type, "size": bytes.len()}))
}

pub(crate) fn request(body: &serde_json::Value) -> CreateUpload {
    json::parse(body.to_string().as_bytes()).unwrap()
}

pub(crate) fn checksum(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(sha256(bytes))
}

pub(crate) fn code<T: std::fmt::Debug>(outcome: Result<T, UploadError>) -> &'static str {
    outcome.unwrap_err().problem().code
}

pub(crate) const MINUTE: Duration = Duration::from_mins(1);
pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const DAY: Duration = Duration::from_hours(24);
