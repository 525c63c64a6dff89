//! What happens when a subscriber fails, hangs or dies.

use std::time::Duration;

use messaging::RelaySettings;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use shared_kernel::clock::Clock;

use super::support::{Deed, Recorder, at_rest, emit, notes, relay, relay_with, row, soon};

const MICROSECOND: Duration = Duration::from_micros(1);

#[tokio::test]
async fn a_failing_subscriber_is_tried_again_with_growing_pauses_and_the_others_are_not() {
    let (database, clock) = at_rest().await;
    let failing =
        Recorder::that(
            "failing",
            |_, before| if before < 3 { Deed::Fail("out of order") } else { Deed::Succeed },
        );
    let other = Recorder::new("other");
    let id = emit(&database, "a", 1).await;
    let relay = relay(&database, &[&failing, &other]);
    for attempt in 1..=3 {
        assert_eq!(relay.drain().await.unwrap(), 0);
        assert_eq!((failing.calls(), other.calls()), (attempt, 1));
        let event = row(&database, id).await;
        assert_eq!(event.last_error.as_deref(), Some("failing: out of order"));
        let pause = Duration::from_secs(1 << (attempt - 1));
        assert_eq!(event.available_at, clock.now() + pause);
        clock.advance(pause.saturating_sub(MICROSECOND));
        assert_eq!(relay.drain().await.unwrap(), 0);
        assert_eq!(failing.calls(), attempt, "not before the pause is over");
        clock.advance(MICROSECOND);
    }
    assert_eq!(relay.drain().await.unwrap(), 1);
    assert_eq!((failing.calls(), other.calls()), (4, 1));
    let event = row(&database, id).await;
    assert_eq!((event.delivered_at, event.attempts), (Some(clock.now()), 4));
}

#[tokio::test]
async fn a_poisoned_aggregate_holds_back_itself_and_no_other() {
    let (database, clock) = at_rest().await;
    let recorder = Recorder::that("recorder", |event, _| {
        if (event.thing.as_str(), event.number) == ("poisoned", 1) {
            Deed::Fail("poison")
        } else {
            Deed::Succeed
        }
    });
    for number in 1..=3 {
        emit(&database, "poisoned", number).await;
        emit(&database, "sound", number).await;
    }
    let relay = relay(&database, &[&recorder]);
    assert_eq!(relay.drain().await.unwrap(), 3);
    clock.advance(Duration::from_secs(1));
    assert_eq!(relay.drain().await.unwrap(), 0);
    assert_eq!((recorder.numbers("sound"), recorder.numbers("poisoned")), (vec![1, 2, 3], vec![1, 1]));
}

#[tokio::test]
async fn a_dead_event_is_never_tried_again_and_holds_nothing_back() {
    let (database, clock) = at_rest().await;
    let recorder =
        Recorder::that(
            "recorder",
            |event, _| if event.number == 1 { Deed::Fail("poison") } else { Deed::Succeed },
        );
    let dead = emit(&database, "a", 1).await;
    emit(&database, "a", 2).await;
    let settings = RelaySettings { max_attempts: 3, ..RelaySettings::default() };
    let relay = relay_with(&database, &[&recorder], settings);
    for _ in 0..2 {
        assert_eq!(relay.drain().await.unwrap(), 0);
        assert_eq!(
            recorder.numbers("a").last(),
            Some(&1),
            "the second waits while the first has attempts left"
        );
        clock.advance(Duration::from_secs(10));
    }
    assert_eq!(
        relay.drain().await.unwrap(),
        1,
        "the third attempt was the last, and the second event passed"
    );
    assert_eq!(recorder.numbers("a"), [1, 1, 1, 2]);
    clock.advance(Duration::from_hours(24 * 365));
    assert_eq!(relay.drain().await.unwrap(), 0);
    relay.sweep().await.unwrap();
    let event = row(&database, dead).await;
    assert_eq!(
        (event.delivered_at, event.attempts, event.last_error.as_deref()),
        (None, 3, Some("recorder: poison"))
    );
    assert_eq!(recorder.calls(), 4);
}

