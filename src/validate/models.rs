//! Rows of whole models: CSV with `id,gpu,model,dtype,mode,batch,measured_ms`, and what else is known in
//! `model_cfg,framework,n_gpus,option,seq,source,note`.
//!
//! `model_cfg` is JSON with the architecture and its dimensions; without one the model is that of the zoo whose name the
//! row has.

use super::dataset::{Row, object};
use super::operator::Unfit;
use super::predict::{Depth, Launched, Origin, Prediction, Predictor};
use crate::benchmark::{self, Case, Host, Phase, Runner};
use crate::error::{Error, Result};
use crate::kernels::work::Roofline;
use crate::model::graph::Graph;
use crate::model::lower::{Optimizer, Path, Precision, Runtime, Spread};
use crate::model::options::Bindings;
use crate::model::{hf, zoo};
use crate::progress::Progress;
use crate::report::Report;
use crate::report::bound::Bound;
use crate::session::Session;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Columns that a dataset of models must have.
pub const REQUIRED: [&str; 7] = [
    "id",
    "gpu",
    "model",
    "dtype",
    "mode",
    "batch",
    "measured_ms",
];
/// Columns that it may have.
const OPTIONAL: [&str; 7] = [
    "model_cfg",
    "framework",
    "n_gpus",
    "option",
    "seq",
    "source",
    "note",
];

/// Where the columns are.
pub struct Columns {
    required: [usize; 7],
    optional: [Option<usize>; 7],
}

impl Columns {
    /// By the names of columns; the names that are missing.
    ///
    /// # Errors
    /// The columns that are required and are not there.
    pub fn of(
        column: impl Fn(&str) -> Option<usize>,
    ) -> std::result::Result<Self, Vec<&'static str>> {
        let missing = REQUIRED.into_iter().filter(|name| column(name).is_none());
        let missing: Vec<&str> = missing.collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        Ok(Columns {
            required: REQUIRED.map(|name| column(name).expect("checked above")),
            optional: OPTIONAL.map(column),
        })
    }

    /// The row of `record`, whose operator is `model` and whose shape holds the cells that say what was run.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn row(
        &self,
        record: &csv::StringRecord,
        line: u64,
    ) -> std::result::Result<Row, (String, String)> {
        let cell = |at: usize| record.get(at).unwrap_or("").trim();
        let [id, gpu, model, dtype, mode, batch, measured] = self.required.map(cell);
        for (name, text) in [("id", id), ("gpu", gpu), ("model", model)] {
            if text.is_empty() {
                return Err((format!("{name} is empty"), "fill it in".into()));
            }
        }
        let ms: Option<f64> = measured.parse().ok();
        let ms = ms.filter(|ms| (1e-6..1e9).contains(ms)).ok_or_else(|| {
            let what = format!("measured_ms = {measured:?} is no time");
            (what, "give milliseconds, from 1e-6 to 1e9".to_owned())
        })?;
        let [config, framework, gpus, option, seq, source, note] =
            self.optional.map(|at| at.map_or("", cell));
        let mut shape = Map::new();
        shape.insert("model".into(), json!(model));
        if !config.is_empty() {
            shape.insert("config".into(), object("model_cfg", config)?.into());
        }
        shape.insert("batch".into(), whole("batch", batch)?);
        for (name, text) in [("seq", seq), ("n_gpus", gpus)] {
            if !text.is_empty() {
                shape.insert(name.into(), whole(name, text)?);
            }
        }
        shape.insert("mode".into(), json!(mode));
        shape.insert("option".into(), json!(option));
        let mut extra = Map::new();
        for (name, text) in [("framework", framework), ("note", note)] {
            if !text.is_empty() {
                extra.insert(name.into(), json!(text));
            }
        }
        Ok(Row {
            line,
            id: id.to_owned(),
            gpu: gpu.to_owned(),
            op: "model".into(),
            dtype: dtype.to_owned(),
            shape,
            latency_us: 1e3 * ms,
            extra,
            source: source.to_owned(),
        })
    }
}

/// A number of things, which spreadsheets may have given a point.
fn whole(name: &str, text: &str) -> std::result::Result<Value, (String, String)> {
    let number: Option<f64> = text.parse().ok();
    let number = number.filter(|n| n.fract() == 0.0 && (1.0..=1e9).contains(n));
    let number = number.ok_or_else(|| {
        let what = format!("{name} = {text:?} is no number from 1 to 10^9");
        (what, "give a whole number".to_owned())
    })?;
    Ok(json!(number as u64))
}

