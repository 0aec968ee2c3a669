//! The sections of a kernel: one list, from which their structs, their values and what `explain` says follow.
//!
//! A new unit is an entry of this list, beside its account in [`crate::stats::chip`].

use super::derive::{DramRates, FetchRates, L1Rates, L2Rates, LsuRates, NocRates, SmRates, Window};
use super::pipes::Pipes;
use super::record::{Field, record};
use crate::stats::{
    DramStats, FetchStats, IssueStats, L1Stats, L2Stats, LsuStats, NocStats, SmStats,
};
use serde::Serialize;

record! {
    /// Every cycle of a kind of unit has one of two labels; they sum to units times `counted_cycles`.
    pub struct Cycles {
        /// The unit had work.
        pub busy: u64 = "cycles",
        /// It had none.
        pub idle: u64 = "cycles",
    }
}

impl Cycles {
    fn of(busy: u64, all: u64) -> Self {
        debug_assert!(busy <= all, "{busy} busy cycles of {all}");
        Cycles {
            busy,
            idle: all.saturating_sub(busy),
        }
    }
}

/// What `explain` knows of a section.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Name.
    pub name: &'static str,
    /// Which unit it is of.
    pub text: &'static str,
    /// Derived numbers.
    pub rates: &'static [Field],
    /// Splits of the unit's cycles, each a [`Cycles`].
    pub splits: &'static [(&'static str, &'static str)],
}

/// Declares the sections in their order: of a type of its own, or a struct of counters, of splits of the unit's
/// cycles, and of the numbers derived from them, side by side. Values are functions of a window of time.
macro_rules! sections {
    (
        $w:ident;
        $( #[doc = $doc:literal] $name:ident: $ty:ident $(($($unit:tt)+))? = $value:expr; )+
    ) => {
        $( $( section!(declare ($doc) $ty $($unit)+); )? )+

        /// Everything that was counted while a kernel ran, by unit.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        pub struct Sections {
            $( #[doc = $doc] pub $name: $ty, )+
        }

        impl Sections {
            /// What each section is, in their order.
            pub const SCHEMA: &'static [Section] = &[
                $( section!(schema (stringify!($name)) ($doc) $($($unit)+)?) ),+
            ];

            /// Of a window of time.
            pub fn of($w: &Window) -> Self {
                Sections { $( $name: section!(value $w ($value) $ty $($($unit)+)?), )+ }
            }
        }
    };
}

/// What [`sections`] does for a section of a type of its own, and for one of a unit.
macro_rules! section {
    (
        declare ($doc:literal) $ty:ident $counters:ty, $rates:ty
        $(, #[doc = $split_doc:literal] $split:ident = $busy:expr, of $all:expr)*
    ) => {
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Serialize)]
        pub struct $ty {
            /// Counted.
            #[serde(flatten)]
            pub counters: $counters,
            $( #[doc = $split_doc] pub $split: Cycles, )*
            /// Derived.
            #[serde(flatten)]
            pub rates: $rates,
        }
    };

    (schema ($name:expr) ($doc:literal)) => {
        Section { name: $name, text: $doc.trim_ascii(), rates: &[], splits: &[] }
    };
    (
        schema ($name:expr) ($doc:literal) $counters:ty, $rates:ty
        $(, #[doc = $split_doc:literal] $split:ident = $busy:expr, of $all:expr)*
    ) => {
        Section {
            name: $name,
            text: $doc.trim_ascii(),
            rates: <$rates>::SCHEMA,
            splits: &[ $( (stringify!($split), $split_doc.trim_ascii()) ),* ],
        }
    };

    (value $w:ident ($value:expr) $ty:ident) => { $value };
    (
        value $w:ident ($value:expr) $ty:ident $counters:ty, $rates:ty
        $(, #[doc = $split_doc:literal] $split:ident = $busy:expr, of $all:expr)*
    ) => {
        $ty {
            counters: $value,
            $( $split: Cycles::of($busy, $all), )*
            rates: <$rates>::of($w),
        }
    };
}

sections! {
    w;
    /// Issue slots by what they were used for, or lost to; they sum to `total_slots`.
    issue: IssueStats = w.counters.sm.issue;
    /// Issue side.
    sm: SmSection(
        SmStats, SmRates,
        /// SM cycles by whether a warp was resident; they sum to SMs times counted_cycles.
        sm_cycles = w.counters.sm.sm.active_cycles, of w.sm_cycles()
    ) = w.counters.sm.sm;
    /// Use of the execution pipes of the sub-cores.
    pipes: Pipes = Pipes::of(w);
    /// Instruction and constant caches.
    fetch: FetchSection(FetchStats, FetchRates) = w.counters.sm.fetch;
    /// Load/store unit and shared memory.
    lsu: LsuSection(LsuStats, LsuRates) = w.counters.sm.lsu;
    /// L1 data caches.
    l1: L1Section(L1Stats, L1Rates) = w.counters.sm.l1;
    /// Crossbar.
    noc: NocSection(NocStats, NocRates) = w.counters.noc;
    /// L2 slices.
    l2: L2Section(
        L2Stats, L2Rates,
        /// Slice cycles by whether the data path was busy; they sum to slices times counted_cycles.
        slice_cycles = w.slice_busy_cycles(), of w.slice_cycles()
    ) = w.counters.l2;
    /// DRAM channels.
    dram: DramSection(DramStats, DramRates) = w.counters.dram;
}
