//! Numbers of one to ten bytes.

#[inline(always)]
pub(super) fn zigzag(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}

#[inline(always)]
pub(super) fn unzigzag(v: u64) -> i64 {
    ((v >> 1) as i64) ^ -((v & 1) as i64)
}

#[inline]
pub(super) fn put_varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

/// Reads a varint of at most ten bytes; bytes past the end read as zero.
#[inline(always)]
pub(super) fn get_varint(bytes: &[u8], at: &mut u32) -> u64 {
    let first = bytes.get(*at as usize).copied().unwrap_or(0);
    *at += 1;
    if first < 0x80 {
        return u64::from(first);
    }
    let mut v = u64::from(first & 0x7f);
    let mut shift = 7;
    while shift < 70 {
        let byte = bytes.get(*at as usize).copied().unwrap_or(0);
        *at += 1;
        v |= u64::from(byte & 0x7f).wrapping_shl(shift);
        if byte < 0x80 {
            break;
        }
        shift += 7;
    }
    v
}
