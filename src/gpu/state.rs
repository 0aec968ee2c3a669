//! The state of a chip between two kernels.

use super::{Bridge, GpcUnit, Gpu, ShardUnit, SmUnit, read, write};
use crate::engine::state::{Loaded, Saved};
use crate::engine::{State, state};
use crate::probe::Probe;
use crate::sm::ChipStage;
use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

state! {
    Bridge {
        units: [],
        values: [to_shards, active],
        left: [],
    }
}

/// A unit without its probe, and the probe behind it.
macro_rules! observed {
    ($name:ident<$($of:ident: $bound:ident),*>: $unit:ident, values: [$($value:ident),*], left: [$($left:ident),*]) => {
        impl<$($of: $bound),*> State for $name<$($of),*> {
            fn save<E: Encoder>(&self, to: &mut E) -> Saved {
                let $name { $unit, $($value,)* $($left: _,)* probe } = self;
                $unit.save(to)?;
                $( $value.encode(to)?; )*
                let seen = probe.save();
                seen.ok_or(EncodeError::Other("the probe has no state to keep"))?.encode(to)
            }

            fn load<D: Decoder<Context = ()>>(&mut self, from: &mut D) -> Loaded {
                let $name { $unit, $($value,)* $($left: _,)* probe } = self;
                $unit.load(from)?;
                $( *$value = Decode::decode(from)?; )*
                match probe.restore(&Vec::decode(from)?) {
                    true => Ok(()),
                    false => Err(DecodeError::Other("the probe knows no such state")),
                }
            }
        }
    };
}

observed!(SmUnit<P: Probe, S: ChipStage>: sm, values: [], left: []);
observed!(ShardUnit<P: Probe>: shard, values: [], left: []);
// The CTAs that ended in the last quantum are known to the host side already.
observed!(GpcUnit<P: Probe>: ports, values: [resident_warps, active, progress], left: [done, error]);

impl<P: Probe + Sync, S: ChipStage> Gpu<P, S> {
    /// Writes the state of the chip, which must be [quiet](Gpu::quiet), and of its probes. Serial.
    ///
    /// # Errors
    /// When `to` cannot be written, or a probe cannot be kept.
    pub fn save<E: Encoder>(&self, to: &mut E) -> Saved {
        assert!(self.quiet(), "something is still in flight");
        self.sms.iter().try_for_each(|unit| read(unit).save(to))?;
        self.shards
            .iter()
            .try_for_each(|unit| read(unit).save(to))?;
        self.gpcs.iter().try_for_each(|unit| read(unit).save(to))?;
        read(&self.bridge).save(to)?;
        self.mesh.save(to)
    }

    /// Takes over the state that [`Gpu::save`] wrote of a chip of the same configuration. Serial.
    ///
    /// # Errors
    /// When `from` ends early, or holds something else.
    pub fn load<D: Decoder<Context = ()>>(&self, from: &mut D) -> Loaded {
        self.sms
            .iter()
            .try_for_each(|unit| write(unit).load(from))?;
        self.shards
            .iter()
            .try_for_each(|unit| write(unit).load(from))?;
        self.gpcs
            .iter()
            .try_for_each(|unit| write(unit).load(from))?;
        write(&self.bridge).load(from)?;
        self.mesh.load(from)
    }
}
