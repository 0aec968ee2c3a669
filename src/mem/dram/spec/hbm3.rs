//! HBM3, HBM3E and HBM4 pseudo-channels: 32 data pins, 1 KB rows, 32 B in two CK, half-CK row commands.

use std::borrow::Cow;

use super::{Family, Organisation, StandardSpec};
use crate::config::DramStandard;
use crate::mem::dram::timing::Timing;

/// 16 banks of 16384 rows of 1 KB in a pseudo-channel (JESD238, 4 Gb).
const ORG_4GB: Organisation = Organisation {
    bank_groups: 4,
    banks_per_group: 4,
    rows: 16_384,
    row_bytes: 1024,
    burst_bytes: 32,
};
/// HBM4: 2 bank groups of 8 banks (Ramulator 2.1).
const ORG_HBM4: Organisation = Organisation {
    bank_groups: 2,
    banks_per_group: 8,
    ..ORG_4GB
};

/// Ramulator 2.1 preset HBM3_6400Mbps / HBM3_4Gb.
const T_6400: Timing = Timing {
    bl: 2,
    cl: 20,
    cwl: 10,
    rcd_rd: 31,
    rcd_wr: 15,
    rp: 26,
    ras: 45,
    rc: 72,
    wr: 33,
    rtp: 9,
    ccd_s: 2,
    ccd_l: 4,
    rrd_s: 4,
    rrd_l: 5,
    wtr_s: 7,
    wtr_l: 10,
    rtw: 20,
    faw: 24,
    ppd: 2,
    refi: 6240,
    rfc: 416,
    refi_pb: 390,
    rfc_pb: 320,
    rrefd: 8,
};

/// Ramulator 2.1 preset HBM4_8000.
const T_HBM4: Timing = Timing {
    bl: 2,
    cl: 20,
    cwl: 10,
    rcd_rd: 39,
    rcd_wr: 19,
    rp: 33,
    ras: 57,
    rc: 90,
    wr: 42,
    rtp: 12,
    ccd_s: 2,
    ccd_l: 4,
    rrd_s: 5,
    rrd_l: 7,
    wtr_s: 9,
    wtr_l: 13,
    rtw: 25,
    faw: 30,
    ppd: 2,
    refi: 7800,
    rfc: 1060,
    refi_pb: 122,
    rfc_pb: 560,
    rrefd: 16,
};

const fn grade(
    standard: DramStandard,
    source: &'static str,
    tck_ps: u32,
    org: Organisation,
    timing: Timing,
) -> StandardSpec {
    StandardSpec {
        name: Cow::Borrowed(standard.name()),
        source: Cow::Borrowed(source),
        family: Family::Hbm3,
        tck_ps,
        org,
        timing,
    }
}

const fn scaled(standard: DramStandard, source: &'static str, tck_ps: u32) -> StandardSpec {
    grade(
        standard,
        source,
        tck_ps,
        ORG_4GB,
        super::requantise(&T_6400, 625, tck_ps),
    )
}

pub(super) static HBM3_6400: StandardSpec = grade(
    DramStandard::Hbm3At6400,
    "Ramulator 2.1 HBM3_6400Mbps/HBM3_4Gb",
    625,
    ORG_4GB,
    T_6400,
);
pub(super) static HBM4_8000: StandardSpec = grade(
    DramStandard::Hbm4At8000,
    "Ramulator 2.1 HBM4_8000",
    500,
    ORG_HBM4,
    T_HBM4,
);
pub(super) static HBM3_4800: StandardSpec = scaled(
    DramStandard::Hbm3At4800,
    "assumed: HBM3_6400 ns at 0.833 ns",
    833,
);
pub(super) static HBM3_5200: StandardSpec = scaled(
    DramStandard::Hbm3At5200,
    "assumed: HBM3_6400 ns at 0.769 ns",
    769,
);
pub(super) static HBM3_5600: StandardSpec = scaled(
    DramStandard::Hbm3At5600,
    "assumed: HBM3_6400 ns at 0.714 ns",
    714,
);
pub(super) static HBM3E_8000: StandardSpec = scaled(
    DramStandard::Hbm3EAt8000,
    "assumed: HBM3_6400 ns at 0.500 ns",
    500,
);
pub(super) static HBM3E_9200: StandardSpec = scaled(
    DramStandard::Hbm3EAt9200,
    "assumed: HBM3_6400 ns at 0.435 ns",
    435,
);
pub(super) static HBM3E_9600: StandardSpec = scaled(
    DramStandard::Hbm3EAt9600,
    "assumed: HBM3_6400 ns at 0.417 ns",
    417,
);
