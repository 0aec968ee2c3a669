//! `phantom-gpu load-model`: what is in a model.

use super::common::JsonFile;
use crate::error::{Error, Result};
use crate::model::options::{Bindings, EXTENT_MAX};
use crate::model::source::{self, Format};
use crate::model::summary::Summary;
use crate::output;
use crate::report::table::table;

/// `phantom-gpu load-model`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  phantom-gpu load-model model.onnx --dim batch=8
  phantom-gpu load-model config.json --batch-size 8 --seq-len 2048 --json -")]
pub struct Args {
    /// A file (ONNX), a folder with a config.json, or a built-in model (see list-models).
    #[arg(value_name = "MODEL", required_unless_present = "named")]
    pub model: Option<String>,
    /// The same, as an option.
    #[arg(
        long = "model",
        value_name = "MODEL",
        conflicts_with = "model",
        id = "named"
    )]
    pub named: Option<String>,
    /// Read it as this format, whatever it looks like.
    #[arg(long)]
    pub format: Option<FormatArg>,
    /// What the model is run on.
    #[command(flatten)]
    pub shapes: ShapeArgs,
    /// JSON besides the table.
    #[command(flatten)]
    pub json: JsonFile,
}

/// Formats, as the command line has them.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatArg {
    /// An ONNX file.
    Onnx,
    /// A config.json of Hugging Face.
    HuggingFace,
    /// A PyTorch export (torch.export.save).
    Pt2,
}

impl FormatArg {
    /// The same as a value.
    pub fn format(self) -> Format {
        match self {
            FormatArg::Onnx => Format::Onnx,
            FormatArg::HuggingFace => Format::HuggingFace,
            FormatArg::Pt2 => Format::Pt2,
        }
    }
}

/// Extents that a model leaves open, and how strictly it is read.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ExtentArgs {
    /// Number for an extent that the model calls NAME (repeatable).
    #[arg(long, value_name = "NAME=N")]
    pub dim: Vec<String>,
    /// Shape of an input, such as input_ids=1x128 (repeatable).
    #[arg(long, value_name = "NAME=AxB")]
    pub input_shape: Vec<String>,
    /// Steps of a model that takes some for a result [default of stable-diffusion and sdxl: 50].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub steps: Option<u64>,
    /// Count operators that are not known as nothing.
    #[arg(long)]
    pub skip_unknown: bool,
}

impl ExtentArgs {
    /// The same as values.
    ///
    /// # Errors
    /// What is no pair of name and number.
    pub fn bindings(&self) -> Result<Bindings> {
        let mut bindings = Bindings::parse(&self.dim, &self.input_shape)?;
        bindings.skip_unknown = self.skip_unknown;
        bindings.steps = self.steps;
        Ok(bindings)
    }
}

/// Extents that a model leaves open.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ShapeArgs {
    /// Those with names.
    #[command(flatten)]
    pub extents: ExtentArgs,
    /// Sequences or images at a time [default of configurations: 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=EXTENT_MAX))]
    pub batch_size: Option<u64>,
    /// Tokens of a sequence [default of configurations: 128].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=EXTENT_MAX))]
    pub seq_len: Option<u64>,
}

impl ShapeArgs {
    /// The same as values.
    ///
    /// # Errors
    /// What is no pair of name and number.
    pub fn bindings(&self) -> Result<Bindings> {
        let mut bindings = self.extents.bindings()?;
        bindings.batch = self.batch_size;
        bindings.seq = self.seq_len;
        Ok(bindings)
    }
}

/// Reads the model and says what is in it.
///
/// # Errors
/// Everything that is wrong with arguments, model and output.
pub fn run(args: &Args) -> Result<()> {
    let model = args.model.as_ref().or(args.named.as_ref());
    let model = model.ok_or_else(|| Error::Usage("name a model".into()))?;
    let tables = output::check_all(&[("--json", &args.json.json)])?;
    if let Some(json) = &args.json.json {
        output::spare(&[("--json", Some(json))], [std::path::Path::new(model)])?;
    }
    let format = args.format.map(FormatArg::format);
    let graph = source::open(model, format, &args.shapes.bindings()?)?;
    let summary = Summary::of(&graph, model);
    tables.print(&text(&summary))?;
    match &args.json.json {
        Some(path) => {
            let mut json = serde_json::to_string_pretty(&summary).expect("string keys");
            json.push('\n');
            output::write_text(path, &json)
        }
        None => Ok(()),
    }
}

/// A number with a thousands' sign of its size.
fn short(n: u64) -> String {
    let units = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let found = units.iter().find(|(size, _)| n as f64 >= *size);
    match found {
        Some((size, unit)) => format!("{:.3} {unit}", n as f64 / size),
        None => n.to_string(),
    }
}

fn text(summary: &Summary) -> String {
    let memory = &summary.memory;
    let mut text = format!(
        "{}: {} parameters, {}FLOP\nweights {}B, activations at most {}B, keys and values {}B\n",
        summary.name,
        short(summary.parameters),
        short(summary.flops),
        short(memory.weights_bytes),
        short(memory.activation_peak_bytes),
        short(memory.kv_cache_bytes)
    );
    for input in &summary.inputs {
        let shape = crate::model::check::show(&input.shape);
        text.push_str(&format!("input {}: {shape} {}\n", input.name, input.dtype));
    }
    let nodes: u64 = summary.operators.iter().map(|o| o.count).sum();
    let mut operators = table(&["operator", "", "nodes", "FLOP", "share"], 2);
    for row in &summary.operators {
        operators.add_row([
            row.op.clone(),
            if row.supported { "" } else { "unsupported" }.to_owned(),
            row.count.to_string(),
            short(row.flops),
            format!(
                "{:.1} %",
                100.0 * row.flops as f64 / summary.flops.max(1) as f64
            ),
        ]);
    }
    let mut gemms = table(&["product", "type", "M", "N", "K", "batch", "count"], 2);
    for row in &summary.gemms {
        gemms.add_row([
            row.op.to_owned(),
            row.dtype.to_owned(),
            row.m.to_string(),
            row.n.to_string(),
            row.k.to_string(),
            row.batch.to_string(),
            row.count.to_string(),
        ]);
    }
    text.push_str(&format!("{operators}\n{gemms}\n"));
    if !summary.unsupported.is_empty() {
        let count = summary.unsupported.len();
        text.push_str(&format!(
            "{count} of {nodes} nodes are known by their shapes only:\n"
        ));
    }
    for row in &summary.unsupported {
        text.push_str(&format!("  {} ({}): {}\n", row.node, row.op, row.reason));
    }
    for note in &summary.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}
