//! The OpenAPI document of a product, with the limits of this installation.

use app_config::Config;
use configuration::without_slash;
use http_kit::openapi::{self, Description, Problems};
use utoipa::openapi::OpenApi;

use crate::console::CommandError;
use crate::health;
use crate::installation::Installation;
use crate::product::Product;

/// The document for an installation with this configuration.
///
/// # Errors
///
/// A module asks for settings that no module reads, or no module signs users in: bugs.
pub fn document(product: &Product, config: &Config) -> Result<OpenApi, CommandError> {
    let sign_in = product.sign_in()?;
    let description = Description {
        title: format!("{} API", config.project_name),
        text: product.api_description,
        version: product.version,
        // An absolute URL, because clients concatenate it and the path.
        server: without_slash(&config.server.public_url).to_owned(),
        tags: product.tags(),
        token_url: sign_in.token_url,
        problems: Problems {
            catalogue: product.problems().collect(),
            unauthenticated: sign_in.unauthenticated,
        },
    };
    let mut document = openapi::document(description, |config| product.routes(config));
    Installation::new(config, product.modules)?.describe(&mut document);
    health::describe(&mut document, &product.dependencies());
    for module in product.modules {
        (module.document)(config, &mut document)?;
    }
    Ok(document)
}
