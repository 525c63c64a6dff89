//! Defaults that follow from other values.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;

use figment::Figment;
use figment::value::Value;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::{Host, Url};

use super::check::wrong_type;
use super::error::{Fault, quoted};
use super::settings::{Environment, without_slash};
use super::sources::{DEFAULT, value_of};
use super::{parse, show};

/// The pages of a developer's machine, as its tools serve them.
const LOCAL_PAGES: &str = "http://localhost:*,https://localhost:*,http://127.0.0.1:*,http://[::1]:*";

/// `figment` with every key set.
pub(super) fn complete(figment: &Figment, working_dir: &Path) -> Result<Figment, Fault> {
    let (figment, data_dir) = with_absolute_data_dir(figment, working_dir)?;
    let environment: Environment = value(&figment, "environment")?;
    let development = environment == Environment::Development;
    let bind: SocketAddr = value(&figment, "server.bind")?;
    let cores = |most: usize| thread::available_parallelism().map_or(1, usize::from).min(most).to_string();
    let origins = if development { LOCAL_PAGES } else { "" };
    let figment = figment
        .join(value_of("cors.origins", origins, DEFAULT))
        .join(value_of("database.auto_migrate", development, DEFAULT))
        .join(value_of("database.url", sqlite_url(&data_dir)?, DEFAULT))
        .join(value_of(
            "server.drain_delay",
            if environment == Environment::Production { 5 } else { 0 },
            DEFAULT,
        ))
        .join(value_of("server.workers", cores(1_024), DEFAULT))
        .join(value_of("auth.hash_threads", cores(256), DEFAULT))
        .join(value_of("server.public_url", format!("http://localhost:{}", bind.port()), DEFAULT));
    let WebUrl(public_url) = value(&figment, "server.public_url")?;
    let project_name: String = value(&figment, "project_name")?;
    Ok(figment
        .join(value_of("auth.issuer", without_slash(&public_url), DEFAULT))
        .join(value_of("auth.link_base", without_slash(&public_url), DEFAULT))
        .join(value_of("mail.from", sender(&project_name, &public_url), DEFAULT)))
}

#[derive(Deserialize)]
struct WebUrl(#[serde(deserialize_with = "parse::web_url")] Url);

fn value<T: DeserializeOwned>(figment: &Figment, name: &str) -> Result<T, Fault> {
    figment.extract_inner_lossy(name).map_err(|error| wrong_type(figment, &error))
}

/// The folder is the same wherever the process goes later.
fn with_absolute_data_dir(figment: &Figment, working_dir: &Path) -> Result<(Figment, PathBuf), Fault> {
    let data_dir: String = value(figment, "data_dir")?;
    let absolute = std::path::absolute(working_dir.join(&data_dir)).map_err(|error| {
        Fault::of(
            "data_dir",
            format!("`data_dir` {} is not a path that can be used: {error}", quoted(&data_dir)),
        )
    })?;
    if data_dir.is_empty() {
        return Err(Fault::of(
            "data_dir",
            format!("`data_dir` from {} is empty: name a folder", show::origin(figment, "data_dir")),
        ));
    }
    let text = absolute
        .to_str()
        .ok_or_else(|| Fault::new("`data_dir` is below a folder whose name is not UTF-8"))?;
    let origin = show::origin(figment, "data_dir");
    let figment = figment.clone().merge(value_of("data_dir", Value::from(text), origin));
    Ok((figment, absolute))
}

/// sqlx decodes the path, so what has a meaning in URLs is encoded.
fn sqlite_url(data_dir: &Path) -> Result<String, Fault> {
    let file = Url::from_file_path(data_dir.join("ashlar.sqlite"))
        .map_err(|()| Fault::new("`data_dir` is not a path that a URL can name"))?;
    Ok(format!("sqlite://{}", file.path()))
}

fn sender(project_name: &str, public_url: &Url) -> String {
    let host = match public_url.host() {
        Some(Host::Domain(name)) => name,
        _ => "localhost",
    };
    // RFC 5322, 3.4: a name with other characters is a quoted string.
    let plain = project_name.chars().all(|c| c.is_alphanumeric() || c == ' ' || c == '-');
    if plain {
        return format!("{project_name} <no-reply@{host}>");
    }
    let name = project_name.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{name}\" <no-reply@{host}>")
}
