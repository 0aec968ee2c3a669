//! A two-dimensional mesh in place of the crossbar (feature `architecture-research`, key `noc.topology`).
//!
//! Every position of a grid has a router. A few SMs, or a few slices, share a node (`places`); links join neighbours, one
//! in each direction. A message goes along its row first, then along its column (XY routing, which cannot deadlock).
//! Requests and replies have networks of their own. A link moves so many bytes a cycle, one message after the other, in
//! the order in which their heads reach its router; queues in front of links have no limit. A head goes on while its tail
//! still comes (cut-through), so that a message alone takes its hops and once its length (`network`).
//!
//! The mesh is one unit and runs alone between two quanta, up to the end of the last one. It knows of everything that
//! was sent by then, and what it decides arrives `noc.mesh_interface_latency` later, which no quantum is longer than: the
//! result is that of a mesh that runs cycle by cycle with the chip.
//!
//! In builds without the feature there is none.

#[cfg(feature = "architecture-research")]
mod network;
#[cfg(feature = "architecture-research")]
mod places;
#[cfg(all(test, feature = "architecture-research"))]
mod tests;

#[cfg(feature = "architecture-research")]
pub use unit::Mesh;

#[cfg(feature = "architecture-research")]
mod unit;
