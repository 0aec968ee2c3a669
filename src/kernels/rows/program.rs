//! Kernels whose CTAs or warps have a row each, as steps: straight code for some threads, and loops over a row.

pub use super::place::{RowPlace, SharedPlace};
use super::script::{Access, Block};
use crate::kernels::builder::{FULL, KernelBuilder, first_lanes};
use crate::kernels::{Arrays, WarpGenerator};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// Which threads of a row's take part.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    /// All.
    All,
    /// The first lanes of some warps.
    Lanes {
        /// First warp, and one behind the last.
        warps: (u32, u32),
        /// Lanes.
        lanes: u64,
    },
}

impl Who {
    /// The first lane of every warp.
    pub const LEADERS: Who = Who::Lanes {
        warps: (0, 32),
        lanes: 1,
    };
    /// The first thread.
    pub const FIRST: Who = Who::Lanes {
        warps: (0, 1),
        lanes: 1,
    };

    fn mask(self, warp: u32) -> u32 {
        match self {
            Who::All => FULL,
            Who::Lanes { warps, lanes } if (warps.0..warps.1).contains(&warp) => first_lanes(lanes),
            Who::Lanes { .. } => 0,
        }
    }
}

/// Where a memory instruction goes.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// Elements of a row, side by side from lane to lane.
    Row(RowPlace),
    /// One element of an operand for each row, by all lanes that take part.
    PerRow {
        /// Operand.
        operand: usize,
        /// Bytes of the element.
        bytes: u64,
    },
    /// Shared memory: the same for every row.
    Shared(SharedPlace),
}

/// Elements of a row that a loop goes over.
#[derive(Clone, Copy, Debug)]
pub enum Span {
    /// All, in vectors of so many elements, of which a row has a whole number.
    Vectors(u64),
    /// So many single elements, instead of those of the row.
    Singles(u64),
    /// Rows may begin between vectors of so many elements. First one step by single elements up to the address where a
    /// CTA's first vectors begin, by the threads that are not in front of the row.
    Head(u64),
    /// Then whole rounds of vectors of all threads.
    Body(u64),
    /// Then what is left, by single elements.
    Tail(u64),
}

/// Elements that a span covers.
struct Covered {
    first: u64,
    end: u64,
    vector: u64,
    /// Threads in front of the row.
    idle: u64,
}

impl Span {
    fn of(self, row: u64, cols: u64, threads: u64) -> Covered {
        let plain = |first, end, vector| Covered {
            first,
            end,
            vector,
            idle: 0,
        };
        match self {
            Span::Vectors(vector) => plain(0, cols, vector),
            Span::Singles(count) => plain(0, count, 1),
            Span::Head(vector) | Span::Body(vector) | Span::Tail(vector) => {
                let shift = row * cols % vector;
                let start = if shift == 0 { 0 } else { threads - shift }.min(cols);
                let last = cols - (cols - start) % (vector * threads);
                match self {
                    Span::Head(_) => Covered {
                        first: 0,
                        end: start,
                        vector: 1,
                        idle: shift,
                    },
                    Span::Body(_) => plain(start, last, vector),
                    _ => plain(last, cols, 1),
                }
            }
        }
    }
}

/// A step of all threads of a row.
pub enum Step {
    /// Straight code. Places of rows begin at lane 0 and end with the row.
    Once(Block, Who, Vec<Place>),
    /// A loop over elements; its body's code, and where the memory instructions of the body go.
    Each(Block, Span, Vec<Place>),
    /// Steps of the last of the CTAs that share a row.
    Last(Vec<Step>),
}

/// A kernel over rows.
pub struct RowProgram {
    /// Operands.
    pub arrays: Arrays,
    /// Rows; parts of rows where CTAs share them.
    pub rows: u64,
    /// CTAs that share a row: the first of all rows, then the second, and so on.
    pub parts: u64,
    /// Elements of a row.
    pub cols: u64,
    /// Warps of a row.
    pub row_warps: u32,
    /// Groups of so many warps in a CTA, each with rows of its own.
    pub cta_warp_rows: u32,
    /// Rows of a lane, one after the other.
    pub warp_rows: u64,
    /// Rows side by side in the lanes of a warp, the first lanes of each having its elements; 1 or, when a warp has its
    /// rows alone, more.
    pub lane_rows: u64,
    /// Threads of a row: a multiple of 32 but for the last warp.
    pub threads: u64,
    /// What is done.
    pub steps: Vec<Step>,
    /// By logarithm of a lane's bytes.
    pub patterns: Contiguous,
}

/// Patterns of lanes side by side, by bytes of a lane and by which lanes there are.
pub struct Contiguous {
    first: Vec<Vec<PatternId>>,
    /// Without the first lanes.
    late: Vec<Vec<PatternId>>,
}

