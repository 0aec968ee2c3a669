//! Page policies: when the controller closes a row.

/// When a row is closed behind an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PagePolicy {
    /// Only a conflicting request or a refresh closes a row.
    Open,
    /// Every access closes its row (auto-precharge); requests to the same row each pay an activate.
    Closed,
    /// The last waiting access to a row closes it.
    ClosedBatch,
    /// A row that was not accessed for so many CK and that nobody waits for is closed.
    Timeout {
        /// CK since the last access.
        cycles: u32,
    },
}

/// Names on the command line and in configs. `timeout` may be followed by `=CYCLES`.
pub const PAGES: [&str; 4] = ["open", "closed", "closed-batch", "timeout"];

/// Timeout when none is given, CK: about the time in which a stream of a busy channel comes back to its row.
pub const DEFAULT_TIMEOUT: u32 = 200;

impl PagePolicy {
    /// The policy called `name`; `None` for an unknown name or a number that does not parse.
    pub fn from_name(name: &str) -> Option<PagePolicy> {
        match name {
            "open" => Some(PagePolicy::Open),
            "closed" => Some(PagePolicy::Closed),
            "closed-batch" => Some(PagePolicy::ClosedBatch),
            "timeout" => Some(PagePolicy::Timeout {
                cycles: DEFAULT_TIMEOUT,
            }),
            other => {
                let cycles = other.strip_prefix("timeout=")?.parse().ok()?;
                (cycles > 0).then_some(PagePolicy::Timeout { cycles })
            }
        }
    }

    /// The name of the policy, without its numbers.
    pub fn name(self) -> &'static str {
        match self {
            PagePolicy::Open => "open",
            PagePolicy::Closed => "closed",
            PagePolicy::ClosedBatch => "closed-batch",
            PagePolicy::Timeout { .. } => "timeout",
        }
    }
}
