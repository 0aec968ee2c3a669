//! Page policies: when the controller closes a row.

use crate::config::DramPage;

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

/// Timeout of `phantom-gpu dram --page timeout` when none is given, CK: about the time in which a stream of a busy
/// channel comes back to its row.
pub const DEFAULT_TIMEOUT: u32 = 200;

impl PagePolicy {
    /// The policy that `page` names; `timeout` is the number of CK of `timeout`.
    pub fn new(page: DramPage, timeout: u32) -> PagePolicy {
        match page {
            DramPage::Open => PagePolicy::Open,
            DramPage::Closed => PagePolicy::Closed,
            DramPage::ClosedBatch => PagePolicy::ClosedBatch,
            DramPage::Timeout => PagePolicy::Timeout { cycles: timeout },
        }
    }

    /// The policy called `name`, where `timeout` may be followed by `=CYCLES`; `None` for an unknown name or a number
    /// that does not parse.
    pub fn from_name(name: &str) -> Option<PagePolicy> {
        if let Some(number) = name.strip_prefix("timeout=") {
            let cycles = number.parse().ok().filter(|&n| n > 0)?;
            return Some(PagePolicy::Timeout { cycles });
        }
        DramPage::from_name(name).map(|page| PagePolicy::new(page, DEFAULT_TIMEOUT))
    }

    /// The name of the policy, without its numbers.
    pub fn name(self) -> &'static str {
        let page = match self {
            PagePolicy::Open => DramPage::Open,
            PagePolicy::Closed => DramPage::Closed,
            PagePolicy::ClosedBatch => DramPage::ClosedBatch,
            PagePolicy::Timeout { .. } => DramPage::Timeout,
        };
        page.name()
    }
}
