//! The architecture of the workspace, checked against the dependency graph of cargo, `deny.toml` and the sources of the crates.

mod bodies;
mod circles;
mod facts;
mod imports;
mod policy;
mod rules;
mod thin;

use anyhow::{Result, bail};

use super::Outcome;
use crate::domain::canon;
use crate::domain::regions;
use crate::workspace::Workspace;

/// Checks every rule and prints one sentence for each place that breaks one.
pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    crate::output::say!(
        "$ cargo metadata, cargo tree, deny.toml and the sources of the crates, against the rules of docs/architecture.md"
    );
    let facts = facts::Facts::survey(workspace)?;
    let policy = policy::Policy::read(&workspace.read("deny.toml")?)?;
    let mut broken = rules::dependencies(&facts);
    broken.extend(rules::web_framework(&facts));
    broken.extend(rules::modules(&facts));
    broken.extend(thin::violation(&workspace.root)?);
    broken.extend(rules::lints(&facts));
    broken.extend(circles::circles(&facts));
    broken.extend(rules::features(&facts));
    broken.extend(bodies::violations(workspace, facts.domains().map(|member| member.name.as_str()))?);
    broken.extend(policy.violations(&facts.packages));
    broken.extend(regions::broken(workspace)?);
    broken.extend(canon::drift(&workspace.root, facts.domains().map(|member| member.name.as_str()))?);
    for sentence in &broken {
        crate::output::say!("- {sentence}");
    }
    if !broken.is_empty() {
        bail!("{} architecture rule(s) broken: {}", broken.len(), broken[0]);
    }
    let domains: Vec<_> = facts.domains().map(|member| member.name.as_str()).collect();
    crate::output::say!(
        "{} packages, {} members, domains: {}",
        facts.packages.len(),
        facts.members.len(),
        domains.join(", ")
    );
    crate::output::say!("dependencies between domains: {}", rules::domain_dependencies(&facts).join(", "));
    Ok(Outcome::Passed)
}
