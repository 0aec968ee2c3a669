//! Structs of the report that know the meaning of their fields.

/// What `explain` knows of a field of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Field name.
    pub name: &'static str,
    /// Unit; empty for what has none.
    pub unit: &'static str,
    /// Meaning.
    pub text: &'static str,
    /// How it is computed, in names of the report; empty for what is counted or given.
    pub formula: &'static str,
}

/// Declares a struct of the report: serialised as it stands, each field with a sentence, and with its unit and
/// formula where it has them, which `explain` finds in `SCHEMA`.
macro_rules! record {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $(
                #[doc = $doc:literal] $(#[serde($($serde:tt)+)])?
                pub $field:ident: $ty:ty $(= $unit:literal $(, by $formula:literal)?)?,
            )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        pub struct $name {
            $( #[doc = $doc] $(#[serde($($serde)+)])? pub $field: $ty, )+
        }

        impl $name {
            /// What each field means, in declaration order.
            pub const SCHEMA: &'static [$crate::report::record::Field] = &[ $( $crate::report::record::Field {
                name: stringify!($field),
                unit: concat!("" $(, $unit)?),
                text: $doc.trim_ascii(),
                formula: concat!("" $($(, $formula)?)?),
            }, )+ ];
        }
    };
}
pub(crate) use record;
