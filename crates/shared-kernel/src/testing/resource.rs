//! Tests that all resources have in common, through the public service, on a real database with the real migrations.
//!
//! A domain implements [`Resource`] for its tests: its operations, its access rules, and a table of its [fields](Field). Each function of
//! this module is one test. Rules of the domain itself have tests of their own beside them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use garde::Validate;
use sea_orm_migration::MigratorTrait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::field::Presence;
pub use super::field::{Comparison, Field, pick};
use super::{FixedClock, TestDatabase, as_admin, events};
use crate::error::{DomainError, INTERNAL, Invalid};
use crate::event::{Created, Deleted, Updated};
use crate::id::{Id, IdKind};
use crate::json::{JsonError, parse};
use crate::page::{Page, PageRequest};
use crate::principal::Principal;
use crate::reference;
use crate::repository::{Precondition, Representation, Revision};
use crate::resource::Resource as Table;
use crate::session::{ReadPrimary, SessionError, WriteSession};

mod lists;
mod references;
mod uniqueness;

pub use self::lists::is_listed;
pub use self::references::checks_references;
pub use self::uniqueness::checks_uniqueness;

/// Access rules.
#[derive(Clone, Copy, Debug, Default)]
pub struct Access {
    /// Field of answers with the id of the owner, if rows have one.
    pub owner: Option<&'static str>,
    /// Whether everyone may read.
    pub public_read: bool,
    /// Whether everything that is not public is for admins only.
    pub admin_only: bool,
}