/// How much longer a larger batch may take than the smallest, where both wait for the host.
const HOST_SLACK: f64 = 1.15;

/// Marks the rows whose time is the host's: a model that takes as long for several times the batch, on the same GPU and
/// with the same numbers, does not wait for the GPU. In `extra`, as `host_bound`.
pub fn mark_host_bound(rows: &mut [Row]) {
    let mut runs: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        let mut same = row.shape.clone();
        same.remove("batch");
        let key = format!("{}\n{}\n{}\n{same:?}", row.source, row.gpu, row.dtype);
        runs.entry(key).or_default().push(index);
    }
    let batch = |row: &Row| row.shape.get("batch").and_then(Value::as_u64);
    for run in runs.into_values() {
        let of = |&index: &usize| (batch(&rows[index]), rows[index].latency_us);
        let smallest = run.iter().map(of).min_by(|a, b| a.0.cmp(&b.0));
        let Some((least, shortest)) = smallest else {
            continue;
        };
        let flat: Vec<usize> = run
            .into_iter()
            .filter(|&index| rows[index].latency_us <= HOST_SLACK * shortest)
            .collect();
        if flat.iter().any(|&index| batch(&rows[index]) > least) {
            for index in flat {
                let extra = &mut rows[index].extra;
                extra.insert("host_bound".into(), json!(true));
            }
        }
    }
}

/// A model that a row measured.
#[derive(Clone, Debug)]
pub struct Run {
    graph: Graph,
    case: Case,
}

/// The source whose published program gives models one token again and again (`torch.ones` for the identifiers).
const REPEATED: &str = "neusight";

/// Kernels of a model that a result lists.
const LISTED: usize = 20;

/// What `row` measured.
///
/// # Errors
/// Dimensions that make no sense, and what is not modelled.
pub fn run(row: &Row) -> std::result::Result<Run, Unfit> {
    let text = |name: &str| row.shape.get(name).and_then(Value::as_str).unwrap_or("");
    let number = |name: &str| row.shape.get(name).and_then(Value::as_u64);
    let phase = match text("mode") {
        "inf" => Phase::Prefill,
        // Forward and backward were timed, without what follows.
        "train" => Phase::Train(Optimizer::None),
        mode => return Err(Unfit::Skip(format!("mode {mode:?}"))),
    };
    if number("n_gpus").is_some_and(|n| n > 1) {
        return Err(Unfit::Skip("a run on several GPUs".into()));
    }
    let runtime = match text("option") {
        "fusion" => Runtime::Compile,
        option if option.is_empty() || option.to_ascii_lowercase().contains("inference") => {
            Runtime::Eager
        }
        option => return Err(Unfit::Skip(format!("option {option:?}"))),
    };
    let precision = precision(&row.dtype).ok_or_else(|| {
        Unfit::Skip(match row.dtype.is_empty() {
            true => format!("{}, whose row has no type of numbers,", text("model")),
            false => format!("numbers of type {}", row.dtype),
        })
    })?;
    let batch = number("batch").unwrap_or(1);
    let bindings = Bindings {
        batch: Some(batch),
        seq: number("seq"),
        ..Bindings::default()
    };
    let model = text("model");
    let graph = match row.shape.get("config") {
        Some(config) => {
            let config = configuration(model, config, number("seq").unwrap_or(1))?;
            hf::read(&config.to_string(), "model_cfg", model, &bindings)
                .map_err(|e| Unfit::Fault(e.to_string()))?
        }
        None => {
            let bindings = Bindings {
                seq: None,
                ..bindings
            };
            let name = model.rsplit("__").next().unwrap_or(model);
            let name = name.trim_end_matches("v1.5");
            if name == "efficientnet" {
                let why = "an EfficientNet whose size (B0, B4) the row does not say";
                return Err(Unfit::Skip(why.into()));
            }
            let found = zoo::find(name);
            let found = found.ok_or_else(|| Unfit::Skip(format!("the model {name}")))?;
            let graph = found.build(&bindings);
            graph.map_err(|e| Unfit::Fault(e.to_string()))?
        }
    };
    let case = Case {
        model: model.to_owned(),
        gpu: row.gpu.clone(),
        batch,
        tokens: number("seq"),
        precision,
        runtime,
        // Transformers computed attention so before PyTorch 2 had a kernel for it, and in the runs measured here.
        attention: Path::Spelt,
        phase,
        spread: match row.source.as_str() {
            REPEATED => Spread::Alike,
            _ => Spread::Even,
        },
    };
    Ok(Run { graph, case })
}

