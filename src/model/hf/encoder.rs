//! Encoders: BERT, RoBERTa and DistilBERT, each as the base model without a head for a task.

use super::Run;
use super::build::{Builder, Heads};
use super::config::Config;
use super::families::positions;
use crate::error::Result;
use crate::model::graph::{Dtype, Graph, TensorId};

/// A layer of an encoder.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// Elements of a token.
    pub hidden: u64,
    /// Elements between the matrices of the feed-forward network.
    pub inner: u64,
    /// Heads.
    pub heads: Heads,
    /// Queries, keys and values have biases.
    pub qkv_bias: bool,
    /// Rows are normalised in front of each part instead of behind it.
    pub norm_first: bool,
    /// Function of the feed-forward network.
    pub function: &'static str,
    /// What each part adds is scaled by a learnt vector.
    pub scaled: bool,
}

impl Layer {
    /// The layer on `x`.
    pub fn build(&self, b: &mut Builder, x: TensorId) -> TensorId {
        let normed = match self.norm_first {
            true => b.layer_norm("layer_norm1", x),
            false => x,
        };
        let heads = b.share_heads(self.heads);
        let width = heads.heads.saturating_mul(heads.head_dim);
        let [q, k, v] =
            ["query", "key", "value"].map(|name| b.linear(name, normed, width, self.qkv_bias));
        let attended = b.attention("attention", &[q, k, v], heads);
        let attended = b.linear_of_share("attention.output", attended, self.hidden, true);
        let attended = self.scale(b, "attention.scale", attended);
        let mut x = b.each("attention.residual", "Add", &[attended, x]);
        if !self.norm_first {
            x = b.layer_norm("attention.norm", x);
        }
        let normed = match self.norm_first {
            true => b.layer_norm("layer_norm2", x),
            false => x,
        };
        let inner = b.share("intermediate_size", self.inner);
        let up = b.linear("intermediate", normed, inner, true);
        let up = b.each("act", self.function, &[up]);
        let down = b.linear_of_share("output", up, self.hidden, true);
        let down = self.scale(b, "scale", down);
        let x = b.each("residual", "Add", &[down, x]);
        match self.norm_first {
            true => x,
            false => b.layer_norm("norm", x),
        }
    }

    fn scale(&self, b: &mut Builder, name: &str, x: TensorId) -> TensorId {
        match self.scaled {
            true => {
                let factors = b.weight(&format!("{name}.weight"), [self.hidden]);
                b.each(name, "Mul", &[x, factors])
            }
            false => x,
        }
    }
}

/// `heads` heads over `hidden` elements, all tokens in sight of all.
pub fn whole(heads: u64, head_dim: u64) -> Heads {
    Heads {
        heads,
        kv_heads: heads,
        head_dim,
        value_dim: head_dim,
        causal: false,
    }
}

