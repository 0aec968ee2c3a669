//! What the process used of the machine that it ran on.

/// Largest resident memory of this process so far, bytes; 0 where the system does not say.
pub fn peak_rss_bytes() -> u64 {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return 0;
    };
    high_water(&status).unwrap_or(0)
}

/// `VmHWM:   1234 kB`, in bytes.
fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_high_water_mark_is_found() {
        let status = "Name:\tx\nVmPeak:\t 9 kB\nVmHWM:\t    1234 kB\n";
        assert_eq!(super::high_water(status), Some(1234 * 1024));
        assert_eq!(super::high_water("Name:\tx\n"), None);
    }
}
