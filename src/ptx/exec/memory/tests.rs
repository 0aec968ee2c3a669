//! CTAs ahead of their turn leave what CTAs in order leave, whatever they do.

use super::*;
use crate::ptx::exec::op::Ty;
use proptest::prelude::*;

/// Bytes that the CTAs work on: two blocks, so that they meet often.
const BYTES: u64 = 64;

/// One access, of a value at a multiple of its size.
#[derive(Clone, Debug)]
struct Access {
    kind: u8,
    size: u64,
    place: u64,
    operand: u64,
    wanted: bool,
}

fn access() -> impl Strategy<Value = Access> {
    (0u8..9, 0u32..4, any::<u64>(), any::<u64>(), any::<bool>()).prop_map(
        |(kind, log, place, operand, wanted)| {
            let size = 1 << log;
            Access {
                kind,
                size,
                place: place % (BYTES / size) * size,
                operand,
                wanted,
            }
        },
    )
}

fn arena() -> (Arena, u64) {
    let mut arena = Arena::default();
    let data = (0..BYTES as u8).collect();
    let address = arena.allocate("p", Content::Data(data));
    (arena, address)
}

/// What a CTA does: what it reads goes into what it writes later.
fn run(global: &mut Global, address: u64, accesses: &[Access]) {
    let mut seen = 1u64;
    for access in accesses {
        let (at, size) = (address + access.place, access.size as usize);
        let operand = access.operand ^ seen;
        let update = |f, ty| Update {
            f,
            ty,
            packed: false,
        };
        let wide = access.size == 8;
        let update = match access.kind {
            0 => {
                global.note_read(&[at; LANES], 1, access.size);
                seen = seen.rotate_left(9) ^ global.read(at, size);
                continue;
            }
            1 => {
                global.write(at, size, operand);
                continue;
            }
            _ if access.size < 4 => continue,
            2 if wide => update(Rmw::Add, Ty::F64),
            2 => update(Rmw::Add, Ty::F32),
            3 if wide => update(Rmw::Add, Ty::U64),
            3 => update(Rmw::Add, Ty::U32),
            4 => update(Rmw::Inc, if wide { Ty::U64 } else { Ty::U32 }),
            5 => update(Rmw::Min, if wide { Ty::S64 } else { Ty::S32 }),
            6 => update(Rmw::Exch, if wide { Ty::U64 } else { Ty::U32 }),
            7 => update(Rmw::Cas, if wide { Ty::U64 } else { Ty::U32 }),
            _ => update(Rmw::Or, if wide { Ty::U64 } else { Ty::U32 }),
        };
        // Operands that do not depend on what was read let more of the CTAs stand.
        let old = global.update(at, update, [access.operand, operand], access.wanted);
        if access.wanted {
            seen = seen.rotate_left(9) ^ old;
        }
    }
}

/// Runs all ahead of their turn, and those again that do not stand.
fn run_ahead(ctas: &[Vec<Access>], most: usize) -> Vec<u8> {
    let (arena, address) = arena();
    let mut global = Global::of(arena);
    let mut member = Global::ahead(global.arena.size());
    let mut written = Box::new(Written::new(global.arena.size()));
    let lent = global.lend();
    member.show(Arc::clone(&lent), most);
    let effects: Vec<_> = ctas
        .iter()
        .map(|cta| {
            run(&mut member, address, cta);
            member.finish()
        })
        .collect();
    member.show(Arc::default(), 0);
    global.take_back(lent);
    for (cta, effects) in ctas.iter().zip(effects) {
        if written.touches(&effects.reads) {
            global.note_into(written);
            run(&mut global, address, cta);
            written = global.noted().unwrap_or_default();
        } else {
            global.commit(&effects, &mut written);
        }
    }
    global.arena.content(0).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn what_stands_is_what_the_order_gives(
        ctas in prop::collection::vec(prop::collection::vec(access(), 0..8), 1..6),
        most in prop::sample::select(&[0, 2, 100][..]),
    ) {
        let (arena, address) = arena();
        let mut global = Global::of(arena);
        ctas.iter().for_each(|cta| run(&mut global, address, cta));
        prop_assert_eq!(global.arena.content(0), run_ahead(&ctas, most));
    }
}