/// The precision that a dataset calls `name`.
fn precision(name: &str) -> Option<Precision> {
    let name = name.to_ascii_lowercase();
    let word = name.split([' ', '(']).next().unwrap_or("");
    match word {
        "mixed" | "amp" => Some(Precision::Fp16),
        word => Precision::named(word).ok(),
    }
}

/// The configuration of Hugging Face for the dimensions in `config`, for at least `tokens` tokens.
fn configuration(model: &str, config: &Value, tokens: u64) -> std::result::Result<Value, Unfit> {
    let number = |name: &str| {
        let value = config.get(name).and_then(Value::as_u64);
        value.ok_or_else(|| Unfit::Fault(format!("model_cfg has no {name}")))
    };
    let architecture = config.get("arch").and_then(Value::as_str).unwrap_or("");
    let (hidden, heads, layers) = (number("hidden")?, number("heads")?, number("layers")?);
    let vocabulary = number("vocab")?;
    let inner = config.get("ffn").and_then(Value::as_u64);
    let inner = inner.unwrap_or(hidden.saturating_mul(4));
    let positions = tokens.max(2048);
    Ok(match architecture {
        name if name.starts_with("Bert") => json!({
            "model_type": "bert", "hidden_size": hidden, "intermediate_size": inner, "num_attention_heads": heads,
            "num_hidden_layers": layers, "vocab_size": vocabulary, "max_position_embeddings": positions,
            "type_vocab_size": 2, "architectures": [name]
        }),
        name if name.starts_with("GPT2") => json!({
            "model_type": "gpt2", "n_embd": hidden, "n_head": heads, "n_layer": layers, "n_positions": positions,
            "n_inner": inner, "vocab_size": vocabulary
        }),
        name if name.starts_with("OPT") => json!({
            "model_type": "opt", "hidden_size": hidden, "ffn_dim": inner, "num_attention_heads": heads,
            "num_hidden_layers": layers, "vocab_size": vocabulary, "max_position_embeddings": positions
        }),
        name if name.starts_with("Switch") => json!({
            "model_type": "switch_transformers", "d_model": hidden, "d_ff": inner, "num_heads": heads,
            "d_kv": config.get("d_kv").and_then(Value::as_u64).unwrap_or(head_of_t5(hidden, heads)),
            "num_layers": layers, "num_decoder_layers": layers, "vocab_size": vocabulary,
            "num_sparse_encoder_layers": layers / 2, "num_sparse_decoder_layers": layers / 2,
            "num_experts": experts(model).ok_or_else(|| {
                Unfit::Skip(format!("the number of experts of {model}"))
            })?
        }),
        other => return Err(Unfit::Skip(format!("architecture {other:?}"))),
    })
}

/// The length of a head in the family of T5: 64, and 128 in those whose heads together are longer than a token (3B, 11B).
fn head_of_t5(hidden: u64, heads: u64) -> u64 {
    match heads.saturating_mul(64) > hidden {
        true => 128,
        false => 64,
    }
}

/// The number at the end of the name, which is how many experts a layer has.
fn experts(model: &str) -> Option<u64> {
    let digits = model.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.parse().ok().filter(|n| *n > 0)
}

impl Run {
    /// Seconds that its operators take at published peaks, and on each side of the roofline.
    pub fn roofline(&self, session: &Session) -> (f64, Roofline) {
        benchmark::bounds(&self.case, &self.graph, session)
    }

    /// Its time on the machine of `session`.
    ///
    /// # Errors
    /// A failed or interrupted simulation; a model that has no room on the GPU.
    pub fn predict(
        &self,
        predictor: &Predictor<'_>,
        session: &Session,
    ) -> Result<std::result::Result<Prediction, Unfit>> {
        let progress = Progress::default();
        let runner = Runner {
            depth: match predictor.depth {
                Depth::Full => benchmark::Depth::Full,
                Depth::Sampled => benchmark::Depth::Sampled,
                Depth::Roofline => benchmark::Depth::Roofline,
            },
            settings: predictor.settings,
            memo: predictor.memo,
            stop: predictor.stop,
            jobs: 1,
            progress: &progress,
            host: predictor.host_us.map(Host::stated),
        };
        let report = runner.run_if_it_fits(&self.case, &self.graph, session)?;
        let model = report.model.as_ref();
        let model = model.ok_or_else(|| Error::Run("a report without its model".into()))?;
        let Some(latency_ms) = model.latency_ms else {
            let why = "models that have no room in the memory of their GPU";
            return Ok(Err(Unfit::Skip(why.into())));
        };
        let unsimulated = model.unsimulated_share;
        let note = (unsimulated > 0.0 || model.refused_share > 0.0).then(|| {
            format!(
                "{:.1} % of the time by rooflines, {:.1} % of the operations left out",
                100.0 * unsimulated,
                100.0 * model.refused_share
            )
        });
        Ok(Ok(Prediction {
            time_us: 1e3 * latency_ms,
            bound: bound(&report),
            launched: launched(&report),
            origin: Origin {
                kind: predictor.depth.name(),
                simulated_fraction: simulated(&report),
                ci_rel: model.ci_rel,
                note,
            },
        }))
    }
}

