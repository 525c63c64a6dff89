//! The server in operation: health, stop, kill and restart.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::process::Installation;
use tests::{Client, PASSWORD, Raw, TestServer, eventually, unique};

fn signup(email: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "name": "Ada Lovelace"})
}

async fn logs_in(client: &Client, email: &str) -> bool {
    let body = json!({"identifier": email, "password": PASSWORD});
    client.post("/api/v1/auth/login").json(&body).await.status == 200
}

#[tokio::test]
async fn a_healthy_server_reports_its_health() {
    let server = TestServer::start().await;
    for path in ["/health", "/health/live"] {
        let answer = server.get(path).await.expect(200).json();
        assert_eq!(tests::client::members(&answer), ["status", "timestamp"]);
        assert_eq!(answer["status"], "ok");
        assert!(answer["timestamp"].as_str().unwrap().ends_with('Z'));
    }
    let answer = server.get("/health/ready").await.expect(200).json();
    assert_eq!(answer["status"], "ok");
    let dependencies = answer["dependencies"].as_object().unwrap();
    for name in ["database", "schema", "replicas"] {
        assert!(dependencies.contains_key(name), "{name}: {answer}");
    }
    for (name, state) in dependencies {
        assert_eq!(state, if name == "replicas" { "not_configured" } else { "ok" }, "{name}: {answer}");
    }
}

#[tokio::test]
async fn changes_at_one_instance_take_effect_at_the_other() {
    let server = TestServer::with_variables(&[("ASHLAR_SERVER__PUBLIC_URL", "http://ashlar.test")]).await;
    let other = server.start_instance().await;
    let (admin, ada) = (server.admin().await, server.signup().await);
    let status =
        async |account: &tests::Account, path: &str| other.get(path).bearer(&account.token).await.status;
    assert_eq!(status(&ada, "/api/v1/users/me").await, 200, "they share the keys");
    assert!(logs_in(&other, &ada.email).await);
    let list = "/api/v1/admin/users";
    let path = format!("{list}/{}", ada.id);
    for (changes, expected) in [
        (json!({"is_admin": true}), 200),
        (json!({"is_admin": false}), 403),
        (json!({"status": "suspended"}), 401),
        (json!({"status": "active"}), 403),
    ] {
        server.patch(&path).bearer(&admin.token).json(&changes).await.expect(200);
        eventually("the change is in force", async || (status(&ada, list).await == expected).then_some(()))
            .await;
    }
    server.post("/api/v1/auth/logout").bearer(&ada.token).await.expect(204);
    eventually("the logout is in force", async || (status(&ada, list).await == 401).then_some(())).await;
    let refresh = json!({"refresh_token": ada.refresh_token});
    other.post("/api/v1/auth/refresh").json(&refresh).await.problem(401, "invalid_refresh_token");
    // Both instances get a sign-up with the same address at the same time.
    let body = signup("both@example.com");
    let clients: [&Client; 2] = [&server, &other];
    let signups =
        (0..20).map(|index| clients[index % 2].post("/api/v1/auth/signup").json(&body).into_future());
    let created = join_all(signups).await.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(created, 1);
    // A cursor of one instance is valid at the other.
    let page = server.get_as(&admin, &format!("{list}?limit=1")).await.expect(200).json();
    let next = format!("{list}?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    other.get(&next).bearer(&admin.token).await.expect(200);
}

#[tokio::test]
async fn a_stop_finishes_active_requests() {
    let installation = Installation::new().await;
    let mut process = installation.start().await;
    let body = signup("ada@example.com").to_string();
    let mut raw = Raw::connect(process.address).await;
    let length = body.len();
    raw.send(format!(
        "POST /api/v1/auth/signup HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    ))
    .await;
    raw.send(&body[..10]).await;
    // The request has reached its handler once a later one was answered.
    process.get("/health").await.expect(200);
    process.terminate();
    eventually("it listens no longer", async || {
        tokio::net::TcpStream::connect(process.address).await.is_err().then_some(())
    })
    .await;
    raw.send(&body[10..]).await;
    let answer = raw.answer("POST", "/api/v1/auth/signup").await.expect(201);
    assert_eq!(answer.json()["user"]["email"], "ada@example.com");
    raw.until_closed().await;
    assert_eq!(process.wait().await.code(), Some(0), "{}", process.log());
    let again = installation.start().await;
    assert!(logs_in(&again, "ada@example.com").await);
    again.stop().await;
}

#[tokio::test]
async fn data_remains_after_a_restart() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let session =
        process.post("/api/v1/auth/signup").json(&signup("ada@example.com")).await.expect(201).json();
    let token = session["access_token"].as_str().unwrap();
    process.stop().await;

    let process = installation.start().await;
    assert_eq!(process.get("/api/v1/users/me").bearer(token).await.expect(200).json(), session["user"]);
    let body = json!({"refresh_token": session["refresh_token"]});
    process.post("/api/v1/auth/refresh").json(&body).await.expect(200);
    process.stop().await;
}

#[tokio::test]
async fn acknowledged_writes_survive_a_kill() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/api/v1/auth/signup", process.address);
    // Sign-ups one after the other on several connections, until the server is killed.
    let (acknowledge, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (http, url, acknowledge) = (http.clone(), url.clone(), acknowledge.clone());
            tokio::spawn(async move {
                loop {
                    let email = unique("burst") + "@example.com";
                    let sent = http.post(&url).json(&signup(&email)).send().await;
                    // The response is complete: from now on the account must exist.
                    let Ok(response) = sent else { return };
                    let status = response.status();
                    if response.bytes().await.is_err() {
                        return;
                    }
                    assert_eq!(status, 201, "{email}");
                    acknowledge.send(email).unwrap();
                }
            })
        })
        .collect();
    drop(acknowledge);
    let mut emails = Vec::new();
    while emails.len() < 40 {
        emails.push(acknowledged.recv().await.expect("the server ended by itself"));
    }
    process.kill().await;
    join_all(writers).await.into_iter().for_each(|writer| writer.unwrap());
    while let Some(email) = acknowledged.recv().await {
        emails.push(email);
    }

    let process = installation.start().await;
    for email in &emails {
        assert!(logs_in(&process, email).await, "{email} was acknowledged and is lost");
    }
    // The server continues to work.
    process.post("/api/v1/auth/signup").json(&signup("ada@example.com")).await.expect(201);
    process.stop().await;
}

