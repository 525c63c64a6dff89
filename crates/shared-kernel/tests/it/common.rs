//! A small domain to try the kernel on.

use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Alias, CommonTableExpression, Expr, Query, SelectStatement};
use sea_orm::{ConnectionTrait as _, DbBackend, EntityTrait as _, FromQueryResult, QueryFilter as _, Schema};
use secrecy::SecretString;
use shared_kernel::clock::{SharedClock, SystemClock, Timestamp};
use shared_kernel::id::Id;
use shared_kernel::repository::Repository;
use shared_kernel::session::{DatabaseSettings, Databases, Reader, SessionError, WriteSession};
use shared_kernel::testing::{TestDatabase, secret_key};

/// A resource with a column for each type that a page can be ordered by.
#[expect(unreachable_pub, reason = "what sea-orm derives is public")]
pub(crate) mod widget {
    use sea_orm::entity::prelude::*;
    use shared_kernel::clock::Timestamp;
    use shared_kernel::id::{Id, IdKind};
    use shared_kernel::repository::SoftDelete;

    #[derive(Debug)]
    pub enum WidgetKind {}

    impl IdKind for WidgetKind {
        const PREFIX: &'static str = "wid";
        const NAME: &'static str = "widget";
    }

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, SoftDelete)]
    #[sea_orm(table_name = "widgets")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Id<WidgetKind>,
        pub version: i64,
        pub created_at: Timestamp,
        pub updated_at: Timestamp,
        pub deleted_at: Option<Timestamp>,
        pub label: String,
        pub name: String,
        pub rank: i64,
        pub shiny: bool,
        pub made_at: Timestamp,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) type WidgetId = Id<widget::WidgetKind>;

pub(crate) struct Widgets;

impl Repository for Widgets {
    type Entity = widget::Entity;
    type Row = widget::ActiveModel;
}

/// A database with the schema of the product and a table of widgets, whose labels are unique among the living.
pub(crate) async fn database() -> TestDatabase {
    database_with_clock(SystemClock::shared()).await
}

pub(crate) async fn database_with_clock(clock: SharedClock) -> TestDatabase {
    let database = TestDatabase::with_clock::<migration::Migrator>(clock).await;
    create_widgets(&database).await;
    database
}

pub(crate) async fn create_widgets(databases: &Databases) {
    let primary = databases.primary();
    let table = Schema::new(primary.get_database_backend()).create_table_from_entity(widget::Entity);
    primary.execute(&table).await.unwrap();
    let index = "CREATE UNIQUE INDEX widgets_label_key ON widgets (label) WHERE deleted_at IS NULL";
    primary.execute_unprepared(index).await.unwrap();
}

/// The same database as another process would open it.
pub(crate) async fn opened_again(
    database: &TestDatabase,
    change: impl FnOnce(&mut DatabaseSettings),
) -> Databases {
    let mut settings = DatabaseSettings::new(SecretString::from(database.url()));
    settings.pool_size = 4;
    settings.acquire_timeout = Duration::from_secs(20);
    settings.statement_timeout = Duration::from_secs(40);
    change(&mut settings);
    Databases::connect(&settings, SystemClock::shared(), &secret_key()).await.unwrap()
}

/// A widget with that label, otherwise plain.
pub(crate) fn widget(session: &WriteSession, label: &str) -> widget::ActiveModel {
    widget::ActiveModel {
        id: Set(session.new_id()),
        version: Set(1),
        created_at: Set(session.now()),
        updated_at: Set(session.now()),
        deleted_at: Set(None),
        label: Set(label.to_owned()),
        name: Set("widget".to_owned()),
        rank: Set(0),
        shiny: Set(false),
        made_at: Set(session.now()),
    }
}

/// Inserts that widget in the session.
pub(crate) async fn insert(session: &WriteSession, label: &str) -> Result<widget::Model, SessionError> {
    Widgets::insert(session, widget(session, label)).await
}

