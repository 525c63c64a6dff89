//! A product as one value: its name, its modules, its migrations.

use app_config::ConfigSchema;
use http_kit::problem;
use http_kit::routes::Routes;
use messaging::JobAdminError;
use shared_kernel::error::Problem;
use shared_kernel::resource::Resources;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::console::CommandError;
use crate::migrations::Migrations;
use crate::module::{Module, SignIn};
use crate::{health, installation, jobs};

/// The parts of an application that differ between products.
pub struct Product {
    /// Name of the binary, in lower case and with hyphens; its variables and files begin with it.
    pub name: &'static str,
    /// Name that people see, unless `project_name` is configured.
    pub title: &'static str,
    /// Version of the binary and of the API.
    pub version: &'static str,
    /// What clients have to know before their first request, in Markdown.
    pub api_description: &'static str,
    /// What a developer does next, printed on a terminal when the server is ready.
    pub first_steps: &'static str,
    /// Domains, in the order of the configuration reference and of the OpenAPI document.
    pub modules: &'static [&'static Module],
    /// Migrations of the database.
    pub migrations: Migrations,
}

impl Product {
    /// The keys of its configuration.
    #[must_use]
    pub fn config_schema(&self) -> ConfigSchema {
        let domains = self.modules.iter().map(|module| module.settings).collect();
        ConfigSchema { program: self.name, title: self.title, domains }
    }

    /// Registers the routes of all modules.
    pub fn routes(&self, config: &mut ServiceConfig<'_>) {
        for module in self.modules {
            Routes::register(config, module.routes);
        }
        Routes::register(config, jobs::routes::configure);
        Routes::register(config, installation::configure);
        Routes::register(config, health::configure);
    }

    /// The tags of the document, with their descriptions.
    #[must_use]
    pub fn tags(&self) -> Vec<(&'static str, &'static str)> {
        let own = [jobs::routes::TAG, installation::TAG, health::TAG];
        self.modules.iter().flat_map(|module| module.tags).copied().chain(own).collect()
    }

    /// Every problem that an answer can name.
    pub fn problems(&self) -> impl Iterator<Item = &'static Problem> {
        let own = [shared_kernel::error::PROBLEMS, problem::PROBLEMS, JobAdminError::PROBLEMS];
        own.into_iter().chain(self.modules.iter().map(|module| module.problems)).flatten().copied()
    }

    /// Tables that rows of other domains may refer to.
    #[must_use]
    pub fn resources(&self) -> Resources {
        self.modules.iter().flat_map(|module| module.resources).collect()
    }

    /// Dependencies of readiness, with their descriptions.
    #[must_use]
    pub fn dependencies(&self) -> Vec<(&'static str, &'static str)> {
        self.modules.iter().flat_map(|module| module.dependencies).copied().collect()
    }

    /// How users sign in.
    ///
    /// # Errors
    ///
    /// No module says so, which is a bug.
    pub fn sign_in(&self) -> Result<SignIn, CommandError> {
        let found = self.modules.iter().find_map(|module| module.sign_in);
        found.ok_or_else(|| CommandError::message("no domain signs users in: one module needs `sign_in`"))
    }
}