#[tokio::test]
async fn a_welcome_links_to_the_pages_of_the_operator() {
    let server = TestServer::with_variables(&[("ASHLAR_AUTH__LINK_BASE", "https://app.example.com/")]).await;
    server.signup().await;
    let folder = server.data_dir().join("mail");
    let mail = eventually("a mail comes", async || {
        let mut files = std::fs::read_dir(&folder).ok()?.map(|file| file.unwrap().path());
        let path = files.find(|path| path.extension().is_some_and(|extension| extension == "eml"))?;
        Some(std::fs::read_to_string(path).unwrap())
    });
    let mail = mail.await;
    assert!(mail.contains("You sign in here:") && mail.contains("https://app.example.com"), "{mail}");
}

#[tokio::test]
async fn a_welcome_is_sent_once() {
    let server = TestServer::with_variables(&[("ASHLAR_PROJECT_NAME", "Acme")]).await;
    let ada = server.signup_as(json!({"name": "win a prize at evil.example"})).await;
    let folder = server.data_dir().join("mail");
    let mails = || {
        let files = std::fs::read_dir(&folder).into_iter().flatten();
        let paths = files.map(|file| file.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "eml")).collect::<Vec<_>>()
    };
    let path = eventually("a mail comes", async || mails().pop()).await;
    let mail = std::fs::read_to_string(path).unwrap();
    assert!(mail.contains(&format!("To: {}", ada.email)), "{mail}");
    assert!(mail.contains("Subject: Welcome to Acme"), "{mail}");
    // The address may belong to another person, so the mail contains no text by the one who signed up.
    assert!(!mail.contains("evil.example"), "{mail}");
    // It also does not contain the address of the developer documentation.
    assert!(!mail.contains("http"), "{mail}");
    // A rejected sign-up sends no mail: earlier events were handled when the mail of the next sign-up has arrived.
    let body = signup(&ada.email);
    server.post("/api/v1/auth/signup").json(&body).await.problem(409, "email_taken");
    server.signup().await;
    eventually("the second mail comes", async || (mails().len() >= 2).then_some(())).await;
    assert_eq!(mails().len(), 2);
}

