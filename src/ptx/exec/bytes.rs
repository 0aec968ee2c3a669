//! Little-endian values of up to eight bytes.

/// The value of `bytes` bytes from a place on; 0 where they are not all there.
#[inline(always)]
pub fn read(from: &[u8], at: usize, bytes: usize) -> u64 {
    let mut word = [0; 8];
    if let Some(source) = from.get(at..at.wrapping_add(bytes.min(8))) {
        match bytes {
            4 => word[..4].copy_from_slice(source),
            8 => word.copy_from_slice(source),
            n => word[..n.min(8)].copy_from_slice(source),
        }
    }
    u64::from_le_bytes(word)
}

/// Writes one.
#[inline(always)]
pub fn write(into: &mut [u8], at: usize, bytes: usize, value: u64) {
    let word = value.to_le_bytes();
    if let Some(target) = into.get_mut(at..at.wrapping_add(bytes.min(8))) {
        match bytes {
            4 => target.copy_from_slice(&word[..4]),
            8 => target.copy_from_slice(&word),
            n => target.copy_from_slice(&word[..n.min(8)]),
        }
    }
}
