//! Access tokens: what they are, and everything that is not one.

use std::collections::BTreeSet;

use auth::dto::SessionResponse;
use auth::error::AuthError;
use aws_lc_rs::signature::KeyPair as _;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use shared_kernel::clock::Clock as _;
use shared_kernel::crypto::sha256;
use shared_kernel::error::{DomainError as _, Kind};
use shared_kernel::id::{SessionId, UserId};

use crate::common::jwt::{Token, base64url, new_key, our_key, part, thumbprint_members};
use crate::common::{
    AUDIENCE, ISSUER, Instance, PASSWORD, SECOND, TOKEN_LIFETIME, World, error_codes, refresh_token, short_of,
};

async fn assert_refused(instance: &Instance, token: &str, why: &str) {
    let error = match instance.authenticate(token).await {
        Err(error) => error,
        Ok(principal) => panic!("{why}: {principal:?}"),
    };
    assert_eq!(error_codes(&error), error_codes(&AuthError::InvalidToken), "{why}");
}

#[tokio::test]
async fn a_token_says_what_rfc_9068_asks_for_and_no_more() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let token = Token::of(&ada.access_token);
    let jwks = serde_json::to_value(world.auth.published_keys().await.unwrap()).unwrap();
    let kid = jwks["keys"][0]["kid"].clone();
    assert_eq!(Value::from(token.header.clone()), json!({"typ": "at+jwt", "alg": "EdDSA", "kid": kid}));

    let now = world.clock.now().unix_seconds();
    let mut claims = token.claims.clone();
    let jti = claims.remove("jti").unwrap();
    let expected = json!({
        "iss": ISSUER, "aud": AUDIENCE, "client_id": "first-party", "sub": ada.user.id, "sid": ada.session_id,
        "iat": now, "nbf": now, "exp": now + TOKEN_LIFETIME.as_secs(),
    });
    assert_eq!(Value::from(claims), expected);
    let other = world.login("ada@example.com", PASSWORD).await.unwrap();
    let other = part(&other.access_token, 1).remove("jti").unwrap();
    assert_eq!(jti.as_str().unwrap().len(), 32);
    assert_ne!(jti, other);
}

#[tokio::test]
async fn anybody_can_verify_a_token_with_the_published_keys() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let published = serde_json::to_value(world.auth.published_keys().await.unwrap()).unwrap();
    let [jwk] = published["keys"].as_array().unwrap().as_slice() else { panic!("{published}") };
    let members: BTreeSet<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, BTreeSet::from(["alg", "crv", "kid", "kty", "use", "x"]), "nothing private");
    assert_eq!((&jwk["kty"], &jwk["crv"]), (&json!("OKP"), &json!("Ed25519")));
    assert_eq!((&jwk["alg"], &jwk["use"]), (&json!("EdDSA"), &json!("sig")));
    let public = our_key(&world).await.public_key().as_ref().to_vec();
    assert_eq!(jwk["x"], base64url(&public));
    assert_eq!(jwk["kid"], base64url(sha256(thumbprint_members(&public).as_bytes())), "RFC 7638");

    let header = jsonwebtoken::decode_header(&ada.access_token).unwrap();
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(published.clone()).unwrap();
    let key = DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    // The machine's clock and the test's are not one.
    validation.validate_exp = false;
    let verified = jsonwebtoken::decode::<Value>(&ada.access_token, &key, &validation).unwrap();
    assert_eq!(verified.claims["sub"], json!(ada.user.id));
}

/// The tests below change one thing each; this is what they start from.
#[tokio::test]
async fn a_token_that_is_signed_again_with_our_key_is_good() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let token = Token::of(&ada.access_token).claim("jti", "by hand").signed_with(&our_key(&world).await);
    assert_ne!(token, ada.access_token);
    assert_eq!(world.authenticate(&token).await.unwrap().user(), Some(ada.user.id));
}

#[tokio::test]
async fn a_token_that_is_not_signed_by_our_key_is_refused() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    // Verified and remembered: what follows differs from it.
    world.authenticate(&ada.access_token).await.unwrap();
    let token = Token::of(&ada.access_token);
    let (ours, theirs) = (our_key(&world).await, new_key());
    let public = ours.public_key().as_ref().to_vec();
    let signature = ada.access_token.rsplit('.').next().unwrap();

    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let none = token.clone().header("alg", alg);
        assert_refused(&world, &none.with_signature(""), alg).await;
        assert_refused(&world, &none.with_signature(signature), alg).await;
        assert_refused(&world, &none.signed_with(&ours), alg).await;
    }
    let hs256 = token.clone().header("alg", "HS256");
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64url(&public));
    for secret in [public.as_slice(), base64url(&public).as_bytes(), pem.as_bytes(), b""] {
        assert_refused(&world, &hs256.hmac_signed_with(secret), "the public key as a secret").await;
        let eddsa = token.hmac_signed_with(secret);
        assert_refused(&world, &eddsa, "a tag for a signature").await;
    }
    for alg in ["HS256", "HS384", "HS512", "RS256", "ES256", "PS256", "Ed25519", "EDDSA"] {
        assert_refused(&world, &token.clone().header("alg", alg).signed_with(&ours), alg).await;
    }
    assert_refused(&world, &token.signed_with(&theirs), "another key with our kid").await;
    assert_refused(&world, &token.with_signature(""), "no signature").await;
    assert_refused(&world, &token.with_signature(&base64url([0; 64])), "an empty signature").await;

    let changed = token.clone().claim("sub", UserId::new(world.clock.now()).to_string());
    assert_refused(&world, &changed.with_signature(signature), "a changed payload").await;
    let changed = token.clone().claim("exp", token.number("exp") + 1);
    assert_refused(&world, &changed.with_signature(signature), "a longer life").await;
    assert_eq!(world.authenticate(&ada.access_token).await.unwrap().user(), Some(ada.user.id));
}

