//! Streams written and read back.

use super::*;
use proptest::prelude::*;

#[test]
fn a_loop_costs_one_run_an_iteration() {
    let mut enc = CtaEncoder::default();
    enc.clear();
    enc.begin_warp();
    for _ in 0..8 {
        for i in 0..65 {
            enc.inst(i, u32::MAX);
        }
    }
    let cta = enc.finish();
    assert_eq!(cta.chunks[0].insts, 520);
    assert!(cta.chunks[0].runs_bytes <= 8 * 4);
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        seq in prop::collection::vec((0u32..40, 1u32..=u32::MAX, any::<u64>(), any::<bool>()), 1..9000)
    ) {
        let mut enc = CtaEncoder::default();
        enc.clear();
        enc.begin_warp();
        for &(index, mask, base, pattern) in &seq {
            enc.inst(index, mask);
            if pattern {
                enc.access_pattern(index, base, index * 3);
            } else {
                let list: Vec<u64> = (0..mask.count_ones())
                    .map(|i| base.wrapping_mul(u64::from(i) + 1)).collect();
                enc.access_list(index, &list);
            }
        }
        let cta = enc.finish().clone();
        let mut warp = WarpStream::default();
        cta.load_chunk(0, 0, &mut warp);
        let mut at = 0;
        loop {
            while let Some(run) = warp.next_run() {
                for index in run.start..run.start + run.length {
                    let (i, mask, base, pattern) = seq[at];
                    at += 1;
                    prop_assert_eq!((i, mask), (index, run.mask));
                    let mut list = [0; 32];
                    let got = warp.next_access(index, mask, &mut list);
                    if pattern {
                        prop_assert_eq!(got, Addresses::Pattern { base, pattern: index * 3 });
                    } else {
                        prop_assert_eq!(got, Addresses::List { count: mask.count_ones() as u8 });
                        for (k, item) in list.iter().enumerate().take(mask.count_ones() as usize) {
                            prop_assert_eq!(*item, base.wrapping_mul(k as u64 + 1));
                        }
                    }
                }
            }
            match warp.next_chunk() {
                Some(chunk) => cta.load_chunk(0, chunk, &mut warp),
                None => break,
            }
        }
        prop_assert_eq!(at, seq.len());
    }

    #[test]
    fn validation_survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), split in 0u32..200) {
        let mut warp = WarpStream::default();
        warp.fill(&bytes, split, 0, 1);
        let code = vec![StaticInst::new(0, 0, crate::isa::OpClass::Fp32); 20];
        let _ = warp.validate(&code, &[]);
    }
}
