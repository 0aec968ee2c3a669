//! What the networks have in common: convolutions with normalisation and function, pooling, changes of layout.

use crate::model::graph::{Kind, TensorId, Window};
use crate::model::hf::{Builder, square};

/// A window that keeps the place of its centre, in groups of channels.
pub fn centred([kernel, stride]: [u64; 2], groups: u64) -> Window {
    Window {
        groups,
        ..square(2, kernel, stride, kernel / 2)
    }
}

/// A convolution without bias, and its normalisation.
pub fn conv(b: &mut Builder, name: &str, x: TensorId, out: u64, window: [u64; 2]) -> TensorId {
    normed(b, name, x, out, centred(window, 1))
}

/// The same with a window of any kind.
pub fn normed(b: &mut Builder, name: &str, x: TensorId, out: u64, window: Window) -> TensorId {
    let x = b.conv(name, x, out, window, false);
    b.batch_norm(&format!("{name}.bn"), x)
}

/// A convolution of each channel for itself, and its normalisation.
pub fn depthwise(b: &mut Builder, name: &str, x: TensorId, window: [u64; 2]) -> TensorId {
    let channels = b.shape(x)[1];
    normed(b, name, x, channels, centred(window, channels))
}

/// A function of each element, named after what is in front of it.
pub fn act(b: &mut Builder, name: &str, x: TensorId, function: &str) -> TensorId {
    b.each(&format!("{name}.act"), function, &[x])
}

/// The mean of each channel: batch x channels.
pub fn mean(b: &mut Builder, name: &str, x: TensorId) -> TensorId {
    let shape = b.shape(x)[..2].to_vec();
    b.reduce(name, "GlobalAveragePool", Kind::Reduce, x, shape)
}

/// Each channel times what a small network of `few` channels makes of the means of all channels.
pub fn squeeze(b: &mut Builder, x: TensorId, few: u64, function: &str) -> TensorId {
    let (batch, channels) = (b.shape(x)[0], b.shape(x)[1]);
    let means = mean(b, "avgpool", x);
    let means = b.view("means", means, [batch, channels, 1, 1]);
    let y = b.conv("fc1", means, few, square(2, 1, 1, 0), true);
    let y = act(b, "fc1", y, function);
    let y = b.conv("fc2", y, channels, square(2, 1, 1, 0), true);
    let y = act(b, "fc2", y, "Sigmoid");
    b.each("scale", "Mul", &[x, y])
}

/// Every element `factor` times in both dimensions.
pub fn enlarge(b: &mut Builder, name: &str, x: TensorId, factor: u64) -> TensorId {
    let shape = b.shape(x);
    let shape = [
        shape[0],
        shape[1],
        shape[2].saturating_mul(factor),
        shape[3].saturating_mul(factor),
    ];
    b.apply(name, "Resize", Kind::Move, &[x], shape)
}

/// `count` channels of `x`.
pub fn channels(b: &mut Builder, name: &str, x: TensorId, count: u64) -> TensorId {
    let shape = b.shape(x);
    let shape = [shape[0], count, shape[2], shape[3]];
    b.part(name, x, shape)
}

/// Both halves of the channels.
pub fn halves(b: &mut Builder, x: TensorId) -> [TensorId; 2] {
    let half = b.shape(x)[1] / 2;
    ["first", "second"].map(|name| channels(b, name, x, half))
}

/// batch x channels x height x width as batch x places x channels.
pub fn as_tokens(b: &mut Builder, name: &str, x: TensorId) -> TensorId {
    let shape = b.shape(x);
    let (batch, width, places) = (shape[0], shape[1], shape[2] * shape[3]);
    let x = b.view(&format!("{name}.flat"), x, [batch, width, places]);
    b.apply(name, "Transpose", Kind::Move, &[x], [batch, places, width])
}

/// batch x places x channels as batch x channels x height x width.
pub fn as_image(b: &mut Builder, name: &str, x: TensorId, [height, width]: [u64; 2]) -> TensorId {
    let (batch, channels) = (b.shape(x)[0], b.shape(x)[2]);
    let flat = [batch, channels, height * width];
    let x = b.apply(&format!("{name}.flat"), "Transpose", Kind::Move, &[x], flat);
    b.view(name, x, [batch, channels, height, width])
}

/// The `count` greatest of each row. No kernel of the library selects, so this is known by its shape only.
pub fn greatest(b: &mut Builder, name: &str, x: TensorId, count: u64) -> TensorId {
    let batch = b.shape(x)[0];
    let kind = Kind::Unsupported("the kernel library has no selection of the greatest".into());
    b.apply(name, "TopK", kind, &[x], [batch, count])
}

/// Notes that a detector's boxes are not yet sorted out.
pub fn note_overlaps(b: &mut Builder) {
    b.graph.note(
        "what picks the boxes that do not overlap (non-maximum suppression) is not part of the graph",
    );
}
