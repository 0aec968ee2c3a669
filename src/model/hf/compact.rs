//! ALBERT and ELECTRA: encoders whose tokens are embedded in fewer elements than layers work on.

use super::Run;
use super::build::Builder;
use super::config::Config;
use super::encoder::{Layer, embed, layer_of};
use super::families::positions;
use crate::error::Result;
use crate::model::graph::{Graph, TensorId};

/// Most layers that are built.
const BUILT_MAX: u64 = 1000;

/// Embedded tokens, normalised, `embedded` elements each.
fn tokens(config: &Config, b: &mut Builder, run: Run, embedded: u64) -> Result<TensorId> {
    let rows = positions(config, "max_position_embeddings", run.seq)?;
    let types = config.count("type_vocab_size")?;
    let vocabulary = config.count("vocab_size")?;
    let x = embed(b, run, vocabulary, rows, embedded, Some(types));
    Ok(b.layer_norm("embeddings.norm", x))
}

/// ALBERT, with the pooler: layers share their weights, in groups.
pub fn albert(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let layer = layer_of(config, "NewGelu")?;
    let layers = config.layers("num_hidden_layers")?;
    let groups = config.maybe("num_hidden_groups")?.unwrap_or(1);
    if groups > layers {
        let what = format!("{groups} groups of {layers} layers");
        return Err(config.wrong("num_hidden_groups", what));
    }
    let inner = match config.has("inner_group_num") {
        true => config.layers("inner_group_num")?,
        false => 1,
    };
    if layers * inner > BUILT_MAX {
        let what = format!("{layers} layers of {inner} each are more than {BUILT_MAX}");
        return Err(config.wrong("inner_group_num", what));
    }
    let embedded = config.maybe("embedding_size")?.unwrap_or(128);
    let mut b = Builder::sharded(name, config.dtype()?, run.shards);
    let x = tokens(config, &mut b, run, embedded)?;
    let mut x = b.linear("embedding_hidden_mapping_in", x, layer.hidden, true);
    let mut weights = vec![Vec::new(); groups as usize];
    for index in 0..layers {
        let group = &mut weights[(index * groups / layers) as usize];
        x = b.sharing(group, |b| in_group(b, &layer, x, [index, inner]));
    }
    let first = b.part("first", x, [run.batch, layer.hidden]);
    let pooled = b.linear("pooler", first, layer.hidden, true);
    let pooled = b.each("pooler.act", "Tanh", &[pooled]);
    b.graph
        .note("the base model: without a head for a task, with the pooler");
    Ok(b.finish(&[x, pooled]))
}

/// The `inner` layers of a group, as layer `index` of the model.
fn in_group(b: &mut Builder, layer: &Layer, x: TensorId, [index, inner]: [u64; 2]) -> TensorId {
    (0..inner).fold(x, |x, number| {
        b.within(format_args!("layer.{index}.{number}"), |b| {
            layer.build(b, x)
        })
    })
}

/// ELECTRA: BERT without the pooler.
pub fn electra(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let layer = layer_of(config, "Gelu")?;
    let layers = config.layers("num_hidden_layers")?;
    let embedded = config.maybe("embedding_size")?.unwrap_or(128);
    let mut b = Builder::sharded(name, config.dtype()?, run.shards);
    let mut x = tokens(config, &mut b, run, embedded)?;
    if embedded != layer.hidden {
        x = b.linear("embeddings_project", x, layer.hidden, true);
    }
    for index in 0..layers {
        x = b.within(format_args!("layer.{index}"), |b| layer.build(b, x));
    }
    b.graph.note("the base model: without a head for a task");
    Ok(b.finish(&[x]))
}
