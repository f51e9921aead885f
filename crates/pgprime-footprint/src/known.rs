//! The catalog with the definitions that were read so far.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::catalog::{Catalog, FunctionId, Path, RelationId};
use crate::links::Links;

/// Definitions that are kept; beyond, all are read again.
const LINKS_MAX: usize = 400_000;

pub(crate) struct Known {
    pub(crate) catalog: Catalog,
    /// With the path they were read by.
    links: Mutex<HashMap<(Object, Path), Arc<Links>>>,
}

/// What has a definition of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Object {
    View(RelationId),
    /// A relation's, by its place.
    Rule(RelationId, usize),
    Function(FunctionId),
}

impl Known {
    pub(crate) fn new(catalog: Catalog) -> Self {
        Self { catalog, links: Mutex::default() }
    }

    /// An object's definition with its names looked up.
    pub(crate) fn links(&self, object: Object, path: &Path) -> Arc<Links> {
        let catalog = &self.catalog;
        // Views and rules are written so that no path matters.
        let path = if let Object::Function(_) = object { path } else { &catalog.path };
        let key = (object, Arc::clone(path));
        let lock = || self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&key) {
            return Arc::clone(known);
        }
        let links = Arc::new(match object {
            Object::View(id) => Links::of_view(&catalog.relation(id).definition, catalog),
            Object::Rule(id, at) => Links::of_rule(&catalog.relation(id).rules[at].definition, catalog),
            Object::Function(id) => Links::of_function(id, catalog, path),
        });
        let mut kept = lock();
        if kept.len() >= LINKS_MAX {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&links));
        links
    }
}