#[tokio::test]
async fn a_name_cannot_inject_a_header_into_a_mail() {
    let server = TestServer::start().await;
    let body =
        json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada\r\nBcc: eve@example.com"});
    let refused = server.post("/api/v1/auth/signup").json(&body).await;
    refused.invalid(&[("/name", "control_characters")]);
    assert_eq!(server.count("SELECT count(*) FROM users").await, 0);
}

#[tokio::test]
async fn no_secret_gets_into_the_log() {
    let mut installation = Installation::new().await;
    installation.set("ASHLAR_LOG_LEVEL", "trace");
    let process = installation.start().await;
    let password = "canary-password-7hq2LmZ9";
    let mut sent = signup("ada@example.com");
    sent["password"] = password.into();
    let session = process.post("/api/v1/auth/signup").json(&sent).await.expect(201).json();
    let token = session["access_token"].as_str().unwrap();
    let wrong = "canary-wrong-password-4kX8";
    let login = json!({"identifier": "ada@example.com", "password": wrong});
    process.post("/api/v1/auth/login").json(&login).await.problem(401, "invalid_credentials");
    let malformed = format!("{{\"identifier\": \"ada\", \"password\": \"{password}\"");
    let answer = process.post("/api/v1/auth/login").body("application/json", malformed).await;
    answer.problem(400, "malformed_request");
    let form = [("grant_type", "password"), ("username", "ada@example.com"), ("password", password)];
    let granted = process.post("/api/v1/auth/token").form(&form).await.expect(200).json();
    let refresh = json!({"refresh_token": session["refresh_token"]});
    let next = process.post("/api/v1/auth/refresh").json(&refresh).await.expect(200).json();
    let mut cookies = signup("eve@example.com");
    cookies["transport"] = "cookie".into();
    cookies["password"] = password.into();
    let cookie = process.post("/api/v1/auth/signup").json(&cookies).await.expect(201);
    let cookie = cookie.header("set-cookie").unwrap().split([';', '=']).nth(1).unwrap().to_owned();
    let request = process.post("/api/v1/auth/refresh").header("origin", "http://ashlar.test");
    request.header("cookie", &format!("__Host-ashlar_refresh={cookie}")).await.expect(200);
    process.get("/api/v1/users/me").bearer(token).await.expect(200);
    process.get("/api/v1/users/me?access_token=canary-in-a-query").bearer(token).await.expect(422);
    process.get("/health").header("x-request-id", "the-last-request").await.expect(200);
    let log = process.stop().await;
    assert!(log.contains("the-last-request"), "the log is complete");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    for (what, secret) in [
        ("the password", password.to_owned()),
        ("a wrong password", wrong.to_owned()),
        ("an access token", token.to_owned()),
        ("an access token", text(&next["access_token"])),
        ("an access token", text(&granted["access_token"])),
        ("a refresh token", text(&session["refresh_token"])),
        ("a refresh token", text(&next["refresh_token"])),
        ("a refresh token", text(&granted["refresh_token"])),
        ("the cookie", cookie),
        ("the secret key", tests::server::SECRET_KEY.to_owned()),
        ("a query", "canary-in-a-query".to_owned()),
    ] {
        let found = log.lines().find(|line| line.contains(&secret));
        assert!(found.is_none(), "{what} is in the log: {found:?}");
    }
}

#[tokio::test]
async fn the_log_has_the_requests_and_responses() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let session =
        process.post("/api/v1/auth/signup").json(&signup("ada@example.com")).await.expect(201).json();
    let token = session["access_token"].as_str().unwrap();
    let path = format!("/api/v1/users/{}", session["user"]["id"].as_str().unwrap());
    process.get(&path).bearer(token).header("x-request-id", "of-the-user").await.expect(200);
    process.get("/nothing").header("x-request-id", "of-nothing").await.expect(404);
    let log = process.stop().await;
    let events: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |id: &str| {
        let is_of = |event: &&Value| event.to_string().contains(&format!("\"request_id\":\"{id}\""));
        let found: Vec<&Value> = events.iter().filter(is_of).collect();
        assert_eq!(found.len(), 1, "{id}: {log}");
        found[0].clone()
    };
    let event = of("of-the-user");
    assert_eq!((&event["route"], &event["status"]), (&json!("/api/v1/users/{user_id}"), &json!(200)));
    assert_eq!(event["user_id"], session["user"]["id"]);
    assert!(event["duration_ms"].is_number() && event.to_string().contains("\"method\":\"GET\""), "{event}");
    assert!(event["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(of("of-nothing")["status"], 404);
}
