//! HBM2 and HBM2E pseudo-channels: 64 data pins, 16 banks, 1 KB rows, 32 B in two CK.

use std::borrow::Cow;

use super::{Family, Organisation, StandardSpec};
use crate::config::DramStandard;
use crate::mem::dram::timing::Timing;

/// 4 Gb in a pseudo-channel: 16 banks of 32768 rows of 1 KB (JESD235).
const ORG_4GB: Organisation = Organisation {
    bank_groups: 4,
    banks_per_group: 4,
    rows: 32_768,
    row_bytes: 1024,
    burst_bytes: 32,
};
/// 8 Gb in a pseudo-channel.
const ORG_8GB: Organisation = Organisation {
    rows: 65_536,
    ..ORG_4GB
};

/// Ramulator 2.1 preset HBM2_2000Mbps / HBM2_4Gb; tRTW = CL + BL + 2 - CWL.
const T_2000: Timing = Timing {
    bl: 2,
    cl: 14,
    cwl: 5,
    rcd_rd: 14,
    rcd_wr: 12,
    rp: 14,
    ras: 34,
    rc: 48,
    wr: 16,
    rtp: 5,
    ccd_s: 2,
    ccd_l: 4,
    rrd_s: 4,
    rrd_l: 4,
    wtr_s: 6,
    wtr_l: 8,
    rtw: 13,
    faw: 15,
    ppd: 0,
    refi: 3900,
    rfc: 260,
    refi_pb: 244,
    rfc_pb: 160,
    rrefd: 8,
};

/// Ramulator 2.1 preset HBM2_1600Mbps / HBM2_4Gb.
const T_1600: Timing = Timing {
    cl: 10,
    cwl: 4,
    rcd_rd: 10,
    rcd_wr: 8,
    rp: 10,
    ras: 24,
    rc: 34,
    wr: 12,
    rtp: 4,
    wtr_s: 5,
    wtr_l: 6,
    rtw: 10,
    faw: 12,
    refi: 3120,
    rfc: 208,
    refi_pb: 195,
    rfc_pb: 128,
    rrefd: 7,
    ..T_2000
};

/// Ramulator 2.1 preset HBM2_2400Mbps / HBM2_8Gb.
const T_2400: Timing = Timing {
    cl: 17,
    cwl: 6,
    rcd_rd: 17,
    rcd_wr: 14,
    rp: 17,
    ras: 40,
    rc: 57,
    wr: 19,
    rtp: 6,
    rrd_s: 5,
    rrd_l: 5,
    wtr_s: 8,
    wtr_l: 10,
    rtw: 15,
    faw: 19,
    refi: 4682,
    rfc: 421,
    refi_pb: 293,
    rfc_pb: 193,
    rrefd: 10,
    ..T_2000
};

/// Assumed: nanoseconds of HBM2_2000 at 0.625 ns, tRFC 350 ns (no public HBM2E table); per-bank refresh
/// numbers in CK as in HBM2_2000.
const T_E3200: Timing = Timing {
    cl: 23,
    cwl: 8,
    rcd_rd: 23,
    rcd_wr: 20,
    rp: 23,
    ras: 55,
    rc: 78,
    wr: 26,
    rtp: 8,
    rrd_s: 7,
    rrd_l: 7,
    wtr_s: 10,
    wtr_l: 13,
    rtw: 19,
    faw: 24,
    refi: 6240,
    rfc: 560,
    ..T_2000
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
        family: Family::Hbm2,
        tck_ps,
        org,
        timing,
    }
}

pub(super) static HBM2_1600: StandardSpec = grade(
    DramStandard::Hbm2At1600,
    "Ramulator 2.1 HBM2_1600Mbps/HBM2_4Gb",
    1250,
    ORG_4GB,
    T_1600,
);
pub(super) static HBM2_2000: StandardSpec = grade(
    DramStandard::Hbm2At2000,
    "Ramulator 2.1 HBM2_2000Mbps/HBM2_4Gb",
    1000,
    ORG_4GB,
    T_2000,
);
pub(super) static HBM2_2400: StandardSpec = grade(
    DramStandard::Hbm2At2400,
    "Ramulator 2.1 HBM2_2400Mbps/HBM2_8Gb",
    833,
    ORG_8GB,
    T_2400,
);
pub(super) static HBM2E_3200: StandardSpec = grade(
    DramStandard::Hbm2EAt3200,
    "assumed: HBM2_2000 ns at 0.625 ns",
    625,
    ORG_8GB,
    T_E3200,
);
pub(super) static HBM2E_2400: StandardSpec = scaled(
    DramStandard::Hbm2EAt2400,
    "assumed: HBM2E_3200 ns at 0.833 ns",
    833,
);
pub(super) static HBM2E_2800: StandardSpec = scaled(
    DramStandard::Hbm2EAt2800,
    "assumed: HBM2E_3200 ns at 0.714 ns",
    714,
);
pub(super) static HBM2E_3600: StandardSpec = scaled(
    DramStandard::Hbm2EAt3600,
    "assumed: HBM2E_3200 ns at 0.556 ns",
    556,
);

const fn scaled(standard: DramStandard, source: &'static str, tck_ps: u32) -> StandardSpec {
    grade(
        standard,
        source,
        tck_ps,
        ORG_8GB,
        super::requantise(&T_E3200, 625, tck_ps),
    )
}
