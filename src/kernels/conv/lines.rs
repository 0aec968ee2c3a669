//! Instructions as lines of text, each memory instruction with what it touches.

use crate::kernels::builder::{FULL, KernelBuilder};
use crate::kernels::rows::script::{Access, Block, list};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// An instruction to be, and what it touches.
#[derive(Clone, Debug)]
pub(super) struct Line<T> {
    text: String,
    touch: Option<T>,
}

/// An instruction that touches no memory.
pub(super) fn plain<T>(text: impl Into<String>) -> Line<T> {
    Line {
        text: text.into(),
        touch: None,
    }
}

/// Instructions that touch no memory, one a line.
pub(super) fn plains<T>(text: &str) -> impl Iterator<Item = Line<T>> {
    text.split(['\n', ';'])
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(plain)
}

/// A memory instruction.
pub(super) fn touching<T>(text: impl Into<String>, touch: T) -> Line<T> {
    Line {
        text: text.into(),
        touch: Some(touch),
    }
}

/// Puts `side` evenly between the lines of `main`, the first one early: what waits for memory goes first.
pub(super) fn weave<T>(main: Vec<Line<T>>, side: Vec<Line<T>>) -> Vec<Line<T>> {
    let (mains, sides) = (main.len(), side.len());
    let mut side = side.into_iter();
    let mut woven = Vec::with_capacity(mains + sides);
    for (at, line) in main.into_iter().enumerate() {
        woven.push(line);
        let due = ((at + 1) * sides).div_ceil(mains);
        woven.extend(side.by_ref().take(due - (at * sides).div_ceil(mains)));
    }
    woven.extend(side);
    woven
}

/// A piece of code.
pub(super) struct Piece<T> {
    first: u32,
    block: Block,
    touches: Vec<T>,
}

impl<T: Copy> Piece<T> {
    /// Appends `lines` to `code`.
    pub(super) fn append(code: &mut KernelBuilder, lines: Vec<Line<T>>) -> Self {
        let first = code.here();
        let mut touches = Vec::new();
        for line in lines {
            let index = code.here();
            list(code, &line.text, &[]);
            assert_eq!(
                code.accesses_memory(index),
                line.touch.is_some(),
                "{}",
                line.text
            );
            touches.extend(line.touch);
        }
        Piece {
            first,
            block: Block::from(code, first),
            touches,
        }
    }

    /// Executes it in all lanes; `access` says where each memory instruction goes.
    pub(super) fn emit(&self, out: &mut CtaEncoder, mut access: impl FnMut(T) -> Access) {
        self.block
            .emit(FULL, out, |number| access(self.touches[number]));
    }
}

/// A kernel of one loop: what is before it, its body, what is behind it.
pub(super) struct Loop<T> {
    /// Touches no memory.
    setup: Piece<T>,
    prologue: Piece<T>,
    iteration: Piece<T>,
    branch: u32,
    finish: Piece<T>,
}

impl<T: Copy> Loop<T> {
    /// Appends setup, prologue, body and what is behind it to `code`.
    pub(super) fn append(code: &mut KernelBuilder, parts: [Vec<Line<T>>; 4]) -> Self {
        let [setup, prologue, iteration, finish] = parts;
        let setup = Piece::append(code, setup);
        let prologue = Piece::append(code, prologue);
        let iteration = Piece::append(code, iteration);
        let branch = code.branch(iteration.first);
        Loop {
            setup,
            prologue,
            iteration,
            branch,
            finish: Piece::append(code, finish),
        }
    }

    /// Executes it with `iterations`; `access` says where the memory instructions of one go. Those of the prologue
    /// belong to the first, those behind the loop to the one that would follow the last.
    pub(super) fn emit(
        &self,
        iterations: Range<u64>,
        out: &mut CtaEncoder,
        access: impl Fn(u64, T) -> Access,
    ) {
        let (first, last) = (iterations.start, iterations.end);
        self.setup.emit(out, |touch| access(first, touch));
        self.prologue.emit(out, |touch| access(first, touch));
        out.iterations(
            iterations,
            self.iteration.block.len() + 1,
            |present, out| {
                self.iteration.emit(out, |touch| access(present, touch));
                out.inst(self.branch, if present + 1 < last { FULL } else { 0 });
            },
        );
        self.finish.emit(out, |touch| access(last, touch));
    }
}

/// Lanes at places of their own: as the pattern `together` (by number of lanes) where the first ones lie side by side.
pub(super) fn lanes(
    width: u64,
    together: &[PatternId],
    place: impl Fn(u64) -> Option<u64>,
) -> Access {
    let mut mask = 0u32;
    let mut addresses = Vec::with_capacity(32);
    for lane in 0..32 {
        if let Some(address) = place(lane) {
            mask |= 1 << lane;
            addresses.push(address);
        }
    }
    let Some(&base) = addresses.first() else {
        return Access::Off;
    };
    let first_ones = mask & mask.wrapping_add(1) == 0;
    let steps = addresses.windows(2);
    match first_ones
        && steps
            .into_iter()
            .all(|pair| pair[1] == pair[0].wrapping_add(width))
    {
        true => Access::Pattern {
            mask,
            base,
            pattern: together[addresses.len()],
        },
        false => Access::List { mask, addresses },
    }
}

/// All lanes in `pattern`, the first at `base`.
pub(super) fn all(base: u64, pattern: PatternId) -> Access {
    Access::Pattern {
        mask: FULL,
        base,
        pattern,
    }
}
