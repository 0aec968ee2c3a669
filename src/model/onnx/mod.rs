//! ONNX files.
//!
//! The file is read in place (`wire`, `proto`), and its nodes are visited in order (`import`): each gets the shapes of
//! what it reads and says what it makes (`infer`). Every extent is a number by then, because open ones are bound
//! before; so shapes that a model computes are computed here, too. Weights are never needed. Branches, loops and
//! functions become the nodes that they run (`control`).

mod control;
mod import;
mod infer;
mod inputs;
mod proto;
mod sequences;
#[cfg(test)]
mod tests;
mod wire;

use super::graph::Graph;
use super::options::Bindings;
use crate::error::{Error, Result};

/// Reads the ONNX file `file`, whose content is `bytes`.
///
/// # Errors
/// Damage, what is no model, what cannot be right, and open extents that `bindings` leave open.
pub fn read(bytes: &[u8], file: &str, bindings: &Bindings) -> Result<Graph> {
    let damage = |damage: wire::Damage| {
        Error::input(
            file,
            format!("byte {}", damage.offset),
            damage.what,
            damage.remedy,
        )
    };
    let model = proto::Model::read(wire::Span::file(bytes)).map_err(damage)?;
    let Some(graph) = model.graph else {
        let what = match bytes.is_empty() {
            true => "the file is empty",
            false => "there is no graph in it",
        };
        return Err(Error::input(file, "whole file", what, "name an ONNX model"));
    };
    let graph = proto::Graph::read(graph).map_err(damage)?;
    import::import(&model, &graph, file, bindings)
}
