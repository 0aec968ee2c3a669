//! Unpacked head frames that the kernels of one workload share: dispatch goes through CTAs in order,
//! so the last few frames serve nearly every load.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most frames kept.
const FRAMES_MAX: usize = 16;
/// The most bytes kept, when frames are large; the two newest frames stay in any case.
const BYTES_MAX: usize = 4 << 20;

type Entry = (FrameKey, Arc<Unpacked>);

/// An unpacked frame.
#[derive(Debug)]
pub struct Unpacked {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Of each CTA, whether its streams were found to fit their code.
    checked: Vec<AtomicU8>,
}

impl Unpacked {
    /// `bytes` with the heads of `ctas` CTAs, none of them checked.
    pub fn new(bytes: Vec<u8>, ctas: u32) -> Self {
        // A damaged frame may promise more CTAs than it has bytes for.
        let ctas = bytes.len().min(ctas as usize);
        let checked = (0..ctas).map(|_| AtomicU8::new(0)).collect();
        Unpacked { bytes, checked }
    }

    /// Whether the CTA in place `slot` was checked.
    pub fn is_checked(&self, slot: usize) -> bool {
        let flag = self.checked.get(slot);
        flag.is_some_and(|flag| flag.load(Ordering::Relaxed) == 1)
    }

    /// The CTA in place `slot` was checked.
    pub fn set_checked(&self, slot: usize) {
        if let Some(flag) = self.checked.get(slot) {
            flag.store(1, Ordering::Relaxed);
        }
    }
}

/// Names a frame: the kernel's number in the cache and the frame's in the kernel.
pub type FrameKey = (u64, usize);

/// Least recently used frames go first.
#[derive(Debug, Default)]
pub struct FrameCache {
    entries: Mutex<Vec<Entry>>,
    kernels: AtomicU64,
}

impl FrameCache {
    /// A number for one more kernel.
    pub fn register(&self) -> u64 {
        self.kernels.fetch_add(1, Ordering::Relaxed)
    }

    /// The most bytes that are kept of frames of at most `largest` bytes each.
    pub fn at_most(largest: u64) -> u64 {
        let kept = (FRAMES_MAX as u64).saturating_mul(largest);
        kept.min((BYTES_MAX as u64).max(largest.saturating_mul(2)))
    }

    /// The frame, if it is kept.
    pub fn get(&self, key: FrameKey) -> Option<Arc<Unpacked>> {
        let mut entries = self.lock();
        let at = entries.iter().rposition(|(k, _)| *k == key)?;
        let frame = Arc::clone(&entries[at].1);
        entries[at..].rotate_left(1);
        Some(frame)
    }

    /// Keeps `frame`, at the cost of older ones.
    pub fn put(&self, key: FrameKey, frame: &Arc<Unpacked>) {
        let mut entries = self.lock();
        if entries.iter().any(|(k, _)| *k == key) {
            return;
        }
        entries.push((key, Arc::clone(frame)));
        let mut bytes: usize = entries.iter().map(|(_, f)| f.bytes.len()).sum();
        while entries.len() > FRAMES_MAX || bytes > BYTES_MAX && entries.len() > 2 {
            bytes -= entries.remove(0).1.bytes.len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_frame_goes_first() {
        let cache = FrameCache::default();
        let frame = Arc::new(Unpacked::new(vec![0; 10], 1));
        for number in 0..FRAMES_MAX {
            cache.put((0, number), &frame);
        }
        assert!(cache.get((0, 0)).is_some());
        cache.put((1, 0), &frame);
        assert!(cache.get((0, 0)).is_some());
        assert!(cache.get((0, 1)).is_none());
        let large = Arc::new(Unpacked::new(vec![0; BYTES_MAX], 1));
        cache.put((2, 0), &large);
        assert!(cache.get((2, 0)).is_some());
        assert!(cache.get((0, 2)).is_none());
    }
}
