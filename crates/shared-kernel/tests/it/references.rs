//! Rows that refer to rows of other tables: what may be referred to, and what follows from a deletion.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{ColumnTrait as _, Condition, ConnectionTrait as _, Schema};
use shared_kernel::clock::{Clock as _, Timestamp};
use shared_kernel::error::{DomainError as _, Invalid, Kind};
use shared_kernel::event::Deleted;
use shared_kernel::id::{Id, IdKind};
use shared_kernel::kernel_error::KernelError;
use shared_kernel::principal::Principal;
use shared_kernel::reference::{self, ReferenceField};
use shared_kernel::repository::{self, Precondition, Repository};
use shared_kernel::resource::{OnDelete, Reference, Resource, Resources};
use shared_kernel::session::{Committed, Databases, SessionError, WriteSession};
use shared_kernel::testing::{FixedClock, TestDatabase, as_admin, concurrently, events};

use crate::common::commit;

/// A table of rows that may refer to two others each, whatever those are.
macro_rules! table {
    ($module:ident, $Repository:ident, $table:literal, $prefix:literal) => {
        #[expect(unreachable_pub, reason = "what sea-orm derives is public")]
        mod $module {
            use sea_orm::entity::prelude::*;
            use shared_kernel::clock::Timestamp;
            use shared_kernel::id::{Id, IdKind};
            use shared_kernel::repository::{Repository, SoftDelete};

            #[derive(Debug)]
            pub enum RowKind {}

            impl IdKind for RowKind {
                const PREFIX: &'static str = $prefix;
                const NAME: &'static str = $table;
            }

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, SoftDelete)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub id: Id<RowKind>,
                pub version: i64,
                pub created_at: Timestamp,
                pub updated_at: Timestamp,
                pub deleted_at: Option<Timestamp>,
                pub first_id: Option<String>,
                pub second_id: Option<String>,
            }

            #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            pub(crate) struct $Repository;

            impl Repository for $Repository {
                type Entity = Entity;
                type Row = ActiveModel;
            }
        }
        use $module::$Repository;
    };
}

table!(harbour, Harbours, "harbours", "hrb");
table!(ship, Ships, "ships", "shp");
table!(cargo, Cargoes, "cargoes", "crg");

type HarbourId = Id<harbour::RowKind>;
type ShipId = Id<ship::RowKind>;
type CargoId = Id<cargo::RowKind>;

type ShipSank = Deleted<ship::RowKind>;

const fn first(to: &'static str, on_delete: OnDelete) -> Reference {
    Reference { column: "first_id", to, on_delete }
}

const fn second(to: &'static str, on_delete: OnDelete) -> Reference {
    Reference { column: "second_id", to, on_delete }
}

const HARBOURS: Resource = Resource::visible_to_all("harbours");

const fn ships(references: &'static [Reference]) -> Resource {
    let deletion_event = Some(repository::deletion::<Ships> as _);
    Resource { references, deletion_event, ..Resource::visible_to_all("ships") }
}

const fn cargoes(references: &'static [Reference]) -> Resource {
    Resource { references, ..Resource::visible_to_all("cargoes") }
}

/// A database with the three tables, and its clock.
struct World {
    database: TestDatabase,
    clock: Arc<FixedClock>,
}

impl std::ops::Deref for World {
    type Target = Databases;
    fn deref(&self) -> &Databases {
        &self.database
    }
}

/// One in which these tables are known.
async fn world(resources: &[Resource]) -> World {
    let clock = Arc::new(FixedClock::at_system_time());
    let resources: Resources = resources.iter().collect();
    let database = TestDatabase::with_resources::<migration::Migrator>(clock.clone(), resources).await;
    let (primary, schema) = (database.primary(), Schema::new(database.backend()));
    primary.execute(&schema.create_table_from_entity(harbour::Entity)).await.unwrap();
    primary.execute(&schema.create_table_from_entity(ship::Entity)).await.unwrap();
    primary.execute(&schema.create_table_from_entity(cargo::Entity)).await.unwrap();
    World { database, clock }
}

