//! Dense indices. One macro, one width per kind; no bare `usize` names a unit across a module border.

macro_rules! index {
    ($(#[$meta:meta])* $name:ident($repr:ty)) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, bincode::Encode, bincode::Decode,
        )]
        pub struct $name(pub $repr);
        impl $name {
            /// The index as a `usize`, for slices.
            #[inline(always)]
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index!(
    /// A streaming multiprocessor.
    SmId(u16)
);
index!(
    /// An L2 slice.
    SliceId(u16)
);
index!(
    /// A graphics processing cluster: the SMs behind one port of the crossbar.
    GpcId(u16)
);
index!(
    /// A DRAM channel, and the memory shard around it.
    ChannelId(u16)
);
index!(
    /// A layer of the model that a workload was made from.
    LayerId(u32)
);
