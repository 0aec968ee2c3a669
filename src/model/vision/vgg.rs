//! VGG.

use super::blocks::act;
use crate::model::graph::{Kind, TensorId};
use crate::model::hf::{Builder, square};

/// Convolutions and channels of each stage.
const STAGES: [(u64, u64); 5] = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)];

/// VGG-16 without normalisation.
pub fn vgg16(b: &mut Builder, mut x: TensorId) -> Vec<TensorId> {
    for (stage, &(convolutions, channels)) in STAGES.iter().enumerate() {
        for index in 0..convolutions {
            let name = format!("features.{stage}.{index}");
            x = b.conv(&name, x, channels, square(2, 3, 1, 1), true);
            x = act(b, &name, x, "Relu");
        }
        x = b.pool(
            &format!("features.{stage}.pool"),
            "MaxPool",
            x,
            square(2, 2, 2, 0),
        );
    }
    let (batch, channels) = (b.shape(x)[0], b.shape(x)[1]);
    // Images of other sizes are brought to 7 x 7 places.
    if b.shape(x)[2..] != [7, 7] {
        x = b.reduce(
            "avgpool",
            "AdaptiveAveragePool",
            Kind::Reduce,
            x,
            [batch, channels, 7, 7],
        );
    }
    let mut x = b.view("flatten", x, [batch, channels * 49]);
    for name in ["classifier.0", "classifier.1"] {
        x = b.linear(name, x, 4096, true);
        x = act(b, name, x, "Relu");
    }
    vec![b.linear("classifier.2", x, 1000, true)]
}