/// What a test looks at in a row, of whatever table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    version: i64,
    updated_at: Timestamp,
    deleted_at: Option<Timestamp>,
    first_id: Option<String>,
    second_id: Option<String>,
}

/// Makes a row of a table by its name.
async fn insert<K: IdKind>(
    session: &WriteSession,
    table: &'static str,
    first: Option<&str>,
    second: Option<&str>,
) -> Result<Id<K>, SessionError> {
    let id: Id<K> = session.new_id();
    let columns = ["id", "version", "created_at", "updated_at", "first_id", "second_id"];
    let mut insert = Query::insert();
    insert.into_table(table).columns(columns).values_panic([
        id.into(),
        1_i64.into(),
        session.now().into(),
        session.now().into(),
        first.map(str::to_owned).into(),
        second.map(str::to_owned).into(),
    ]);
    session.execute(&insert).await?;
    Ok(id)
}

impl World {
    async fn stored<K: IdKind>(
        &self,
        table: &'static str,
        first: Option<&str>,
        second: Option<&str>,
    ) -> Id<K> {
        let session = self.write();
        let id = insert(&session, table, first, second).await.unwrap();
        commit(session).await;
        id
    }

    async fn harbour(&self) -> HarbourId {
        self.stored("harbours", None, None).await
    }

    async fn ship(&self, first: impl ToString) -> ShipId {
        self.stored("ships", Some(&first.to_string()), None).await
    }

    async fn cargo(&self, first: impl ToString) -> CargoId {
        self.stored("cargoes", Some(&first.to_string()), None).await
    }

    /// A row as it is now, deleted or not. Its table is told by its id.
    async fn row<K: IdKind>(&self, id: Id<K>) -> Row {
        let table = match K::PREFIX {
            "hrb" => "harbours",
            "shp" => "ships",
            _ => "cargoes",
        };
        let columns = ["version", "updated_at", "deleted_at", "first_id", "second_id"];
        let select =
            Query::select().columns(columns).from(table).and_where(Expr::col("id").eq(id)).to_owned();
        let row = self.primary().query_one(&select).await.unwrap().unwrap();
        Row {
            version: row.try_get("", "version").unwrap(),
            updated_at: row.try_get("", "updated_at").unwrap(),
            deleted_at: row.try_get("", "deleted_at").unwrap(),
            first_id: row.try_get("", "first_id").unwrap(),
            second_id: row.try_get("", "second_id").unwrap(),
        }
    }

    async fn lives<K: IdKind>(&self, id: Id<K>) -> bool {
        self.row(id).await.deleted_at.is_none()
    }

    async fn point(&self, ship: ShipId, at: ShipId) {
        let update = Query::update()
            .table("ships")
            .value("first_id", at.to_string())
            .and_where(Expr::col("id").eq(ship))
            .to_owned();
        self.primary().execute(&update).await.unwrap();
    }
}

async fn delete<R: Repository>(
    databases: &Databases,
    id: Id<<R::Entity as repository::SoftDelete>::Kind>,
) -> Result<(), KernelError> {
    let session = databases.write();
    R::soft_delete(&session, id, &Precondition::None).await?.unwrap();
    session.commit(()).await?.into_value();
    Ok(())
}

