//! The host side between two kernels: what is kept of it.

use super::{Host, Stopped};
use crate::engine::{State, state};
use crate::error::{Error, Result};
use crate::gpu::{ChipStage, Gpu};
use crate::probe::Probe;
use bincode::error::DecodeError;
use bincode::{Decode, Encode};

// Nothing runs: no kernel, no CTA on its way.
state! {
    Host<'_> {
        units: [scheduler],
        values: [
            next_command, kernels, codes, next_code_line, next_constant, now, watched, timeline, memcpys, quanta,
            last_quantum, ctas_done
        ],
        left: [
            spec, options, commands, running, quantum, starts, finished, stopped, error, ended_at, keeper, throttle,
            earlier_s
        ],
    }
}

impl Host<'_> {
    /// Between two kernels: keeps the state of the run, if that was asked for.
    ///
    /// # Errors
    /// When the checkpoint cannot be written.
    pub(super) fn keep<P: Probe + Sync, S: ChipStage>(&mut self, gpu: &Gpu<P, S>) -> Result<()> {
        let more = self.next_command < self.commands.len();
        if !more || !self.running.is_empty() {
            return Ok(());
        }
        let Some(mut keeper) = self.keeper.take() else {
            return Ok(());
        };
        let seconds = self.earlier_s + keeper.elapsed().as_secs_f64();
        let stop = keeper.boundary(|to| {
            seconds.encode(to)?;
            self.save(to)?;
            gpu.save(to)
        })?;
        self.keeper = Some(keeper);
        if stop {
            self.stopped = Some(Stopped::Interrupted);
        }
        Ok(())
    }

    /// Goes on from a checkpoint, if there is one.
    ///
    /// # Errors
    /// A checkpoint of something else, or a damaged one; a probe that cannot be kept.
    pub(in crate::simulation) fn resume<P: Probe + Sync, S: ChipStage>(
        &mut self,
        gpu: &Gpu<P, S>,
    ) -> Result<()> {
        let Some(keeper) = self.keeper.take() else {
            return Ok(());
        };
        if self.spec.tlb.enabled {
            return Err(Error::Usage(
                "a run whose addresses are translated has no checkpoints: what TLBs hold is not kept; leave out \
                 --checkpoint, or set tlb.enabled=false"
                    .into(),
            ));
        }
        if P::default().save().is_none() {
            return Err(Error::Usage(
                "a run that is observed by a probe without a state to keep has no checkpoints"
                    .into(),
            ));
        }
        keeper.resume(|from| {
            self.earlier_s = Decode::decode(from)?;
            self.load(from)?;
            gpu.load(from)?;
            match self.next_command <= self.commands.len() {
                true => Ok(()),
                false => Err(DecodeError::Other("more commands than there are")),
            }
        })?;
        self.keeper = Some(keeper);
        Ok(())
    }
}
