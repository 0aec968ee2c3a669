//! DRAM standards as data: organisation, timing and command bus of each speed grade, one file a family.
//!
//! [`standard`] finds a grade by name; [`from_json`] reads a grade from a parameter file of the same
//! shape as the ones the reference simulators are configured with; [`StandardSpec::at_clock`] re-quantises
//! a grade for another command clock.
//!
//! Most numbers come from the presets of the open DRAM simulators (Ramulator 2.1, commit c5b1c3a;
//! DRAMsim3, commit 2981759), which took them from JESD235 (HBM2), JESD238 (HBM3), JESD250 (GDDR6) and
//! vendor data sheets. A grade marked "assumed" has no public table: its nanoseconds are those of
//! the nearest grade that has one.

use super::timing::{CommandBus, Timing};
use crate::config::DramStandard;

mod gddr6;
mod gddr7;
mod hbm2;
mod hbm3;
mod json;

pub use json::from_json;

/// Device family: what differs in kind, not in number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// HBM2 and HBM2E: row and column bus, two-slot ACT.
    Hbm2,
    /// HBM3, HBM3E and HBM4: row commands on both clock edges, ACT of one and a half CK.
    Hbm3,
    /// GDDR6, GDDR6X and GDDR7: one command bus.
    Gddr,
}

impl Family {
    /// The command bus of the family.
    pub const fn bus(self) -> CommandBus {
        match self {
            Family::Hbm2 => CommandBus {
                dual: true,
                ticks_per_ck: 1,
                activate_ticks: 2,
            },
            Family::Hbm3 => CommandBus {
                dual: true,
                ticks_per_ck: 2,
                activate_ticks: 3,
            },
            Family::Gddr => CommandBus {
                dual: false,
                ticks_per_ck: 1,
                activate_ticks: 1,
            },
        }
    }

    /// Read-to-write distance where a data sheet gives none: the bus needs two CK to turn on HBM and
    /// GDDR controllers use CL + 1.
    pub const fn default_rtw(self, t: &Timing) -> u32 {
        match self {
            Family::Hbm2 | Family::Hbm3 => (t.cl + t.bl + 2).saturating_sub(t.cwl),
            Family::Gddr => t.cl + 1,
        }
    }
}

/// What one channel (GDDR) or pseudo-channel (HBM) consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Organisation {
    /// Bank groups, over all stack ids.
    pub bank_groups: u32,
    /// Banks in a bank group.
    pub banks_per_group: u32,
    /// Rows in a bank.
    pub rows: u32,
    /// Bytes in a row.
    pub row_bytes: u32,
    /// Bytes of one burst.
    pub burst_bytes: u32,
}

impl Organisation {
    /// Number of banks.
    pub const fn banks(&self) -> u32 {
        self.bank_groups * self.banks_per_group
    }

    /// Bursts in a row.
    pub const fn columns(&self) -> u32 {
        self.row_bytes / self.burst_bytes
    }

    /// Bytes of the channel.
    pub const fn capacity_bytes(&self) -> u64 {
        self.banks() as u64 * self.rows as u64 * self.row_bytes as u64
    }
}

/// A speed grade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandardSpec {
    /// The `--standard` name.
    pub name: std::borrow::Cow<'static, str>,
    /// Where the numbers are from.
    pub source: std::borrow::Cow<'static, str>,
    /// Command bus and defaults.
    pub family: Family,
    /// Command clock period in picoseconds.
    pub tck_ps: u32,
    /// Banks, rows and bursts.
    pub org: Organisation,
    /// Timing in CK.
    pub timing: Timing,
}

impl StandardSpec {
    /// Bytes per second that the data bus can carry, in GB/s (10^9).
    pub fn peak_gbps(&self) -> f64 {
        f64::from(self.org.burst_bytes) * 1e3 / (f64::from(self.timing.bl) * f64::from(self.tck_ps))
    }

    /// The same device at another command clock: analogue times keep their nanoseconds (rounded up to CK),
    /// burst length and column spacing keep their CK.
    pub fn at_clock(&self, tck_ps: u32) -> StandardSpec {
        let timing = requantise(&self.timing, self.tck_ps, tck_ps);
        StandardSpec {
            tck_ps,
            timing,
            ..self.clone()
        }
    }
}

/// `timing` of a part with clock `from_ps`, in cycles of `to_ps`.
const fn requantise(t: &Timing, from_ps: u32, to_ps: u32) -> Timing {
    const fn up(ck: u32, from_ps: u32, to_ps: u32) -> u32 {
        (ck as u64 * from_ps as u64).div_ceil(to_ps as u64) as u32
    }
    const fn down(ck: u32, from_ps: u32, to_ps: u32) -> u32 {
        (ck as u64 * from_ps as u64 / to_ps as u64) as u32
    }
    if from_ps == to_ps {
        return *t;
    }
    let mut out = *t;
    let (cl, cwl) = (up(t.cl, from_ps, to_ps), up(t.cwl, from_ps, to_ps));
    // The turnaround gap is CL - CWL plus a guard that the bus, not the array, sets in CK.
    out.rtw = (t.rtw + cl + t.cwl).saturating_sub(t.cl + cwl);
    out.cl = cl;
    out.cwl = cwl;
    out.rcd_rd = up(t.rcd_rd, from_ps, to_ps);
    out.rcd_wr = up(t.rcd_wr, from_ps, to_ps);
    out.rp = up(t.rp, from_ps, to_ps);
    out.ras = up(t.ras, from_ps, to_ps);
    out.rc = up(t.rc, from_ps, to_ps);
    out.wr = up(t.wr, from_ps, to_ps);
    out.rtp = up(t.rtp, from_ps, to_ps);
    out.rrd_s = up(t.rrd_s, from_ps, to_ps);
    out.rrd_l = up(t.rrd_l, from_ps, to_ps);
    out.wtr_s = up(t.wtr_s, from_ps, to_ps);
    out.wtr_l = up(t.wtr_l, from_ps, to_ps);
    out.faw = up(t.faw, from_ps, to_ps);
    out.refi = down(t.refi, from_ps, to_ps);
    out.rfc = up(t.rfc, from_ps, to_ps);
    out.refi_pb = down(t.refi_pb, from_ps, to_ps);
    out.rfc_pb = up(t.rfc_pb, from_ps, to_ps);
    out.rrefd = up(t.rrefd, from_ps, to_ps);
    out
}