#[tokio::test]
async fn what_goes_with_another_goes_as_far_as_that_leads_and_is_told() {
    const SHIPS: Resource = ships(&[first("harbours", OnDelete::Cascade)]);
    const CARGOES: Resource = cargoes(&[first("ships", OnDelete::Cascade)]);
    let world = world(&[CARGOES, SHIPS, HARBOURS]).await;
    let (kiel, brest) = (world.harbour().await, world.harbour().await);
    let (anna, berta, elsewhere) = (world.ship(kiel).await, world.ship(kiel).await, world.ship(brest).await);
    let (tea, other) = (world.cargo(anna).await, world.cargo(elsewhere).await);
    delete::<Ships>(&world, berta).await.unwrap();
    let before = [world.row(berta).await, world.row(elsewhere).await];
    let untouched = [world.row(brest).await, world.row(other).await];

    world.clock.advance(Duration::from_mins(1));
    let now = world.clock.now();
    delete::<Harbours>(&world, kiel).await.unwrap();
    let gone = |first_id: Option<String>| Row {
        version: 2,
        updated_at: now,
        deleted_at: Some(now),
        first_id,
        second_id: None,
    };
    assert_eq!(world.row(kiel).await, gone(None));
    assert_eq!(world.row(anna).await, gone(Some(kiel.to_string())), "it keeps what it referred to");
    assert_eq!(world.row(tea).await, gone(Some(anna.to_string())));
    assert_eq!([world.row(berta).await, world.row(elsewhere).await], before, "deleted before, or elsewhere");
    assert_eq!([world.row(brest).await, world.row(other).await], untouched);
    let sank = ShipSank::new(anna, 2, None);
    assert_eq!(events::<ShipSank>(&world).await, [sank], "who deletes a row itself tells by itself");
}

#[tokio::test]
async fn a_living_row_that_may_not_lose_it_keeps_it_and_nothing_is_changed() {
    const SHIPS: Resource =
        ships(&[first("harbours", OnDelete::Cascade), second("harbours", OnDelete::SetNull)]);
    const CARGOES: Resource = cargoes(&[first("ships", OnDelete::Restrict)]);
    let world = world(&[HARBOURS, SHIPS, CARGOES]).await;
    let kiel = world.harbour().await;
    let anna = world.ship(kiel).await;
    let guest: ShipId = world.stored("ships", None, Some(&kiel.to_string())).await;
    let tea = world.cargo(anna).await;
    let before = [world.row(anna).await, world.row(guest).await, world.row(tea).await];

    let session = world.write();
    let refused = Harbours::soft_delete(&session, kiel, &Precondition::None).await.unwrap_err();
    assert!(matches!(refused, KernelError::Referenced { by: "cargoes" }), "{refused:?}");
    assert_eq!((refused.problem().kind, refused.problem().code), (Kind::Conflict, "still_referenced"));
    assert_eq!(refused.retry_after(), None);
    assert!(matches!(session.commit(()).await, Err(SessionError::Failed)), "who ignores it commits nothing");
    assert!(world.lives(kiel).await);
    assert_eq!([world.row(anna).await, world.row(guest).await, world.row(tea).await], before);
    assert_eq!(events::<ShipSank>(&world).await, []);

    // A deleted row keeps nothing.
    delete::<Cargoes>(&world, tea).await.unwrap();
    delete::<Harbours>(&world, kiel).await.unwrap();
    assert!(!world.lives(anna).await);
    assert_eq!(world.row(guest).await.second_id, None);
}

#[tokio::test]
async fn a_refused_deletion_in_a_savepoint_is_undone_and_the_session_is_good() {
    const SHIPS: Resource = ships(&[first("harbours", OnDelete::Cascade)]);
    const CARGOES: Resource = cargoes(&[first("ships", OnDelete::Restrict)]);
    let world = world(&[HARBOURS, SHIPS, CARGOES]).await;
    let (kiel, brest) = (world.harbour().await, world.harbour().await);
    let anna = world.ship(kiel).await;
    world.cargo(anna).await;
    let session = world.write();
    let refused = session
        .savepoint(async { Harbours::soft_delete(&session, kiel, &Precondition::None).await })
        .await
        .unwrap();
    assert!(matches!(refused, Err(KernelError::Referenced { .. })), "{refused:?}");
    Harbours::soft_delete(&session, brest, &Precondition::None).await.unwrap().unwrap();
    commit(session).await;
    assert_eq!(
        (world.lives(kiel).await, world.lives(anna).await, world.lives(brest).await),
        (true, true, false)
    );
}

