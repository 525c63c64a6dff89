//! Sections of domains, by their types.

use std::any::{Any, TypeId, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use configuration::{Keys, Section};
use url::Url;

/// Sections that modules have read.
#[derive(Clone, Default)]
pub struct Sections(BTreeMap<TypeId, (&'static str, Arc<dyn Any + Send + Sync>)>);

/// No module reads the section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no module reads the settings {0}")]
pub struct NoSuchSection(&'static str);

impl Sections {
    /// The section of this type.
    ///
    /// # Errors
    ///
    /// No module reads it, which is a bug.
    pub fn get<S: Any>(&self) -> Result<&S, NoSuchSection> {
        let found = self.0.get(&TypeId::of::<S>()).and_then(|(_, section)| section.downcast_ref());
        found.ok_or(NoSuchSection(type_name::<S>()))
    }
}

impl fmt::Debug for Sections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.values().map(|(name, _)| name)).finish()
    }
}

/// Reads the sections of a module. `None` if a key has no valid value, which has been added to the faults.
pub type ReadSections = fn(&mut SectionReader<'_, '_>) -> Option<()>;

/// Reads the sections of a module.
pub struct SectionReader<'r, 'k> {
    /// Keys, for conditions between sections.
    pub keys: &'r mut Keys<'k>,
    /// Public URL of the API.
    pub public_url: &'r Url,
    pub(crate) sections: &'r mut Sections,
}

impl SectionReader<'_, '_> {
    /// Reads a section and stores it for [`Config::section`](crate::Config::section).
    pub fn read<S: Section + Send + Sync + 'static>(&mut self, given: S::Given<'_>) -> Option<Arc<S>> {
        let section = Arc::new(self.keys.section::<S>(given)?);
        self.sections.0.insert(TypeId::of::<S>(), (S::NAME, section.clone()));
        Some(section)
    }
}
