//! The page that lists the domains, `docs/domains/README.md`.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::cargo_toml;
use super::hand_written::HandWritten;
use super::manifest;
use super::plan::Plan;
use super::view::{self, Specs};
use crate::workspace::NO_DOMAINS;

/// Path of the page.
pub(crate) const PATH: &str = "docs/domains/README.md";

const HEAD: &str = "\
# Domains

One crate each. `cargo xtask domains --write` writes this page, and so do the commands that make and remove domains: what a
domain is stands in its `Cargo.toml`, as the description.

| domain | what it is | routes | ids | made |
|---|---|---|---|---|
";

/// The crates that are domains.
pub(crate) fn domains(crates: &BTreeSet<String>) -> impl Iterator<Item = &String> {
    crates.iter().filter(|name| !NO_DOMAINS.contains(&name.as_str()))
}

/// The page, as it will be after the plan is applied.
pub(crate) fn page(plan: &Plan, crates: &BTreeSet<String>, generated: &Specs) -> Result<String> {
    let mut page = HEAD.to_owned();
    for name in domains(crates) {
        let what = description(plan, name)?.replace('|', "\\|");
        let row = if let Some(spec) = generated.get(name) {
            let (route, prefix) = (view::route(spec), &spec.prefix);
            format!("| [{name}]({name}.md) | {what} | `{route}` | `{prefix}_…` | by `new-domain` |\n")
        } else {
            let record = plan.read(manifest::path(name))?;
            let by_hand = match &record {
                Some(text) => HandWritten::parse(text)?.is_some(),
                None => true,
            };
            let made = if by_hand { "by hand" } else { "by `new-domain`" };
            format!("| [{name}](../../crates/{name}/src/lib.rs) | {what} | | | {made} |\n")
        };
        page.push_str(&row);
    }
    Ok(page)
}

fn description(plan: &Plan, name: &str) -> Result<String> {
    let path = format!("crates/{name}/Cargo.toml");
    let description = cargo_toml::description(&plan.expect(&path)?).with_context(|| format!("in {path}"))?;
    Ok(description.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::grammar;
    use crate::domain::spec::Spec;

    #[test]
    fn each_domain_has_a_row() {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = Plan::new(folder.path());
        plan.create("crates/auth/Cargo.toml", "[package]\ndescription = \"Who signs in.\"\n").unwrap();
        plan.create("crates/blog_post/Cargo.toml", "[package]\ndescription = \"Posts | more.\"\n").unwrap();
        plan.create("crates/auth/domain.toml", "made = \"by hand\"\nname = \"auth\"\n").unwrap();
        let spec = Spec {
            name: "blog_post".into(),
            plural: "blog_posts".into(),
            prefix: "blg".into(),
            public_read: false,
            admin_only: false,
            events: true,
            fields: vec![grammar::parse("a:int").unwrap()],
        };
        let crates = ["server", "blog_post", "auth", "messaging"].map(str::to_owned).into();
        let page = page(&plan, &crates, &[("blog_post".to_owned(), spec)].into()).unwrap();
        assert_eq!(
            page.strip_prefix(HEAD).unwrap(),
            "| [auth](../../crates/auth/src/lib.rs) | Who signs in. | | | by hand |\n\
             | [blog_post](blog_post.md) | Posts \\| more. | `/api/v1/blog-posts` | `blg_…` | by `new-domain` |\n"
        );
    }
}