/// The numbers of a built-in grade.
pub fn grade(standard: DramStandard) -> &'static StandardSpec {
    match standard {
        DramStandard::Hbm2At1600 => &hbm2::HBM2_1600,
        DramStandard::Hbm2At2000 => &hbm2::HBM2_2000,
        DramStandard::Hbm2At2400 => &hbm2::HBM2_2400,
        DramStandard::Hbm2EAt2400 => &hbm2::HBM2E_2400,
        DramStandard::Hbm2EAt2800 => &hbm2::HBM2E_2800,
        DramStandard::Hbm2EAt3200 => &hbm2::HBM2E_3200,
        DramStandard::Hbm2EAt3600 => &hbm2::HBM2E_3600,
        DramStandard::Hbm3At4800 => &hbm3::HBM3_4800,
        DramStandard::Hbm3At5200 => &hbm3::HBM3_5200,
        DramStandard::Hbm3At5600 => &hbm3::HBM3_5600,
        DramStandard::Hbm3At6400 => &hbm3::HBM3_6400,
        DramStandard::Hbm3EAt8000 => &hbm3::HBM3E_8000,
        DramStandard::Hbm3EAt9200 => &hbm3::HBM3E_9200,
        DramStandard::Hbm3EAt9600 => &hbm3::HBM3E_9600,
        DramStandard::Hbm4At8000 => &hbm3::HBM4_8000,
        DramStandard::Gddr6At12000 => &gddr6::GDDR6_12000,
        DramStandard::Gddr6At14000 => &gddr6::GDDR6_14000,
        DramStandard::Gddr6At14000Low => &gddr6::GDDR6_14000_1250MV,
        DramStandard::Gddr6At16000 => &gddr6::GDDR6_16000,
        DramStandard::Gddr6At18000 => &gddr6::GDDR6_18000,
        DramStandard::Gddr6At20000 => &gddr6::GDDR6_20000,
        DramStandard::Gddr6XAt19000 => &gddr6::GDDR6X_19000,
        DramStandard::Gddr6XAt21000 => &gddr6::GDDR6X_21000,
        DramStandard::Gddr6XAt22400 => &gddr6::GDDR6X_22400,
        DramStandard::Gddr7At28000 => &gddr7::GDDR7_28000,
        DramStandard::Gddr7At30000 => &gddr7::GDDR7_30000,
        DramStandard::Gddr7At32000 => &gddr7::GDDR7_32000,
    }
}

/// Every built-in grade, family by family.
pub fn standards() -> impl Iterator<Item = &'static StandardSpec> {
    DramStandard::ALL.iter().map(|&standard| grade(standard))
}

/// The built-in grade called `name` (upper or lower case).
pub fn standard(name: &str) -> Option<&'static StandardSpec> {
    standards().find(|s| s.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_unique() {
        for s in standards() {
            assert_eq!(
                standard(&s.name.to_lowercase()).map(|f| &f.source),
                Some(&s.source)
            );
            assert_eq!(
                standards().filter(|o| o.name == s.name).count(),
                1,
                "{}",
                s.name
            );
        }
        assert!(standard("DDR3_1600").is_none());
    }

    #[test]
    fn peak_bandwidth_matches_the_pin_rate() {
        let peak = |name: &str| standard(name).unwrap().peak_gbps();
        assert!((peak("HBM2_2000") - 16.0).abs() < 1e-9);
        assert!((peak("HBM3_6400") - 25.6).abs() < 1e-9);
        assert!((peak("GDDR6_14000") - 28.070_175).abs() < 1e-5);
        assert!((peak("GDDR6X_19000") - 38.004_75).abs() < 1e-5);
    }

    #[test]
    fn row_cycle_is_at_least_activate_plus_precharge_less_one() {
        for s in standards() {
            let t = &s.timing;
            assert!(t.rc + 2 >= t.ras + t.rp, "{}", s.name);
            assert!(
                t.faw <= 4 * t.rrd_s.max(t.rrd_l) || t.faw > t.rrd_s,
                "{}",
                s.name
            );
            assert!(t.rfc < t.refi, "{}", s.name);
            assert!(s.org.row_bytes.is_power_of_two() && s.org.rows.is_power_of_two());
        }
    }

    #[test]
    fn another_clock_keeps_the_nanoseconds() {
        let s = standard("HBM2_2000").unwrap();
        let slow = s.at_clock(1140);
        assert_eq!(slow.timing.cl, 13);
        assert_eq!(slow.timing.rc, 43);
        assert_eq!(slow.timing.bl, 2);
        assert_eq!(s.at_clock(1000), *s);
    }
}
