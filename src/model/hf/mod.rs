//! `config.json` of Hugging Face: each family of models written as its definition reads.

mod build;
mod clip;
mod compact;
mod config;
mod decoder;
mod encoder;
mod experts;
mod families;
mod joined;
mod latent;
mod shards;
mod t5;
#[cfg(test)]
mod tests;
mod vit;
mod whisper;

pub use build::{Builder, Heads, square};
pub use clip::Texts;
pub use encoder::{Layer, whole};

use super::graph::Graph;
use super::options::Bindings;
use crate::error::{Error, Result};
use config::Config;

/// What a model is run on.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Sequences or images at a time.
    pub batch: u64,
    /// Tokens of a sequence.
    pub seq: u64,
    /// GPUs that share every layer.
    pub shards: u64,
}

type Build = fn(&Config, &str, Run) -> Result<Graph>;

/// Families by `model_type`.
const FAMILIES: &[(&str, Build)] = &[
    ("albert", compact::albert),
    ("bert", encoder::bert),
    ("bloom", joined::bloom),
    ("camembert", encoder::bert),
    ("clip", clip::clip),
    ("deepseek_v2", latent::deepseek),
    ("deepseek_v3", latent::deepseek),
    ("deit", vit::deit),
    ("distilbert", encoder::distilbert),
    ("electra", compact::electra),
    ("falcon", joined::falcon),
    ("gemma", families::gemma),
    ("gemma2", families::gemma),
    ("gpt2", families::gpt2),
    ("gpt_neox", families::gpt_neox),
    ("llama", families::llama),
    ("mistral", families::llama),
    ("mixtral", families::mixtral),
    ("mt5", t5::t5),
    ("opt", families::opt),
    ("phi", families::phi),
    ("phi3", families::phi3),
    ("qwen2", families::qwen2),
    ("qwen2_moe", families::qwen2_moe),
    ("qwen3", families::qwen3),
    ("roberta", encoder::bert),
    ("switch_transformers", t5::t5),
    ("t5", t5::t5),
    ("vit", vit::vit),
    ("whisper", whisper::whisper),
    ("xlm-roberta", encoder::bert),
];

/// The model that `text`, the content of `file`, describes; it is called `name`.
///
/// # Errors
/// What is no configuration of a known family, and keys that are missing or make no sense.
pub fn read(text: &str, file: &str, name: &str, bindings: &Bindings) -> Result<Graph> {
    let config = Config::read(file, text)?;
    let kind = config.text("model_type")?;
    let kind = kind.ok_or_else(|| config.wrong("model_type", "model_type is missing"))?;
    let Some((_, build)) = FAMILIES.iter().find(|(known, _)| *known == kind) else {
        let known: Vec<&str> = FAMILIES.iter().map(|(known, _)| *known).collect();
        return Err(Error::input(
            file,
            "key model_type",
            format!("there is no family {kind} here"),
            format!(
                "use one of {}, or export the model to ONNX",
                known.join(", ")
            ),
        ));
    };
    // An extent by name means nothing here: the file leaves none open.
    bindings.all_used(&[], &[])?;
    let run = Run {
        batch: bindings.batch.unwrap_or(1),
        seq: bindings.seq.unwrap_or(128),
        shards: bindings.tensor_parallel.unwrap_or(1),
    };
    let mut graph = build(&config, name, run)?;
    graph.sharding.check(name)?;
    if bindings.batch.is_none() || bindings.seq.is_none() {
        graph.note(format!(
            "batch of {}, {} tokens (--batch-size and --seq-len change that)",
            run.batch, run.seq
        ));
    }
    Ok(graph)
}
