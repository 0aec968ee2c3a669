//! What L2 reads from DRAM and writes back to it, by kernel and buffer.

use crate::mem::space::Window;
use crate::mem::{Line, SectorMask};
use crate::probe::Buffer;

/// Names of what no buffer of the program holds, in the order of the windows.
const WINDOWS: [&str; 5] = ["other", "code", "constants", "local", "page table"];

/// Sectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sectors {
    /// Read.
    pub read: u64,
    /// Written back.
    pub written: u64,
}

/// Sectors of a channel, or of all when they are merged.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Buffers of the program, first and end.
    places: Vec<(u64, u64)>,
    names: Vec<String>,
    /// By kernel, then buffer.
    kernels: Vec<Vec<Sectors>>,
}

impl Traffic {
    /// None, of these buffers.
    pub fn new(buffers: &[Buffer]) -> Self {
        let named = buffers.iter().map(|b| b.name.clone());
        Traffic {
            places: buffers
                .iter()
                .map(|b| (b.first, b.first.saturating_add(b.bytes)))
                .collect(),
            names: named.chain(WINDOWS.map(str::to_owned)).collect(),
            kernels: Vec::new(),
        }
    }

    /// The next kernel begins. Units that are no channel have no traffic.
    pub fn begin_kernel(&mut self) {
        if self.names.is_empty() {
            return;
        }
        self.kernels
            .push(vec![Sectors::default(); self.names.len()]);
    }

    fn place(&self, line: Line) -> usize {
        let address = line.address();
        let holds = |&(first, end): &(u64, u64)| (first..end).contains(&address);
        if let Some(buffer) = self.places.iter().position(holds) {
            return buffer;
        }
        let within = |window: &Window| (window.lines().0..window.lines().1).contains(&line);
        let window = Window::ALL.iter().position(within).unwrap_or(0);
        self.places.len() + window
    }

    fn at(&mut self, line: Line) -> &mut Sectors {
        if self.kernels.is_empty() {
            self.begin_kernel();
        }
        let place = self.place(line);
        let kernel = self.kernels.len() - 1;
        &mut self.kernels[kernel][place]
    }

    /// L2 sends for sectors.
    pub fn read(&mut self, line: Line, sectors: SectorMask) {
        self.at(line).read += u64::from(sectors.count());
    }

    /// L2 writes sectors back.
    pub fn written(&mut self, line: Line, sectors: SectorMask) {
        self.at(line).written += u64::from(sectors.count());
    }

    /// Adds those of another channel.
    pub fn merge(&mut self, other: &Self) {
        if other.names.is_empty() {
            return;
        }
        self.names.clone_from(&other.names);
        while self.kernels.len() < other.kernels.len() {
            self.begin_kernel();
        }
        let kernels = self.kernels.iter_mut().zip(&other.kernels);
        for (sum, more) in kernels.flat_map(|(sum, more)| sum.iter_mut().zip(more)) {
            sum.read += more.read;
            sum.written += more.written;
        }
    }

    /// Kernel, buffer and sectors, where there were any.
    pub fn rows(&self) -> impl Iterator<Item = (usize, &str, Sectors)> {
        let kernels = self.kernels.iter().enumerate();
        let rows = kernels.flat_map(|(kernel, buffers)| {
            let named = self.names.iter().zip(buffers);
            named.map(move |(name, sectors)| (kernel, name.as_str(), *sectors))
        });
        rows.filter(|(_, _, sectors)| *sectors != Sectors::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_go_to_their_kernel_and_buffer() {
        let buffer = |name: &str, first, bytes| Buffer {
            name: name.to_owned(),
            first,
            bytes,
        };
        let buffers = [
            buffer("a", 1 << 20, 4096),
            buffer("b", (1 << 20) + 4096, 128),
        ];
        let mut channel = Traffic::new(&buffers);
        let line = |address| Line::of(address);
        channel.begin_kernel();
        channel.read(line(1 << 20), SectorMask::ALL);
        channel.read(line((1 << 20) + 4096), SectorMask::new(1));
        channel.read(Window::Code.lines().0, SectorMask::new(3));
        channel.begin_kernel();
        channel.written(line((1 << 20) + 128), SectorMask::new(7));
        channel.read(line(64), SectorMask::new(1));
        let mut all = Traffic::default();
        let mut sm = Traffic::default();
        sm.begin_kernel();
        all.merge(&sm);
        all.merge(&channel);
        all.merge(&channel);
        let rows: Vec<_> = all
            .rows()
            .map(|(k, name, s)| (k, name, s.read, s.written))
            .collect();
        let expected = [
            (0, "a", 8, 0),
            (0, "b", 2, 0),
            (0, "code", 4, 0),
            (1, "a", 0, 6),
            (1, "other", 2, 0),
        ];
        assert_eq!(rows, expected);
    }
}
