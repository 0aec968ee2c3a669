//! What the CTAs of a batch have written so far.

/// Which bytes were written since the copies of memory were last the same.
#[derive(Clone, Debug)]
pub struct Written {
    marks: Vec<(u32, u32)>,
    batch: u32,
    touched: Vec<u32>,
}

impl Written {
    /// For so many blocks of memory.
    pub fn new(blocks: usize) -> Self {
        Written {
            marks: vec![(0, 0); blocks],
            batch: 1,
            touched: Vec::new(),
        }
    }

    /// Whether something of `reads` was written.
    pub fn touches(&self, reads: &[(u32, u32)]) -> bool {
        reads.iter().any(|&(block, bits)| {
            let mark = self.marks.get(block as usize);
            mark.is_some_and(|&(batch, written)| batch == self.batch && written & bits != 0)
        })
    }

    /// Notes that bytes of a block were written.
    pub fn add(&mut self, block: u32, bits: u32) {
        if let Some(mark) = self.marks.get_mut(block as usize) {
            if mark.0 != self.batch {
                *mark = (self.batch, 0);
                self.touched.push(block);
            }
            mark.1 |= bits;
        }
    }

    /// All blocks with something written, each once. After that a new batch begins.
    pub fn take(&mut self) -> impl Iterator<Item = (u32, u32)> {
        self.batch += 1;
        let marks = &self.marks;
        self.touched
            .drain(..)
            .map(|block| (block, marks.get(block as usize).map_or(0, |m| m.1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_known_until_it_is_taken() {
        let mut written = Written::new(4);
        written.add(2, 0xf0);
        written.add(2, 0x0f);
        assert!(written.touches(&[(1, 1), (2, 0x80)]) && !written.touches(&[(2, 0x100)]));
        assert_eq!(written.take().collect::<Vec<_>>(), [(2, 0xff)]);
        assert!(!written.touches(&[(2, 0x80)]) && written.take().next().is_none());
    }
}
