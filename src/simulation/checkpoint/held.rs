//! A state that is kept in memory, for a run that goes back to it.

use super::file::{Bytes, Decoder, Encoder, STATE_BYTES_MAX};
use crate::engine::state::{Loaded, Saved};
use crate::error::{Error, Result};
use bincode::config::legacy;
use bincode::de::DecoderImpl;
use bincode::enc::EncoderImpl;

/// The state.
pub(in crate::simulation) struct Held(Vec<u8>);

impl Held {
    /// What `body` writes.
    ///
    /// # Errors
    /// A unit that has no state to keep.
    pub(in crate::simulation) fn of(body: impl FnOnce(&mut Encoder) -> Saved) -> Result<Self> {
        let mut bytes = Vec::new();
        body(&mut EncoderImpl::new(Bytes(&mut bytes), legacy())).map_err(impossible)?;
        Ok(Held(bytes))
    }

    /// Hands it to `body`.
    ///
    /// # Errors
    /// A unit that is not the one that was kept.
    pub(in crate::simulation) fn back(
        &self,
        body: impl FnOnce(&mut Decoder) -> Loaded,
    ) -> Result<()> {
        let mut rest = self.0.as_slice();
        let config = legacy().with_limit::<STATE_BYTES_MAX>();
        body(&mut DecoderImpl::new(Bytes(&mut rest), config, ())).map_err(impossible)
    }
}

fn impossible(error: impl std::fmt::Display) -> Error {
    Error::Run(format!("the state between two kernels: {error}"))
}
