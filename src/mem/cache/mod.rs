//! Building blocks shared by the caches: tags with sectors, miss-status holding registers.

mod inserted;
pub mod mshr;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod pair_test;
pub mod prefetch;
pub mod replace;
mod short;
pub mod small;
pub mod study;
pub mod tags;

pub use inserted::Inserted;
pub use mshr::{MshrId, MshrTable};
pub use replace::Access;
pub use small::{SmallId, SmallTags};
pub use tags::{Entry, EntryId, Tags, Victim};
