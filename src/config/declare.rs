//! The declaring macros: one declaration yields struct or enum, reading, echo and documentation.

/// Declares a section of the configuration: `field: type = kind`, each with its documentation.
macro_rules! section {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[doc = $doc:literal])+ pub $field:ident: $ty:ty = $kind:expr, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $ty, )+
        }

        impl $crate::config::field::Field for $name {
            fn document(
                section: &str,
                _: &'static str,
                _: $crate::config::field::Kind,
                out: &mut Vec<$crate::config::field::KeyDoc>,
            ) {
                #[allow(unused_imports, reason = "not every section uses every kind")]
                use $crate::config::field::{Field, Kind::*, join};
                $(
                    let key = join(section, stringify!($field), $kind);
                    <$ty as Field>::document(&key, concat!($($doc),+).trim_ascii(), $kind, out);
                )+
            }
            fn read(
                reader: &mut $crate::config::field::Reader<'_>,
                section: &str,
                _: $crate::config::field::Kind,
            ) -> Self {
                #[allow(unused_imports, reason = "not every section uses every kind")]
                use $crate::config::field::{Field, Kind::*, join};
                $name {
                    $( $field: <$ty as Field>::read(
                        reader,
                        &join(section, stringify!($field), $kind),
                        $kind,
                    ), )+
                }
            }
            fn echo(
                &self,
                section: &str,
                _: $crate::config::field::Kind,
                out: &mut $crate::config::field::Echo,
            ) {
                #[allow(unused_imports, reason = "not every section uses every kind")]
                use $crate::config::field::{Field, Kind::*, join};
                $( self.$field.echo(&join(section, stringify!($field), $kind), $kind, out); )+
            }
        }
    };
}
pub(crate) use section;

/// Declares an enum that the configuration spells by name.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[doc = $doc:literal])+ $variant:ident = $text:literal, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl $name {
            /// Names in the configuration, in the order of the variants.
            pub const NAMES: &'static [&'static str] = &[$($text),+];
            /// Each variant's meaning, in the same order.
            pub const DOCS: &'static [&'static str] = &[$(concat!($($doc),+).trim_ascii()),+];
            /// Every variant, in the same order.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The name in the configuration.
            pub const fn name(self) -> &'static str {
                Self::NAMES[self as usize]
            }

            /// The variant that is spelt `name`, exactly.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::NAMES.iter().position(|n| *n == name).map(|at| Self::ALL[at])
            }
        }

        impl $crate::config::field::Field for $name {
            fn document(
                key: &str,
                doc: &'static str,
                kind: $crate::config::field::Kind,
                out: &mut Vec<$crate::config::field::KeyDoc>,
            ) {
                let (key, meanings) = (key.to_owned(), Self::DOCS);
                out.push($crate::config::field::KeyDoc { key, doc, kind, meanings });
            }
            fn read(
                reader: &mut $crate::config::field::Reader<'_>,
                key: &str,
                kind: $crate::config::field::Kind,
            ) -> Self {
                Self::ALL[reader.name(key, &kind)]
            }
            fn echo(
                &self,
                key: &str,
                _: $crate::config::field::Kind,
                out: &mut $crate::config::field::Echo,
            ) {
                out.insert(key.to_owned(), serde_json::Value::from(self.name()));
            }
        }
    };
}
pub(crate) use choice;
