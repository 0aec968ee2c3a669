//! The declaring macros of the accounts: one declaration yields storage, sums, differences, JSON and what `explain`
//! says.

/// What is known of a counter, or of a group of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Where it stands, in names of the report: `l1.sector_hits`.
    pub path: String,
    /// Unit.
    pub unit: &'static str,
    /// What it counts.
    pub text: String,
    /// It is a group of counters, not one of them.
    pub group: bool,
}

impl Counter {
    /// The same as a part of `group`.
    pub(crate) fn within(mut self, group: &str) -> Self {
        self.path = format!("{group}.{}", self.path);
        self
    }
}

/// Declares a struct of counters with their units and sentences: `field: kind(...)`. Kinds:
///
/// - `count("unit")` adds up over units of the chip, and over time;
/// - `least("unit")` and `most("unit")` are extremes of the whole run. They cannot be differenced, so no kernel's
///   account has them;
/// - `level("unit")` is what stands at one moment. The difference of two accounts keeps the level at its end, and
///   `level_before(field, "unit")` is the level of `field` at its start;
/// - `part(Struct)` is a group with a name, which may have a unit, and `flat(Struct)` one whose counters stand among
///   the others;
/// - `labels(Struct, "unit")` is a part each unit of which has one label that may still change: its `relabelled_since`
///   is the difference.
macro_rules! stats {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[doc = $doc:literal])+ $field:ident: $kind:ident($($arg:tt)*), )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $crate::stats::declare::kind!(type $kind $($arg)*), )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $crate::stats::declare::kind!(default $kind $($arg)*), )+ }
            }
        }

        impl $name {
            /// Every counter and group, in the order of the report.
            #[allow(clippy::vec_init_then_push, reason = "a line for each field, of several kinds")]
            pub fn schema() -> Vec<$crate::stats::Counter> {
                let mut out = Vec::new();
                $(
                    let text = concat!($($doc),+).trim_ascii();
                    $crate::stats::declare::kind!(schema $kind out (stringify!($field)) text; $($arg)*);
                )+
                out
            }

            /// Values of the counters, in the order of the schema.
            #[allow(clippy::vec_init_then_push, reason = "a line for each field, of several kinds")]
            pub fn values(&self) -> Vec<u64> {
                let mut out = Vec::new();
                $( $crate::stats::declare::kind!(values $kind out (self.$field)); )+
                out
            }

            /// The account since `earlier`.
            pub fn since(&self, earlier: &Self) -> Self {
                Self {
                    $( $field: $crate::stats::declare::kind!(since $kind self earlier $field; $($arg)*), )+
                }
            }

            /// Each counter of the two accounts through `f`, which is also given its unit, or
            /// [`LEVEL`](crate::stats::LEVEL). Extremes are those of `self`.
            pub fn blend(&self, other: &Self, f: &mut dyn FnMut(&'static str, u64, u64) -> u64) -> Self {
                Self {
                    $( $field: $crate::stats::declare::kind!(blend $kind self other $field f; $($arg)*), )+
                }
            }

            /// Every number that is kept, in order of declaration.
            #[cfg(test)]
            #[allow(clippy::vec_init_then_push, reason = "a line for each field, of several kinds")]
            pub(crate) fn words(&mut self) -> Vec<&mut u64> {
                let mut out = Vec::new();
                $( $crate::stats::declare::kind!(words $kind out (self.$field)); )+
                out
            }

            /// Writes the counters as entries of a map.
            pub(crate) fn entries<M: serde::ser::SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                $( $crate::stats::declare::kind!(entry $kind map (stringify!($field)) (self.$field)); )+
                Ok(())
            }
        }

        impl core::ops::AddAssign<&$name> for $name {
            fn add_assign(&mut self, other: &Self) {
                $( $crate::stats::declare::kind!(sum $kind (self.$field) (other.$field)); )+
            }
        }

        $crate::stats::declare::as_map!($name);
    };
}
pub(crate) use stats;

