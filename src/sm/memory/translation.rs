//! The L1 TLB of an SM as the stage in front of its miss port.
//!
//! Requests leave in order: one whose page is known waits behind one whose page is not, and both pages may be waited for at
//! once. The lookup of a page that is known takes no time beyond `l1.miss_latency`, within which the latency of L2 was
//! measured.

use super::miss_port::{ChipStage, Passage, Stage};
use crate::config::GpuSpec;
use crate::engine::state::{Loaded, Saved};
use crate::engine::{Cycle, State};
use crate::mem::tlb::{Ask, Looked, SmTlb};
use crate::mem::{Line, Request};
use crate::stats::tlb::TlbLevelStats;
use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};

/// The TLB of an SM, where addresses are translated.
#[derive(Clone, Debug)]
pub struct Translation(Option<Box<SmTlb>>);

impl ChipStage for Translation {
    fn of(spec: &GpuSpec) -> Self {
        let tlb = &spec.tlb;
        Translation(tlb.enabled.then(|| Box::new(SmTlb::new(tlb))))
    }

    fn take_asks(&mut self, each: impl FnMut(Ask)) {
        if let Some(tlb) = &mut self.0 {
            tlb.asks.drain(..).for_each(each);
        }
    }

    fn stats(&self) -> TlbLevelStats {
        self.0.as_ref().map(|tlb| tlb.stats).unwrap_or_default()
    }
}

/// A run whose addresses are translated has no checkpoints: there is no TLB here when state is kept.
impl State for Translation {
    fn save<E: Encoder>(&self, _: &mut E) -> Saved {
        match self.0 {
            None => Ok(()),
            Some(_) => Err(EncodeError::Other("what a TLB holds is not kept")),
        }
    }

    fn load<D: Decoder<Context = ()>>(&mut self, _: &mut D) -> Loaded {
        match self.0 {
            None => Ok(()),
            Some(_) => Err(DecodeError::Other("what a TLB holds is not kept")),
        }
    }
}

/// Away from the port's own code, which must stay small where addresses are not translated.
#[inline(never)]
fn translate(tlb: &mut SmTlb, line: Line, at: Cycle, last: Option<Passage>) -> Passage {
    if last == Some(Passage::Waits) {
        return match tlb.came(line) {
            true => Passage::At(at),
            false => Passage::Waits,
        };
    }
    match tlb.look(line, at, last.is_some()) {
        Looked::Hit => Passage::At(at),
        Looked::Waits => Passage::Waits,
        Looked::Full => Passage::Full,
    }
}

impl Stage for Translation {
    const COMPONENTS: bool = true;

    #[inline(always)]
    fn pass(&mut self, request: &Request, at: Cycle, last: Option<Passage>) -> Passage {
        match &mut self.0 {
            None => Passage::At(at),
            Some(tlb) => translate(tlb, request.line, at, last),
        }
    }

    /// Only an answer helps.
    fn wake(&self) -> Cycle {
        Cycle::MAX
    }

    fn answer(&mut self, line: Line) {
        if let Some(tlb) = &mut self.0 {
            tlb.answer(line);
        }
    }
}