/// What bounds most of the time.
fn bound(report: &Report) -> Bound {
    let mut times: BTreeMap<&str, f64> = BTreeMap::new();
    for layer in &report.layers {
        *times.entry(layer.bound).or_default() += layer.time_us + layer.wait_us;
    }
    let longest = times.iter().max_by(|a, b| a.1.total_cmp(b.1));
    let name = longest.map_or("", |(name, _)| *name);
    let all = [Bound::Compute, Bound::Memory, Bound::Latency, Bound::Launch];
    let found = all.into_iter().find(|bound| bound.name() == name);
    found.unwrap_or(Bound::Launch)
}

/// Kernels by their places in `report`, with how often each is launched.
fn counted(report: &Report) -> BTreeMap<usize, u64> {
    let mut counts = BTreeMap::new();
    let all = report.layers.iter().flat_map(|layer| &layer.kernels);
    all.for_each(|&kernel| *counts.entry(kernel).or_default() += 1);
    counts
}

/// Warp instructions simulated, of all.
fn simulated(report: &Report) -> f64 {
    let (mut some, mut all) = (0.0, 0.0);
    for (kernel, count) in counted(report) {
        let kernel = &report.kernels[kernel];
        let instructions = count as f64 * kernel.warp_instructions as f64;
        some += instructions * kernel.provenance.simulated_fraction;
        all += instructions;
    }
    if all > 0.0 { some / all } else { 0.0 }
}

/// The kernels that take longest over all their launches.
fn launched(report: &Report) -> Vec<Launched> {
    let mut kernels: Vec<(u64, usize)> = counted(report)
        .into_iter()
        .map(|(kernel, count)| (count, kernel))
        .collect();
    let time = |&(count, kernel): &(u64, usize)| count * report.kernels[kernel].cycles;
    kernels.sort_by_key(|entry| (std::cmp::Reverse(time(entry)), entry.1));
    kernels.truncate(LISTED);
    let one = |(count, index): (u64, usize)| {
        let kernel = &report.kernels[index];
        Launched {
            kernel: kernel.name.clone(),
            grid: kernel.grid,
            block: kernel.block,
            cycles: kernel.cycles,
            time_us: kernel.time_us,
            reason: format!("launched {count} times"),
        }
    };
    kernels.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row says no more than the outer dimensions of a Switch Transformer: the length of its heads is that of the T5 that
    /// has the same, and NeuSight's program gives it one token again and again.
    #[test]
    fn a_switch_transformer_of_a_row_is_that_of_its_paper() {
        let config = json!({"arch": "SwitchTransformersForConditionalGeneration", "ffn": 16384, "heads": 32,
            "hidden": 1024, "layers": 2, "vocab": 32128});
        let head =
            |config: &Value| configuration("switchxl4", config, 512).unwrap()["d_kv"].clone();
        assert_eq!(head(&config), 128);
        let mut base = config.clone();
        (base["hidden"], base["heads"]) = (json!(768), json!(12));
        assert_eq!(head(&base), 64);
        base["d_kv"] = json!(96);
        assert_eq!(head(&base), 96);
        let row = |source: &str| {
            let shape = json!({"model": "switchxl4", "config": config, "batch": 1, "seq": 512, "mode": "inf"});
            let row = Row {
                line: 2,
                id: "a".into(),
                gpu: "V100-PCIE-32GB".into(),
                op: "model".into(),
                dtype: "fp32".into(),
                shape: shape.as_object().unwrap().clone(),
                latency_us: 1.0,
                extra: Map::new(),
                source: source.into(),
            };
            run(&row).unwrap().case.spread
        };
        assert_eq!(row("neusight"), Spread::Alike);
        assert_eq!(row("own"), Spread::Even);
    }
}