/// What [`stats`] does for each kind of field.
macro_rules! kind {
    (since labels $now:ident $earlier:ident $field:ident; $($arg:tt)*) => {
        $now.$field.relabelled_since(&$earlier.$field)
    };
    ($what:ident labels $($rest:tt)*) => { $crate::stats::declare::kind!($what part $($rest)*) };

    (type part $group:ty $(, $unit:literal)?) => { $group };
    (type flat $group:ty) => { $group };
    (type $kind:ident $($arg:tt)*) => { u64 };

    (default part $group:ty $(, $unit:literal)?) => { <$group>::default() };
    (default flat $group:ty) => { <$group>::default() };
    (default least $unit:literal) => { u64::MAX };
    (default $kind:ident $($arg:tt)*) => { 0 };

    (schema part $out:ident ($name:expr) $text:ident; $group:ty $(, $unit:literal)?) => {
        $out.push($crate::stats::Counter {
            path: $name.to_owned(),
            unit: concat!("" $(, $unit)?),
            text: $text.to_owned(),
            group: true,
        });
        $out.extend(<$group>::schema().into_iter().map(|counter| counter.within($name)));
    };
    (schema flat $out:ident ($name:expr) $text:ident; $group:ty) => {
        let _ = $text;
        $out.extend(<$group>::schema());
    };
    (schema least $out:ident ($name:expr) $text:ident; $unit:literal) => { let _ = $text; };
    (schema most $out:ident ($name:expr) $text:ident; $unit:literal) => { let _ = $text; };
    (schema $kind:ident $out:ident ($name:expr) $text:ident; $($before:ident,)? $unit:literal) => {
        $out.push($crate::stats::Counter {
            path: $name.to_owned(),
            unit: $unit,
            text: $text.to_owned(),
            group: false,
        });
    };

    (values part $out:ident ($group:expr)) => { $out.extend($group.values()); };
    (values flat $out:ident ($group:expr)) => { $out.extend($group.values()); };
    (values least $out:ident ($value:expr)) => {};
    (values most $out:ident ($value:expr)) => {};
    (values $kind:ident $out:ident ($value:expr)) => { $out.push($value); };

    (words part $out:ident ($group:expr)) => { $out.extend($group.words()); };
    (words flat $out:ident ($group:expr)) => { $out.extend($group.words()); };
    (words $kind:ident $out:ident ($value:expr)) => { $out.push(&mut $value); };

    (since count $now:ident $earlier:ident $field:ident; $unit:literal) => { $now.$field - $earlier.$field };
    (since part $now:ident $earlier:ident $field:ident; $($arg:tt)*) => { $now.$field.since(&$earlier.$field) };
    (since flat $now:ident $earlier:ident $field:ident; $($arg:tt)*) => { $now.$field.since(&$earlier.$field) };
    (since level_before $now:ident $earlier:ident $field:ident; $of:ident, $unit:literal) => { $earlier.$of };
    (since $kind:ident $now:ident $earlier:ident $field:ident; $unit:literal) => { $now.$field };

    (blend count $a:ident $b:ident $field:ident $f:ident; $unit:literal) => { $f($unit, $a.$field, $b.$field) };
    (blend part $a:ident $b:ident $field:ident $f:ident; $($arg:tt)*) => { $a.$field.blend(&$b.$field, $f) };
    (blend flat $a:ident $b:ident $field:ident $f:ident; $($arg:tt)*) => { $a.$field.blend(&$b.$field, $f) };
    (blend least $a:ident $b:ident $field:ident $f:ident; $($arg:tt)*) => { $a.$field };
    (blend most $a:ident $b:ident $field:ident $f:ident; $($arg:tt)*) => { $a.$field };
    (blend $kind:ident $a:ident $b:ident $field:ident $f:ident; $($arg:tt)*) => {
        $f($crate::stats::LEVEL, $a.$field, $b.$field)
    };

    (entry part $map:ident ($name:expr) ($group:expr)) => { $map.serialize_entry($name, &$group)?; };
    (entry flat $map:ident ($name:expr) ($group:expr)) => { $group.entries($map)?; };
    (entry least $map:ident ($name:expr) ($value:expr)) => {};
    (entry most $map:ident ($name:expr) ($value:expr)) => {};
    (entry $kind:ident $map:ident ($name:expr) ($value:expr)) => { $map.serialize_entry($name, &$value)?; };

    (sum part ($sum:expr) ($more:expr)) => { $sum += &$more; };
    (sum flat ($sum:expr) ($more:expr)) => { $sum += &$more; };
    (sum least ($sum:expr) ($more:expr)) => { $sum = $sum.min($more); };
    (sum most ($sum:expr) ($more:expr)) => { $sum = $sum.max($more); };
    (sum $kind:ident ($sum:expr) ($more:expr)) => { $sum += $more; };
}
pub(crate) use kind;

/// Serialises an account as the map of its entries.
macro_rules! as_map {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(None)?;
                self.entries(&mut map)?;
                map.end()
            }
        }
    };
}
pub(crate) use as_map;