#[tokio::test]
async fn the_last_attempt_holds_the_aggregate_back_while_it_runs() {
    let (database, clock) = at_rest().await;
    let (recorder, mut calls) =
        Recorder::observed("recorder", |event, _| if event.number == 1 { Deed::Wait } else { Deed::Succeed });
    emit(&database, "a", 1).await;
    emit(&database, "a", 2).await;
    let settings = RelaySettings { max_attempts: 1, ..RelaySettings::default() };
    let (slow, other) = (
        relay_with(&database, &[&recorder], settings.clone()),
        relay_with(&database, &[&recorder], settings),
    );
    let running = tokio::spawn(async move { slow.drain().await });
    soon(calls.recv()).await.unwrap();
    clock.advance(Duration::from_secs(30));
    assert_eq!(other.drain().await.unwrap(), 0);
    assert_eq!(recorder.numbers("a"), [1]);
    recorder.let_go();
    assert_eq!(soon(running).await.unwrap().unwrap(), 2);
    assert_eq!(recorder.numbers("a"), [1, 2]);
}

#[tokio::test]
async fn a_crash_between_the_work_and_its_note_leads_to_another_delivery_after_the_lease() {
    let (database, clock) = at_rest().await;
    let (dying, mut calls) =
        Recorder::observed("dying", |_, before| if before == 0 { Deed::Hang } else { Deed::Succeed });
    let id = emit(&database, "a", 1).await;
    emit(&database, "a", 2).await;
    let crashing = relay(&database, &[&dying]);
    tokio::select! {
        _ = crashing.drain() => panic!("it hangs"),
        number = calls.recv() => assert_eq!(number, Some(1)),
    }
    let (lease, restarted) = (RelaySettings::default().lease(), relay(&database, &[&dying]));
    clock.advance(lease.saturating_sub(MICROSECOND));
    assert_eq!(restarted.drain().await.unwrap(), 0);
    assert_eq!(dying.calls(), 1, "it may still be at work elsewhere");
    clock.advance(MICROSECOND);
    // The second event hangs at its first attempt.
    let rest = tokio::spawn(async move { restarted.drain().await });
    assert_eq!(soon(calls.recv()).await, Some(1));
    assert_eq!(soon(calls.recv()).await, Some(2));
    rest.abort();
    assert_eq!((dying.numbers("a"), row(&database, id).await.attempts), (vec![1, 1, 2], 2));
    assert!(row(&database, id).await.delivered_at.is_some());
}

#[tokio::test]
async fn what_was_noted_before_a_crash_is_not_done_again() {
    let (database, clock) = at_rest().await;
    let quick = Recorder::new("quick");
    let dying = Recorder::that("dying", |_, before| if before == 0 { Deed::Hang } else { Deed::Succeed });
    emit(&database, "a", 1).await;
    let relay = relay(&database, &[&quick, &dying]);
    let noted = async {
        while notes(&database).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = relay.drain() => panic!("it hangs"),
        () = soon(noted) => {}
    }
    clock.advance(RelaySettings::default().lease());
    assert_eq!(relay.drain().await.unwrap(), 1);
    assert_eq!((quick.calls(), dying.calls()), (1, 2));
}

#[tokio::test]
async fn a_relay_that_lost_its_lease_changes_nothing() {
    let (database, clock) = at_rest().await;
    let (slow, mut calls) = Recorder::observed("recorder", |_, _| Deed::Wait);
    let quick = Recorder::that("recorder", |_, _| Deed::Fail("later"));
    let id = emit(&database, "a", 1).await;
    let (late, next) = (relay(&database, &[&slow]), relay(&database, &[&quick]));
    let late = tokio::spawn(async move { late.drain().await });
    soon(calls.recv()).await.unwrap();
    clock.advance(RelaySettings::default().lease());
    assert_eq!(next.drain().await.unwrap(), 0);
    let settled = row(&database, id).await;
    slow.let_go();
    assert_eq!(soon(late).await.unwrap().unwrap(), 0);
    assert_eq!(row(&database, id).await, settled, "the word of the relay that has the lease counts");
    clock.advance(Duration::from_hours(1));
    assert_eq!(next.drain().await.unwrap(), 1);
    assert_eq!(quick.calls(), 1, "but the work that was done is known");
}

