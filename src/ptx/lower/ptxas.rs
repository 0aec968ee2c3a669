//! Reads what `ptxas -v` prints: registers and shared memory of each kernel.

/// What ptxas says of a kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Registers a thread.
    pub registers: u16,
    /// Static shared memory, bytes.
    pub shared_bytes: u32,
}

/// What `text` says of `kernel`.
pub fn usage(text: &str, kernel: &str) -> Option<Usage> {
    let quoted = format!("'{kernel}'");
    let mut lines = text
        .lines()
        .skip_while(|l| !(l.contains("Compiling entry function") && l.contains(&quoted)))
        .skip(1)
        .take_while(|l| !l.contains("Compiling entry function"));
    let used = lines.find(|l| l.contains("Used ") && l.contains(" registers"))?;
    let number_before = |word: &str| {
        let before = used.split(word).next()?;
        before.split_whitespace().last()?.parse::<u32>().ok()
    };
    Some(Usage {
        registers: number_before(" registers").and_then(|n| u16::try_from(n).ok())?,
        shared_bytes: match used.contains(" bytes smem") {
            true => number_before(" bytes smem").unwrap_or(0),
            false => 0,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_and_shared_memory_are_found() {
        let text = "ptxas info    : Compiling entry function 'a' for 'sm_80'\n\
            ptxas info    : Used 12 registers, 392 bytes cmem[0]\n\
            ptxas info    : Compiling entry function 'b' for 'sm_80'\n\
            ptxas info    : Used 48 registers, used 1 barriers, 8192 bytes smem, 392 bytes cmem[0]\n";
        let of = |name| usage(text, name);
        assert_eq!(
            of("a"),
            Some(Usage {
                registers: 12,
                shared_bytes: 0
            })
        );
        assert_eq!(
            of("b"),
            Some(Usage {
                registers: 48,
                shared_bytes: 8192
            })
        );
        assert_eq!(of("c"), None);
    }
}
