//! Durable jobs, seen from outside: the welcome mail, the command `worker`, the command `jobs`.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tests::process::{Installation, Process};
use tests::{Account, Answer, PASSWORD, TestServer, eventually};

use crate::commands::{failed, succeeded};

/// A worker listens on no address.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// A server that runs no jobs.
async fn without_jobs() -> (Installation, Process) {
    let mut installation = Installation::new().await;
    installation.set("ASHLAR_JOBS__IN_SERVER", "false");
    let server = installation.start().await;
    (installation, server)
}

async fn signup(server: &Process, name: &str) {
    let email = format!("{name}@example.com");
    let body = json!({"email": email, "password": PASSWORD, "name": name});
    server.post("/api/v1/auth/signup").json(&body).await.expect(201);
}

/// Recipients of the mail that was written.
pub(crate) fn recipients(installation: &Installation) -> Vec<String> {
    let folder = installation.folder().join("data/mail");
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    let texts = files.filter_map(|file| fs::read_to_string(file.unwrap().path()).ok());
    let to = |text: String| text.lines().find_map(|line| line.strip_prefix("To: ").map(str::to_owned));
    texts.filter_map(to).collect()
}

fn worker(installation: &Installation, arguments: &[&str], log: &str) -> Process {
    installation.spawn(&[&["worker"], arguments].concat(), NOWHERE, &installation.folder().join(log))
}

