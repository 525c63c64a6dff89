//! Sends generated requests to the running server, which must conform to its own OpenAPI document.
//!
//! `xtask/contract/schemathesis.toml` configures the requests, and the checks that do not apply to an operation; for generated domains
//! this follows from their fields.

use std::fs;

use anyhow::{Context, Result, bail};

use super::Outcome;
use crate::domain;
use crate::process::Invocation;
use crate::python;
use crate::server::Server;
use crate::workspace::Workspace;

const CONFIGURATION: &str = "xtask/contract/schemathesis.toml";
const HOOKS: &str = "xtask/contract/hooks.py";

/// Checks that do not apply to this API, each with the reason.
const LEFT_OUT: [(&str, &str); 0] = [];

/// Operations that end the session or delete the account of all other requests: they run last.
const ENDS_THE_SESSION: [&str; 6] = [
    "POST /api/v1/auth/logout",
    "DELETE /api/v1/auth/sessions",
    "DELETE /api/v1/auth/sessions/{}",
    "DELETE /api/v1/users/me",
    "POST /api/v1/auth/password/change",
    "POST /api/v1/auth/password/reset",
];

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let programs = python::programs(workspace)?;
    let configuration = workspace.kept("contract-configuration")?.join("schemathesis.toml");
    let exceptions = domain::contract::exceptions(workspace)?;
    fs::write(&configuration, workspace.read(CONFIGURATION)? + &exceptions)
        .context("can't write the configuration")?;
    let server = Server::start(workspace, "contract")?;
    let schemathesis = |name: &str, selection: &str, operations: &[&str]| -> Result<()> {
        let account = server.sign_up(name)?;
        server.promote(&account)?;
        let selected = operations.iter().flat_map(|operation| [selection, *operation]);
        Invocation::new(programs.join("schemathesis"))
            .arg("--config-file")
            .arg(&configuration)
            .args(["run", &format!("{}/openapi.json", server.url()), "--origin", &server.url()])
            .args(["--phases", "examples,coverage,fuzzing", "--checks", "all"])
            .args(left_out())
            .args(["--report", "junit,ndjson", "--report-dir", name])
            .args(selected)
            .env("SCHEMATHESIS_HOOKS", workspace.root.join(HOOKS))
            .env("ASHLAR_CONTRACT_TOKEN", account.token)
            .current_dir(server.folder())
            .run()
    };
    let declared = declared_operations(workspace)?;
    let ends = |name: &&str| ENDS_THE_SESSION.contains(&unnamed(name).as_str());
    let last: Vec<&str> = declared.iter().map(String::as_str).filter(ends).collect();
    let mut outcome = schemathesis("surveyor", "--exclude-name", &last);
    if !last.is_empty() {
        outcome = outcome.and(schemathesis("leaver", "--include-name", &last));
    }
    if let Err(error) = outcome {
        bail!("the server does not conform to its OpenAPI document: {error}\n{}", server.tail());
    }
    server.stop()?;
    Ok(Outcome::Passed)
}

fn left_out() -> Vec<String> {
    for (check, reason) in LEFT_OUT {
        crate::output::say!("not checked: {check}: {reason}");
    }
    let names: Vec<&str> = LEFT_OUT.iter().map(|(check, _)| *check).collect();
    if names.is_empty() { Vec::new() } else { vec!["--exclude-checks".to_owned(), names.join(",")] }
}

/// `METHOD /path` of each operation in the committed document.
fn declared_operations(workspace: &Workspace) -> Result<Vec<String>> {
    let document: serde_json::Value = serde_json::from_str(&workspace.read("docs/openapi.json")?)?;
    let paths = document.get("paths").and_then(|paths| paths.as_object()).into_iter().flatten();
    let operations = paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, _)| format!("{} {path}", method.to_uppercase()))
    });
    Ok(operations.collect())
}

/// The same with every `{parameter}` as `{}`.
fn unnamed(operation: &str) -> String {
    let segment = |segment: &str| {
        if segment.starts_with('{') { "{}".to_owned() } else { segment.to_owned() }
    };
    operation.split('/').map(segment).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::unnamed;

    #[test]
    fn the_name_of_a_parameter_does_not_matter() {
        assert_eq!(unnamed("DELETE /api/v1/auth/sessions/{session_id}"), "DELETE /api/v1/auth/sessions/{}");
        assert_eq!(unnamed("GET /api/v1/users/{id}/profile"), "GET /api/v1/users/{}/profile");
    }
}