#[tokio::test]
async fn a_key_is_looked_up_and_never_taken_from_the_token() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let token = Token::of(&ada.access_token);
    let (ours, theirs) = (our_key(&world).await, new_key());
    let their_jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "x": base64url(theirs.public_key()), "kid": token.header["kid"],
    });
    for kid in ["", "unknown", "../../../../dev/null", "' OR 1=1 --", "https://evil.example/key"] {
        assert_refused(&world, &token.clone().header("kid", kid).signed_with(&ours), kid).await;
        assert_refused(&world, &token.clone().header("kid", kid).signed_with(&theirs), kid).await;
    }
    assert_refused(&world, &token.clone().without_header("kid").signed_with(&ours), "no kid").await;
    for (name, value) in [
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("jwk", their_jwk),
        ("x5c", json!([base64url("a certificate")])),
        ("x5t", json!(base64url([7; 20]))),
    ] {
        let carrying = token.clone().header(name, value);
        assert_refused(&world, &carrying.signed_with(&theirs), name).await;
        // Ignored: it changes nothing for a token that our own key has signed.
        let principal = world.authenticate(&carrying.signed_with(&ours)).await.unwrap();
        assert_eq!(principal.user(), Some(ada.user.id), "{name}");
    }
}

#[tokio::test]
async fn a_token_of_another_purpose_is_refused() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let token = Token::of(&ada.access_token);
    let ours = our_key(&world).await;
    for typ in ["JWT", "jwt", "", "AT+JWT", "application/at+jwt", "dpop+jwt", "at+jwt "] {
        assert_refused(&world, &token.clone().header("typ", typ).signed_with(&ours), typ).await;
    }
    assert_refused(&world, &token.clone().without_header("typ").signed_with(&ours), "no typ").await;
    for iss in
        [json!("https://evil.example"), json!(""), json!(format!("{ISSUER}/")), json!([ISSUER]), json!(null)]
    {
        assert_refused(&world, &token.clone().claim("iss", iss.clone()).signed_with(&ours), &iss.to_string())
            .await;
    }
    for aud in [json!("another-api"), json!(""), json!(["another-api"]), json!([]), json!(null)] {
        assert_refused(&world, &token.clone().claim("aud", aud.clone()).signed_with(&ours), &aud.to_string())
            .await;
    }
    // RFC 7515, section 4.1.11, whatever is said to be critical.
    for critical in [json!(["exp"]), json!(["b64"]), json!([]), json!("exp")] {
        let token = token.clone().header("crit", critical.clone());
        assert_refused(&world, &token.signed_with(&ours), &format!("crit {critical}")).await;
    }
    for claim in ["iss", "aud", "client_id", "sub", "sid", "iat", "nbf", "exp", "jti"] {
        assert_refused(&world, &token.clone().without_claim(claim).signed_with(&ours), claim).await;
        let null = token.clone().claim(claim, json!(null));
        assert_refused(&world, &null.signed_with(&ours), claim).await;
    }
    for claim in ["iat", "nbf", "exp"] {
        for value in [json!("1"), json!(-1), json!(1e300), json!(true), json!({})] {
            let odd = token.clone().claim(claim, value);
            assert_refused(&world, &odd.signed_with(&ours), claim).await;
        }
    }
    assert_refused(&world, refresh_token(&ada), "a refresh token").await;
}

