//! What is printed for debugging tells no secret.

use auth::dto::{Login, Password, Refresh, RefreshToken, Signup, TokenForm, TokenResponse, TokenType};
use auth::password::PasswordHasher;
use serde_json::json;
use shared_kernel::field::TextField as _;

use crate::common::{World, cheap, jwt, read, refresh_token};

const CANARY: &str = "canary-7f3a-password";

fn assert_silent(value: &impl std::fmt::Debug, secrets: &[&str]) {
    for shown in [format!("{value:?}"), format!("{value:#?}")] {
        for secret in secrets {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(!shown.is_empty());
    }
}

#[test]
fn no_body_shows_its_secret() {
    assert_silent(&Password::parse(CANARY).unwrap(), &[CANARY]);
    assert_silent(&RefreshToken::new(CANARY.to_owned()), &[CANARY]);
    let signup = json!({"email": "ada@example.com", "password": CANARY, "name": "Ada"});
    assert_silent(&read::<Signup>(&signup).unwrap(), &[CANARY]);
    let login = json!({"identifier": "ada@example.com", "password": CANARY});
    assert_silent(&read::<Login>(&login).unwrap(), &[CANARY]);
    assert_silent(&read::<Refresh>(&json!({"refresh_token": CANARY})).unwrap(), &[CANARY]);
    let form =
        json!({"grant_type": "password", "username": "ada", "password": CANARY, "refresh_token": CANARY});
    assert_silent(&serde_json::from_value::<TokenForm>(form).unwrap(), &[CANARY]);
    let answer = TokenResponse {
        access_token: CANARY.to_owned(),
        token_type: TokenType::Bearer,
        expires_in: 900,
        refresh_token: CANARY.to_owned(),
    };
    assert_silent(&answer, &[CANARY]);
    // They are there all the same.
    assert_eq!(Password::parse(CANARY).unwrap().expose(), CANARY);
    assert_eq!(serde_json::to_value(&answer).unwrap()["access_token"], CANARY);
}

#[test]
fn no_refusal_repeats_the_secret() {
    let secret = "canary\u{0}";
    for body in [
        json!({"email": "ada@example.com", "password": "canary", "name": "Ada"}),
        json!({"email": "ada@example.com", "password": secret, "name": "Ada"}),
        json!({"email": "ada@example.com", "password": ["canary"], "name": "Ada"}),
        json!({"email": "ada@example.com", "password": "canary".repeat(100), "name": "Ada"}),
    ] {
        let error = read::<Signup>(&body).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn neither_an_answer_nor_an_instance_shows_a_secret() {
    let world = World::new().await;
    let body = json!({"email": "ada@example.com", "password": CANARY, "name": "Ada"});
    let answer = world.signup(&body).await.unwrap();
    // So that all caches have something in them.
    world.authenticate(&answer.access_token).await.unwrap();
    world.login("ada@example.com", CANARY).await.unwrap();
    let private = jwt::private_key(&world).await;
    // The seed of the key, after the sixteen bytes that every such key begins with.
    let seed = private.split_at(16).1;
    let seed_as_list = format!("{seed:?}");
    let seed_as_hex = seed.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let signature = answer.access_token.rsplit('.').next().unwrap();
    let hash = world.password_hash(answer.user.id).await;
    let secrets = [
        CANARY,
        "a secret that only tests may have",
        refresh_token(&answer),
        &answer.access_token,
        signature,
        &hash,
        seed_as_list.trim_matches(['[', ']']),
        &seed_as_hex,
        &jwt::base64url(seed),
    ];
    assert_silent(&answer, &secrets);
    assert_silent(&*world.auth, &secrets);
    let shown = format!("{:?} {:?}", world.auth, PasswordHasher::start(cheap()).unwrap());
    assert!(!shown.contains("$argon2id$"), "{shown}");
}