/// A resource under test.
pub trait Resource: Send + Sync + Sized + 'static {
    /// Migrations of the product.
    type Migrator: MigratorTrait;
    /// Kind of its ids.
    type Kind: IdKind;
    /// Body of a creation.
    type Create: DeserializeOwned + Validate<Context = ()> + Send;
    /// Body of a change.
    type Update: DeserializeOwned + Validate<Context = ()> + Send;
    /// Filter and order of a list.
    type Filter: DeserializeOwned + Validate<Context = ()> + Send + Sync;
    /// Representation in the API.
    type Shown: Serialize + Representation + Send;
    /// Error of the operations.
    type Error: DomainError + From<SessionError> + Send;

    /// Its table first, then the other tables of its domain.
    const TABLES: &'static [Table];
    /// Access rules.
    const ACCESS: Access;
    /// Whether its repository emits events.
    const EVENTS: bool = true;
    /// Number of rows that differ in all unique fields, at most 5.
    const ROWS: i64 = 5;

    /// The service.
    fn new() -> Self;

    /// Fields of its bodies.
    fn fields() -> &'static [Field];

    /// Inserts a row of another domain's table to refer to, and returns its id.
    fn target(_world: &World<Self>, table: &str) -> impl Future<Output = String> + Send {
        let table = table.to_owned();
        async move { panic!("the tests know no row of {table} to refer to") }
    }

    /// Creates a resource.
    fn create(
        &self,
        db: &WriteSession,
        principal: &Principal,
        new: Self::Create,
    ) -> impl Future<Output = Result<Self::Shown, Self::Error>> + Send;

    /// Reads a resource.
    fn get(
        &self,
        db: &ReadPrimary,
        principal: &Principal,
        id: Id<Self::Kind>,
    ) -> impl Future<Output = Result<Self::Shown, Self::Error>> + Send;

    /// Lists resources.
    fn list(
        &self,
        db: &ReadPrimary,
        principal: &Principal,
        filter: &Self::Filter,
        request: &PageRequest,
    ) -> impl Future<Output = Result<Page<Self::Shown>, Self::Error>> + Send;

    /// Changes a resource.
    fn update(
        &self,
        db: &WriteSession,
        principal: &Principal,
        id: Id<Self::Kind>,
        precondition: &Precondition,
        changes: Self::Update,
    ) -> impl Future<Output = Result<Self::Shown, Self::Error>> + Send;

    /// Deletes a resource.
    fn delete(
        &self,
        db: &WriteSession,
        principal: &Principal,
        id: Id<Self::Kind>,
        precondition: &Precondition,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Error code of a failed operation, and the pointer and code of each field error.
pub type ErrorCodes = (&'static str, Vec<(String, String)>);

/// A resource as JSON, with its version.
pub type Item = (Value, i64);

/// A new database, a principal with all permissions, and the service.
pub struct World<R> {
    /// The database, with a clock that stands still.
    pub database: TestDatabase,
    /// A principal with all permissions.
    pub ada: Principal,
    /// The service.
    pub service: R,
    counted: AtomicI64,
}

impl<R: Resource> World<R> {
    /// An empty database.
    pub async fn new() -> Self {
        let clock = Arc::new(FixedClock::at_system_time());
        let fields = R::fields();
        let elsewhere = fields.iter().filter_map(|field| field.target).map(|target| target.table);
        let mut elsewhere: Vec<Table> = elsewhere.chain(["users"]).map(Table::visible_to_all).collect();
        elsewhere.retain(|table| R::TABLES.iter().all(|own| own.table != table.table));
        elsewhere.dedup_by_key(|table| table.table);
        let resources = R::TABLES.iter().chain(&elsewhere).collect();
        let database = TestDatabase::with_resources::<R::Migrator>(clock, resources).await;
        let user = database.user().await;
        let ada = if R::ACCESS.admin_only { as_admin(&user) } else { user };
        Self { database, ada, service: R::new(), counted: AtomicI64::new(0) }
    }

    /// The next number, from 1 to 25 and then from 1 again.
    pub fn number(&self) -> i64 {
        self.counted.fetch_add(1, Ordering::Relaxed) % 25 + 1
    }

    /// A valid body; the rows that it has to refer to are new.
    pub async fn body(&self, number: i64) -> Value {
        let mut body = shape::<R>(number);
        for field in R::fields().iter().filter(|field| !field.is_optional()) {
            if let Some(target) = field.target {
                body[field.name] = self.target(target.table).await.into();
            }
        }
        body
    }

    /// Id of a new row of `table` to refer to.
    pub async fn target(&self, table: &str) -> String {
        if table == "users" {
            self.database.user().await.require_user().map_or_else(|_| String::new(), |user| user.to_string())
        } else if table == R::TABLES[0].table {
            text(&Box::pin(self.create(R::ROWS)).await.0["id"])
        } else {
            R::target(self, table).await
        }
    }

    /// Lets the body refer to a row by `field`, and agree with that row where it must.
    async fn refer(&self, body: &mut Value, field: &Field, id: &Value) {
        body[field.name] = id.clone();
        if let Some(column) = field.within {
            let target = self.get(&self.ada, id).await.unwrap_or_else(|refusal| panic!("{id}: {refusal:?}"));
            body[column] = target.0[column].clone();
        }
    }

    /// Creates a resource for a principal.
    pub async fn try_create(&self, principal: &Principal, body: &Value) -> Result<Item, ErrorCodes> {
        let db = self.database.write();
        let shown =
            self.service.create(&db, principal, parsed(body)).await.map_err(|error| error_codes(&error))?;
        Ok(item(&committed::<R, _>(db, shown).await?))
    }

    /// Creates a resource for Ada.
    pub async fn create_from(&self, body: &Value) -> Item {
        self.try_create(&self.ada, body).await.unwrap_or_else(|refusal| panic!("{body}: {refusal:?}"))
    }

    /// Creates the resource with that number for Ada.
    pub async fn create(&self, number: i64) -> Item {
        self.create_from(&self.body(number).await).await
    }

    /// Reads a resource.
    pub async fn get(&self, principal: &Principal, id: &Value) -> Result<Item, ErrorCodes> {
        let shown = self.service.get(&self.database.read_primary(), principal, id_of(id)).await;
        shown.map(|shown| item(&shown)).map_err(|error| error_codes(&error))
    }

    /// Changes a resource.
    pub async fn try_update(
        &self,
        principal: &Principal,
        id: &Value,
        precondition: &Precondition,
        body: &Value,
    ) -> Result<Item, ErrorCodes> {
        let db = self.database.write();
        let changed = self.service.update(&db, principal, id_of(id), precondition, parsed(body)).await;
        let shown = changed.map_err(|error| error_codes(&error))?;
        Ok(item(&committed::<R, _>(db, shown).await?))
    }

    /// Changes a resource of Ada.
    pub async fn update(&self, id: &Value, body: &Value) -> Item {
        let changed = self.try_update(&self.ada, id, &Precondition::None, body).await;
        changed.unwrap_or_else(|refusal| panic!("{body}: {refusal:?}"))
    }

    /// Deletes a resource.
    pub async fn delete(&self, principal: &Principal, id: &Value) -> Result<(), ErrorCodes> {
        let db = self.database.write();
        let deleted = self.service.delete(&db, principal, id_of(id), &Precondition::None).await;
        deleted.map_err(|error| error_codes(&error))?;
        committed::<R, _>(db, ()).await
    }

    /// A page of the list for a principal; `query` has the filters and the order.
    pub async fn list(&self, principal: &Principal, query: &Value, request: &PageRequest) -> Page<Value> {
        let filter: R::Filter =
            serde_json::from_value(query.clone()).unwrap_or_else(|error| panic!("{query}: {error}"));
        crate::json::validate(&filter).unwrap_or_else(|error| panic!("{query}: {error}"));
        let page = self.service.list(&self.database.read_primary(), principal, &filter, request).await;
        page.unwrap_or_else(|error| panic!("{query}: {:?}", error_codes(&error))).map(|shown| item(&shown).0)
    }

    /// Owner as it appears in events.
    fn owner(&self) -> Option<crate::id::UserId> {
        R::ACCESS.owner.and(self.ada.user())
    }
}

async fn committed<R: Resource, T>(db: WriteSession, value: T) -> Result<T, ErrorCodes> {
    let committed = db.commit(value).await.map_err(|error| error_codes(&R::Error::from(error)))?;
    Ok(committed.into_value())
}

/// A well-formed body that depends on the number; its references do not exist.
fn shape<R: Resource>(number: i64) -> Value {
    let mut body = json!({});
    for field in R::fields() {
        match field.target {
            None => body[field.name] = (field.value)(number),
            Some(target) if !field.is_optional() => body[field.name] = target.nothing(),
            Some(_) => {}
        }
    }
    body
}

fn parsed<T: DeserializeOwned + Validate<Context = ()>>(body: &Value) -> T {
    parse(body.to_string().as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"))
}

fn item(shown: &(impl Serialize + Representation)) -> Item {
    let value = serde_json::to_value(shown).unwrap_or_else(|error| panic!("{error}"));
    (value, shown.revision().version())
}

fn error_codes(error: &impl DomainError) -> ErrorCodes {
    assert_ne!(error.problem().code, INTERNAL.code, "{error:?}");
    let fields = error.fields().into_iter().map(|field| (field.pointer, field.code.into_owned())).collect();
    (error.problem().code, fields)
}

fn id_of<K: IdKind>(id: &Value) -> Id<K> {
    serde_json::from_value(id.clone()).unwrap_or_else(|error| panic!("{id}: {error}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn not_found<R: Resource>() -> String {
    format!("{}_not_found", R::Kind::NAME)
}

/// Checks that the answer has the values of the body.
fn has_values_of<R: Resource>(answer: &Value, body: &Value) {
    for field in R::fields() {
        let name = field.name;
        assert_eq!(answer[name], *body.get(name).unwrap_or(&Value::Null), "{name}");
        if let Some(file) = field.file {
            assert_eq!(answer[file].is_null(), answer[name].is_null(), "{file}: {answer}");
        }
    }
}

/// Creates, reads, changes and deletes a resource, and checks its version and its events.
pub async fn supports_crud<R: Resource>() {
    let world = World::<R>::new().await;
    let body = world.body(1).await;
    let (made, version) = world.create_from(&body).await;
    has_values_of::<R>(&made, &body);
    let id = &made["id"];
    assert_eq!((version, world.get(&world.ada, id).await), (1, Ok((made.clone(), 1))));
    if let Some(owner) = R::ACCESS.owner {
        assert_eq!(made[owner], json!(world.ada.user()));
    }
    let kept = world.update(id, &json!({})).await;
    assert_eq!(kept, (made.clone(), 1), "nothing was set, so nothing was changed");
    let body = world.body(2).await;
    let (changed, version) = world.update(id, &body).await;
    has_values_of::<R>(&changed, &body);
    assert_eq!((version, &changed["created_at"]), (2, &made["created_at"]));
    assert_eq!(world.get(&world.ada, id).await, Ok((changed.clone(), 2)));
    assert_eq!(world.update(id, &body).await, (changed, 2), "all of it was so already");
    rejects_stale_versions(&world, id, &body).await;
    world.delete(&world.ada, id).await.unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let gone = Err((not_found::<R>(), Vec::new()));
    let own = |outcome: Result<(), ErrorCodes>| outcome.map_err(|(code, fields)| (code.to_owned(), fields));
    assert_eq!(own(world.get(&world.ada, id).await.map(drop)), gone);
    let change = world.try_update(&world.ada, id, &Precondition::None, &body).await;
    assert_eq!(own(change.map(drop)), gone);
    assert_eq!(own(world.delete(&world.ada, id).await), gone);
    emits_lifecycle_events(&world, id_of(id)).await;
    // Unique values are free again.
    world.create_from(&body).await;
    clears_and_merges::<R>(&world).await;
}

async fn emits_lifecycle_events<R: Resource>(world: &World<R>, id: Id<R::Kind>) {
    let (created, updated, deleted) = (
        events::<Created<R::Kind>>(&world.database).await,
        events::<Updated<R::Kind>>(&world.database).await,
        events::<Deleted<R::Kind>>(&world.database).await,
    );
    if R::EVENTS {
        let owner = world.owner();
        let own: Vec<_> = created.into_iter().filter(|event| event.id == id).collect();
        assert_eq!(own, [Created::new(id, 1, owner)]);
        assert_eq!((updated, deleted), (vec![Updated::new(id, 2, owner)], vec![Deleted::new(id, 3, owner)]));
    } else {
        assert_eq!((created, updated, deleted), (vec![], vec![], vec![]));
    }
}

/// A change or deletion of an outdated version is refused.
async fn rejects_stale_versions<R: Resource>(world: &World<R>, id: &Value, body: &Value) {
    let stale = Precondition::OneOf(vec![Revision::new(id_of::<R::Kind>(id), 1)]);
    let refused = |outcome: Result<(), ErrorCodes>| outcome.err().map(|refusal| refusal.0);
    let change = world.try_update(&world.ada, id, &stale, body).await;
    assert_eq!(refused(change.map(drop)), Some("precondition_failed"));
    let db = world.database.write();
    let deletion = world.service.delete(&db, &world.ada, id_of(id), &stale).await;
    assert_eq!(refused(deletion.map_err(|error| error_codes(&error))), Some("precondition_failed"));
}

/// Defaults, `null`, and objects that are merged.
async fn clears_and_merges<R: Resource>(world: &World<R>) {
    let mut body = world.body(1).await;
    let mut expected = body.clone();
    for field in R::fields() {
        if let Presence::Default(value) = &field.presence {
            body.as_object_mut().and_then(|body| body.remove(field.name));
            expected[field.name] = value.clone();
        }
    }
    let (made, mut version) = world.create_from(&body).await;
    has_values_of::<R>(&made, &expected);
    for field in R::fields().iter().filter(|field| field.is_optional()) {
        let was_empty = expected[field.name].is_null();
        expected[field.name] = Value::Null;
        let (emptied, now) = world.update(&made["id"], &json!({ field.name: null })).await;
        has_values_of::<R>(&emptied, &expected);
        assert_eq!(now, if was_empty { version } else { version + 1 }, "{}", field.name);
        version = now;
    }
    // RFC 7396: members are set one by one, and `null` removes one.
    for field in R::fields().iter().filter(|field| field.is_merged) {
        let change = |value: Value| json!({ field.name: value });
        let start = json!({"a": 1, "b": {"c": 2, "d": 3}});
        let cleared: serde_json::Map<_, _> = world
            .get(&world.ada, &made["id"])
            .await
            .ok()
            .and_then(|(shown, _)| {
                Some(shown[field.name].as_object()?.keys().map(|name| (name.clone(), Value::Null)).collect())
            })
            .unwrap_or_default();
        world.update(&made["id"], &change(Value::Object(cleared))).await;
        world.update(&made["id"], &change(start)).await;
        let patch = change(json!({"a": null, "b": {"c": 4}, "e": [5]}));
        let (merged, _) = world.update(&made["id"], &patch).await;
        assert_eq!(merged[field.name], json!({"b": {"c": 4, "d": 3}, "e": [5]}), "{}", field.name);
    }
}

/// Pointers and codes of the field errors of a body.
fn refused<T: DeserializeOwned + Validate<Context = ()>>(body: &Value) -> Vec<(String, String)> {
    match parse::<T>(body.to_string().as_bytes()) {
        Ok(_) => Vec::new(),
        Err(JsonError::Invalid(Invalid(fields))) => {
            fields.into_iter().map(|field| (field.pointer, field.code.into_owned())).collect()
        }
        Err(error) => panic!("{body}: {error}"),
    }
}

/// Codes of the field errors of one field, in a creation and in a change.
fn refused_in_both<R: Resource>(name: &str, value: &Value) -> [Vec<(String, String)>; 2] {
    let mut body = shape::<R>(1);
    body[name] = value.clone();
    [refused::<R::Create>(&body), refused::<R::Update>(&json!({ name: value }))]
}

/// Each field accepts valid values and refuses invalid ones, in a creation and in a change; unknown fields are refused.
///
/// # Panics
///
/// The test fails.
pub fn validates_fields<R: Resource>() {
    for number in 1..=5 {
        let body = shape::<R>(number);
        assert_eq!((refused::<R::Create>(&body), refused::<R::Update>(&body)), (vec![], vec![]), "{body}");
    }
    let fields = R::fields();
    for field in fields {
        let name = field.name;
        let null = if field.is_optional() { None } else { Some((Value::Null, "type")) };
        let reference = field.target.map(|_| (json!("x"), "invalid"));
        for (value, code) in field.bad.iter().chain(&null).chain(&reference) {
            let expected = (format!("/{name}"), (*code).to_owned());
            for refused in refused_in_both::<R>(name, value) {
                assert!(refused.contains(&expected), "{name}: {value}: {refused:?}, not {code}");
            }
        }
        for value in field.good.iter().chain(field.is_optional().then_some(&Value::Null)) {
            assert_eq!(refused_in_both::<R>(name, value), [vec![], vec![]], "{name}: {value}");
        }
        let mut body = shape::<R>(1);
        body.as_object_mut().and_then(|body| body.remove(name));
        let missing = vec![(format!("/{name}"), "required".to_owned())];
        let expected = if field.presence == Presence::Required { missing } else { vec![] };
        assert_eq!(refused::<R::Create>(&body), expected, "{name}");
    }
    let managed = ["id", "version", "created_at", "updated_at", "deleted_at", "is_admin"];
    let shown = R::ACCESS.owner.into_iter().chain(fields.iter().filter_map(|field| field.file));
    for name in managed.into_iter().chain(shown) {
        let unknown = vec![(format!("/{name}"), "unknown_field".to_owned())];
        let value = json!("usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T");
        assert_eq!(refused_in_both::<R>(name, &value), [unknown.clone(), unknown]);
    }
}

/// Principals without permission cannot read or change a row: in reads, changes, deletions and lists.
pub async fn is_scoped<R: Resource>() {
    let world = World::<R>::new().await;
    let eve = world.database.user().await;
    let body = world.body(2).await;
    let made = world.create(1).await;
    let id = &made.0["id"];
    let Access { owner, public_read, admin_only } = R::ACCESS;
    let is_shared = owner.is_none() && !admin_only;
    let sees = public_read || is_shared;
    let code = |outcome: Result<(), ErrorCodes>| outcome.err().map(|refusal| refusal.0.to_owned());
    let unseen = not_found::<R>();
    assert_eq!(code(world.get(&eve, id).await.map(drop)), (!sees).then(|| unseen.clone()));
    let listed = world.list(&eve, &json!({}), &PageRequest::first(100)).await.items;
    assert_eq!(listed.iter().filter(|item| item["id"] == *id).count(), usize::from(sees));
    let refusal = if sees { "not_owner".to_owned() } else { unseen };
    let refusal = (!is_shared).then_some(refusal);
    assert_eq!(code(world.try_update(&eve, id, &Precondition::None, &body).await.map(drop)), refusal);
    assert_eq!(code(world.delete(&eve, id).await), refusal);
    let left = world.get(&world.ada, id).await;
    assert_eq!(left.ok(), (!is_shared).then_some(made));
}

async fn on_delete<R: Resource>(world: &World<R>, table: &'static str, id: &str) -> Result<(), &'static str> {
    let db = world.database.write();
    let applied = reference::apply_on_delete_of(&db, table, vec![id.to_owned()]).await;
    applied.map_err(|error| error.problem().code)?;
    committed::<R, _>(db, ()).await.map_err(|refusal| refusal.0)
}
