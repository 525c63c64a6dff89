//! The shape of the house, proven with what cargo says about it.

mod bodies;
mod circles;
mod house;
mod imports;
mod policy;
mod rules;
mod thin;

use anyhow::{Result, bail};

use super::Outcome;
use crate::domain::canon;
use crate::domain::regions;
use crate::workspace::Workspace;

/// Checks every rule and prints one sentence for each place where one is broken.
pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    crate::output::say!("$ cargo metadata, cargo tree, deny.toml and the crates' sources, against the rules");
    let house = house::House::survey(workspace)?;
    let policy = policy::Policy::read(&workspace.read("deny.toml")?)?;
    let mut broken = rules::arrows(&house);
    broken.extend(rules::web_framework(&house));
    broken.extend(rules::rooms(&house));
    broken.extend(thin::violation(&workspace.root)?);
    broken.extend(rules::lints(&house));
    broken.extend(circles::circles(&house));
    broken.extend(rules::features(&house));
    broken.extend(bodies::violations(workspace, house.domains().map(|member| member.name.as_str()))?);
    broken.extend(policy.violations(&house.packages));
    broken.extend(regions::broken(workspace)?);
    broken.extend(canon::drift(&workspace.root, house.domains().map(|member| member.name.as_str()))?);
    for sentence in &broken {
        crate::output::say!("- {sentence}");
    }
    if !broken.is_empty() {
        bail!("{} architecture rule(s) broken: {}", broken.len(), broken[0]);
    }
    let domains: Vec<_> = house.domains().map(|member| member.name.as_str()).collect();
    crate::output::say!(
        "{} packages, {} members, domains: {}",
        house.packages.len(),
        house.members.len(),
        domains.join(", ")
    );
    crate::output::say!("arrows between domains: {}", rules::domain_arrows(&house).join(", "));
    Ok(Outcome::Passed)
}
