//! Request bodies and query parameters must have validation rules: they derive garde's `Validate`, reject unknown fields, and have no
//! field of a type that accepts any value.

use anyhow::{Context as _, Result};
use syn::spanned::Spanned;
use syn::{Item, ItemStruct};

use crate::workspace::Workspace;

/// The form of a standard that requires unknown fields to be ignored (RFC 6749, section 3.2).
const FORMS_OF_STANDARDS: [(&str, &str); 1] = [("auth", "TokenForm")];

/// Types that accept any value.
const WITHOUT_RULE: [&str; 3] = ["String", "Value", "Map"];

/// One sentence for each place in the `dto` of these domains that breaks the rule.
pub(super) fn violations<'d>(
    workspace: &Workspace,
    domains: impl Iterator<Item = &'d str>,
) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for domain in domains {
        let path = format!("crates/{domain}/src/dto.rs");
        // Another rule checks that the file exists.
        if workspace.root.join(&path).exists() {
            broken.extend(of_text(domain, &workspace.read(&path)?).with_context(|| path.clone())?);
        }
    }
    Ok(broken)
}

fn of_text(domain: &str, text: &str) -> Result<Vec<String>> {
    let file = syn::parse_file(text)?;
    let structs = file.items.iter().filter_map(|item| match item {
        Item::Struct(item) => Some(Body { item, text }),
        _ => None,
    });
    let bodies = structs.filter(Body::comes_in).filter(|body| !body.is_form(domain));
    Ok(bodies.flat_map(|body| body.faults(domain)).collect())
}

/// A struct, and its file.
struct Body<'f> {
    item: &'f ItemStruct,
    text: &'f str,
}

impl Body<'_> {
    /// Whether it is read from a request.
    fn comes_in(&self) -> bool {
        self.derives("Deserialize") && (self.derives("ToSchema") || self.derives("IntoParams"))
    }

    fn is_form(&self, domain: &str) -> bool {
        FORMS_OF_STANDARDS.iter().any(|(of, name)| *of == domain && self.item.ident == name)
    }

    fn faults(&self, domain: &str) -> Vec<String> {
        let name = format!("{domain}::dto::{}", self.item.ident);
        let mut broken = Vec::new();
        if !self.derives("Validate") {
            broken.push(format!(
                "{name} is read from requests, but has no validation rules: derive garde::Validate."
            ));
        }
        if !self.says("serde", "deny_unknown_fields") {
            broken.push(format!(
                "{name} accepts unknown fields, so a typo or a smuggled field is not noticed: add #[serde(deny_unknown_fields)]."
            ));
        }
        for field in &self.item.fields {
            let loose = words(self.source(&field.ty)).find(|word| WITHOUT_RULE.contains(word));
            if let (Some(loose), Some(field)) = (loose, &field.ident) {
                broken.push(format!(
                    "{name}.{field} is a {loose}, which accepts any value: use a type of shared_kernel::field, such as SingleLine<1, 200>."
                ));
            }
        }
        broken
    }

    fn derives(&self, name: &str) -> bool {
        self.says("derive", name)
    }

    /// Whether an attribute contains that word.
    fn says(&self, attribute: &str, word: &str) -> bool {
        let mut named = self.item.attrs.iter().filter(|found| found.path().is_ident(attribute));
        named.any(|found| words(self.source(found)).any(|found| found == word))
    }

    fn source(&self, part: &impl Spanned) -> &str {
        self.text.get(part.span().byte_range()).unwrap_or_default()
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_anything_is_named() {
        let text = "
            #[derive(Deserialize, Validate, ToSchema)]
            #[serde(deny_unknown_fields)]
            pub struct Good { pub name: Option<SingleLine<1, 9>>, pub flag: bool }
            #[derive(Clone, Deserialize, garde::Validate, ToSchema)]
            pub struct Loose { pub name: Patch<String>, pub any: Vec<serde_json::Value> }
            #[derive(Deserialize, IntoParams)]
            #[serde(default, deny_unknown_fields)]
            pub struct Query {}
            #[derive(Serialize, ToSchema)]
            pub struct Answer { pub name: String }
            #[derive(Deserialize, ToSchema)]
            pub struct TokenForm { pub grant_type: String }
        ";
        let broken = of_text("auth", text).unwrap();
        let starts: Vec<_> = broken.iter().map(|sentence| sentence.split(' ').next().unwrap()).collect();
        assert_eq!(
            starts,
            ["auth::dto::Loose", "auth::dto::Loose.name", "auth::dto::Loose.any", "auth::dto::Query"],
            "{broken:?}"
        );
        assert_eq!(of_text("user", text).unwrap().len(), broken.len() + 3);
    }
}
