//! A standard from a parameter file: `{"std", "src", "org": {…}, "timing": {"nCL": …, "tCK_ps": …}}`.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Family, Organisation, StandardSpec};
use crate::mem::dram::timing::Timing;

/// The file as written; keys that name nothing the model has (`rate`, `dq`, `density` …) are ignored on purpose,
/// since the files are shared with other simulators.
#[derive(Deserialize)]
struct File {
    std: String,
    #[serde(default)]
    src: String,
    org: Org,
    timing: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Org {
    channel_width: u32,
    #[serde(default = "one")]
    sid: u32,
    bankgroup: u32,
    bank: u32,
    row: u32,
    column: u32,
}

fn one() -> u32 {
    1
}

/// Reads a standard from the text of a parameter file; the error says which key is missing or wrong.
pub fn from_json(text: &str) -> Result<StandardSpec, String> {
    let file: File = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let family = family_of(&file.std)?;
    let get = |names: &[&str]| -> Result<u32, String> {
        optional(&file.timing, names)?
            .ok_or_else(|| format!("timing.{} is missing", names.join(" or timing.")))
    };
    let or =
        |names: &[&str], default: u32| optional(&file.timing, names).map(|v| v.unwrap_or(default));
    let org = Organisation {
        bank_groups: file.org.sid * file.org.bankgroup,
        banks_per_group: file.org.bank,
        rows: file.org.row,
        row_bytes: file.org.column * (file.org.channel_width / 8),
        burst_bytes: 32,
    };
    let refi = get(&["nREFI"])?;
    let rfc = get(&["nRFCab", "nRFC"])?;
    let mut timing = Timing {
        bl: get(&["nBL"])?,
        cl: get(&["nCL"])?,
        cwl: get(&["nCWL"])?,
        rcd_rd: get(&["nRCDRD"])?,
        rcd_wr: get(&["nRCDWR", "nRCDWD"])?,
        rp: get(&["nRP"])?,
        ras: get(&["nRAS"])?,
        rc: get(&["nRC"])?,
        wr: get(&["nWR"])?,
        rtp: get(&["nRTP", "nRTPL"])?,
        ccd_s: get(&["nCCDS"])?,
        ccd_l: get(&["nCCDL"])?,
        rrd_s: get(&["nRRDS"])?,
        rrd_l: get(&["nRRDL"])?,
        wtr_s: get(&["nWTRS"])?,
        wtr_l: get(&["nWTRL"])?,
        rtw: 0,
        faw: get(&["nFAW"])?,
        ppd: or(&["nPPD"], 0)?,
        refi,
        rfc,
        refi_pb: or(&["nREFIpb"], (refi / org.banks().max(1)).max(1))?,
        rfc_pb: or(&["nRFCpb"], rfc)?,
        rrefd: or(&["nRREFD"], 8)?,
    };
    timing.rtw = or(&["nRTW"], family.default_rtw(&timing))?;
    let tck_ps = get(&["tCK_ps"])?;
    let spec = StandardSpec {
        name: Cow::Owned(file.std),
        source: Cow::Owned(file.src),
        family,
        tck_ps,
        org,
        timing,
    };
    check(&spec)?;
    Ok(spec)
}

/// The first of `names` that the file has.
fn optional(
    map: &serde_json::Map<String, serde_json::Value>,
    names: &[&str],
) -> Result<Option<u32>, String> {
    for &name in names {
        if let Some(value) = map.get(name) {
            let number = value.as_u64().and_then(|v| u32::try_from(v).ok());
            return number
                .map(Some)
                .ok_or_else(|| format!("timing.{name} = {value} is not a whole number of cycles"));
        }
    }
    Ok(None)
}

fn family_of(name: &str) -> Result<Family, String> {
    let upper = name.to_ascii_uppercase();
    match () {
        () if upper.starts_with("HBM3") || upper.starts_with("HBM4") => Ok(Family::Hbm3),
        () if upper.starts_with("HBM") => Ok(Family::Hbm2),
        () if upper.starts_with("GDDR") => Ok(Family::Gddr),
        () => Err(format!(
            "std = \"{name}\": expected a name that starts with HBM or GDDR"
        )),
    }
}

/// Rules that the model relies on.
fn check(spec: &StandardSpec) -> Result<(), String> {
    let org = &spec.org;
    let two = |name: &str, v: u32| {
        if v.is_power_of_two() {
            Ok(())
        } else {
            Err(format!("org.{name} = {v} is not a power of two"))
        }
    };
    two("bankgroup", org.bank_groups)?;
    two("bank", org.banks_per_group)?;
    two("row", org.rows)?;
    two("column", org.row_bytes)?;
    if org.row_bytes < org.burst_bytes {
        return Err(format!(
            "a row of {} B is shorter than a burst of {} B",
            org.row_bytes, org.burst_bytes
        ));
    }
    if org.banks() > crate::mem::dram::MAX_BANKS as u32 {
        return Err(format!(
            "{} banks: at most {} are supported",
            org.banks(),
            crate::mem::dram::MAX_BANKS
        ));
    }
    if spec.tck_ps == 0 || spec.timing.bl == 0 {
        return Err("timing.tCK_ps and timing.nBL must be positive".to_owned());
    }
    if spec.timing.refi <= spec.timing.rfc {
        return Err(format!(
            "timing.nREFI = {} must exceed tRFC = {}",
            spec.timing.refi, spec.timing.rfc
        ));
    }
    Ok(())
}
