//! How many registers a schedule may hold.

/// Registers that are no values: the stack pointer, and what alignment leaves free.
const RESERVED: u16 = 3;

/// Registers of an SM.
const FILE: u32 = 64 << 10;

/// Registers that a thread may have without fewer warps on an SM than the register file holds with `needed`; at
/// least those of full occupancy. The launch does not count, since a compiler does not know it.
pub fn beside(needed: u16, sm: u16) -> u16 {
    let threads = match sm {
        75 => 1024,
        86..90 | 120.. => 1536,
        _ => 2048,
    };
    let warps = (FILE / (32 * u32::from(needed.max(1)).next_multiple_of(8))).clamp(1, threads / 32);
    let registers = FILE / 32 / warps / 8 * 8;
    registers.min(255) as u16
}

/// The values among `registers`.
pub fn values(registers: u16) -> u16 {
    registers.saturating_sub(RESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2,048 threads of 32 registers, 1,536 of 40, 1,024 of 64 fill 65,536 registers.
    #[test]
    fn a_budget_keeps_the_warps() {
        assert_eq!([1, 17, 32].map(|n| beside(n, 80)), [32; 3]);
        assert_eq!([1, 40].map(|n| beside(n, 86)), [40; 2]);
        assert_eq!([1, 64].map(|n| beside(n, 75)), [64; 2]);
        // 65,536 / (32 x 40) is 51 warps, of 40 registers again; 33 warps of 62 leave 56.
        assert_eq!(
            [33, 40, 60, 64, 65, 255].map(|n| beside(n, 80)),
            [40, 40, 64, 64, 72, 255]
        );
    }
}
