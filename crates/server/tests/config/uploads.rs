//! The settings of uploads and of the object store, as operators meet them.

use app_config::Config;
use server::routers::upload::embedded_store::with_keys;
use shared_kernel::crypto::SecretKey;
use shared_kernel::secrecy::ExposeSecret as _;
use upload::settings::{StorageSettings, UploadSettings};

use crate::{STRONG, Setup, production, setup};

/// With the keys of the embedded store, where it is used.
fn storage(config: &Config) -> StorageSettings {
    let secret = SecretKey::new(&config.secret_key).unwrap();
    with_keys(config.section::<StorageSettings>().unwrap().clone(), &secret)
}

#[test]
fn nothing_has_to_be_configured_in_development() {
    let config = setup().config();
    assert_eq!((storage(&config).endpoint, storage(&config).path_style), (None, true));
    let uploads: &UploadSettings = config.section().unwrap();
    assert_eq!(uploads.allowed_types.len(), 12);
    assert_eq!(uploads.max_size, 64 * 1024 * 1024);
    assert_eq!(uploads.quota, 10 * 1024 * 1024 * 1024);
}

#[test]
fn keys_of_digits_and_words_stay_text() {
    let setup = setup().var("ASHLAR_STORAGE__ACCESS_KEY", "0001").var("ASHLAR_STORAGE__SECRET_KEY", "true");
    let config = setup.config();
    assert_eq!(storage(&config).access_key.expose_secret(), "0001");
    assert_eq!(storage(&config).secret_key.expose_secret(), "true");
}

#[test]
fn impossible_values_are_refused() {
    for (name, value) in [
        ("ASHLAR_STORAGE__BUCKET", "Ashlar"),
        ("ASHLAR_STORAGE__ENDPOINT", "s3.example.com"),
        ("ASHLAR_UPLOADS__ALLOWED_TYPES", "image/png; charset=utf-8"),
        ("ASHLAR_UPLOADS__MAX_SIZE", "67108865"),
        ("ASHLAR_UPLOADS__MAX_SIZE", "many"),
    ] {
        let sentence = setup().var(name, value).refusal();
        assert!(sentence.contains(name), "{name}={value}: {sentence}");
    }
}

#[test]
fn well_known_keys_are_refused_in_production() {
    let store = production()
        .var("ASHLAR_STORAGE__ACCESS_KEY", "minioadmin")
        .var("ASHLAR_STORAGE__SECRET_KEY", "minioadmin");
    let sentences = store.refusals();
    for (sentence, beginning) in sentences.iter().zip([
        "`storage.access_key` from environment variable ASHLAR_STORAGE__ACCESS_KEY looks",
        "`storage.secret_key` from environment variable ASHLAR_STORAGE__SECRET_KEY has only 10 of at least 16",
    ]) {
        assert!(sentence.starts_with(beginning), "{sentence}");
    }
    assert_eq!(sentences.len(), 2, "{sentences:?}");
}

#[test]
fn a_store_of_ones_own_needs_both_keys() {
    assert_eq!(
        setup().var("ASHLAR_STORAGE__ACCESS_KEY", "alone").refusal(),
        "`storage.secret_key` is missing, but the other key of the store is set: set ASHLAR_STORAGE__SECRET_KEY"
    );
    let setup = setup().var("ASHLAR_STORAGE__ENDPOINT", "https://s3.example.com");
    assert_eq!(
        setup.refusal(),
        "`storage.access_key` is missing, but `storage.endpoint` is set: set ASHLAR_STORAGE__ACCESS_KEY"
    );
    let setup = setup.var("ASHLAR_STORAGE__ACCESS_KEY", "name").var("ASHLAR_STORAGE__SECRET_KEY", "secret");
    assert_eq!(storage(&setup.config()).access_key.expose_secret(), "name");
}

/// Else a file of the largest size would be told to come back for ever.
#[test]
fn the_embedded_store_has_room_for_the_largest_file() {
    let small = |setup: Setup| setup.var("ASHLAR_STORAGE__EMBEDDED_UNFINISHED_BYTES", "1048576");
    let sentence = small(setup()).refusal();
    assert!(sentence.contains("be 67108864 at least, which is `uploads.max_size`"), "{sentence}");
    small(setup().var("ASHLAR_UPLOADS__MAX_SIZE", "1048576")).loaded();
}

#[test]
fn the_embedded_stores_keys_follow_from_the_secret() {
    let keys = |secret: &str| {
        let storage = storage(&setup().var("SECRET_KEY", secret).config());
        (storage.access_key.expose_secret().to_owned(), storage.secret_key.expose_secret().to_owned())
    };
    let (access_key, secret_key) = keys(STRONG);
    assert_eq!((access_key.len(), secret_key.len()), (20, 43));
    assert_eq!(keys(STRONG), (access_key.clone(), secret_key));
    assert_ne!(keys(&STRONG.to_lowercase()).0, access_key);
}

#[test]
fn no_key_of_the_store_is_shown() {
    let canary = "canary-9Zq3vXw8rT1nLk5sYb7cHd2fGj9";
    let setup = setup().var("ASHLAR_STORAGE__ACCESS_KEY", canary).var("ASHLAR_STORAGE__SECRET_KEY", canary);
    let loaded = setup.loaded();
    let shown = loaded.effective();
    assert!(!shown.contains(canary), "{shown}");
    assert!(!format!("{loaded:?} {:?}", setup.config()).contains(canary));
}

#[test]
fn all_servers_of_one_secret_have_the_same_keys() {
    let config = setup().var("SECRET_KEY", STRONG).config();
    let again = setup().var("SECRET_KEY", STRONG).config();
    assert_eq!(storage(&config).secret_key.expose_secret(), storage(&again).secret_key.expose_secret());
}