#[tokio::test]
async fn a_token_is_good_in_its_time_only() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let token = Token::of(&ada.access_token);
    let ours = our_key(&world).await;
    // Clocks of two instances may be half a minute apart, and no more.
    for claim in ["nbf", "iat"] {
        let now = world.clock.now().unix_seconds();
        let ahead = |seconds: u64| token.clone().claim(claim, now + seconds).signed_with(&ours);
        world.authenticate(&ahead(30)).await.unwrap();
        assert_refused(&world, &ahead(31), claim).await;
        let never = token.clone().claim(claim, u64::MAX).signed_with(&ours);
        assert_refused(&world, &never, claim).await;
        // Refused for its time, not for good: it comes.
        let soon = ahead(31);
        world.clock.advance(SECOND);
        world.authenticate(&soon).await.unwrap();
    }
    // Nobody's configuration makes a token good for more than an hour.
    let hour = token.number("iat") + 3_600;
    world.authenticate(&token.clone().claim("exp", hour).signed_with(&ours)).await.unwrap();
    for eternal in [hour + 1, u64::MAX] {
        assert_refused(&world, &token.clone().claim("exp", eternal).signed_with(&ours), "eternal").await;
    }
    assert_refused(&world, &token.clone().claim("exp", 0).signed_with(&ours), "long ago").await;

    // To the second: two have passed above.
    world.clock.advance(short_of(TOKEN_LIFETIME, 3));
    world.authenticate(&ada.access_token).await.unwrap();
    world.clock.advance(SECOND);
    assert_refused(&world, &ada.access_token, "expired, and remembered as verified").await;
    let elsewhere = world.another_instance().await;
    assert_refused(&elsewhere, &ada.access_token, "expired, and never seen").await;
    let refreshed = world.refresh(refresh_token(&ada)).await.unwrap();
    elsewhere.authenticate(&refreshed.access_token).await.unwrap();
}

#[tokio::test]
async fn a_token_names_its_sessions_user() {
    let world = World::new().await;
    let (ada, eve) = (world.sign_up("ada").await, world.sign_up("eve").await);
    let ours = our_key(&world).await;
    let token = Token::of(&ada.access_token);
    // Before and after the session is remembered.
    for _ in 0..2 {
        let mixed = token.clone().claim("sub", eve.user.id.to_string()).signed_with(&ours);
        assert_refused(&world, &mixed, "Eve in Ada's session").await;
        let mixed = token.clone().claim("sid", eve.session_id.to_string()).signed_with(&ours);
        assert_refused(&world, &mixed, "Ada in Eve's session").await;
        world.authenticate(&ada.access_token).await.unwrap();
        world.authenticate(&eve.access_token).await.unwrap();
    }
    let nowhere = token.clone().claim("sid", SessionId::new(world.clock.now()).to_string());
    assert_refused(&world, &nowhere.signed_with(&ours), "no session").await;
    for id in [ada.session_id.to_string(), "usr_".to_owned(), String::new(), "usr_ü".to_owned()] {
        assert_refused(&world, &token.clone().claim("sub", id.as_str()).signed_with(&ours), &id).await;
    }
    assert_refused(&world, &token.claim("sid", ada.user.id.to_string()).signed_with(&ours), "a user").await;
}

#[tokio::test]
async fn a_huge_token_is_refused_unread() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let ours = our_key(&world).await;
    let token = Token::of(&ada.access_token);
    let padded = |length: usize| token.clone().claim("padding", "x".repeat(length)).signed_with(&ours);
    // Unknown claims are none of our business, as long as they are short.
    world.authenticate(&padded(100)).await.unwrap();
    assert_refused(&world, &padded(100_000), "100 kB, well signed").await;
    for text in ["A".repeat(100_000), ".".repeat(100_000), "{".repeat(100_000), "\u{0}".repeat(100_000)] {
        assert_refused(&world, &text, "100 kB of anything").await;
    }
    let deep = base64url("[".repeat(1_000));
    assert_refused(&world, &format!("{deep}.{deep}.{deep}"), "deep").await;
}

#[test]
fn no_text_is_a_token_and_none_panics() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (world, ada): (World, SessionResponse) = runtime.block_on(async {
        let world = World::new().await;
        let ada = world.sign_up("ada").await;
        (world, ada)
    });
    let genuine = ada.access_token.clone();
    let check = |text: String| {
        if text == genuine {
            return Ok(());
        }
        let outcome = runtime.block_on(world.authenticate(&text));
        prop_assert!(matches!(outcome, Err(AuthError::InvalidToken)), "{:?}: {:?}", text, outcome);
        Ok(())
    };
    let run = |strategy: BoxedStrategy<String>| TestRunner::default().run(&strategy, check).unwrap();
    run(any::<String>().boxed());
    run("[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,90}".boxed());
    // Any bytes in the three parts, or JSON of the right shape.
    let bytes = || proptest::collection::vec(any::<u8>(), 0..100).prop_map(base64url);
    run((bytes(), bytes(), bytes()).prop_map(|(a, b, c)| format!("{a}.{b}.{c}")).boxed());
    let header = genuine.split('.').next().unwrap().to_owned();
    run((bytes(), bytes()).prop_map(move |(b, c)| format!("{header}.{b}.{c}")).boxed());
    // The genuine one with one character changed, put in or left out.
    let (original, length) = (genuine.clone(), genuine.len());
    let edited = (0..length, "[A-Za-z0-9_.=-]?", any::<bool>()).prop_map(move |(at, with, replaces)| {
        let mut text = original.clone();
        text.replace_range(at..at + usize::from(replaces), &with);
        text
    });
    run(edited.boxed());
    drop(genuine);
}

#[tokio::test]
async fn what_is_refused_is_told_as_unauthenticated() {
    let world = World::new().await;
    let error = world.authenticate("").await.unwrap_err();
    assert_eq!((error.problem().kind, error.problem().code), (Kind::Unauthenticated, "invalid_token"));
    assert_eq!(error.retry_after(), None);
}
