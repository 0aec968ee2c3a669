//! Structs of the report that know the meaning of their fields.

/// Declares a struct of the report: serialised as it stands, each field with a sentence that `explain`
/// finds in `SCHEMA`.
macro_rules! record {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( #[doc = $doc:literal] $(#[serde($($serde:tt)+)])? pub $field:ident: $ty:ty, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        pub struct $name {
            $( #[doc = $doc] $(#[serde($($serde)+)])? pub $field: $ty, )+
        }

        impl $name {
            /// Field name and meaning, in declaration order.
            pub const SCHEMA: &'static [(&'static str, &'static str)] =
                &[$((stringify!($field), $doc)),+];
        }
    };
}
pub(crate) use record;
