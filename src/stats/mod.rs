//! Counters. Declared once; summing, differencing and the schema follow from the declaration.

pub mod counters;
pub mod issue;

pub use counters::{FetchStats, L1Stats, L2Stats, LsuStats, NocStats, SmStats};
pub use issue::{IssueStats, Label};

/// Declares a struct of counters: fields, sum, difference, and a schema of names and sentences.
#[macro_export]
macro_rules! stats {
    ($(#[$meta:meta])* pub struct $name:ident { $(#[doc = $doc:literal] pub $field:ident: u64,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
        pub struct $name { $(#[doc = $doc] pub $field: u64,)+ }

        impl $name {
            /// Field name and meaning, in declaration order.
            pub const SCHEMA: &'static [(&'static str, &'static str)] =
                &[$((stringify!($field), $doc)),+];

            /// The counts since `earlier`.
            pub fn since(&self, earlier: &Self) -> Self {
                Self { $($field: self.$field - earlier.$field,)+ }
            }

            /// Values in the order of `SCHEMA`.
            pub fn values(&self) -> Vec<u64> {
                vec![$(self.$field),+]
            }
        }

        impl core::ops::AddAssign<&$name> for $name {
            fn add_assign(&mut self, other: &Self) { $(self.$field += other.$field;)+ }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_undoes_a_sum_in_every_field() {
        let a = L1Stats {
            sector_hits: 5,
            sector_misses: 4,
            ..Default::default()
        };
        let mut b = a;
        b += &a;
        assert_eq!(b.since(&a), a);
        assert_eq!(L1Stats::SCHEMA.len(), a.values().len());
    }
}
