//! Global memory in blocks of 32 bytes, and pages of 32 blocks.

/// Bytes that one word of marks covers.
pub const BLOCK_BYTES: u64 = 32;

/// Blocks of a page.
pub const PAGE_BLOCKS: usize = 32;

/// Bytes of a page.
pub const PAGE_BYTES: u64 = BLOCK_BYTES * PAGE_BLOCKS as u64;

/// The content of a block.
pub type Block = [u8; BLOCK_BYTES as usize];

/// Something for each block of a page.
pub type Each<T> = [T; PAGE_BLOCKS];

/// Offsets from one up to another, which does not belong to it.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    from: u64,
    to: u64,
}

/// The part of a range that lies in one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Number of the page.
    pub page: u32,
    /// Number of the block within it.
    pub block: usize,
    /// First byte of the block.
    pub low: usize,
    /// One past its last byte.
    pub high: usize,
}

impl Range {
    /// So many bytes.
    pub fn new(from: u64, bytes: u64) -> Self {
        let to = from.saturating_add(bytes);
        Range { from, to }
    }

    /// Its parts, in order.
    #[inline]
    pub fn parts(self) -> impl Iterator<Item = Part> {
        let Range { from, to } = self;
        let last = to.saturating_sub(1) / BLOCK_BYTES;
        (from / BLOCK_BYTES..=last).filter_map(move |number| {
            let start = number * BLOCK_BYTES;
            Some(Part {
                page: u32::try_from(number / PAGE_BLOCKS as u64).ok()?,
                block: number as usize % PAGE_BLOCKS,
                low: (from.max(start) - start) as usize,
                high: to.saturating_sub(start).min(BLOCK_BYTES) as usize,
            })
        })
    }
}

impl Part {
    /// A bit for each byte.
    #[inline]
    pub fn bits(self) -> u32 {
        let ones = u64::from(u32::MAX) >> (BLOCK_BYTES as usize - (self.high - self.low));
        (ones << self.low) as u32
    }

    /// Number of the block.
    pub fn number(self) -> u32 {
        number(self.page, self.block)
    }
}

/// Number of a block of a page.
pub fn number(page: u32, block: usize) -> u32 {
    page.wrapping_mul(PAGE_BLOCKS as u32) + block as u32
}

/// Something for each page that is in use. It is made when it is first needed and used again for
/// another page after that: CTAs touch few pages, and those are in the host's caches.
#[derive(Clone, Debug, Default)]
pub struct Pages<T> {
    // Number among the `pages`, plus one.
    directory: Vec<u32>,
    pages: Vec<(u32, T)>,
    used: usize,
}

impl<T: Clone + Default> Pages<T> {
    /// For so many bytes of memory.
    pub fn new(bytes: usize) -> Self {
        Pages {
            directory: vec![0; bytes.div_ceil(PAGE_BYTES as usize)],
            ..Pages::default()
        }
    }

    /// What there is of `page`.
    #[inline]
    pub fn get(&self, page: u32) -> Option<&T> {
        let slot = (*self.directory.get(page as usize)? as usize).checked_sub(1)?;
        self.pages.get(slot).map(|(_, t)| t)
    }

    /// What there is of `page`, made if there is nothing; `None` outside of memory.
    #[inline]
    pub fn touch(&mut self, page: u32) -> Option<&mut T> {
        let slot = self.directory.get_mut(page as usize)?;
        if *slot == 0 {
            let new = (page, T::default());
            match self.pages.get_mut(self.used) {
                Some(unused) => *unused = new,
                None => self.pages.push(new),
            }
            self.used += 1;
            *slot = self.used as u32;
        }
        self.pages.get_mut(*slot as usize - 1).map(|(_, t)| t)
    }

    /// All pages in use, in the order in which they were first touched.
    pub fn all(&self) -> impl Iterator<Item = (u32, &T)> {
        self.pages
            .iter()
            .take(self.used)
            .map(|(page, t)| (*page, t))
    }

    /// No page is in use any more.
    pub fn clear(&mut self) {
        for (page, _) in self.pages.iter().take(self.used) {
            if let Some(slot) = self.directory.get_mut(*page as usize) {
                *slot = 0;
            }
        }
        self.used = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_exactly_their_bytes() {
        let parts = |from, bytes| -> Vec<_> {
            let parts = Range::new(from, bytes).parts();
            parts.map(|p| (p.number(), p.bits())).collect()
        };
        assert_eq!(parts(30, 36), [(0, 0xc000_0000), (1, u32::MAX), (2, 3)]);
        assert_eq!(parts(1024, 32), [(32, u32::MAX)]);
        assert!(parts(u64::MAX - 5, 4).is_empty());
    }

    #[test]
    fn pages_are_empty_when_they_are_used_again() {
        let mut pages = Pages::<u8>::new(3000);
        assert!(pages.touch(3).is_none() && pages.get(2).is_none());
        if let Some(two) = pages.touch(2) {
            *two = 7;
        }
        assert_eq!(pages.all().collect::<Vec<_>>(), [(2, &7)]);
        pages.clear();
        assert!(pages.get(2).is_none());
        assert_eq!(pages.touch(1), Some(&mut 0));
    }
}
