//! What is under way on one server, until it is answered and counted.

use std::time::Instant;

use hashbrown::HashMap;

use super::capture::Sample;
use super::table::Place;

/// Named portals and statements that are known of one connection; beyond, they count as others.
const NAMES_MAX: usize = 1_000;

/// A portal: which statement it runs, and with what.
#[derive(Debug)]
pub(crate) struct Portal {
    pub(crate) place: Place,
    pub(crate) sample: Option<Box<Sample>>,
}

/// Executions on one server that are not counted yet.
#[derive(Debug)]
pub(crate) struct InFlight {
    unnamed: Portal,
    named: Option<Box<Named>>,
    /// Executed since the last ReadyForQuery: the first, unknown if there is none, and any others.
    first: Place,
    more: Vec<Place>,
    samples: Vec<Option<Box<Sample>>>,
    /// Anything but one execution that ended well, all at once, has happened: what follows has to be looked at.
    pub(crate) is_unusual: bool,
    /// The last of them has failed.
    pub(crate) has_failed: bool,
    /// A statement that failed before it was executed.
    pub(crate) unprepared: Option<Place>,
    /// The portal that was read only in part, and for how many microseconds.
    pub(crate) suspended: Option<(Place, u64)>,
    /// The client asked for answers before the end of its request: each execution is counted when it is answered.
    pub(crate) is_flushed: bool,
    /// When the next execution to be answered was sent, where that is not the beginning of the request.
    pub(crate) begun_at: Option<Instant>,
    /// How long the client waited for this server, until it is counted.
    pub(crate) wait_us: u64,
}

/// A statement of a client's own name.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) place: Place,
    /// Types of parameters and text, where parameters are captured.
    pub(crate) types: Box<[u8]>,
    pub(crate) text: Box<[u8]>,
}

/// What the client has given names to.
#[derive(Debug, Default)]
struct Named {
    portals: HashMap<Box<[u8]>, Portal>,
    /// Statements, where the pooler does not translate the names.
    statements: HashMap<Box<[u8]>, Prepared>,
}

impl Default for InFlight {
    fn default() -> Self {
        Self {
            unnamed: Portal { place: Place::OTHER, sample: None },
            named: None,
            first: Place::UNKNOWN,
            more: Vec::new(),
            samples: Vec::new(),
            is_unusual: false,
            has_failed: false,
            unprepared: None,
            suspended: None,
            is_flushed: false,
            begun_at: None,
            wait_us: 0,
        }
    }
}

impl InFlight {
    #[inline]
    pub(crate) fn bind(&mut self, name: &[u8], portal: Portal) {
        if name.is_empty() {
            self.unnamed = portal;
            return;
        }
        let portals = &mut self.named.get_or_insert_default().portals;
        if portals.len() < NAMES_MAX || portals.contains_key(name) {
            portals.insert(name.into(), portal);
        }
    }

    /// What an Execute of the portal runs. The values are given away.
    #[inline]
    pub(crate) fn executes(&mut self, name: &[u8]) -> (Place, Option<Box<Sample>>) {
        let portal = if name.is_empty() {
            Some(&mut self.unnamed)
        } else {
            self.named.as_mut().and_then(|named| named.portals.get_mut(name))
        };
        portal.map_or((Place::OTHER, None), |portal| (portal.place, portal.sample.take()))
    }

    /// A client has given a statement a name.
    pub(crate) fn prepare(&mut self, name: &[u8], prepared: Prepared) {
        let statements = &mut self.named.get_or_insert_default().statements;
        if statements.len() < NAMES_MAX || statements.contains_key(name) {
            statements.insert(name.into(), prepared);
        }
    }

    pub(crate) fn prepared(&self, name: &[u8]) -> Option<&Prepared> {
        self.named.as_ref()?.statements.get(name)
    }

    /// One more has been executed.
    #[inline]
    pub(crate) fn push(&mut self, place: Place, sample: Option<Box<Sample>>) {
        if self.first == Place::UNKNOWN && sample.is_none() {
            self.first = place;
        } else {
            self.push_another(place, sample);
        }
    }

    #[cold]
    fn push_another(&mut self, place: Place, sample: Option<Box<Sample>>) {
        self.is_unusual = true;
        if sample.is_some() || !self.samples.is_empty() {
            self.samples.resize_with(self.len(), || None);
            self.samples.push(sample);
        }
        if self.first == Place::UNKNOWN {
            self.first = place;
        } else {
            self.more.push(place);
        }
    }

    pub(crate) fn len(&self) -> usize {
        if self.first == Place::UNKNOWN { 0 } else { 1 + self.more.len() }
    }

    /// The only one that was executed, in the usual case.
    #[inline]
    pub(crate) fn take_single(&mut self) -> Option<Place> {
        let place = std::mem::replace(&mut self.first, Place::UNKNOWN);
        (place != Place::UNKNOWN).then_some(place)
    }

    /// All that were executed.
    pub(crate) fn take_all(&mut self) -> Vec<(Place, Option<Box<Sample>>)> {
        let places = self.take_single().into_iter().chain(std::mem::take(&mut self.more));
        let samples = std::mem::take(&mut self.samples).into_iter().chain(std::iter::repeat_with(|| None));
        places.zip(samples).collect()
    }

    /// From now on each execution of the request is counted when it is answered.
    pub(crate) fn flush(&mut self) {
        self.is_flushed = true;
        self.is_unusual = true;
    }

    /// The request has been counted, or is sent again. A portal that was read in part stays.
    pub(crate) fn forget(&mut self) {
        self.first = Place::UNKNOWN;
        self.more.clear();
        self.samples.clear();
        self.has_failed = false;
        self.unprepared = None;
        self.is_flushed = false;
        self.begun_at = None;
        self.is_unusual = self.suspended.is_some();
    }

    /// Portals end with their transaction.
    #[inline]
    pub(crate) fn end_transaction(&mut self) {
        if let Some(named) = &mut self.named {
            named.portals.clear();
        }
    }

    /// Another client gets the server, after such a wait.
    #[inline]
    pub(crate) fn begin_use(&mut self, wait_us: u64) {
        self.wait_us = wait_us;
        if self.is_unusual || self.named.is_some() {
            self.named = None;
            self.suspended = None;
            self.forget();
        }
    }
}