/// Commits, which has to work.
pub(crate) async fn commit(session: WriteSession) {
    session.commit(()).await.unwrap().into_value();
}

/// Inserts that widget and commits.
pub(crate) async fn stored(databases: &Databases, label: &str) -> widget::Model {
    let session = databases.write();
    let widget = insert(&session, label).await.unwrap();
    session.commit(widget).await.unwrap().into_value()
}

/// How many widgets there are, deleted ones too, as a new session sees it.
pub(crate) async fn count(databases: &Databases) -> u64 {
    databases.read_primary().count(widget::Entity::find()).await.unwrap()
}

/// The labels of the living widgets in the order of their making.
pub(crate) async fn labels(reader: &impl Reader) -> Vec<String> {
    let mut widgets = reader.all(Widgets::unscoped()).await.unwrap();
    widgets.sort_by_key(|widget| widget.id);
    widgets.into_iter().map(|widget| widget.label).collect()
}

/// A select that writes: what an engine lets through a method that only reads.
pub(crate) fn select_that_deletes(backend: DbBackend) -> SelectStatement {
    let mut select = SelectStatement::new();
    if backend == DbBackend::Postgres {
        let delete = Query::delete().from_table("widgets").returning_col("id").to_owned();
        let deleted = CommonTableExpression::new().query(delete).table_name("deleted").to_owned();
        select.expr_as(Expr::cust("COUNT(*)"), Alias::new("count")).from("deleted").with_cte(deleted);
    } else {
        // SQLite's driver takes several statements at once.
        select.expr_as(Expr::cust("1 AS count; DELETE FROM widgets; SELECT 1"), Alias::new("count"));
    }
    select
}

/// A single number.
#[derive(Debug, FromQueryResult)]
pub(crate) struct Count {
    pub(crate) count: i64,
}

/// A moment as the contract writes it.
pub(crate) fn moment(text: &str) -> Timestamp {
    serde_json::from_value(text.into()).unwrap()
}

/// Widgets that are living and have this label.
pub(crate) async fn find_label(reader: &impl Reader, label: &str) -> Option<widget::Model> {
    use sea_orm::ColumnTrait as _;
    reader.one(Widgets::unscoped().filter(widget::Column::Label.eq(label))).await.unwrap()
}

/// A door to a PostgreSQL server that can be shut, so that the server seems to be away.
pub(crate) struct Door {
    server: String,
    address: std::net::SocketAddr,
    open: Option<tokio::task::JoinSet<()>>,
}

impl Door {
    /// An open door to the server of `url`, and the URL of the same database behind it.
    pub(crate) async fn to(url: &str) -> (Self, String) {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (authority, database) = rest.split_once('/').unwrap();
        let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
        let server = if host.contains(':') { host.to_owned() } else { format!("{host}:5432") };
        let mut door = Self { server, address: ([127, 0, 0, 1], 0).into(), open: None };
        door.open().await;
        let url = format!("{scheme}://{user}@{}/{database}", door.address);
        (door, url)
    }

    /// Opens it at the same address as before.
    pub(crate) async fn open(&mut self) {
        let listener = tokio::net::TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let server = self.server.clone();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let mut passing = tokio::task::JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let server = server.clone();
                passing.spawn(async move {
                    let mut server = tokio::net::TcpStream::connect(server).await.unwrap();
                    // Ends when either side does, however it does.
                    let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        self.open = Some(tasks);
    }

    /// From its next opening on it leads to this server, `host:port`.
    pub(crate) fn lead_to(&mut self, server: String) {
        self.server = server;
    }

    /// Shuts it: whoever is connected is thrown out, and nobody gets in.
    pub(crate) async fn shut(&mut self) {
        self.open.take().unwrap().shutdown().await;
    }
}

/// Asks until the answer is yes, for what another process does in its own time. Twenty seconds at most.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain: {what}");
}
