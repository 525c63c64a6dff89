//! Durable jobs, seen from outside: the welcome mail, the command `worker`, the command `jobs`.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::json;
use tests::process::{Installation, Process};
use tests::{PASSWORD, eventually};

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
    assert_eq!((&mail["due"], &mail["is_paused"]), (&json!(1), &json!(false)), "{ready}");
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
async fn operators_pause_cancel_and_retry() {
    let (installation, server) = without_jobs().await;
    signup(&server, "ada").await;
    let job = eventually("the job", async || listed(&installation, &[]).await.pop()).await;
    let said = succeeded(installation.run(&["jobs", "pause", "mail"]).await);
    assert!(said.contains("the queue mail is paused"), "{said}");
    assert_eq!(succeeded(installation.run(&["jobs", "cancel", &job]).await), format!("{job} is cancelled\n"));
    assert_eq!(listed(&installation, &["--cancelled"]).await, [job.as_str()]);
    assert_eq!(succeeded(installation.run(&["jobs", "list", "--dead"]).await), "no jobs\n");
    succeeded(installation.run(&["jobs", "retry", &job]).await);
    assert_eq!(listed(&installation, &["--queue", "mail"]).await, [job.as_str()]);
    succeeded(installation.run(&["jobs", "resume", "mail"]).await);
    let worker = worker(&installation, &[], "worker.log");
    eventually("the mail", async || recipients(&installation).pop()).await;
    worker.terminate();
    let again = installation.run(&["jobs", "retry", &job]).await;
    assert!(
        failed(&again, 1).contains("is done: only jobs that wait, or ended without success"),
        "{again:?}"
    );
    let unknown = installation.run(&["jobs", "show", "job_01J9ZC3V8T5Q4X2M7N6P0R1S2T"]).await;
    assert!(failed(&unknown, 1).contains("there is no job job_01J9ZC3V8T5Q4X2M7N6P0R1S2T"), "{unknown:?}");
    failed(&installation.run(&["jobs", "show", "usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T"]).await, 2);
    failed(&installation.run(&["worker", "--queues", "Mail"]).await, 2);
    let misspelt = installation.run(&["worker", "--queues", "mail,mial"]).await;
    assert!(misspelt.stderr.contains("no job has the queue mial: there are default, mail"), "{misspelt:?}");
    server.stop().await;
}