/// The function that a configuration names, as the graph calls it.
pub fn function(config: &Config, key: &str, default: &'static str) -> Result<&'static str> {
    Ok(match config.text(key)? {
        None => default,
        Some("gelu" | "gelu_pytorch_tanh" | "quick_gelu") => "Gelu",
        // GELU by tanh as a model's own code has it.
        Some("gelu_new" | "gelu_fast") => "NewGelu",
        Some("relu") => "Relu",
        Some("silu" | "swish") => "Silu",
        Some("tanh") => "Tanh",
        Some(other) => return Err(config.wrong(key, format!("there is no function {other} here"))),
    })
}

/// A layer by the keys of BERT.
pub fn layer_of(config: &Config, default: &'static str) -> Result<Layer> {
    let (hidden, heads) = (
        config.count("hidden_size")?,
        config.count("num_attention_heads")?,
    );
    let head_dim = config.divided(("hidden_size", hidden), ("num_attention_heads", heads))?;
    Ok(Layer {
        hidden,
        inner: config.count("intermediate_size")?,
        heads: whole(heads, head_dim),
        qkv_bias: true,
        norm_first: false,
        function: function(config, "hidden_act", default)?,
        scaled: false,
    })
}

/// BERT and RoBERTa, with the pooler.
pub fn bert(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let layer = layer_of(config, "Gelu")?;
    let hidden = layer.hidden;
    let layers = config.layers("num_hidden_layers")?;
    let rows = positions(config, "max_position_embeddings", run.seq)?;
    let types = config.count("type_vocab_size")?;
    let vocabulary = config.count("vocab_size")?;
    let mut b = Builder::sharded(name, config.dtype()?, run.shards);
    let x = embed(&mut b, run, vocabulary, rows, hidden, Some(types));
    let mut x = b.layer_norm("embeddings.norm", x);
    for index in 0..layers {
        x = b.within(format_args!("layer.{index}"), |b| layer.build(b, x));
    }
    if config.flag("lm_head", false)? {
        return Ok(words(b, &layer, x, vocabulary));
    }
    let first = b.part("first", x, [run.batch, hidden]);
    let pooled = b.linear("pooler", first, hidden, true);
    let pooled = b.each("pooler.act", "Tanh", &[pooled]);
    b.graph
        .note("the base model: without a head for a task, with the pooler");
    Ok(b.finish(&[x, pooled]))
}

/// The head that predicts words, instead of the pooler.
fn words(mut b: Builder, layer: &Layer, x: TensorId, vocabulary: u64) -> Graph {
    let x = b.linear("head.transform", x, layer.hidden, true);
    let x = b.each("head.act", layer.function, &[x]);
    let x = b.layer_norm("head.norm", x);
    let rows = b.share_vocabulary(vocabulary);
    let logits = b.linear("head.decoder", x, rows, true);
    b.gathered(logits);
    b.graph.note("with the head that predicts words");
    b.finish(&[logits])
}

/// The sum of the rows for tokens, positions and types.
pub fn embed(
    b: &mut Builder,
    run: Run,
    vocabulary: u64,
    rows: u64,
    hidden: u64,
    types: Option<u64>,
) -> TensorId {
    let ids = b.input("input_ids", Dtype::Int64, vec![run.batch, run.seq]);
    let own = b.share_vocabulary(vocabulary);
    let table = b.weight("embeddings.word", [own, hidden]);
    let mut x = b.lookup("embeddings.words", table, ids);
    x = b.summed(x);
    if let Some(types) = types {
        let kinds = b.input("token_type_ids", Dtype::Int64, vec![run.batch, run.seq]);
        let table = b.weight("embeddings.token_type", [types, hidden]);
        let kinds = b.lookup("embeddings.types", table, kinds);
        x = b.each("embeddings.with_types", "Add", &[x, kinds]);
    }
    let places = b.weight("embeddings.position", [rows, hidden]);
    let part = b.part("embeddings.positions", places, [run.seq, hidden]);
    b.each("embeddings.sum", "Add", &[x, part])
}

/// DistilBERT, whose keys have names of their own.
pub fn distilbert(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let (hidden, heads) = (config.count("dim")?, config.count("n_heads")?);
    let head_dim = config.divided(("dim", hidden), ("n_heads", heads))?;
    let layer = Layer {
        hidden,
        inner: config.count("hidden_dim")?,
        heads: whole(heads, head_dim),
        qkv_bias: true,
        norm_first: false,
        function: function(config, "activation", "Gelu")?,
        scaled: false,
    };
    let layers = config.layers("n_layers")?;
    let rows = positions(config, "max_position_embeddings", run.seq)?;
    let vocabulary = config.count("vocab_size")?;
    let mut b = Builder::sharded(name, config.dtype()?, run.shards);
    let x = embed(&mut b, run, vocabulary, rows, hidden, None);
    let mut x = b.layer_norm("embeddings.norm", x);
    for index in 0..layers {
        x = b.within(format_args!("layer.{index}"), |b| layer.build(b, x));
    }
    b.graph.note("the base model: without a head for a task");
    Ok(b.finish(&[x]))
}
