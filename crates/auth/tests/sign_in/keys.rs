//! The keys that sign: made once, sealed, shared by all instances, and rotated.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use auth::Auth;
use auth::error::AuthError;
use sea_orm::sea_query::Query;
use sea_orm::{ConnectionTrait as _, DbBackend};
use shared_kernel::clock::{Clock, Timestamp};
use shared_kernel::error::{DomainError as _, Kind};
use shared_kernel::testing::{FixedClock, secret_key};
use tokio::task::JoinSet;

use crate::common::jwt::{Token, key_rows, new_key, our_key, part, private_key, rotate_key};
use crate::common::{
    Instance, PASSWORD, SECOND, TOKEN_LIFETIME, World, another_secret_key, cheap, connect, empty_database,
    person, refresh_token, settings, short_of,
};

/// How long an instance signs with a key that another has retired meanwhile.
const REREAD: Duration = Duration::from_mins(1);

fn kid(access_token: &str) -> String {
    part(access_token, 0).get("kid").unwrap().as_str().unwrap().to_owned()
}

async fn published(instance: &Instance) -> BTreeSet<String> {
    let keys = instance.auth.published_keys().await.unwrap().keys;
    keys.into_iter().map(|key| key.common.key_id.unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn instances_that_start_at_once_make_one_key_between_them() {
    let (clock, database) = empty_database().await;
    let mut starting = JoinSet::new();
    for _ in 0..8 {
        let databases = connect(&database, clock.clone()).await;
        starting.spawn(Instance::open(databases, cheap()));
    }
    let instances = starting.join_all().await;
    let [first, others @ ..] = instances.as_slice() else { panic!("no instance") };
    assert_eq!(first.count("signing_keys").await, 1);
    let ada = first.sign_up("ada").await;
    for other in others {
        let principal = other.authenticate(&ada.access_token).await.unwrap();
        assert_eq!(principal.session_id(), Some(ada.session_id));
        let there = other.login("ada@example.com", PASSWORD).await.unwrap();
        assert_eq!(kid(&there.access_token), kid(&ada.access_token));
        first.authenticate(&there.access_token).await.unwrap();
        assert_eq!(published(other).await, published(first).await);
    }
}

/// Stops at its second reading until another has come as far: an instance on an empty database reads the clock when it looks
/// for a key, and again when it makes one.
#[derive(Debug)]
struct MeetingClock {
    clock: Arc<FixedClock>,
    readings: AtomicUsize,
    meeting: Arc<Barrier>,
}

impl Clock for MeetingClock {
    fn now(&self) -> Timestamp {
        if self.readings.fetch_add(1, Ordering::SeqCst) == 1 {
            self.meeting.wait();
        }
        self.clock.now()
    }
}

#[tokio::test]
async fn of_two_that_both_found_no_key_one_makes_it() {
    let (clock, database) = empty_database().await;
    let meeting = Arc::new(Barrier::new(2));
    // Each is a process of its own as far as tokio is concerned: one that waits in its clock keeps nobody else from running.
    let start = &|name: &str| {
        let clock =
            MeetingClock { clock: clock.clone(), readings: AtomicUsize::new(0), meeting: meeting.clone() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let instance = Instance::open(connect(&database, Arc::new(clock)).await, cheap()).await;
            instance.sign_up(name).await
        })
    };
    let signed_up = std::thread::scope(|scope| {
        let starting = ["ada", "eve"].map(|name| scope.spawn(move || start(name)));
        starting.map(|thread| thread.join().unwrap())
    });
    let later = Instance::open(database.clone(), cheap()).await;
    assert_eq!(later.count("signing_keys").await, 1);
    for answer in signed_up {
        assert_eq!(BTreeSet::from([kid(&answer.access_token)]), published(&later).await);
        later.authenticate(&answer.access_token).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_outlives_the_process() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let restarted = world.another_instance().await;
    assert_eq!(restarted.authenticate(&ada.access_token).await.unwrap().user(), Some(ada.user.id));
    assert_eq!(world.count("signing_keys").await, 1);
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn a_private_key_is_not_stored_in_clear() {
    let world = World::new().await;
    let private = private_key(&world).await;
    // The algorithm of RFC 8410, section 3, that every Ed25519 key in PKCS #8 names.
    let marker = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
    assert!(contains(&private, &marker), "unsealed, it is one");
    let (_, seed) = private.split_at(private.len() - 32);
    let rows = key_rows(&world).await;
    let [row] = rows.as_slice() else { panic!("{} keys", rows.len()) };
    assert!(!contains(&row.sealed, &marker));
    for piece in seed.chunks(8) {
        assert!(!contains(&row.sealed, piece));
    }
    assert_eq!(row.public_jwk.get("d"), None);
    // Bound to its row: moved to another, it does not open.
    let moved =
        Query::update().table("signing_keys").value("id", "sgk_00000000000000000000000000").to_owned();
    world.execute(&moved).await;
    let opened = Auth::open(settings(cheap()), world.databases.clone(), &secret_key()).await;
    assert!(matches!(opened, Err(AuthError::SealedWithAnotherKey(_))), "{opened:?}");
}

#[tokio::test]
async fn another_secret_key_is_told_with_what_to_do() {
    let world = World::new().await;
    let error =
        Auth::open(settings(cheap()), world.databases.clone(), &another_secret_key()).await.unwrap_err();
    assert!(matches!(error, AuthError::SealedWithAnotherKey(_)), "{error:?}");
    assert!(error.to_string().contains("restore ASHLAR_SECRET_KEY"), "{error}");
    assert_eq!(error.problem().kind, Kind::Internal);
    assert_eq!(world.count("signing_keys").await, 1, "no second key is made over it");
}

#[tokio::test]
async fn a_rotated_key_is_picked_up_and_ends_no_session() {
    let world = World::new().await;
    let old = world.sign_up("ada").await;
    let before = kid(&old.access_token);
    let key_id = rotate_key(&world).await;
    assert_ne!(key_id, before);

    // An instance that starts now signs with the new key, and the other takes that within a second.
    let elsewhere = world.another_instance().await;
    let new = elsewhere.login("ada@example.com", PASSWORD).await.unwrap();
    assert_eq!(kid(&new.access_token), key_id);
    world.clock.advance(SECOND);
    world.authenticate(&new.access_token).await.unwrap();
    assert_eq!(published(&world).await, BTreeSet::from([key_id.clone(), before]));

    // Both accept what the old key has signed, as long as it lives.
    world.clock.advance(short_of(TOKEN_LIFETIME, 2));
    for instance in [&*world, &elsewhere, &world.another_instance().await] {
        instance.authenticate(&old.access_token).await.unwrap();
        assert_eq!(kid(&instance.login("ada@example.com", PASSWORD).await.unwrap().access_token), key_id);
    }
    world.clock.advance(SECOND);
    for instance in [&*world, &elsewhere] {
        let outcome = instance.authenticate(&old.access_token).await;
        assert!(matches!(outcome, Err(AuthError::InvalidToken)), "{outcome:?}");
    }
    // Then the old one is no longer published, nor taken.
    world.clock.advance(REREAD * 2);
    assert_eq!(published(&world).await, BTreeSet::from([key_id]));
}

#[tokio::test]
async fn what_an_instance_signs_before_it_notices_a_rotation_lives_as_long_as_it_says() {
    let world = World::new().await;
    world.sign_up("ada").await;
    let retired = part(&world.login("ada@example.com", PASSWORD).await.unwrap().access_token, 0);
    rotate_key(&world).await;
    world.clock.advance(short_of(REREAD, 1));
    let late = world.login("ada@example.com", PASSWORD).await.unwrap();
    assert_eq!(part(&late.access_token, 0), retired, "not noticed yet");
    world.clock.advance(short_of(TOKEN_LIFETIME, 1));
    let elsewhere = world.another_instance().await;
    for instance in [&*world, &elsewhere] {
        instance.authenticate(&late.access_token).await.unwrap();
    }
    world.clock.advance(SECOND);
    let outcome = world.authenticate(&late.access_token).await;
    assert!(matches!(outcome, Err(AuthError::InvalidToken)), "{outcome:?}");
}

#[tokio::test]
async fn a_retired_key_signs_nothing_that_is_believed_after_its_time() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let stolen = our_key(&world).await;
    rotate_key(&world).await;
    world.clock.advance(TOKEN_LIFETIME + REREAD * 2);
    let now = world.clock.now().unix_seconds();
    let forged = Token::of(&ada.access_token)
        .claim("iat", now)
        .claim("nbf", now)
        .claim("exp", now + TOKEN_LIFETIME.as_secs())
        .signed_with(&stolen);
    let outcome = world.authenticate(&forged).await;
    assert!(matches!(outcome, Err(AuthError::InvalidToken)), "{outcome:?}");
}

#[tokio::test]
async fn an_installation_without_an_active_key_makes_one_when_it_starts() {
    let world = World::new().await;
    let old = world.sign_up("ada").await;
    let retire = Query::update().table("signing_keys").value("retired_at", world.clock.now()).to_owned();
    world.execute(&retire).await;
    let restarted = world.another_instance().await;
    assert_eq!(world.count("signing_keys").await, 2);
    restarted.authenticate(&old.access_token).await.unwrap();
    let new = restarted.login("ada@example.com", PASSWORD).await.unwrap();
    assert_ne!(kid(&new.access_token), kid(&old.access_token));
}

/// Takes the table of keys away, or gives it back.
async fn rename(world: &World, from: &str, to: &str) {
    let sql = format!("ALTER TABLE {from} RENAME TO {to}");
    world.databases.primary().execute_unprepared(&sql).await.unwrap();
}

#[tokio::test]
async fn while_the_keys_cannot_be_read_the_known_ones_verify_for_an_hour() {
    let world = World::new().await;
    let first = world.sign_up("ada").await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(world.login("ada@example.com", PASSWORD).await.unwrap().access_token);
    }
    let [one, two, three] = tokens.as_slice() else { panic!("three") };
    let known = kid(&first.access_token);
    rename(&world, "signing_keys", "elsewhere").await;

    world.clock.advance(REREAD);
    world.authenticate(one).await.unwrap();
    world.authenticate(two).await.unwrap();
    assert_eq!(published(&world).await, BTreeSet::from([known]));
    // Which may be another instance's, and is certainly not believed.
    let foreign = Token::of(three).header("kid", "unknown").signed_with(&new_key());
    let outcome = world.authenticate(&foreign).await;
    assert!(matches!(outcome, Err(AuthError::Shared(_))), "{outcome:?}");
    // A forged one is still told from a genuine one.
    let forged = Token::of(three).signed_with(&new_key());
    let outcome = world.authenticate(&forged).await;
    assert!(matches!(outcome, Err(AuthError::InvalidToken)), "{outcome:?}");

    // Nothing is signed, and then nothing is written either.
    let counts = (world.count("users").await, world.count("sessions").await);
    assert!(matches!(world.signup(&person("eve")).await, Err(AuthError::Shared(_))));
    assert!(matches!(world.login("ada@example.com", PASSWORD).await, Err(AuthError::Shared(_))));
    assert!(matches!(world.refresh(refresh_token(&first)).await, Err(AuthError::Shared(_))));
    assert_eq!((world.count("users").await, world.count("sessions").await), counts);
    assert_eq!(world.generation(first.session_id).await, 0);

    world.clock.advance(Duration::from_hours(1));
    let outcome = world.auth.published_keys().await;
    assert!(matches!(outcome, Err(AuthError::Shared(_))), "{outcome:?}");
    rename(&world, "elsewhere", "signing_keys").await;
    world.clock.advance(SECOND);
    world.refresh(refresh_token(&first)).await.unwrap();
}

/// Only PostgreSQL can be made to hang: SQLite's readers wait for nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_hangs_keeps_everybody_waiting_once() {
    let world = World::new().await;
    if world.database.backend() != DbBackend::Postgres {
        return;
    }
    world.sign_up("ada").await;
    let there = world.another_instance().await;
    let lock = there.databases.write();
    lock.execute_unprepared("LOCK TABLE signing_keys IN ACCESS EXCLUSIVE MODE").await.unwrap();
    world.clock.advance(REREAD);
    let all = async {
        let mut asking = JoinSet::new();
        for _ in 0..20 {
            let auth = world.auth.clone();
            asking.spawn(async move { auth.published_keys().await.unwrap() });
        }
        asking.join_all().await
    };
    // One wait is 3 s, 20 would be a minute.
    let answers = tokio::time::timeout(Duration::from_secs(20), all).await.unwrap();
    assert!(answers.iter().all(|keys| keys.keys.len() == 1));
}