/// Ids of the jobs that `ashlar jobs list` shows.
async fn listed(installation: &Installation, arguments: &[&str]) -> Vec<String> {
    let list = succeeded(installation.run(&[&["jobs", "list"], arguments].concat()).await);
    let ids = list.lines().filter(|line| line.starts_with("job_"));
    ids.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_worker_sends_what_the_server_enqueued() {
    let (installation, server) = without_jobs().await;
    signup(&server, "ada").await;
    let job = eventually("the job", async || listed(&installation, &["--queue", "mail"]).await.pop()).await;
    assert!(recipients(&installation).is_empty());
    let ready = server.get("/health/ready").await.expect(200).json();
    let mail =
        ready["jobs"]["queues"].as_array().unwrap().iter().find(|queue| queue["name"] == "mail").unwrap();
    let told = [&mail["due"], &mail["running"], &mail["slots"], &mail["paused_at"]];
    assert_eq!(told, [&json!(1), &json!(0), &json!(0), &json!(null)], "nobody serves it: {ready}");
    assert_eq!(ready["jobs"]["unknown_kinds"], json!([]));

    // It runs other queues only.
    let other = worker(&installation, &["--queues", "default"], "other.log");
    let ready = async |log: &str| {
        let path = installation.folder().join(log);
        eventually("the worker", async || {
            fs::read_to_string(&path).ok().filter(|log| log.contains("this worker is ready"))
        })
        .await
    };
    ready("other.log").await;
    let mail = worker(&installation, &["--queues", "mail"], "mail.log");
    eventually("the mail", async || recipients(&installation).pop()).await;
    assert_eq!(recipients(&installation), ["ada@example.com"]);
    let shown = succeeded(installation.run(&["jobs", "show", &job]).await);
    assert!(shown.contains("kind         auth.welcome (version 1)\nstate        done\n"), "{shown}");
    assert!(shown.contains("\"user_id\":\"usr_"), "{shown}");

    // A commit of the server wakes it, or it polls.
    signup(&server, "bob").await;
    eventually("the mail", async || (recipients(&installation).len() == 2).then_some(())).await;
    for worker in [mail, other] {
        worker.terminate();
        let mut worker = worker;
        assert_eq!(worker.wait().await.code(), Some(0));
    }
    server.stop().await;
}

#[tokio::test]
async fn workers_that_are_killed_lose_no_mail() {
    let (installation, server) = without_jobs().await;
    let mut expected = BTreeSet::new();
    let mut workers = [0, 1].map(|number| worker(&installation, &[], &format!("{number}.log")));
    for number in 0..6 {
        let name = format!("user{number}");
        signup(&server, &name).await;
        expected.insert(name + "@example.com");
        let victim = &mut workers[number % 2];
        std::mem::replace(victim, worker(&installation, &[], &format!("again{number}.log"))).kill().await;
    }
    // What a killed one had claimed is noticed after half a minute.
    tokio::time::timeout(Duration::from_secs(90), async {
        while recipients(&installation).into_iter().collect::<BTreeSet<_>>() != expected {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .unwrap();
    for worker in workers {
        worker.kill().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn there_are_no_jobs_before_there_are_tables() {
    let installation = Installation::new().await;
    let none = installation.run(&["jobs", "list"]).await;
    assert!(failed(&none, 1).contains("are not those of this release: the migration m2026"), "{none:?}");
}

#[tokio::test]
async fn the_name_of_a_queue_in_the_configuration_is_checked() {
    let mut installation = Installation::new().await;
    installation.set("ASHLAR_JOBS__QUEUES", "mail=2,mial=2");
    let refused = installation.run(&["worker"]).await;
    assert!(
        failed(&refused, 1).contains("no job has the queue mial: there are default, mail"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn operators_pause_cancel_and_retry() {
    let (installation, server) = without_jobs().await;
    signup(&server, "ada").await;
    let job = eventually("the job", async || listed(&installation, &[]).await.pop()).await;
    let said = succeeded(installation.run(&["jobs", "pause", "mail"]).await);
    assert!(said.contains("the queue mail is paused"), "{said}");
    assert_eq!(succeeded(installation.run(&["jobs", "cancel", &job]).await), format!("{job} is cancelled\n"));
    assert_eq!(listed(&installation, &["--state", "cancelled"]).await, [job.as_str()]);
    assert_eq!(succeeded(installation.run(&["jobs", "list", "--dead"]).await), "no jobs\n");
    let said = succeeded(installation.run(&["jobs", "retry", &job]).await);
    assert_eq!(said, format!("{job} runs as soon as the queue mail is resumed\n"));
    assert_eq!(listed(&installation, &["--queue", "mail"]).await, [job.as_str()]);
    let queues = succeeded(installation.run(&["jobs", "queues"]).await);
    let row = queues.lines().find(|line| line.starts_with("mail ")).unwrap().split_whitespace();
    let row: Vec<_> = row.collect();
    assert_eq!((row[1], row[3], row[4], row[5].starts_with("20")), ("1", "0", "0", true), "{queues}");
    assert_eq!(succeeded(installation.run(&["jobs", "workers"]).await), "no process runs jobs\n");
    succeeded(installation.run(&["jobs", "resume", "mail"]).await);
    let worker = worker(&installation, &[], "worker.log");
    eventually("the mail", async || recipients(&installation).pop()).await;
    let workers = succeeded(installation.run(&["jobs", "workers"]).await);
    assert!(workers.contains("\nwrk_") && workers.ends_with("default=4,mail=4\n"), "{workers}");
    let schedules = succeeded(installation.run(&["jobs", "schedules"]).await);
    assert!(schedules.contains("\nauth.purge_sessions "), "{schedules}");
    worker.terminate();
    let again = installation.run(&["jobs", "retry", &job]).await;
    assert!(
        failed(&again, 1).contains("the job is done: only jobs that wait, or ended without success"),
        "{again:?}"
    );
    let misspelt = installation.run(&["jobs", "pause", "mial"]).await;
    assert!(failed(&misspelt, 1).contains("there is no such queue: there are default, mail"), "{misspelt:?}");
    let misspelt = installation.run(&["jobs", "list", "--state", "ded"]).await;
    let states = "the states are waiting, running, done, dead, cancelled, superseded";
    assert!(failed(&misspelt, 2).contains(states), "{misspelt:?}");
    let unknown = installation.run(&["jobs", "show", "job_01J9ZC3V8T5Q4X2M7N6P0R1S2T"]).await;
    assert!(failed(&unknown, 1).contains("there is no such job"), "{unknown:?}");
    failed(&installation.run(&["jobs", "show", "usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T"]).await, 2);
    failed(&installation.run(&["worker", "--queues", "Mail"]).await, 2);
    let misspelt = installation.run(&["worker", "--queues", "mail,mial"]).await;
    assert!(misspelt.stderr.contains("no job has the queue mial: there are default, mail"), "{misspelt:?}");
    server.stop().await;
}

const JOBS: &str = "/api/v1/admin/jobs";
const QUEUES: &str = "/api/v1/admin/queues";

/// A server that runs no jobs, its admin, and the ids of the two jobs of mail that wait in it, the newest first.
async fn with_two_jobs() -> (TestServer, Account, [String; 2]) {
    let server = TestServer::with_variables(&[("ASHLAR_JOBS__IN_SERVER", "false")]).await;
    server.signup().await;
    let admin = server.admin().await;
    let ids = eventually("the jobs", async || {
        let page = server.get_as(&admin, &format!("{JOBS}?kind=auth.welcome")).await.expect(200).json();
        let ids = page["items"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>().try_into().ok()
    });
    let ids = ids.await;
    (server, admin, ids)
}

async fn act(server: &TestServer, admin: &Account, path: &str) -> Answer {
    server.request(Method::POST, path).bearer(&admin.token).await
}

#[tokio::test]
async fn admins_alone_see_jobs() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let (job, queue) = (format!("{JOBS}/job_01J9ZC3V8T5Q4X2M7N6P0R1S2T"), format!("{QUEUES}/mail"));
    for path in [JOBS, QUEUES, "/api/v1/admin/schedules", &job] {
        server.get(path).await.problem(401, "invalid_token");
        server.get_as(&ada, path).await.problem(403, "admin_required");
    }
    for path in
        [format!("{job}/retry"), format!("{job}/cancel"), format!("{queue}/pause"), format!("{queue}/resume")]
    {
        server.request(Method::POST, &path).await.problem(401, "invalid_token");
        act(&server, &ada, &path).await.problem(403, "admin_required");
    }
}

#[tokio::test]
async fn an_admin_reads_cancels_and_retries_a_job() {
    let (server, admin, [second, first]) = with_two_jobs().await;
    let page = server.get_as(&admin, &format!("{JOBS}?state=waiting&queue=mail&limit=1&include=total")).await;
    let page = page.expect(200).json();
    assert_eq!((&page["items"][0]["id"], &page["total"]), (&json!(second), &json!(2)));
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = format!("{JOBS}?state=waiting&queue=mail&limit=1&cursor={cursor}");
    let next = server.get_as(&admin, &next).await.expect(200).json();
    assert_eq!((&next["items"][0]["id"], &next["next_cursor"]), (&json!(first), &json!(null)));
    server.get_as(&admin, &format!("{JOBS}?state=lost")).await.problem(422, "validation_failed");

    let path = format!("{JOBS}/{first}");
    let answer = server.get_as(&admin, &path).await.expect(200);
    let job = answer.json();
    assert_eq!(
        (&job["kind"], &job["queue"], &job["state"], &job["priority"], &job["attempts"]),
        (&json!("auth.welcome"), &json!("mail"), &json!("waiting"), &json!("normal"), &json!(0))
    );
    assert_eq!(job["waits_for"], "worker");
    assert!(job["payload"]["user_id"].as_str().unwrap().starts_with("usr_"), "{job}");
    let tag = answer.header("etag").unwrap().to_owned();
    let known = server.get(&path).bearer(&admin.token).header("if-none-match", &tag).await;
    known.expect(304);

    let cancelled = act(&server, &admin, &format!("{path}/cancel")).await.expect(200);
    assert_ne!(cancelled.header("etag").unwrap(), tag);
    let job = cancelled.json();
    assert_eq!(
        (&job["state"], &job["last_error"]),
        (&json!("cancelled"), &json!("cancelled by an operator"))
    );
    act(&server, &admin, &format!("{path}/cancel")).await.problem(409, "job_state");
    let again = act(&server, &admin, &format!("{path}/retry")).await.expect(200).json();
    assert_eq!((&again["state"], &again["finished_at"]), (&json!("waiting"), &json!(null)));

    let unknown = format!("{JOBS}/job_01J9ZC3V8T5Q4X2M7N6P0R1S2T");
    server.get_as(&admin, &unknown).await.problem(404, "job_not_found");
    act(&server, &admin, &format!("{unknown}/retry")).await.problem(404, "job_not_found");
    act(&server, &admin, &format!("{JOBS}/x/cancel")).await.problem(404, "not_found");
}

#[tokio::test]
async fn an_admin_pauses_and_resumes_a_queue() {
    let (server, admin, _) = with_two_jobs().await;
    let mail = async || {
        let queues = server.get_as(&admin, QUEUES).await.expect(200).json();
        queues["items"].as_array().unwrap().iter().find(|queue| queue["name"] == "mail").unwrap().clone()
    };
    let before = mail().await;
    assert_eq!(
        (&before["due"], &before["slots"], &before["paused_at"]),
        (&json!(2), &json!(0), &json!(null))
    );
    let paused = act(&server, &admin, &format!("{QUEUES}/mail/pause")).await.expect(200).json();
    assert!(paused["paused_at"].is_string(), "{paused}");
    assert_eq!(act(&server, &admin, &format!("{QUEUES}/mail/pause")).await.expect(200).json(), paused);
    assert_eq!(mail().await["paused_at"], paused["paused_at"]);
    let resumed = act(&server, &admin, &format!("{QUEUES}/mail/resume")).await.expect(200).json();
    assert_eq!(resumed, before);
    // Known from its kind, though nothing waits in it.
    act(&server, &admin, &format!("{QUEUES}/default/pause")).await.expect(200);
    for unknown in ["mial", "Mail", "a%2Fb"] {
        act(&server, &admin, &format!("{QUEUES}/{unknown}/pause")).await.problem(404, "queue_not_found");
    }
}

#[tokio::test]
async fn schedules_have_a_next_time_before_they_have_a_last_one() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let schedule = eventually("the schedule", async || {
        let all = server.get_as(&admin, "/api/v1/admin/schedules").await.expect(200).json();
        all["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|schedule| schedule["name"] == "auth.purge_sessions")
            .cloned()
    });
    let schedule = schedule.await;
    assert_eq!((&schedule["last_at"], &schedule["last_job_id"]), (&json!(null), &json!(null)));
    assert!(schedule["next_at"].as_str().unwrap().ends_with(":07:00Z"), "{schedule}");
}

#[tokio::test]
async fn a_server_that_drains_answers_and_starts_no_job() {
    let mut installation = Installation::new().await;
    installation.set("ASHLAR_SERVER__DRAIN_DELAY", "4");
    let mut server = installation.start().await;
    signup(&server, "ada").await;
    eventually("the mail", async || recipients(&installation).pop()).await;
    server.terminate();
    eventually("the stop", async || {
        let ready = server.get("/health/ready").await;
        (ready.status == 503).then_some(())
    })
    .await;
    signup(&server, "bob").await;
    assert_eq!(server.wait().await.code(), Some(0));
    assert_eq!(recipients(&installation), ["ada@example.com"]);
    let server = installation.start().await;
    eventually("the mail", async || (recipients(&installation).len() == 2).then_some(())).await;
    server.stop().await;
}

#[tokio::test]
async fn two_servers_and_two_workers_send_each_mail_once() {
    let server = TestServer::start().await;
    if server.backend() != sea_orm::DbBackend::Postgres {
        // It has one server.
        return;
    }
    let other = server.start_instance().await;
    let mut installation = Installation::without_database();
    installation.set("ASHLAR_DATABASE__URL", server.database.url());
    let workers = [0, 1].map(|number| worker(&installation, &[], &format!("{number}.log")));
    eventually("all four", async || {
        (server.count("SELECT count(*) FROM job_workers").await == 4).then_some(())
    })
    .await;
    for number in 0..20 {
        let email = format!("user{number}@example.com");
        let body = json!({"email": email, "password": PASSWORD, "name": "Ada"});
        let client = if number % 2 == 0 { &*server } else { &*other };
        client.post("/api/v1/auth/signup").json(&body).await.expect(201);
    }
    let all = "SELECT count(*) FROM jobs WHERE kind = 'auth.welcome'";
    eventually("the mails", async || {
        let done = server.count(&format!("{all} AND state = 'done'")).await;
        (done == 20).then_some(())
    })
    .await;
    assert_eq!(server.count(&format!("{all} AND (claim <> 1 OR failures <> 0)")).await, 0);
    assert_eq!(server.count(all).await, 20);
    for worker in workers {
        worker.terminate();
        let mut worker = worker;
        assert_eq!(worker.wait().await.code(), Some(0));
    }
}
