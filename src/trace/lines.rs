//! Lines of the source that the instructions of a kernel come from.

use bincode::{Decode, Encode};

/// Letters of a line that are kept.
const LETTERS: usize = 160;

/// Where the instructions of a code table stand in a source file, with its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Lines {
    /// Name of the file.
    pub file: String,
    /// Line of each instruction of the table, from 1; 0 for one that stands nowhere.
    pub of: Vec<u32>,
    /// Those lines with their text, by number.
    texts: Vec<(u32, String)>,
}

impl Lines {
    /// The instructions that come from the lines `of` of `file`, whose content is `text`.
    pub fn new(file: String, of: Vec<u32>, text: &str) -> Self {
        let mut wanted: Vec<u32> = of.iter().copied().filter(|line| *line > 0).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut wanted = wanted.into_iter().peekable();
        let mut texts = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if wanted.next_if_eq(&number).is_some() {
                texts.push((number, line.trim().chars().take(LETTERS).collect()));
            }
        }
        Lines { file, of, texts }
    }

    /// Line and text of instruction `index` of the table.
    pub fn of_inst(&self, index: usize) -> Option<(u32, &str)> {
        let line = *self.of.get(index)?;
        let place = self
            .texts
            .binary_search_by_key(&line, |(number, _)| *number);
        let (_, text) = &self.texts[place.ok()?];
        Some((line, text))
    }

    /// What is wrong with lines read from a file, for a code table of `insts` instructions.
    pub fn fault(&self, insts: usize) -> Option<String> {
        if self.of.len() != insts {
            let lines = self.of.len();
            return Some(format!("{lines} lines for {insts} instructions"));
        }
        let sorted = self.texts.is_sorted_by(|a, b| a.0 < b.0);
        (!sorted).then(|| "the lines of its source are out of order".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_has_its_line_and_one_that_stands_nowhere_has_none() {
        let text = "first\n  second  \n\nfourth";
        let lines = Lines::new("a.ptx".into(), vec![4, 2, 0, 2, 9], text);
        let of = |index| lines.of_inst(index);
        assert_eq!(of(0), Some((4, "fourth")));
        assert_eq!(of(1), Some((2, "second")));
        assert_eq!(of(2), None);
        assert_eq!(of(3), Some((2, "second")));
        assert_eq!((of(4), of(5)), (None, None));
        assert_eq!(lines.fault(5), None);
        assert!(lines.fault(4).is_some());
    }
}