#[tokio::test]
async fn a_row_forgets_what_is_deleted_and_nothing_else() {
    const SHIPS: Resource =
        ships(&[first("harbours", OnDelete::SetNull), second("harbours", OnDelete::SetNull)]);
    let world = world(&[HARBOURS, SHIPS]).await;
    let (kiel, brest) = (world.harbour().await.to_string(), world.harbour().await);
    let anna: ShipId = world.stored("ships", Some(&kiel), Some(&brest.to_string())).await;
    let elsewhere = world.ship(&kiel).await;
    let sunk = world.ship(brest).await;
    delete::<Ships>(&world, sunk).await.unwrap();
    let before = [world.row(elsewhere).await, world.row(sunk).await];

    world.clock.advance(Duration::from_mins(1));
    delete::<Harbours>(&world, brest).await.unwrap();
    let updated_at = world.clock.now();
    let forgot =
        Row { version: 2, updated_at, deleted_at: None, first_id: Some(kiel.clone()), second_id: None };
    assert_eq!(world.row(anna).await, forgot);
    assert_eq!([world.row(elsewhere).await, world.row(sunk).await], before);
    assert_eq!(events::<ShipSank>(&world).await, []);
}

/// A ship has a home and a berth.
#[tokio::test]
async fn of_two_references_to_one_table_each_has_its_own_rule() {
    const SHIPS: Resource =
        ships(&[second("harbours", OnDelete::SetNull), first("harbours", OnDelete::Cascade)]);
    let world = world(&[HARBOURS, SHIPS]).await;
    let (kiel, brest) = (world.harbour().await, world.harbour().await);
    let (home, berth) = (kiel.to_string(), brest.to_string());
    let at_home: ShipId = world.stored("ships", Some(&home), Some(&home)).await;
    let travelling: ShipId = world.stored("ships", Some(&home), Some(&berth)).await;
    let guest: ShipId = world.stored("ships", Some(&berth), Some(&home)).await;

    delete::<Harbours>(&world, kiel).await.unwrap();
    for ship in [at_home, travelling] {
        let row = world.row(ship).await;
        assert_eq!((row.version, row.deleted_at.is_some()), (2, true), "changed once");
        assert_eq!(row.first_id.as_ref(), Some(&home));
        assert!(row.second_id.is_some(), "what goes forgets nothing");
    }
    let row = world.row(guest).await;
    assert_eq!((row.version, row.deleted_at, row.first_id, row.second_id), (2, None, Some(berth), None));
}

#[tokio::test]
async fn what_only_forgets_passes_nothing_on() {
    const SHIPS: Resource = ships(&[first("harbours", OnDelete::SetNull)]);
    const CARGOES: Resource = cargoes(&[first("ships", OnDelete::Restrict)]);
    let world = world(&[HARBOURS, SHIPS, CARGOES]).await;
    let kiel = world.harbour().await;
    let anna = world.ship(kiel).await;
    let tea = world.cargo(anna).await;
    delete::<Harbours>(&world, kiel).await.unwrap();
    assert_eq!(world.row(anna).await.first_id, None);
    assert!(world.lives(anna).await && world.lives(tea).await);
    assert!(matches!(delete::<Ships>(&world, anna).await, Err(KernelError::Referenced { by: "cargoes" })));
}

/// Whichever of the two ways is looked at first: what goes anyway keeps nothing.
#[tokio::test]
async fn what_goes_for_another_reason_keeps_nothing() {
    const SHIPS: Resource = ships(&[first("harbours", OnDelete::Cascade)]);
    const CARGOES: Resource =
        cargoes(&[first("ships", OnDelete::Cascade), second("harbours", OnDelete::Restrict)]);
    let world = world(&[HARBOURS, SHIPS, CARGOES]).await;
    let kiel = world.harbour().await;
    let anna = world.ship(kiel).await;
    let on_board: CargoId = world.stored("cargoes", Some(&anna.to_string()), Some(&kiel.to_string())).await;
    let on_land: CargoId = world.stored("cargoes", None, Some(&kiel.to_string())).await;
    assert!(matches!(delete::<Harbours>(&world, kiel).await, Err(KernelError::Referenced { .. })));
    assert!(world.lives(on_board).await);
    delete::<Cargoes>(&world, on_land).await.unwrap();
    delete::<Harbours>(&world, kiel).await.unwrap();
    assert!(!world.lives(on_board).await);
}

