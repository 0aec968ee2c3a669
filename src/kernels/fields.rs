//! How a family of kernels declares its fields: once, with type, default, range and meaning.
//!
//! `family!` makes of the declaration the struct that programs fill in, the check of its values, and the table
//! that text (`synth:`) is read by and that lists of workloads show.

use crate::config::units;

/// What a field may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParamKind {
    /// A number, from and to.
    Count(u64, u64),
    /// A size (`64MiB`), from and to.
    Bytes(u64, u64),
    /// One of these names; the value is its position.
    Name(&'static [&'static str]),
}

/// The declaration of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Param {
    /// Name in text.
    pub name: &'static str,
    /// Range.
    pub kind: ParamKind,
    /// Value when it is not given.
    pub default: u64,
    /// What it means.
    pub doc: &'static str,
    /// Left out of the text while it has its default: fields that came later keep the text of older values.
    pub quiet: bool,
}

impl Param {
    /// A number.
    pub const fn count(
        name: &'static str,
        default: u64,
        min: u64,
        max: u64,
        doc: &'static str,
    ) -> Self {
        let kind = ParamKind::Count(min, max);
        Param {
            name,
            kind,
            default,
            doc,
            quiet: false,
        }
    }

    /// A size.
    pub const fn bytes(
        name: &'static str,
        default: u64,
        min: u64,
        max: u64,
        doc: &'static str,
    ) -> Self {
        let kind = ParamKind::Bytes(min, max);
        Param {
            name,
            kind,
            default,
            doc,
            quiet: false,
        }
    }

    /// One of `names`; the first is the default.
    pub const fn name(
        name: &'static str,
        names: &'static [&'static str],
        doc: &'static str,
    ) -> Self {
        let kind = ParamKind::Name(names);
        Param {
            name,
            kind,
            default: 0,
            doc,
            quiet: false,
        }
    }

    /// The same, left out of the text while it has its default.
    pub const fn quiet(self) -> Self {
        Param {
            quiet: true,
            ..self
        }
    }

    /// Whether the field may have `value`.
    pub fn allows(&self, value: u64) -> bool {
        match self.kind {
            ParamKind::Count(min, max) | ParamKind::Bytes(min, max) => (min..=max).contains(&value),
            ParamKind::Name(names) => value < names.len() as u64,
        }
    }

    /// The allowed values in words.
    pub fn allowed(&self) -> String {
        match self.kind {
            ParamKind::Count(min, max) => format!("{min} to {max}"),
            ParamKind::Bytes(min, max) => {
                format!("{} to {}", units::show_bytes(min), units::show_bytes(max))
            }
            ParamKind::Name(names) => names.join("|"),
        }
    }

    /// `value` in words.
    pub fn show(&self, value: u64) -> String {
        match self.kind {
            ParamKind::Name(names) => names[value as usize].to_owned(),
            _ => value.to_string(),
        }
    }

    /// The value that `text` says, in the field's range.
    pub fn parse(&self, text: &str) -> Option<u64> {
        let value = match self.kind {
            ParamKind::Count(..) => text.parse().ok()?,
            ParamKind::Bytes(..) => units::bytes(text)?,
            ParamKind::Name(names) => names.iter().position(|name| *name == text)? as u64,
        };
        self.allows(value).then_some(value)
    }
}

/// The type of a field, as the number that tables hold.
pub trait Field: Copy {
    /// Of its number, which is in the field's range.
    fn from_value(value: u64) -> Self;
    /// Its number.
    fn value(self) -> u64;
}

impl Field for u64 {
    fn from_value(value: u64) -> Self {
        value
    }

    fn value(self) -> u64 {
        self
    }
}

impl Field for u32 {
    fn from_value(value: u64) -> Self {
        u32::try_from(value).expect("the field's range fits 32 bits")
    }

    fn value(self) -> u64 {
        self.into()
    }
}

/// The fields of a generator with their values.
pub trait Fields {
    /// Each field's declaration and number, in the order of the text.
    fn fields(&self) -> Vec<(Param, u64)>;
}

/// Declares an enum whose variants have names in text.
macro_rules! names {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $( #[doc = $doc:literal] $variant:ident = $text:literal, )+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $( #[doc = $doc] $variant, )+ }

        impl $name {
            /// The names in text, in the order of the variants.
            pub const NAMES: &'static [&'static str] = &[$($text),+];

            /// The variant of this name.
            #[allow(dead_code, reason = "not every list of names is read from other text than families")]
            pub fn from_name(name: &str) -> Option<Self> {
                let at = Self::NAMES.iter().position(|known| *known == name)?;
                Some([$($name::$variant),+][at])
            }
        }

        impl $crate::kernels::fields::Field for $name {
            fn from_value(value: u64) -> Self {
                [$($name::$variant),+][value as usize]
            }

            fn value(self) -> u64 {
                self as u64
            }
        }
    };
}

/// Declares a family: `field: Type = "name in text" count(default, min, max)`, likewise `bytes`, or
/// `name(names)`, each with its meaning; `.quiet()` behind it leaves the default out of the text. `of` is what tells the members of the family apart.
macro_rules! family {
    (
        $(#[$meta:meta])*
        pub struct $family:ident $(of $fixed:ident: $fixed_ty:ty)? {
            $( $(#[doc = $doc:literal])+ pub $field:ident: $ty:ty = $key:literal
                $kind:ident($($arg:expr),* $(,)?) $(.$quiet:ident())?, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $family {
            $( #[doc = "which member of the family"] pub $fixed: $fixed_ty, )?
            $( $(#[doc = $doc])+ pub $field: $ty, )*
        }

        impl $family {
            /// The fields as text has them.
            pub const FIELDS: &'static [$crate::kernels::fields::Param] =
                &[$( $crate::kernels::fields::Param::$kind($key, $($arg,)* concat!($($doc),+))$(.$quiet())? ),*];

            /// Every field at its default.
            pub fn usual($($fixed: $fixed_ty)?) -> Self {
                let values: Vec<u64> = Self::FIELDS.iter().map(|field| field.default).collect();
                Self::of($($fixed,)? &values)
            }

            /// With `values`, one for each of `FIELDS` and in their ranges; what follows them is left alone.
            pub(in crate::kernels) fn of($($fixed: $fixed_ty,)? values: &[u64]) -> Self {
                let mut values = values.iter();
                let mut next = || *values.next().expect("a value for each field");
                $family { $($fixed,)? $( $field: $crate::kernels::fields::Field::from_value(next()), )* }
            }
        }

        impl $crate::kernels::fields::Fields for $family {
            fn fields(&self) -> Vec<($crate::kernels::fields::Param, u64)> {
                let values = [$( $crate::kernels::fields::Field::value(self.$field) ),*];
                Self::FIELDS.iter().copied().zip(values).collect()
            }
        }
    };
}

pub(in crate::kernels) use {family, names};
