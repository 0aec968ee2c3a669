//! GDDR6 and GDDR6X channels: 16 data pins, 16 banks, 2 KB rows, 32 B in two CK, one command bus.

use std::borrow::Cow;

use super::{Family, Organisation, StandardSpec};
use crate::config::DramStandard;
use crate::mem::dram::timing::Timing;

/// 8 Gb device in x16 mode: 16 banks of 16384 rows of 2 KB.
const ORG_8GB: Organisation = Organisation {
    bank_groups: 4,
    banks_per_group: 4,
    rows: 16_384,
    row_bytes: 2048,
    burst_bytes: 32,
};

/// Ramulator 2.1 preset GDDR6_14000_1350mV_double / GDDR6_8Gb_x16; tRTW = CL + 1; tREFI per bank = tREFI / 16.
const T_14000: Timing = Timing {
    bl: 2,
    cl: 24,
    cwl: 6,
    rcd_rd: 27,
    rcd_wr: 16,
    rp: 27,
    ras: 53,
    rc: 79,
    wr: 27,
    rtp: 4,
    ccd_s: 2,
    ccd_l: 4,
    rrd_s: 8,
    rrd_l: 8,
    wtr_s: 9,
    wtr_l: 11,
    rtw: 25,
    faw: 29,
    ppd: 1,
    refi: 3333,
    rfc: 211,
    refi_pb: 208,
    rfc_pb: 106,
    rrefd: 15,
};

/// Ramulator 2.1 preset GDDR6_14000_1250mV.
const T_14000_1250MV: Timing = Timing {
    rcd_rd: 30,
    rcd_wr: 20,
    rp: 30,
    ras: 60,
    rc: 90,
    wr: 30,
    rrd_s: 11,
    rrd_l: 11,
    faw: 43,
    ppd: 2,
    rrefd: 22,
    ..T_14000
};

/// Assumed: GDDR6_14000 nanoseconds at 0.421 ns (GDDR6X timing is not public); per-bank refresh in CK as there.
const T_X19000: Timing = Timing {
    cl: 32,
    cwl: 8,
    rcd_rd: 37,
    rcd_wr: 22,
    rp: 37,
    ras: 72,
    rc: 109,
    wr: 37,
    rtp: 6,
    rrd_s: 11,
    rrd_l: 11,
    wtr_s: 12,
    wtr_l: 15,
    rtw: 33,
    faw: 39,
    ppd: 2,
    refi: 4513,
    rfc: 285,
    refi_pb: 282,
    ..T_14000
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
        org: ORG_8GB,
        timing,
    }
}

const fn scaled(standard: DramStandard, source: &'static str, tck_ps: u32) -> StandardSpec {
    grade(
        standard,
        source,
        tck_ps,
        super::requantise(&T_14000, 570, tck_ps),
    )
}

const fn scaled_x(standard: DramStandard, source: &'static str, tck_ps: u32) -> StandardSpec {
    grade(
        standard,
        source,
        tck_ps,
        super::requantise(&T_X19000, 421, tck_ps),
    )
}

pub(super) static GDDR6_14000: StandardSpec = grade(
    DramStandard::Gddr6At14000,
    "Ramulator 2.1 GDDR6_14000_1350mV_double/GDDR6_8Gb_x16",
    570,
    T_14000,
);
pub(super) static GDDR6_14000_1250MV: StandardSpec = grade(
    DramStandard::Gddr6At14000Low,
    "Ramulator 2.1 GDDR6_14000_1250mV",
    570,
    T_14000_1250MV,
);
pub(super) static GDDR6X_19000: StandardSpec = grade(
    DramStandard::Gddr6XAt19000,
    "assumed: GDDR6_14000 ns at 0.421 ns",
    421,
    T_X19000,
);
pub(super) static GDDR6_12000: StandardSpec = scaled(
    DramStandard::Gddr6At12000,
    "assumed: GDDR6_14000 ns at 0.667 ns",
    667,
);
pub(super) static GDDR6_16000: StandardSpec = scaled(
    DramStandard::Gddr6At16000,
    "assumed: GDDR6_14000 ns at 0.500 ns",
    500,
);
pub(super) static GDDR6_18000: StandardSpec = scaled(
    DramStandard::Gddr6At18000,
    "assumed: GDDR6_14000 ns at 0.444 ns",
    444,
);
pub(super) static GDDR6_20000: StandardSpec = scaled(
    DramStandard::Gddr6At20000,
    "assumed: GDDR6_14000 ns at 0.400 ns",
    400,
);
pub(super) static GDDR6X_21000: StandardSpec = scaled_x(
    DramStandard::Gddr6XAt21000,
    "assumed: GDDR6X_19000 ns at 0.381 ns",
    381,
);
pub(super) static GDDR6X_22400: StandardSpec = scaled_x(
    DramStandard::Gddr6XAt22400,
    "assumed: GDDR6X_19000 ns at 0.357 ns",
    357,
);
