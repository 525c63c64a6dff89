//! Valid, forged and expired access tokens.

use serde_json::json;
use tests::token::{Token, server_key, unknown_key};
use tests::{Account, Answer, Raw, TestServer};

const ME: &str = "/api/v1/users/me";

/// Rejected as an invalid token (RFC 6750, section 3.1).
#[track_caller]
fn refused(answer: Answer) {
    let challenge = answer.header("www-authenticate").map(str::to_owned);
    answer.problem(401, "invalid_token");
    assert_eq!(challenge.as_deref(), Some(r#"Bearer realm="Ashlar", error="invalid_token""#));
}

#[tokio::test]
async fn a_token_has_subject_audience_and_expiry() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let token = Token::parse(&ada.token);
    assert_eq!((&token.header["alg"], &token.header["typ"]), (&json!("EdDSA"), &json!("at+jwt")));
    assert_eq!(token.claims["sub"], ada.id.as_str());
    assert_eq!(token.claims["sid"], ada.session_id.as_str());
    assert_eq!(token.claims["aud"], "ashlar");
    assert_eq!(token.claims["iss"], server.origin());
    let number = |name: &str| token.claims[name].as_u64().unwrap();
    assert_eq!((number("exp") - number("iat"), number("nbf")), (900, number("iat")));
    let names: Vec<&str> = token.claims.keys().map(String::as_str).collect();
    // The claims of RFC 9068, section 2.2, and ours.
    let claims = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti", "sid", "nbf"];
    assert!(claims.iter().all(|name| names.contains(name)));
    assert_eq!(names.len(), 9, "no other data of the user: {names:?}");
    // Other services find the key to verify tokens.
    let keys = server.get("/.well-known/jwks.json").await.expect(200).json();
    let keys = keys["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["kid"] == token.header["kid"]).unwrap();
    assert_eq!((&key["kty"], &key["crv"], &key["alg"]), (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA")));
    assert!(keys.iter().all(|key| key.get("d").is_none()), "no private part: {keys:?}");
}

#[tokio::test]
async fn tokens_with_another_signature_are_rejected() {
    let server = TestServer::start().await;
    let (ada, eve) = (server.signup().await, server.signup().await);
    let genuine = Token::parse(&ada.token);
    let keys = server.get("/.well-known/jwks.json").await.expect(200).json();
    let public = keys["keys"][0]["x"].as_str().unwrap().to_owned();
    let theirs = unknown_key();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": public});
    for forged in [
        genuine.clone().header("alg", "none").without_signature(),
        genuine.clone().header("alg", "None").without_signature(),
        genuine.clone().header("alg", "none").with_original_signature(),
        genuine.without_signature(),
        // The public key as the secret of a MAC.
        genuine.clone().header("alg", "HS256").signed_with_hmac(public.as_bytes()),
        genuine.clone().header("alg", "HS256").signed_with_hmac(keys.to_string().as_bytes()),
        genuine.clone().header("alg", "HS256").signed_with_hmac(b""),
        genuine.clone().header("alg", "RS256").with_original_signature(),
        genuine.clone().header("alg", "ES256").with_original_signature(),
        // Another key, also one that is in the header of the token or to which it refers.
        genuine.signed_with(&theirs),
        genuine.clone().header("jwk", jwk).signed_with(&theirs),
        genuine.clone().header("jku", "http://127.0.0.1:9/keys").signed_with(&theirs),
        genuine.clone().header("kid", "../../../../dev/null").signed_with(&theirs),
        genuine.clone().header("kid", "' OR 1=1 --").signed_with(&theirs),
        genuine.clone().header("kid", "").signed_with(&theirs),
        // A valid signature over other data.
        genuine.clone().claim("sub", eve.id.as_str()).with_original_signature(),
        genuine.clone().claim("exp", 4_000_000_000_u64).with_original_signature(),
        Token::parse(&eve.token).claim("sub", ada.id.as_str()).with_original_signature(),
    ] {
        refused(server.get(ME).bearer(&forged).await);
    }
    assert!(server.accepts(&ada.token).await);
}

#[tokio::test]
async fn what_we_would_not_have_signed_is_refused_even_with_our_key() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let eve = server.signup().await;
    let key = server_key(&server).await;
    let genuine = Token::parse(&ada.token);
    let now = genuine.claims["iat"].as_u64().unwrap();
    assert!(server.accepts(&genuine.signed_with(&key)).await, "the control");
    assert!(server.accepts(&genuine.clone().claim("jti", "x").signed_with(&key)).await, "the control");
    for worthless in [
        genuine.clone().claim("exp", now - 1),
        genuine.clone().claim("exp", now - 31),
        genuine.clone().claim("iat", now - 1_800).claim("nbf", now - 1_800).claim("exp", now - 900),
        genuine.clone().claim("exp", "4000000000"),
        genuine.clone().claim("exp", json!(null)),
        genuine.clone().claim("nbf", now + 600),
        genuine.clone().claim("iat", now + 600),
        genuine.clone().claim("iss", "http://evil.example.com"),
        genuine.clone().claim("iss", server.origin() + "/"),
        genuine.clone().claim("aud", "another"),
        genuine.clone().claim("aud", json!(["another"])),
        genuine.clone().claim("sub", eve.id.as_str()),
        genuine.clone().claim("sub", "usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T"),
        genuine.clone().claim("sub", ""),
        genuine.clone().claim("sid", "ses_01J9ZC3V8T5Q4X2M7N6P0R1S2T"),
        genuine.clone().claim("sid", eve.session_id.as_str()),
        genuine.clone().claim("sid", json!(null)),
        genuine.clone().header("typ", "JWT"),
        genuine.clone().header("typ", "refresh+jwt"),
        genuine.clone().header("kid", "another"),
        genuine.clone().header("crit", json!(["exp"])).header("typ", "x"),
    ] {
        refused(server.get(ME).bearer(worthless.signed_with(&key)).await);
    }
}

#[tokio::test]
async fn garbage_is_refused() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    for garbage in [
        "x",
        "x.y.z",
        "..",
        "...",
        "null",
        "undefined",
        "eyJ.eyJ.eyJ",
        &format!("{}.", ada.token),
        &format!("{}x", ada.token),
        &ada.token[1..],
        &ada.token.replace('.', ""),
        &ada.refresh_token,
        &ada.session_id,
        &"x".repeat(3_000),
        &format!("{0}.{0}.{0}", "x".repeat(2_000)),
    ] {
        refused(server.get(ME).bearer(garbage).await);
    }
}

#[tokio::test]
async fn a_token_stands_in_one_header_and_nowhere_else() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let basic = "Basic YWRhOmNvcnJlY3Q=".to_owned();
    for authorization in [
        basic.clone(),
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        ada.token.clone(),
        format!("Token {}", ada.token),
        format!("Bearer{}", ada.token),
        format!("Bearer {0} {0}", ada.token),
        format!("Bearer {0},Bearer {0}", ada.token),
        format!("Bearer \"{}\"", ada.token),
    ] {
        server.get(ME).header("authorization", &authorization).await.problem(401, "invalid_token");
    }
    server.get(ME).bearer(&ada.token).bearer(&ada.token).await.problem(401, "invalid_token");
    server.get(ME).bearer(&ada.token).header("authorization", &basic).await.problem(401, "invalid_token");
    for path in [ME.to_owned(), format!("/api/v1/users/{}", ada.id)] {
        for name in ["access_token", "token", "authorization"] {
            server.get(&format!("{path}?{name}={}", ada.token)).await.problem(401, "invalid_token");
            let answer = server.get_as(&ada, &format!("{path}?{name}={}", ada.token)).await;
            answer.invalid(&[(&format!("/{name}"), "unknown_parameter")]);
        }
    }
    server
        .get(ME)
        .header("cookie", &format!("access_token={}", ada.token))
        .await
        .problem(401, "invalid_token");
    server.get(ME).header("x-access-token", &ada.token).await.problem(401, "invalid_token");
    let without = server.get(ME).await;
    assert_eq!(
        without.header("www-authenticate"),
        Some(r#"Bearer realm="Ashlar""#),
        "no error without a token"
    );
    server.get(ME).header("authorization", &format!("bEARER {}", ada.token)).await.expect(200);
}

#[tokio::test]
async fn a_header_with_bytes_that_are_no_text_is_refused() {
    let server = TestServer::start().await;
    let mut raw = Raw::connect(server.addresses().api).await;
    raw.send(b"GET /api/v1/users/me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer \xff\xfe\r\n\r\n").await;
    raw.answer("GET", ME).await.problem(401, "invalid_token");
}

async fn set(server: &TestServer, admin: &Account, account: &Account, changes: serde_json::Value) {
    let path = format!("/api/v1/admin/users/{}", account.id);
    server.patch(&path).bearer(&admin.token).json(&changes).await.expect(200);
}

#[tokio::test]
async fn a_suspension_is_in_force_at_once_and_ends_with_its_end() {
    let server = TestServer::start().await;
    let (admin, ada) = (server.admin().await, server.signup().await);
    assert!(server.accepts(&ada.token).await);
    set(&server, &admin, &ada, json!({"status": "suspended"})).await;
    assert!(!server.accepts(&ada.token).await);
    let body = json!({"refresh_token": ada.refresh_token});
    server.post("/api/v1/auth/refresh").json(&body).await.problem(401, "invalid_refresh_token");
    let body = json!({"identifier": ada.email, "password": tests::PASSWORD});
    server.post("/api/v1/auth/login").json(&body).await.problem(401, "invalid_credentials");
    set(&server, &admin, &ada, json!({"status": "active"})).await;
    server.login(&ada).await;
}

#[tokio::test]
async fn a_lost_admin_right_is_lost_at_once() {
    let server = TestServer::start().await;
    let (admin, ada) = (server.admin().await, server.signup().await);
    let list = "/api/v1/admin/users";
    server.get_as(&ada, list).await.problem(403, "admin_required");
    set(&server, &admin, &ada, json!({"is_admin": true})).await;
    server.get_as(&ada, list).await.expect(200);
    set(&server, &admin, &ada, json!({"is_admin": false})).await;
    server.get_as(&ada, list).await.problem(403, "admin_required");
}