impl Contiguous {
    /// For accesses of 1 to 16 bytes a lane.
    pub fn new(code: &mut KernelBuilder) -> Self {
        let first = [1, 2, 4, 8, 16].map(|bytes| code.contiguous(bytes)).into();
        let late = [1, 2, 4, 8, 16].map(|bytes| {
            let all = (0..8).map(|idle| code.pattern(FULL << idle, bytes, |l| l * bytes));
            all.collect()
        });
        Contiguous {
            first,
            late: late.into(),
        }
    }

    /// The first `lanes` lanes.
    pub fn lanes(&self, bytes: u64, lanes: u64) -> PatternId {
        self.first[bytes.ilog2() as usize][lanes as usize]
    }
}

/// Some lanes of a warp at consecutive elements.
#[derive(Clone, Copy)]
struct Lanes {
    /// Element of lane 0; wraps below 0 for idle lanes.
    element: u64,
    idle: u64,
    /// One behind the last active lane.
    end: u64,
    vector: u64,
}

impl Lanes {
    fn mask(&self) -> u32 {
        first_lanes(self.end) & !first_lanes(self.idle)
    }
}

impl RowProgram {
    fn access(&self, place: &Place, at: At) -> Access {
        match place {
            Place::Row(place) => self.row_access(place, at.row + place.first.1, at.lanes),
            Place::PerRow { .. } if at.row >= self.rows => Access::Off,
            Place::PerRow { operand, bytes } => {
                let address = self.arrays.at(*operand) + at.row * bytes;
                Access::List {
                    mask: at.mask,
                    addresses: vec![address; at.mask.count_ones() as usize],
                }
            }
            Place::Shared(place) => {
                let first = place.base + u64::from(at.warp) * place.warp;
                let lanes = (0..32u64).filter(|lane| at.mask >> lane & 1 != 0);
                Access::List {
                    mask: at.mask,
                    addresses: lanes.map(|lane| first + lane * place.lane).collect(),
                }
            }
        }
    }

    fn row_access(&self, place: &RowPlace, row: u64, mut lanes: Lanes) -> Access {
        if place.limit < u64::MAX {
            let left = place.limit.saturating_sub(place.index(row, lanes.element));
            lanes.end = lanes.end.min(left.div_ceil(lanes.vector));
        }
        if lanes.end <= lanes.idle || row >= self.rows {
            return Access::Off;
        }
        let mask = lanes.mask();
        let first = lanes.element.wrapping_add(lanes.idle * lanes.vector);
        let count = (lanes.end - lanes.idle) * lanes.vector;
        if !place.together(first, count) {
            let all = (lanes.idle..lanes.end).map(|lane| {
                let element = lanes.element.wrapping_add(lane * lanes.vector);
                place.address(&self.arrays, row, element)
            });
            return Access::List {
                mask,
                addresses: all.collect(),
            };
        }
        let bytes = place.bytes * lanes.vector;
        Access::Pattern {
            mask,
            base: place.address(&self.arrays, row, first),
            pattern: match lanes.idle {
                0 => self.patterns.lanes(bytes, lanes.end),
                idle => self.patterns.late[bytes.ilog2() as usize][idle as usize],
            },
        }
    }

    /// The lanes of rows that lie side by side in a warp; each lane has `warp_rows` of them.
    fn side_by_side(&self, place: &RowPlace, row: u64) -> Access {
        let of_row = 32 / self.lane_rows;
        let (first, below) = place.first;
        let lanes = (0..32u64).filter_map(|lane| {
            let row = row + lane / of_row * self.warp_rows + below;
            let element = first + lane % of_row;
            let there = row < self.rows && element < self.cols;
            there.then(|| (1u32 << lane, place.address(&self.arrays, row, element)))
        });
        let (masks, addresses): (Vec<u32>, Vec<u64>) = lanes.unzip();
        match masks.iter().sum() {
            0 => Access::Off,
            mask => Access::List { mask, addresses },
        }
    }

    fn each(&self, step: (&Block, Span, &[Place]), row: u64, warp: u32, out: &mut CtaEncoder) {
        let (block, span, places) = step;
        // The last CTA may have warps without a row.
        if row >= self.rows {
            return;
        }
        let covered = span.of(row, self.cols, self.threads);
        let thread = u64::from(warp) * 32;
        let threads = (self.threads - thread).min(32);
        let round = self.threads * covered.vector;
        // In front of the row lie `idle` elements that no thread touches.
        let length = covered.end - covered.first + covered.idle;
        for trip in 0..length.div_ceil(round) {
            let place = trip * round + thread * covered.vector;
            let left = length.saturating_sub(place).div_ceil(covered.vector);
            let lanes = Lanes {
                element: (covered.first + place).wrapping_sub(covered.idle),
                idle: if place == 0 { covered.idle } else { 0 },
                end: left.min(threads),
                vector: covered.vector,
            };
            if lanes.end <= lanes.idle {
                return;
            }
            let mask = lanes.mask();
            let at = At {
                row,
                warp,
                mask,
                lanes,
            };
            block.emit(mask, out, |n| self.access(&places[n], at));
        }
    }

