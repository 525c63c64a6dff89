//! The address from which a session was opened. Behind a proxy it is in a header, which any client can set.

use serde_json::json;
use tests::{PASSWORD, Raw, TestServer, unique};

/// The stored address of a sign-up with these headers `X-Forwarded-For`.
async fn kept(server: &TestServer, forwarded: &[&str]) -> String {
    let body = json!({"email": unique("device") + "@example.com", "password": PASSWORD, "name": "Ada"});
    let request = server.post("/api/v1/auth/signup").json(&body);
    let request = forwarded.iter().fold(request, |request, value| request.header("x-forwarded-for", value));
    let session = request.await.expect(201).json();
    address(server, session["session_id"].as_str().unwrap()).await
}

async fn address(server: &TestServer, session_id: &str) -> String {
    let sql = format!("SELECT address FROM sessions WHERE id = '{session_id}'");
    server.text(&sql).await.unwrap()
}

async fn behind_proxies() -> TestServer {
    TestServer::with_variables(&[("ASHLAR_SERVER__TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8")]).await
}

#[tokio::test]
async fn nobody_says_where_he_is_who_is_no_proxy_of_ours() {
    for proxies in ["", "10.0.0.0/8"] {
        let server = TestServer::with_variables(&[("ASHLAR_SERVER__TRUSTED_PROXIES", proxies)]).await;
        for forwarded in [&[][..], &["203.0.113.7"], &["203.0.113.7, 10.0.0.3"], &["10.0.0.3"]] {
            assert_eq!(kept(&server, forwarded).await, "127.0.0.1", "{proxies}: {forwarded:?}");
        }
    }
}

#[tokio::test]
async fn behind_proxies_it_is_the_last_address_that_is_no_proxy() {
    let server = behind_proxies().await;
    for (forwarded, client) in [
        (&["203.0.113.7"][..], "203.0.113.7"),
        (&["203.0.113.7, 10.0.0.3,10.1.2.3"], "203.0.113.7"),
        // The values sent by the client come first.
        (&["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        (&["10.0.0.9, 203.0.113.7, 10.0.0.3"], "203.0.113.7"),
        // Several headers are one list (RFC 9110, section 5.3).
        (&["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        (&["203.0.113.7", "10.0.0.3"], "203.0.113.7"),
        (&["198.51.100.1, 203.0.113.7", "10.0.0.3, 10.0.0.4"], "203.0.113.7"),
        // Requests of the proxies themselves.
        (&[], "127.0.0.1"),
        (&["10.0.0.3"], "127.0.0.1"),
    ] {
        assert_eq!(kept(&server, forwarded).await, client, "{forwarded:?}");
    }
}

#[tokio::test]
async fn an_address_is_the_same_however_a_proxy_writes_it() {
    let server = behind_proxies().await;
    for (forwarded, client) in [
        ("203.0.113.7:4711", "203.0.113.7"),
        ("203.0.113.7:4711, 10.0.0.3:80", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:0DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:4711", "203.0.113.7"),
        // A proxy of ours that listens on IPv6.
        ("203.0.113.7, ::ffff:10.0.0.3", "203.0.113.7"),
    ] {
        assert_eq!(kept(&server, &[forwarded]).await, client, "{forwarded}");
    }
}

#[tokio::test]
async fn what_is_no_address_hides_what_stands_before_it_and_nothing_else() {
    let server = behind_proxies().await;
    for rubbish in
        ["", "unknown", "_hidden", "203.0.113", "203.0.113.7:99999", "[::1", "for=1.2.3.4", "мост", "é"]
    {
        for (forwarded, client) in [
            (format!("{rubbish}, 203.0.113.7"), "203.0.113.7"),
            (format!("{rubbish}, 203.0.113.7, 10.0.0.3"), "203.0.113.7"),
            // No trusted proxy set the header, so the address is not trustworthy.
            (format!("203.0.113.7, {rubbish}"), "127.0.0.1"),
            (format!("203.0.113.7, {rubbish}, 10.0.0.3"), "127.0.0.1"),
            (rubbish.to_owned(), "127.0.0.1"),
        ] {
            assert_eq!(kept(&server, &[&forwarded]).await, client, "{forwarded}");
        }
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_cost_nobody_his_address() {
    let server = behind_proxies().await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"}).to_string();
    let head = format!(
        "POST /api/v1/auth/signup HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    let mut raw = Raw::connect(server.addresses().api).await;
    raw.send(&head).await;
    raw.send(b"x-forwarded-for: \xff\xfe, 203.0.113.7\r\n\r\n").await;
    raw.send(&body).await;
    let session = raw.answer("POST", "/api/v1/auth/signup").await.expect(201).json();
    assert_eq!(address(&server, session["session_id"].as_str().unwrap()).await, "203.0.113.7");
}
