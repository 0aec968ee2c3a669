//! Operators of classical machine learning (`ai.onnx.ml`), whose weights are attributes.

use super::{Call, Infer, Made, Out, fault, volume};
use crate::model::check::elements;
use crate::model::graph::{Dtype, Kind, Product};

pub fn infer(call: &Call<'_>) -> Infer<Option<Made>> {
    let x = call.arg(0)?;
    let like = |kind, dtype| Made::one(kind, dtype, x.shape.clone());
    let made = match call.node.op {
        "Scaler" | "Normalizer" | "Imputer" | "Binarizer" => {
            like(Kind::Elementwise, Dtype::Float32)
        }
        "LabelEncoder" | "CategoryMapper" => like(Kind::Lookup, label(call)),
        // The same numbers, with names for the host.
        "ZipMap" => like(Kind::Free, x.dtype),
        "ArrayFeatureExtractor" => {
            let picked = call.arg(1)?;
            let mut shape = x.shape.clone();
            match shape.last_mut() {
                Some(last) => *last = elements(&picked.shape)?,
                None => return fault("its input is a scalar"),
            }
            Made::one(Kind::Lookup, x.dtype, shape)
        }
        "OneHotEncoder" => {
            let mut shape = x.shape.clone();
            shape.push(listed(call, &["cats_int64s", "cats_strings"]));
            Made::one(Kind::Move, Dtype::Float32, shape)
        }
        "FeatureVectorizer" => vectorizer(call)?,
        "LinearClassifier" => classifier(call, true)?,
        "SVMClassifier" | "TreeEnsembleClassifier" => classifier(call, false)?,
        "LinearRegressor" => {
            let targets = call.count("targets")?.unwrap_or(1);
            let scores = Out::new(Dtype::Float32, [rows(call)?, targets]);
            let products = linear(call)?;
            Made::new(Kind::MatMul, vec![scores]).with(products)
        }
        "SVMRegressor" | "TreeEnsembleRegressor" | "TreeEnsemble" => {
            let targets = call.count("n_targets")?.unwrap_or(1);
            Made::one(missing(call), x.dtype, [rows(call)?, targets])
        }
        _ => return Ok(None),
    };
    Ok(Some(made))
}

fn missing(call: &Call<'_>) -> Kind {
    let what = match call.node.op.starts_with("SVM") {
        true => "support vectors",
        false => "decision trees",
    };
    Kind::Unsupported(format!("the kernel library has no {what}"))
}

/// Samples: rows of the input, or one that has no other dimension.
fn rows(call: &Call<'_>) -> Infer<u64> {
    match call.arg(0)?.shape[..] {
        [_] => Ok(1),
        [rows, _] => Ok(rows),
        _ => fault("its input should have one row for each sample"),
    }
}

/// Entries of the first attribute of these names that has any.
fn listed(call: &Call<'_>, names: &[&str]) -> u64 {
    let counts = names.iter().filter_map(|name| call.attribute(name));
    let counts = counts.map(|a| a.ints.len().max(a.texts).max(a.floats.len()));
    counts.max().unwrap_or(0) as u64
}

/// The type that labels become.
fn label(call: &Call<'_>) -> Dtype {
    let has = |name: &str| call.attribute(name).is_some();
    let to_text = match call.node.op {
        "CategoryMapper" => call.get(0).is_some_and(|x| x.dtype != Dtype::String),
        _ => has("values_strings") || has("classes_strings") && !has("values_int64s"),
    };
    match to_text {
        true => Dtype::String,
        false if has("values_floats") => Dtype::Float32,
        false => Dtype::Int64,
    }
}

fn vectorizer(call: &Call<'_>) -> Infer {
    let mut width = 0u64;
    for index in 0..call.inputs.len() {
        let part = &call.arg(index)?.shape;
        width = width.saturating_add(part.last().copied().unwrap_or(1));
    }
    Ok(Made::one(Kind::Move, Dtype::Float32, [rows(call)?, width]))
}

/// The product of samples and coefficients, which are an attribute.
fn linear(call: &Call<'_>) -> Infer<Vec<Product>> {
    let depth = *call.arg(0)?.shape.last().unwrap_or(&1);
    let all = listed(call, &["coefficients"]);
    match all.checked_rem(depth) {
        Some(0) => Ok(vec![Product {
            op: "matmul",
            m: rows(call)?,
            n: all / depth,
            k: depth,
            batch: 1,
            dtype: Dtype::Float32,
        }]),
        _ => fault(format!(
            "{all} coefficients do not fit to rows of {depth} elements"
        )),
    }
}

/// A label for each sample, and a score for each label.
fn classifier(call: &Call<'_>, is_linear: bool) -> Infer {
    let names = [
        "classlabels_ints",
        "classlabels_int64s",
        "classlabels_strings",
    ];
    let labels = match call.attribute("classlabels_strings").map(|a| a.texts) {
        Some(1..) => Dtype::String,
        _ => Dtype::Int64,
    };
    let (rows, classes) = (rows(call)?, listed(call, &names));
    let scores = Out::new(Dtype::Float32, [rows, classes]);
    volume(&scores.shape)?;
    let outputs = vec![Out::new(labels, [rows]), scores];
    Ok(match is_linear {
        true => Made::new(Kind::MatMul, outputs).with(linear(call)?),
        false => Made::new(missing(call), outputs),
    })
}