#[tokio::test]
async fn a_table_that_refers_to_itself_goes_down_its_tree_and_round_its_circles() {
    const SHIPS: Resource = ships(&[first("ships", OnDelete::Cascade)]);
    let world = world(&[SHIPS]).await;
    let root: ShipId = world.stored("ships", None, None).await;
    let child = world.ship(root).await;
    let leaf = world.ship(child).await;
    delete::<Ships>(&world, child).await.unwrap();
    assert_eq!(
        (world.lives(root).await, world.lives(child).await, world.lives(leaf).await),
        (true, false, false)
    );
    // It refers to itself.
    world.point(root, root).await;
    delete::<Ships>(&world, root).await.unwrap();
    assert_eq!(world.row(root).await.version, 2);

    let ring = [world.ship("").await, world.ship("").await, world.ship("").await];
    for (number, ship) in ring.iter().enumerate() {
        world.point(*ship, ring[(number + 1) % 3]).await;
    }
    delete::<Ships>(&world, ring[1]).await.unwrap();
    for ship in ring {
        let row = world.row(ship).await;
        assert_eq!((row.version, row.deleted_at.is_some()), (2, true));
    }
}

#[tokio::test]
async fn a_row_does_not_keep_itself_and_a_circle_of_two_tables_ends() {
    const HARBOURS: Resource =
        Resource { references: &[first("ships", OnDelete::Cascade)], ..Resource::visible_to_all("harbours") };
    const SHIPS: Resource =
        ships(&[first("harbours", OnDelete::Cascade), second("ships", OnDelete::Restrict)]);
    let world = world(&[HARBOURS, SHIPS]).await;
    let session = world.write();
    let ship: ShipId = insert(&session, "ships", None, None).await.unwrap();
    let harbour: HarbourId = insert(&session, "harbours", Some(&ship.to_string()), None).await.unwrap();
    let itself = Query::update()
        .table("ships")
        .values([("first_id", harbour.to_string().into()), ("second_id", ship.to_string().into())])
        .and_where(Expr::col("id").eq(ship))
        .to_owned();
    session.execute(&itself).await.unwrap();
    commit(session).await;
    delete::<Harbours>(&world, harbour).await.unwrap();
    assert_eq!((world.row(harbour).await.version, world.row(ship).await.version), (2, 2));
    assert!(!world.lives(ship).await);
}

/// More than a statement takes ids, on two levels.
#[tokio::test]
async fn as_many_go_as_there_are() {
    const SHIPS: Resource = ships(&[first("harbours", OnDelete::Cascade)]);
    const CARGOES: Resource =
        cargoes(&[first("ships", OnDelete::Cascade), second("ships", OnDelete::SetNull)]);
    let world = world(&[HARBOURS, SHIPS, CARGOES]).await;
    let kiel = world.harbour().await.to_string();
    let session = world.write();
    let mut last = None;
    for number in 0..1_201 {
        let ship: ShipId = insert(&session, "ships", Some(&kiel), None).await.unwrap();
        let ship = ship.to_string();
        // All but the last have a cargo that goes; the last has one that stays.
        let (first, second) = if number < 1_200 { (Some(&*ship), None) } else { (None, Some(&*ship)) };
        let cargo: CargoId = insert(&session, "cargoes", first, second).await.unwrap();
        last = Some(cargo);
    }
    commit(session).await;
    delete::<Harbours>(&world, kiel.parse().unwrap()).await.unwrap();
    let living = async |table| {
        let living =
            Query::select().column("id").from(table).and_where(Expr::col("deleted_at").is_null()).to_owned();
        world.primary().query_all(&living).await.unwrap().len()
    };
    assert_eq!((living("ships").await, living("cargoes").await), (0, 1));
    assert_eq!(world.row(last.unwrap()).await.second_id, None);
    assert_eq!(events::<ShipSank>(&world).await.len(), 1_201);
}