    fn once(&self, step: (&Block, Who, &[Place]), row: u64, warp: u32, out: &mut CtaEncoder) {
        let (block, who, places) = step;
        let thread = u64::from(warp) * 32;
        let mask = who.mask(warp) & first_lanes(self.threads - thread);
        if mask == 0 {
            return;
        }
        block.emit(mask, out, |n| {
            let (first, below) = match &places[n] {
                Place::Row(place) if self.lane_rows > 1 => return self.side_by_side(place, row),
                Place::Row(place) => place.first,
                _ => (0, 0),
            };
            let element = first + thread;
            let there = match row + below < self.rows {
                true => self.cols.saturating_sub(element),
                false => 0,
            };
            let lanes = Lanes {
                element,
                idle: 0,
                end: there.min(u64::from(mask.count_ones())),
                vector: 1,
            };
            let at = At {
                row,
                warp,
                mask,
                lanes,
            };
            self.access(&places[n], at)
        });
    }
}

/// Where some lanes are.
#[derive(Clone, Copy)]
struct At {
    row: u64,
    warp: u32,
    mask: u32,
    lanes: Lanes,
}

impl WarpGenerator for RowProgram {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        let of_cta = u64::from(warp / self.row_warps);
        let whole = self.rows / self.parts;
        let cta = match self.parts {
            1 => cta,
            parts => cta % whole * parts + cta / whole,
        };
        let row = (cta * u64::from(self.cta_warp_rows) + of_cta) * self.warp_rows * self.lane_rows;
        self.run(&self.steps, row, warp % self.row_warps, out);
    }
}

impl RowProgram {
    fn run(&self, steps: &[Step], row: u64, warp: u32, out: &mut CtaEncoder) {
        for step in steps {
            match step {
                Step::Once(block, who, places) => self.once((block, *who, places), row, warp, out),
                Step::Each(block, span, places) => {
                    self.each((block, *span, places), row, warp, out);
                }
                Step::Last(steps) if row % self.parts + 1 == self.parts => {
                    self.run(steps, row, warp, out);
                }
                Step::Last(_) => {}
            }
        }
    }

    /// A CTA of `threads` threads for each of `rows` rows of `cols` elements.
    pub fn cta_a_row(
        arrays: Arrays,
        [rows, cols, threads]: [u64; 3],
        steps: Vec<Step>,
        patterns: Contiguous,
    ) -> Self {
        RowProgram {
            arrays,
            rows,
            parts: 1,
            cols,
            row_warps: threads.div_ceil(32) as u32,
            cta_warp_rows: 1,
            warp_rows: 1,
            lane_rows: 1,
            threads,
            steps,
            patterns,
        }
    }
}

/// A program under construction, with its code.
pub struct Script<'a> {
    /// The code.
    pub code: &'a mut KernelBuilder,
    /// What is done.
    steps: Vec<Step>,
}

impl Script<'_> {
    /// The steps of the program that `write` writes behind `code`.
    pub fn of(code: &mut KernelBuilder, write: impl FnOnce(&mut Script<'_>)) -> Vec<Step> {
        let mut script = Script {
            code,
            steps: Vec::new(),
        };
        write(&mut script);
        script.steps
    }

    /// Straight code for `who`, which `append` appends; its memory instructions go to `places`, in order.
    pub fn once(&mut self, who: Who, places: Vec<Place>, append: impl FnOnce(&mut KernelBuilder)) {
        let block = self.block(append);
        self.steps.push(Step::Once(block, who, places));
    }

    /// The body of a loop.
    pub fn each(
        &mut self,
        span: Span,
        places: Vec<Place>,
        append: impl FnOnce(&mut KernelBuilder),
    ) {
        let block = self.block(append);
        self.steps.push(Step::Each(block, span, places));
    }

    /// Steps of the last of the CTAs that share a row.
    pub fn last(&mut self, append: impl FnOnce(&mut Script<'_>)) {
        let steps = Script::of(self.code, append);
        self.steps.push(Step::Last(steps));
    }

    fn block(&mut self, append: impl FnOnce(&mut KernelBuilder)) -> Block {
        let start = self.code.here();
        append(self.code);
        Block::from(self.code, start)
    }
}