#[tokio::test]
async fn a_subscriber_that_hangs_is_cut_off() {
    let (database, _clock) = at_rest().await;
    let hanging = Recorder::that("hanging", |_, _| Deed::Hang);
    let other = Recorder::new("other");
    let id = emit(&database, "a", 1).await;
    let settings = RelaySettings { handler_timeout: Duration::from_millis(1), ..RelaySettings::default() };
    assert_eq!(soon(relay_with(&database, &[&hanging, &other], settings).drain()).await.unwrap(), 0);
    let error = row(&database, id).await.last_error.unwrap();
    assert_eq!((error.as_str(), other.calls()), ("hanging: took longer than 1ms", 1));
}

#[tokio::test]
async fn a_panic_is_a_failure_like_any_other() {
    let (database, clock) = at_rest().await;
    let panicking =
        Recorder::that("panicking", |_, before| if before == 0 { Deed::Panic } else { Deed::Succeed });
    let id = emit(&database, "a", 1).await;
    let relay = relay(&database, &[&panicking]);
    assert_eq!(relay.drain().await.unwrap(), 0);
    assert_eq!(row(&database, id).await.last_error.as_deref(), Some("panicking: panicked: as told"));
    clock.advance(Duration::from_secs(1));
    assert_eq!(relay.drain().await.unwrap(), 1);
}

#[tokio::test]
async fn an_error_that_the_database_could_not_store_is_mended() {
    let (database, _clock) = at_rest().await;
    let long: &'static str = format!("nul \0 {}", "ü".repeat(100_000)).leak();
    let failing = Recorder::that("failing", move |_, _| Deed::Fail(long));
    let id = emit(&database, "a", 1).await;
    relay(&database, &[&failing]).drain().await.unwrap();
    let stored = row(&database, id).await.last_error.unwrap();
    assert!(stored.starts_with("failing: nul \u{FFFD} ü") && stored.len() <= 2_000, "{}", stored.len());
}

/// SQLite's file cannot grow at this statement or that one of the relay's. The event is delivered all the same once its
/// lease is over, and no note of what was done is lost.
#[tokio::test]
async fn a_full_disk_at_any_statement_delays_an_event_and_loses_none() {
    let (database, clock) = at_rest().await;
    if database.backend() != DbBackend::Sqlite {
        return;
    }
    let primary = database.primary();
    primary.execute_unprepared("CREATE TABLE ballast (bytes BLOB)").await.unwrap();
    // Each change of a row needs a page of its own.
    for (table, change) in [("outbox_events", "UPDATE"), ("handled_events", "INSERT")] {
        let sql = format!(
            "CREATE TRIGGER grow_{table} AFTER {change} ON {table} BEGIN INSERT INTO ballast VALUES (randomblob(5000)); END"
        );
        primary.execute_unprepared(&sql).await.unwrap();
    }
    let (first, second) = (Recorder::new("first"), Recorder::new("second"));
    let relay = relay(&database, &[&first, &second]);
    let mut delayed = 0;
    for pages in 0..40 {
        let id = emit(&database, "a", pages).await;
        let count = Statement::from_string(DbBackend::Sqlite, "PRAGMA page_count");
        let used: i64 = primary.query_one_raw(count).await.unwrap().unwrap().try_get_by_index(0).unwrap();
        let limit = format!("PRAGMA max_page_count = {}", used + i64::from(pages));
        primary.execute_unprepared(&limit).await.unwrap();
        // The limit goes with the connection that ran into it, as if there were space again.
        let outcome = relay.drain().await;
        clock.advance(RelaySettings::default().lease());
        relay.drain().await.unwrap();
        let event = row(&database, id).await;
        assert!(event.delivered_at.is_some(), "{event:?}");
        for recorder in [&first, &second] {
            assert!(recorder.numbers("a").contains(&pages));
        }
        assert_eq!(notes(&database).await, 2 * (i64::from(pages) + 1));
        if outcome.is_ok() && event.attempts == 1 {
            break;
        }
        delayed += 1;
    }
    assert!((2..40).contains(&delayed), "{delayed}");
}
