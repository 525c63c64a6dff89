//! Reading a configuration from its sources.

use std::path::Path;

use figment::Figment;

use crate::effective::Effective;
use crate::environment::Environment;
use crate::fault::{ConfigError, Faults};
use crate::section::{Keys, Section};
use crate::sources::Sources;
use crate::table::Table;

impl Table {
    /// The keys of the configuration `C` of a program.
    #[must_use]
    pub fn of<C: Section>(program: &'static str, given: C::Given<'_>) -> Self {
        let values = Figment::new();
        let mut keys = keys(program, &values, Path::new("."), Faults::default());
        let _ = keys.section::<C>(given);
        Self { program, rows: keys.readings.into_iter().map(|reading| reading.row).collect() }
    }

    /// Reads and checks a configuration.
    ///
    /// # Errors
    ///
    /// The faults of the configuration.
    pub fn load<C: Section>(
        &self,
        sources: &Sources,
        given: C::Given<'_>,
    ) -> Result<(C, Effective), ConfigError> {
        let mut faults = Faults::default();
        let values = sources.layers(self, &mut faults);
        let mut keys = keys(self.program, &values, &sources.working_dir, faults);
        let config = keys.section::<C>(given);
        Ok((keys.faults.or(config)?, Effective::new(keys.readings)))
    }
}

/// A section with all defaults, in development.
///
/// # Errors
///
/// A key does not accept its own default.
pub fn defaults<S: Section>(given: S::Given<'_>) -> Result<S, ConfigError> {
    let values = Figment::new();
    let mut keys = keys("", &values, Path::new("."), Faults::default());
    let section = keys.section::<S>(given);
    keys.faults.or(section)
}

fn keys<'a>(program: &'static str, values: &'a Figment, working_dir: &'a Path, faults: Faults) -> Keys<'a> {
    Keys {
        program,
        values,
        working_dir,
        environment: Environment::Development,
        section: "",
        readings: Vec::new(),
        faults,
    }
}
