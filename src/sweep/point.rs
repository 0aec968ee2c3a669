//! What is kept of a point: how it ended and its report, in a file that says itself whether it is whole.

use crate::hash::ContentHash;
use serde::{Deserialize, Serialize};

/// How a file begins, before the hash of all that follows.
const HEAD: &[u8] = b"{\"hash\":\"";
/// What ends the hash.
const BEHIND: &[u8] = b"\",";
/// Digits of the hash.
const DIGITS: usize = 32;

/// How a point ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should.
    Complete,
    /// Work that carries a kernel is not modelled.
    UnmodelledWork,
    /// At the bound of cycles.
    MaxCycles,
    /// A model that has no room on the GPU.
    DoesNotFit,
    /// With an error.
    Failed,
    /// At the limit of time.
    OutOfTime,
    /// Before it began: it would take too much memory of the host.
    OutOfMemory,
}

impl Status {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Status::Complete => "complete",
            Status::UnmodelledWork => "unmodelled_work",
            Status::MaxCycles => "max_cycles",
            Status::DoesNotFit => "does_not_fit",
            Status::Failed => "failed",
            Status::OutOfTime => "out_of_time",
            Status::OutOfMemory => "out_of_memory",
        }
    }

    /// Whether its numbers are those of the whole workload.
    pub fn is_whole(self) -> bool {
        matches!(self, Status::Complete | Status::UnmodelledWork)
    }
}

/// A result, with a report of type `R`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stored<R> {
    /// That of the file's name.
    pub key: String,
    /// How it ended.
    pub status: Status,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The limit that it ran into: seconds or bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// It failed because of something that the key does not tell, such as a file that could not be read: the next run
    /// tries it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// The report without what differs from run to run; absent where there is none.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub report: Option<R>,
}

/// Limits of points, of which some may have ended others before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Seconds.
    pub time_s: Option<f64>,
    /// Bytes.
    pub memory_bytes: u64,
    /// What a limit has ended is run again whatever it was.
    pub retry: bool,
}

impl Limits {
    /// Whether a point that ended so is to be run again.
    pub fn reopen<R>(&self, stored: &Stored<R>) -> bool {
        let limit = stored.limit;
        let wider = match stored.status {
            Status::OutOfTime => self.time_s.is_none_or(|s| limit.is_none_or(|l| s > l)),
            Status::OutOfMemory => limit.is_none_or(|l| self.memory_bytes as f64 > l),
            _ => return stored.again,
        };
        wider || self.retry
    }
}

/// The bytes of the file of `stored`: JSON, whose first member is the hash of the bytes after it.
pub fn seal<R: Serialize>(stored: &Stored<R>) -> Vec<u8> {
    let mut rest = serde_json::to_vec(stored).expect("string keys");
    rest.push(b'\n');
    // Without the brace that opens it, which comes before the hash.
    let rest = &rest[1..];
    [HEAD, ContentHash::of(rest).hex().as_bytes(), BEHIND, rest].concat()
}

/// The result of `key` in the bytes of its file; nothing when they are not what was stored.
pub fn unseal<R: serde::de::DeserializeOwned>(bytes: &[u8], key: &str) -> Option<Stored<R>> {
    let (hash, rest) = bytes.strip_prefix(HEAD)?.split_at_checked(DIGITS)?;
    let rest = rest.strip_prefix(BEHIND)?;
    if ContentHash::of(rest).hex().as_bytes() != hash {
        return None;
    }
    let stored: Stored<R> = serde_json::from_slice(bytes).ok()?;
    (stored.key == key).then_some(stored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn stored() -> Stored<Json> {
        Stored {
            key: "k".into(),
            status: Status::Complete,
            error: None,
            limit: None,
            again: false,
            report: Some(json!({ "totals": { "cycles": 1234 } })),
        }
    }

    #[test]
    fn a_file_is_believed_as_it_was_written_and_not_otherwise() {
        let bytes = seal(&stored());
        assert_eq!(unseal(&bytes, "k"), Some(stored()));
        assert_eq!(unseal::<Json>(&bytes, "another"), None);
        let text = String::from_utf8(bytes.clone()).unwrap();
        let edited = text.replace("1234", "1235");
        assert_ne!(edited, text);
        for wrong in [
            edited.as_str(),
            "{\"key\":\"k\",\"status\":\"complete\"}",
            &text[..text.len() - 3],
            "",
        ] {
            assert_eq!(unseal::<Json>(wrong.as_bytes(), "k"), None, "{wrong}");
        }
    }

    #[test]
    fn what_does_not_follow_from_the_key_is_run_again() {
        let limits = |retry| Limits {
            time_s: Some(2.0),
            memory_bytes: 100,
            retry,
        };
        let ended = |status, limit, again| Stored {
            status,
            limit,
            again,
            ..stored()
        };
        for (status, limit, again, without, with) in [
            (Status::Complete, None, false, false, false),
            // Keys in conflict stay so; a file that was damaged need not.
            (Status::Failed, None, false, false, false),
            (Status::Failed, None, true, true, true),
            (Status::OutOfTime, Some(2.0), false, false, true),
            (Status::OutOfTime, Some(1.0), false, true, true),
            (Status::OutOfMemory, Some(100.0), false, false, true),
        ] {
            let stored = ended(status, limit, again);
            assert_eq!(limits(false).reopen(&stored), without, "{stored:?}");
            assert_eq!(limits(true).reopen(&stored), with, "{stored:?}");
        }
    }
}