#[tokio::test]
async fn many_that_are_deleted_at_once_are_followed_together() {
    const SHIPS: Resource = ships(&[first("harbours", OnDelete::Cascade)]);
    let world = world(&[HARBOURS, SHIPS]).await;
    let harbours = [world.harbour().await, world.harbour().await];
    let all = [world.ship(harbours[0]).await, world.ship(harbours[1]).await];
    let session = world.write();
    reference::apply_on_delete(&session, "harbours", &harbours).await.unwrap();
    reference::apply_on_delete::<harbour::RowKind>(&session, "harbours", &[]).await.unwrap();
    commit(session).await;
    assert_eq!((world.lives(all[0]).await, world.lives(all[1]).await), (false, false));
}

/// However far it came: what was not ended is not committed. (On a busy machine every answer may be there when it is looked
/// for; then there is nothing to give up.)
#[tokio::test]
async fn a_deletion_that_is_given_up_half_way_is_not_committed() {
    const SHIPS: Resource = ships(&[first("harbours", OnDelete::Cascade)]);
    const CARGOES: Resource = cargoes(&[first("ships", OnDelete::SetNull)]);
    let world = world(&[HARBOURS, SHIPS, CARGOES]).await;
    let kiel = world.harbour().await;
    let anna = world.ship(kiel).await;
    let tea = world.cargo(anna).await;
    let before = [world.row(anna).await, world.row(tea).await];
    for polls in 1.. {
        let session = world.write();
        let ended = {
            let mut deletion = pin!(Harbours::soft_delete(&session, kiel, &Precondition::None));
            let mut left = polls;
            poll_fn(|context| {
                if left == 0 {
                    return Poll::Ready(None);
                }
                left -= 1;
                deletion.as_mut().poll(context).map(Some)
            })
            .await
        };
        if let Some(deleted) = ended {
            deleted.unwrap().unwrap();
            commit(session).await;
            break;
        }
        let given_up = session.commit(()).await.map(Committed::into_value);
        assert!(matches!(given_up, Err(SessionError::Failed)), "{polls}: {given_up:?}");
        assert_eq!([world.row(anna).await, world.row(tea).await], before, "{polls}");
    }
    assert!(!world.lives(anna).await);
    assert_eq!(world.row(tea).await.first_id, None);
}

async fn refer(
    session: &WriteSession,
    principal: &Principal,
    pointed: &[ReferenceField],
) -> Result<(), KernelError> {
    reference::check_references(session, principal, pointed).await
}

