//! GDDR7 channels: 8 data pins with PAM3, 16 banks without bank groups, 32 B in two CK.

use std::borrow::Cow;

use super::{Family, Organisation, StandardSpec};
use crate::config::DramStandard;
use crate::mem::dram::timing::Timing;

/// No bank groups: a group of one bank gives the same-bank column spacing its place in the table.
const ORG: Organisation = Organisation {
    bank_groups: 16,
    banks_per_group: 1,
    rows: 16_384,
    row_bytes: 2048,
    burst_bytes: 32,
};

/// Ramulator 2.1 preset GDDR7_28000_PAM3, which its authors mark as no vendor table.
const T_28000: Timing = Timing {
    bl: 2,
    cl: 24,
    cwl: 6,
    rcd_rd: 30,
    rcd_wr: 19,
    rp: 30,
    ras: 60,
    rc: 90,
    wr: 30,
    rtp: 4,
    ccd_s: 2,
    ccd_l: 4,
    rrd_s: 4,
    rrd_l: 4,
    wtr_s: 9,
    wtr_l: 11,
    rtw: 12,
    // No tFAW in the source: four tRRD never bind.
    faw: 16,
    ppd: 2,
    refi: 3327,
    rfc: 315,
    refi_pb: 207,
    rfc_pb: 105,
    rrefd: 21,
};

const fn grade(
    standard: DramStandard,
    source: &'static str,
    tck_ps: u32,
    timing: Timing,
) -> StandardSpec {
    StandardSpec {
        name: Cow::Borrowed(standard.name()),
        source: Cow::Borrowed(source),
        family: Family::Gddr,
        tck_ps,
        org: ORG,
        timing,
    }
}

const fn scaled(standard: DramStandard, source: &'static str, tck_ps: u32) -> StandardSpec {
    grade(
        standard,
        source,
        tck_ps,
        super::requantise(&T_28000, 571, tck_ps),
    )
}

pub(super) static GDDR7_28000: StandardSpec = grade(
    DramStandard::Gddr7At28000,
    "Ramulator 2.1 GDDR7_28000_PAM3",
    571,
    T_28000,
);
pub(super) static GDDR7_30000: StandardSpec = scaled(
    DramStandard::Gddr7At30000,
    "assumed: GDDR7_28000 ns at 0.533 ns",
    533,
);
pub(super) static GDDR7_32000: StandardSpec = scaled(
    DramStandard::Gddr7At32000,
    "assumed: GDDR7_28000 ns at 0.500 ns",
    500,
);
