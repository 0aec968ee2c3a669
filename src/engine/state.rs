//! What is kept of a machine between two kernels, so that another process can go on from there.
//!
//! Plain data is kept by bincode's derived traits. A unit that has parts which are not kept, because they follow from
//! the configuration or are only scratch, says so with [`state!`]: every field has to be named there, so that a new one
//! cannot be forgotten. The state is loaded into a unit that was built from the same configuration.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};

/// How the writing of a state went.
pub type Saved = Result<(), EncodeError>;
/// How the reading of one went.
pub type Loaded = Result<(), DecodeError>;

/// A unit whose state can be kept.
pub trait State {
    /// Writes the state.
    ///
    /// # Errors
    /// When `to` cannot be written.
    fn save<E: Encoder>(&self, to: &mut E) -> Saved;

    /// Takes over what [`State::save`] wrote of a unit of the same configuration.
    ///
    /// # Errors
    /// When `from` ends early, or holds something else.
    fn load<D: Decoder<Context = ()>>(&mut self, from: &mut D) -> Loaded;
}

/// A list of units, as long as it was built.
macro_rules! list {
    (impl[$($generic:tt)*] $list:ty) => {
        impl<T: State, $($generic)*> State for $list {
            fn save<E: Encoder>(&self, to: &mut E) -> Saved {
                self.iter().try_for_each(|unit| unit.save(to))
            }

            fn load<D: Decoder<Context = ()>>(&mut self, from: &mut D) -> Loaded {
                self.iter_mut().try_for_each(|unit| unit.load(from))
            }
        }
    };
}

list!(impl[] Vec<T>);
list!(impl[const N: usize] [T; N]);

/// Declares the state of a unit by its fields: `units` are units themselves, `values` are plain data, `left` are not
/// kept.
macro_rules! state {
    (
        $name:ty $(where [$generic:ident: $($bound:path),+])? {
            units: [$($unit:ident),*],
            values: [$($value:ident),*],
            left: [$($left:ident),*],
        }
    ) => {
        impl $(<$generic: $($bound +)+>)? $crate::engine::State for $name {
            fn save<E: bincode::enc::Encoder>(&self, to: &mut E) -> $crate::engine::state::Saved {
                let Self { $($unit,)* $($value,)* $($left: _,)* } = self;
                $( $crate::engine::State::save($unit, to)?; )*
                $( bincode::Encode::encode($value, to)?; )*
                Ok(())
            }

            fn load<D: bincode::de::Decoder<Context = ()>>(
                &mut self,
                from: &mut D,
            ) -> $crate::engine::state::Loaded {
                let Self { $($unit,)* $($value,)* $($left: _,)* } = self;
                $( $crate::engine::State::load($unit, from)?; )*
                $( *$value = bincode::Decode::decode(from)?; )*
                Ok(())
            }
        }
    };
}
pub(crate) use state;
