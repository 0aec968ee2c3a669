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

/// How many fields the parts of a record have together.
pub const fn count(parts: &[&[Field]]) -> usize {
    let (mut all, mut part) = (0, 0);
    while part < parts.len() {
        all += parts[part].len();
        part += 1;
    }
    all
}

/// Those fields, which are `N`.
pub const fn joined<const N: usize>(parts: &[&[Field]]) -> [Field; N] {
    let none = Field {
        name: "",
        unit: "",
        text: "",
        formula: "",
    };
    let mut all = [none; N];
    let (mut at, mut part) = (0, 0);
    while part < parts.len() {
        let mut field = 0;
        while field < parts[part].len() {
            all[at] = parts[part][field];
            at += 1;
            field += 1;
        }
        part += 1;
    }
    all
}

/// Declares a struct of the report: serialised as it stands, each field with a sentence, and with its unit and
/// formula where it has them, which `explain` finds in `SCHEMA`. `struct Name with part: Record` has the fields of another
/// record before its own, as one in Rust and side by side in the report.
macro_rules! record {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $(with $part:ident: $common:ty)? {
            $(
                #[doc = $doc:literal] $(#[serde($($serde:tt)+)])?
                pub $field:ident: $ty:ty $(= $unit:literal $(, by $formula:literal)?)?,
            )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        pub struct $name {
            $(
                /// What it has in common with others.
                #[serde(flatten)]
                pub $part: $common,
            )?
            $( #[doc = $doc] $(#[serde($($serde)+)])? pub $field: $ty, )+
        }

        impl $name {
            /// What each field means, in declaration order.
            pub const SCHEMA: &'static [$crate::report::record::Field] = {
                use $crate::report::record::{Field, count, joined};
                const OWN: &[Field] = &[ $( Field {
                    name: stringify!($field),
                    unit: concat!("" $(, $unit)?),
                    text: $doc.trim_ascii(),
                    formula: concat!("" $($(, $formula)?)?),
                }, )+ ];
                const PARTS: &[&[Field]] = &[ $( <$common>::SCHEMA, )? OWN ];
                const ALL: [Field; count(PARTS)] = joined(PARTS);
                &ALL
            };
        }
    };
}
pub(crate) use record;
