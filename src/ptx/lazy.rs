//! Kernels whose CTAs are executed when a simulation asks for them.
//!
//! A recording executes the whole grid. Of a large one, of which a part is simulated, only the CTAs of that part
//! are worth it: they are executed here one at a time, each on memory as it is before the launch. So this is for
//! kernels whose CTAs do the same whatever the others have written.

use super::exec::cta::{Runner, Shape};
use super::exec::memory::{Arena, Global};
use super::exec::observe::Parallel;
use super::exec::program::Program;
use super::launch::Launch;
use super::launch::run::{Prepared, located};
use super::lower::{self, Machine};
use super::record::{Recorder, header};
use crate::error::Result;
use crate::trace::kernel::{CtaReader, StreamMemory};
use crate::trace::stream::EncodedCta;
use crate::trace::{CtaSource, Kernel, PatternTable, WarpStream};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Updates of memory that a CTA may keep to itself.
const UPDATES: usize = 4 << 20;

/// Bytes of streams that are kept for warps that have not come to their end.
const KEPT_BYTES: usize = 64 << 20;

/// CTAs that were executed, in the order in which they were.
#[derive(Default)]
struct Kept {
    ctas: BTreeMap<u64, (u64, Arc<EncodedCta>)>,
    order: BTreeMap<u64, u64>,
    turn: u64,
    bytes: usize,
}

impl Kept {
    fn add(&mut self, cta: u64, encoded: Arc<EncodedCta>) {
        self.bytes += encoded.data.len();
        self.turn += 1;
        if let Some((turn, old)) = self.ctas.insert(cta, (self.turn, encoded)) {
            self.bytes -= old.data.len();
            self.order.remove(&turn);
        }
        self.order.insert(self.turn, cta);
        while self.bytes > KEPT_BYTES && self.order.len() > 1 {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            if let Some((_, gone)) = self.ctas.remove(&oldest) {
                self.bytes -= gone.data.len();
            }
        }
    }
}

/// A launch that is executed CTA by CTA.
struct Lazy {
    file: String,
    program: Program,
    shape: Shape,
    machine: Machine,
    arena: Arc<Arena>,
    patterns: Arc<PatternTable>,
    shift: u64,
    warps: u32,
    idle: Mutex<Vec<(Global, Runner)>>,
    kept: Mutex<Kept>,
}

impl Lazy {
    fn cta(&self, cta: u64) -> Result<Arc<EncodedCta>> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, encoded)) = kept().ctas.get(&cta) {
            return Ok(Arc::clone(encoded));
        }
        let mut recorder = Recorder::known(&self.machine, self.warps, self.shift, &self.patterns);
        let encoded = Arc::new(self.execute(cta, &mut recorder)?);
        kept().add(cta, Arc::clone(&encoded));
        Ok(encoded)
    }

    fn execute(&self, cta: u64, recorder: &mut Recorder<'_>) -> Result<EncodedCta> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle().pop();
        let (mut global, mut runner) = found.unwrap_or_else(|| {
            let mut global = Global::ahead(self.arena.size());
            global.show(Arc::clone(&self.arena), UPDATES);
            (global, Runner::default())
        });
        recorder.begin();
        runner
            .run(&self.program, self.shape, cta, false, &mut global, recorder)
            .map_err(|fault| located(&self.file, &fault))?;
        // What it wrote is its own.
        global.finish();
        idle().push((global, runner));
        Ok(recorder.finish().0.0)
    }
}

impl CtaReader for Lazy {
    fn load(&self, cta: u64, warps: &mut [WarpStream]) -> Result<()> {
        self.cta(cta)?.load(warps);
        Ok(())
    }

    fn load_chunk(&self, cta: u64, warp: u32, chunk: u32, into: &mut WarpStream) -> Result<()> {
        self.cta(cta)?.load_chunk(warp, chunk, into);
        Ok(())
    }

    fn memory(&self) -> StreamMemory {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let cta = kept.ctas.values().map(|(_, cta)| cta.data.len()).max();
        StreamMemory {
            held: self.arena.size() as u64,
            unpacked: KEPT_BYTES as u64,
            cta: cta.unwrap_or(0) as u64,
        }
    }
}

/// The kernel of `prepared`, of which CTAs are executed when they are asked for. `file` names its PTX; `registers`
/// are those that a thread is known to have, `sm` is the architecture, and `shift` what addresses are raised by.
///
/// # Errors
/// What the first CTA does wrong.
pub fn kernel(
    file: &Path,
    mut prepared: Prepared<'_>,
    launch: &Launch,
    registers: Option<u16>,
    (sm, shift): (u16, u64),
) -> Result<Kernel> {
    if launch.schedule {
        prepared.schedule(sm, registers);
    }
    let machine = lower::lower(&prepared.flat, &prepared.program, sm);
    let header = header(file, launch, &prepared, (&machine, registers), sm);
    let mut lazy = Lazy {
        file: file.display().to_string(),
        shape: prepared.shape,
        machine,
        arena: Arc::new(prepared.global),
        program: prepared.program,
        patterns: Arc::default(),
        shift,
        warps: header.warps_per_cta(),
        idle: Mutex::default(),
        kept: Mutex::default(),
    };
    // One from the middle has the patterns of most.
    let middle = header.cta_count() / 2;
    let mut recorder = Recorder::new(&lazy.machine, lazy.warps, shift);
    let first = lazy.execute(middle, &mut recorder)?;
    let patterns = recorder.into_patterns();
    let mut code = lazy.machine.code.clone();
    code.patterns = patterns.patterns().to_vec();
    lazy.patterns = Arc::new(patterns);
    lazy.kept
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .add(middle, Arc::new(first));
    Ok(Kernel {
        header,
        code: Arc::new(code),
        ctas: CtaSource::File(Arc::new(lazy)),
        totals: None,
        lines: None,
        layer: None,
        reason: None,
        roofline_s: None,
    })
}
