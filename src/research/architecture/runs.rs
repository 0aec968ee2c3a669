//! Machines that are wanted, each run once.

use super::machine::Base;
use crate::config::Resolved;
use crate::error::{Error, Result};
use crate::research::{Again, Study};
use crate::session::Session;
use std::collections::BTreeMap;

/// What came of a machine.
#[derive(Clone, Debug)]
pub enum Ran {
    /// It ran the workload to its end.
    Whole(Box<Again>),
    /// It was stopped before.
    Stopped,
    /// It cannot run the workload, and why.
    Unfit(String),
}

/// Machines by the hash of their configuration.
#[derive(Default)]
pub struct Runs {
    wanted: Vec<Resolved>,
    ran: BTreeMap<String, Ran>,
}

impl Runs {
    /// Nothing but the run itself, which is that of the base.
    pub fn of(study: &Study, base: &Base) -> Self {
        let own = study
            .own()
            .map_or(Ran::Stopped, |own| Ran::Whole(Box::new(own)));
        Runs {
            wanted: Vec::new(),
            ran: BTreeMap::from([(base.config.hash.clone(), own)]),
        }
    }

    /// `machine` is to be run.
    pub fn want(&mut self, machine: &Resolved) {
        let known = self.ran.contains_key(&machine.hash);
        if !known && !self.wanted.iter().any(|other| other.hash == machine.hash) {
            self.wanted.push(machine.clone());
        }
    }

    /// Runs all that are wanted, several at a time.
    ///
    /// # Errors
    /// A machine that makes no progress.
    pub fn run(&mut self, study: &Study) -> Result<()> {
        let wanted = std::mem::take(&mut self.wanted);
        let hashes: Vec<String> = wanted.iter().map(|machine| machine.hash.clone()).collect();
        let sessions: Vec<Session> = wanted.into_iter().map(Session::of).collect();
        for (hash, ended) in hashes.into_iter().zip(study.many(&sessions)) {
            let ran = match ended {
                Ok(Some(again)) => Ran::Whole(Box::new(again)),
                Ok(None) => Ran::Stopped,
                Err(error @ (Error::Run(_) | Error::Io { .. })) => return Err(error),
                Err(error) => Ran::Unfit(error.to_string()),
            };
            self.ran.insert(hash, ran);
        }
        Ok(())
    }

    /// What came of `machine`.
    pub fn get(&self, machine: &Resolved) -> &Ran {
        self.ran.get(&machine.hash).unwrap_or(&Ran::Stopped)
    }
}
