//! Asynchronous copies, which are done at once.

use super::super::fault::Ran;
use super::super::observe::Observer;
use super::super::op::{Addr, Pred, Where};
use super::super::shared::Use;
use super::cells::{extent, poke};
use super::{Cx, Warp, lanes};

impl Warp {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn copy_async<O: Observer>(
        &mut self,
        pc: u32,
        [dst, src]: [Addr; 2],
        bytes: u8,
        size: Option<u32>,
        ignore: Option<Pred>,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        let (to, from) = (self.addresses(dst), self.addresses(src));
        cx.observer.access(self.number, pc, mask, &from);
        let skipped = ignore.map_or(0, |p| self.regs.pred(p));
        let total = u64::from(bytes);
        extent(&to, mask, total)?;
        if cx.shared.checked() {
            self.check_races(&to, total, mask, Use::Write, cx)?;
        }
        cx.global.note_read(&from, mask, total);
        for lane in lanes(mask) {
            let wanted = match size {
                _ if skipped >> lane & 1 != 0 => 0,
                Some(r) => u64::from(self.regs.w.get(r)[lane]).min(total),
                None => total,
            };
            self.check(Where::Shared, lane, to[lane], total, false, cx)?;
            if wanted > 0 {
                self.check(Where::Global, lane, from[lane], wanted, true, cx)?;
            }
            // What the source does not fill is zero.
            for byte in 0..total {
                let value = match byte < wanted {
                    true => cx.global.read(from[lane] + byte, 1),
                    false => 0,
                };
                poke(Where::Shared, to[lane] + byte, 1, value, cx);
            }
        }
        Ok(())
    }
}
