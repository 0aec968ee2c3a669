//! Where a kernel came from, which decides what may be said of it.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use std::fmt;

/// How the text of a generated kernel starts.
pub const SYNTHETIC: &str = "synth:";
/// How the text of a recorded PTX kernel starts.
pub const PTX: &str = "PTX mode: ";

/// Where a kernel came from. Files hold its text, whose beginning tells the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A trace in Accel-Sim's format: its file.
    AccelSim(String),
    /// Recorded from PTX: PTX file, and where the registers are from.
    Ptx(String),
    /// Generated: name and parameters.
    Synthetic(String),
}

impl Source {
    /// A trace file in Accel-Sim's format. One whose name would be taken for another kind is named by
    /// its directory as well.
    pub fn accel_sim(file: &str) -> Self {
        match Source::from(file) {
            Source::AccelSim(file) => Source::AccelSim(file),
            _ => Source::AccelSim(format!("./{file}")),
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        match self {
            Source::AccelSim(text) | Source::Ptx(text) | Source::Synthetic(text) => text,
        }
    }
}

impl From<String> for Source {
    fn from(text: String) -> Self {
        if text.starts_with(SYNTHETIC) {
            Source::Synthetic(text)
        } else if text.starts_with(PTX) {
            Source::Ptx(text)
        } else {
            Source::AccelSim(text)
        }
    }
}

impl From<&str> for Source {
    fn from(text: &str) -> Self {
        Source::from(text.to_owned())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Encode for Source {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.text().encode(encoder)
    }
}

impl<C> Decode<C> for Source {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        String::decode(decoder).map(Source::from)
    }
}

bincode::impl_borrow_decode!(Source);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_survives_a_file() {
        let sources = [
            Source::accel_sim("traces/kernel-1.traceg"),
            Source::accel_sim("synth:odd.traceg"),
            Source::accel_sim("PTX mode: odd.traceg"),
            Source::from("PTX mode: k.ptx, registers given"),
            Source::from("synth:stream?bytes=1"),
        ];
        let kinds = |s: &Source| matches!(s, Source::AccelSim(_));
        assert_eq!(
            sources.each_ref().map(kinds),
            [true, true, true, false, false]
        );
        for source in sources {
            let config = bincode::config::legacy();
            let bytes = bincode::encode_to_vec(&source, config).unwrap();
            let (back, _): (Source, _) = bincode::decode_from_slice(&bytes, config).unwrap();
            assert_eq!(back, source);
            // As the text alone was before, so that old files are read.
            let text = bincode::encode_to_vec(source.text(), config).unwrap();
            assert_eq!(bytes, text);
        }
    }
}