/// The pointers that were refused.
async fn refused(databases: &Databases, principal: &Principal, pointed: &[ReferenceField]) -> Vec<String> {
    let session = databases.write();
    match refer(&session, principal, pointed).await {
        Ok(()) => Vec::new(),
        Err(KernelError::Invalid(Invalid(fields))) => {
            for field in &fields {
                assert_eq!(
                    (&*field.code, &*field.message),
                    ("reference", "there is nothing with this id, or it is not visible to you")
                );
            }
            fields.into_iter().map(|field| field.pointer).collect()
        }
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn only_what_lives_and_may_be_seen_can_be_referred_to() {
    /// Whose it is stands in the second column.
    const SHIPS: Resource = Resource {
        referable: |principal| Condition::all().add(ship::Column::SecondId.eq(principal.to_string())),
        ..Resource::visible_to_all("ships")
    };
    let world = world(&[HARBOURS, SHIPS]).await;
    let (ada, eve) = (world.database.user().await, world.database.user().await);
    let (kiel, brest) = (world.harbour().await, world.harbour().await);
    delete::<Harbours>(&world, brest).await.unwrap();
    let anna: ShipId = world.stored("ships", None, Some(&ada.to_string())).await;
    let unknown = HarbourId::new(world.clock.now());
    let harbour = |id| ReferenceField::new("/harbour_id", "harbours", Some(id));
    let ship = || ReferenceField::new("/ship_id", "ships", Some(anna));
    let nothing: ReferenceField = ReferenceField::new("/berth_id", "harbours", None::<HarbourId>);

    assert_eq!(refused(&world, &ada, &[]).await, [""; 0]);
    assert_eq!(refused(&world, &ada, &[ship(), nothing.clone(), harbour(kiel)]).await, [""; 0]);
    assert_eq!(refused(&world, &ada, &[harbour(brest)]).await, ["/harbour_id"]);
    assert_eq!(refused(&world, &ada, &[harbour(unknown)]).await, ["/harbour_id"]);
    assert_eq!(refused(&world, &eve, &[ship()]).await, ["/ship_id"]);
    // All at once, in the order in which they were named.
    let all = [ship(), nothing, harbour(brest), harbour(kiel)];
    assert_eq!(refused(&world, &eve, &all).await, ["/ship_id", "/harbour_id"]);
    // An id of another kind is of no row.
    let confused = ReferenceField::new("/harbour_id", "harbours", Some(anna));
    assert_eq!(refused(&world, &ada, &[confused]).await, ["/harbour_id"]);

    // A refusal is no failed statement: the session may go on.
    let session = world.write();
    refer(&session, &ada, &[harbour(unknown)]).await.unwrap_err();
    commit(session).await;
}

#[tokio::test]
async fn what_nobody_registered_is_visible_to_nobody() {
    let world = world(&[HARBOURS]).await;
    let ada = world.database.user().await;
    let anna: ShipId = world.stored("ships", None, None).await;
    let ship = ReferenceField::new("/ship_id", "ships", Some(anna));
    let kiel = ReferenceField::new("/harbour_id", "harbours", Some(world.harbour().await));
    assert_eq!(refused(&world, &ada, &[kiel, ship.clone()]).await, ["/ship_id"]);
    let admin = as_admin(&ada);
    assert_eq!(refused(&world, &admin, &[ship]).await, ["/ship_id"]);
    let user = ReferenceField::new("/user_id", "users", ada.user());
    assert_eq!(refused(&world, &ada, &[user]).await, ["/user_id"]);
    assert!(world.resources().find("ships").is_none());
}

/// Refers to a harbour as a service does.
async fn put_in(
    databases: &Databases,
    principal: &Principal,
    harbour: HarbourId,
) -> Result<ShipId, KernelError> {
    let session = databases.write();
    refer(&session, principal, &[ReferenceField::new("/harbour_id", "harbours", Some(harbour))]).await?;
    // Time for others to come in between, if they could.
    tokio::task::yield_now().await;
    let ship = insert(&session, "ships", Some(&harbour.to_string()), None).await?;
    Ok(session.commit(ship).await?.into_value())
}

#[tokio::test]
async fn what_is_referred_to_waits_with_its_deletion() {
    const SHIPS: Resource = ships(&[first("harbours", OnDelete::Cascade)]);
    let world = world(&[HARBOURS, SHIPS]).await;
    let (ada, kiel) = (world.database.user().await, world.harbour().await);
    let session = world.write();
    refer(&session, &ada, &[ReferenceField::new("/harbour_id", "harbours", Some(kiel))]).await.unwrap();
    let databases = Databases::clone(&world);
    let deletion = tokio::spawn(async move { delete::<Harbours>(&databases, kiel).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!deletion.is_finished());
    let anna: ShipId = insert(&session, "ships", Some(&kiel.to_string()), None).await.unwrap();
    commit(session).await;
    deletion.await.unwrap().unwrap();
    assert!(!world.lives(anna).await, "the deletion saw it");
}

/// What goes with another is not deleted while somebody is about to refer to it either.
#[tokio::test]
async fn what_is_referred_to_further_down_waits_with_its_deletion() {
    const SHIPS: Resource = ships(&[first("harbours", OnDelete::Cascade)]);
    const CARGOES: Resource = cargoes(&[first("ships", OnDelete::Cascade)]);
    let world = world(&[HARBOURS, SHIPS, CARGOES]).await;
    let (ada, kiel) = (world.database.user().await, world.harbour().await);
    let anna = world.ship(kiel).await;
    let session = world.write();
    refer(&session, &ada, &[ReferenceField::new("/ship_id", "ships", Some(anna))]).await.unwrap();
    let databases = Databases::clone(&world);
    let deletion = tokio::spawn(async move { delete::<Harbours>(&databases, kiel).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!deletion.is_finished());
    let tea: CargoId = insert(&session, "cargoes", Some(&anna.to_string()), None).await.unwrap();
    commit(session).await;
    deletion.await.unwrap().unwrap();
    assert!(!world.lives(tea).await);
}

#[tokio::test]
async fn who_refers_to_what_is_being_deleted_waits_and_is_refused() {
    const SHIPS: Resource = ships(&[first("harbours", OnDelete::Restrict)]);
    let world = world(&[HARBOURS, SHIPS]).await;
    let (ada, kiel) = (world.database.user().await, world.harbour().await);
    let session = world.write();
    Harbours::soft_delete(&session, kiel, &Precondition::None).await.unwrap().unwrap();
    let databases = Databases::clone(&world);
    let arrival = tokio::spawn(async move { put_in(&databases, &ada, kiel).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!arrival.is_finished());
    commit(session).await;
    let refused = arrival.await.unwrap();
    assert!(matches!(refused, Err(KernelError::Invalid(_))), "{refused:?}");
}

/// Twenty put in while one closes the harbour; several times, because it is a matter of luck who comes when.
async fn crowd(resources: &[Resource]) {
    let world = world(resources).await;
    let ada = world.database.user().await;
    for _ in 0..10 {
        let kiel = world.harbour().await;
        let (databases, ada) = (Databases::clone(&world), ada.clone());
        let arrivals = concurrently(21, move |number| {
            let (databases, ada) = (databases.clone(), ada.clone());
            async move {
                if number == 7 {
                    return match delete::<Harbours>(&databases, kiel).await {
                        Ok(()) | Err(KernelError::Referenced { .. }) => None,
                        Err(error) => panic!("{error:?}"),
                    };
                }
                match put_in(&databases, &ada, kiel).await {
                    Ok(ship) => Some(ship),
                    Err(KernelError::Invalid(_)) => None,
                    Err(error) => panic!("{error:?}"),
                }
            }
        })
        .await;
        let closed = !world.lives(kiel).await;
        for ship in arrivals.into_iter().flatten() {
            let row = world.row(ship).await;
            let dangles = row.deleted_at.is_none() && row.first_id.is_some() && closed;
            assert!(!dangles, "a living row refers to a deleted one: {row:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_crowd_no_living_row_refers_to_a_deleted_one_with_cascade() {
    const SHIPS: Resource = ships(&[first("harbours", OnDelete::Cascade)]);
    crowd(&[HARBOURS, SHIPS]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_crowd_no_living_row_refers_to_a_deleted_one_with_restrict() {
    const SHIPS: Resource = ships(&[first("harbours", OnDelete::Restrict)]);
    crowd(&[HARBOURS, SHIPS]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_crowd_no_living_row_refers_to_a_deleted_one_with_set_null() {
    const SHIPS: Resource = ships(&[first("harbours", OnDelete::SetNull)]);
    crowd(&[HARBOURS, SHIPS]).await;
}