/// Declares an enum whose variants have names in the report, and the account that has one counter for each: its
/// unit, what stands before a name in its key, and before a variant's sentence in its text. A variant that is
/// `counted as another` has no counter of its own.
macro_rules! names {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[doc = $doc:literal])+ $variant:ident = $text:literal, )+
        }
        $( counted as another {
            $( $(#[doc = $alias_doc:literal])+ $alias:ident as $target:ident, )+
        } )?
        $(#[$tally_meta:meta])*
        pub struct $tally:ident { unit: $unit:literal, key: $key:literal, text: $before:literal }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
        #[repr(u8)]
        pub enum $name {
            $( $(#[doc = $doc])+ $variant, )+
            $( $( $(#[doc = $alias_doc])+ $alias, )+ )?
        }

        impl $name {
            /// Variants that have a counter, in the order of the report.
            pub const ALL: &'static [$name] = &[$( $name::$variant ),+];
            /// Number of variants, those without a counter included.
            pub const COUNT: usize = Self::ALL.len() $( + [$( $name::$alias ),+].len() )?;
            /// The variants without a counter, and what counts them.
            const COUNTED_AS: &'static [($name, $name)] = &[$( $( ($name::$alias, $name::$target) ),+ )?];

            /// The name in the report.
            pub const fn name(self) -> &'static str {
                match self {
                    $( $name::$variant => $text, )+
                    $( $( $name::$alias => $name::$target.name(), )+ )?
                }
            }

            /// What the variant stands for.
            pub const fn text(self) -> &'static str {
                match self {
                    $( $name::$variant => concat!($($doc),+).trim_ascii(), )+
                    $( $( $name::$alias => concat!($($alias_doc),+).trim_ascii(), )+ )?
                }
            }
        }

        $(#[$tally_meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bincode::Encode, bincode::Decode)]
        pub struct $tally {
            counts: [u64; $name::COUNT],
        }

        impl $tally {
            /// Adds `more` to the count of `which`.
            #[inline(always)]
            pub fn add(&mut self, which: $name, more: u64) {
                self.counts[which as usize] += more;
            }

            /// The count of `which`, with what is counted as it.
            pub fn get(&self, which: $name) -> u64 {
                let others = $name::COUNTED_AS.iter().filter(|(_, target)| *target == which);
                let others: u64 = others.map(|(other, _)| self.counts[*other as usize]).sum();
                self.counts[which as usize] + others
            }

            /// Sets the count of `which`.
            pub fn set(&mut self, which: $name, count: u64) {
                self.counts[which as usize] = count;
            }

            /// All counts together.
            pub fn total(&self) -> u64 {
                self.counts.iter().sum()
            }

            /// Counts by name, in the order of the report.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
                $name::ALL.iter().map(|which| (which.name(), self.get(*which)))
            }

            /// Every counter, in the order of the report.
            pub fn schema() -> Vec<$crate::stats::Counter> {
                let counter = |which: &$name| $crate::stats::Counter {
                    path: format!("{}{}", $key, which.name()),
                    unit: $unit,
                    text: format!("{}{}", $before, which.text()),
                    group: false,
                };
                $name::ALL.iter().map(counter).collect()
            }

            /// Values of the counters, in the order of the schema.
            pub fn values(&self) -> Vec<u64> {
                self.named().map(|(_, count)| count).collect()
            }

            /// The account since `earlier`.
            pub fn since(&self, earlier: &Self) -> Self {
                Self {
                    counts: core::array::from_fn(|at| self.counts[at] - earlier.counts[at]),
                }
            }

            /// Each counter of the two accounts through `f`, which is also given its unit.
            pub fn blend(&self, other: &Self, f: &mut dyn FnMut(&'static str, u64, u64) -> u64) -> Self {
                Self {
                    counts: core::array::from_fn(|at| f($unit, self.counts[at], other.counts[at])),
                }
            }

            /// Every number that is kept, in order of declaration.
            #[cfg(test)]
            pub(crate) fn words(&mut self) -> Vec<&mut u64> {
                self.counts.iter_mut().collect()
            }

            /// Writes the counters as entries of a map.
            pub(crate) fn entries<M: serde::ser::SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                for (name, count) in self.named() {
                    map.serialize_entry(&format!("{}{name}", $key), &count)?;
                }
                Ok(())
            }
        }

        impl core::ops::AddAssign<&$tally> for $tally {
            fn add_assign(&mut self, other: &Self) {
                for (sum, more) in self.counts.iter_mut().zip(&other.counts) {
                    *sum += more;
                }
            }
        }

        $crate::stats::declare::as_map!($tally);
    };
}
pub(crate) use names;
