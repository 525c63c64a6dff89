//! The module of sign-in.

use std::sync::Arc;

use app_config::SectionReader;
use app_kit::console::CommandError;
use app_kit::module::{Module, SignIn, Verb};
use app_kit::wiring::Wiring;
use auth::Auth;
use auth::error::AuthError;
use auth::service;
use auth::settings::AuthSettings;
use configuration::without_slash;
use futures_util::future::FutureExt as _;

use super::welcome::{NewAccounts, Welcome};
use super::{REFRESH_COOKIE, Recognition, TOKEN_URL, admin, configure, purge, rules};

/// Sign-in.
pub static MODULE: Module = Module {
    tags: &[("auth", "Sign-up, sign-in, refresh and logout.")],
    routes: configure,
    problems: auth::error::PROBLEMS,
    resources: service::RESOURCES,
    settings,
    installation: rules::members,
    schedules: || Ok(vec![purge::schedule()?]),
    start: |wiring| start(wiring).boxed_local(),
    commands: &[Verb { command: admin::commands, run: |invocation| admin::run(invocation).boxed_local() }],
    sign_in: Some(SignIn {
        token_url: TOKEN_URL,
        unauthenticated: AuthError::INVALID_TOKEN,
        session_cookie: REFRESH_COOKIE,
        no_store_below: "/api/v1/auth/",
    }),
    ..Module::EMPTY
};

fn settings(reader: &mut SectionReader<'_, '_>) -> Option<()> {
    reader.read::<AuthSettings>(reader.public_url)?;
    Some(())
}

async fn start(wiring: &mut Wiring<'_>) -> Result<(), CommandError> {
    let config = wiring.config;
    let mut settings = config.section::<AuthSettings>()?.clone();
    settings.follow(&config.configured_url, &config.server.public_url);
    let welcome = Welcome {
        databases: wiring.databases.clone(),
        project_name: config.project_name.clone(),
        sign_in_page: (settings.link_base != config.server.public_url)
            .then(|| without_slash(&settings.link_base).to_owned()),
        mailer: wiring.mailer.clone(),
    };
    wiring.job(welcome.kind());
    wiring.subscribe(NewAccounts::subscriber());
    let auth = Arc::new(Auth::open(settings, wiring.databases.clone(), wiring.secret).await?);
    wiring.authenticate(Arc::new(Recognition(auth.clone())));
    wiring.job(purge::kind(auth.clone()));
    wiring.state(auth);
    Ok(())
}
