//! Networks of images, each written as its definition reads.
//!
//! Networks are in the form in which they are run: what training alone needs (second heads, branches that are added
//! into a convolution, embeddings of noisy boxes) is left away, and normalisation is not yet folded into weights.

mod attention;
mod blocks;
mod deit;
mod detr;
mod efficientnet;
mod hgnet;
mod mobilenet;
mod resnet;
mod rtdetr;
mod squeezenet;
mod ssd;
#[cfg(test)]
mod tests;
mod vgg;
mod yolo;

pub use blocks::{as_image, as_tokens, enlarge};

use super::graph::{Dtype, Graph, TensorId};
use super::hf::Builder;
use super::options::Bindings;
use crate::error::{Error, Result};

/// Adds a network on images to a graph; what comes out.
type Build = fn(&mut Builder, TensorId) -> Vec<TensorId>;

/// Largest edge of an image.
pub const EDGE_MAX: u64 = 16_384;

/// A network of images.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// Its name.
    pub name: &'static str,
    /// The family that it belongs to.
    pub family: &'static str,
    /// Height and width of an image, if the user does not say.
    image: [u64; 2],
    /// Edges are a multiple of this.
    step: u64,
    build: Build,
}

const fn network(
    name: &'static str,
    family: &'static str,
    image: [u64; 2],
    step: u64,
    build: Build,
) -> Network {
    Network {
        name,
        family,
        image,
        step,
        build,
    }
}

/// A classifier of images of 224 x 224.
const fn classifier(name: &'static str, family: &'static str, build: Build) -> Network {
    network(name, family, [224; 2], 32, build)
}

/// A detector on images of 640 x 640.
const fn detector(name: &'static str, family: &'static str, build: Build) -> Network {
    network(name, family, [640; 2], 32, build)
}

/// Every network.
pub const NETWORKS: &[Network] = &[
    classifier("resnet18", "resnet", |b, x| {
        resnet::classify(b, x, resnet::RESNET18)
    }),
    classifier("resnet34", "resnet", |b, x| {
        resnet::classify(b, x, resnet::RESNET34)
    }),
    classifier("resnet50", "resnet", |b, x| {
        resnet::classify(b, x, resnet::RESNET50)
    }),
    classifier("resnet101", "resnet", |b, x| {
        resnet::classify(b, x, resnet::RESNET101)
    }),
    classifier("resnet152", "resnet", |b, x| {
        resnet::classify(b, x, resnet::RESNET152)
    }),
    classifier("resnext50-32x4d", "resnext", |b, x| {
        resnet::classify(b, x, resnet::RESNEXT50_32X4)
    }),
    classifier("resnext101-32x4d", "resnext", |b, x| {
        resnet::classify(b, x, resnet::RESNEXT101_32X4)
    }),
    classifier("resnext101-32x8d", "resnext", |b, x| {
        resnet::classify(b, x, resnet::RESNEXT101_32X8)
    }),
    classifier("resnext101-64x4d", "resnext", |b, x| {
        resnet::classify(b, x, resnet::RESNEXT101_64X4)
    }),
    classifier("se-resnext101-32x4d", "resnext", |b, x| {
        resnet::classify(b, x, resnet::SE_RESNEXT101_32X4)
    }),
    classifier("vgg16", "vgg", vgg::vgg16),
    classifier("squeezenet-1.1", "squeezenet", squeezenet::squeezenet),
    classifier("mobilenet-v1", "mobilenet", mobilenet::v1),
    classifier("mobilenet-v2", "mobilenet", mobilenet::v2),
    classifier("efficientnet-b0", "efficientnet", efficientnet::b0),
    network("deit-base", "deit", [224; 2], 16, |b, x| {
        deit::deit(b, x, deit::BASE)
    }),
    network("deit-large", "deit", [224; 2], 16, |b, x| {
        deit::deit(b, x, deit::LARGE)
    }),
    network("ssd-mobilenet-v1", "ssd", [300; 2], 1, ssd::ssd),
    detector("yolov8n", "yolo", |b, x| yolo::v8(b, x, yolo::N)),
    detector("yolov8s", "yolo", |b, x| yolo::v8(b, x, yolo::S)),
    detector("yolov8m", "yolo", |b, x| yolo::v8(b, x, yolo::M)),
    detector("yolov8l", "yolo", |b, x| yolo::v8(b, x, yolo::L)),
    detector("yolov8x", "yolo", |b, x| yolo::v8(b, x, yolo::X)),
    detector("yolov9t", "yolo", |b, x| yolo::v9(b, x, yolo::V9T)),
    detector("yolov9s", "yolo", |b, x| yolo::v9(b, x, yolo::V9S)),
    detector("yolov9m", "yolo", |b, x| yolo::v9(b, x, yolo::V9M)),
    detector("yolov9c", "yolo", |b, x| yolo::v9(b, x, yolo::V9C)),
    detector("yolov9e", "yolo", yolo::v9e),
    detector("yolov10n", "yolo", |b, x| yolo::v10(b, x, yolo::N)),
    detector("yolov10s", "yolo", |b, x| yolo::v10(b, x, yolo::S)),
    detector("yolov10m", "yolo", |b, x| yolo::v10(b, x, yolo::M)),
    detector("yolov10b", "yolo", |b, x| yolo::v10(b, x, yolo::B)),
    detector("yolov10l", "yolo", |b, x| yolo::v10(b, x, yolo::L)),
    detector("yolov10x", "yolo", |b, x| yolo::v10(b, x, yolo::X)),
    network("detr-resnet-50", "detr", [800, 1066], 1, detr::detr),
    detector("rtdetr-l", "rtdetr", |b, x| {
        rtdetr::rtdetr(b, x, rtdetr::LARGE)
    }),
    detector("rtdetr-x", "rtdetr", |b, x| {
        rtdetr::rtdetr(b, x, rtdetr::EXTRA)
    }),
    detector("rtdetr-r18", "rtdetr", |b, x| {
        rtdetr::rtdetr(b, x, rtdetr::R18)
    }),
    detector("rtdetr-r34", "rtdetr", |b, x| {
        rtdetr::rtdetr(b, x, rtdetr::R34)
    }),
    detector("rtdetr-r50", "rtdetr", |b, x| {
        rtdetr::rtdetr(b, x, rtdetr::R50)
    }),
    detector("rtdetr-r101", "rtdetr", |b, x| {
        rtdetr::rtdetr(b, x, rtdetr::R101)
    }),
];

impl Network {
    /// The network's graph.
    ///
    /// # Errors
    /// Bindings that mean nothing to it, and edges that it cannot have.
    pub fn graph(&self, bindings: &Bindings) -> Result<Graph> {
        let batch = bindings.batch.unwrap_or(1);
        let [height, width] = edges(bindings, self.image, [self.step, 32])?;
        let mut b = Builder::new(self.name, Dtype::Float32);
        let x = b.input("input", Dtype::Float32, vec![batch, 3, height, width]);
        let outputs = (self.build)(&mut b, x);
        if bindings.batch.is_none() || bindings.dims.is_empty() {
            b.graph.note(format!(
                "batch of {batch}, images of {height} x {width} (--batch-size and --dim image=N change that)"
            ));
        }
        Ok(b.finish(&outputs))
    }
}

/// Height and width of images: `usual`, or both what the user binds `image` to, a multiple of `step` and no less than
/// `least`.
///
/// # Errors
/// Bindings of other names, and an edge that the network cannot have.
pub fn edges(bindings: &Bindings, usual: [u64; 2], [step, least]: [u64; 2]) -> Result<[u64; 2]> {
    let edge = bindings.dim("image", false);
    bindings.all_used(&["image".into()], &[])?;
    match edge {
        None => Ok(usual),
        Some(n) if n.is_multiple_of(step) && (least..=EDGE_MAX).contains(&n) => Ok([n; 2]),
        Some(n) => Err(Error::Usage(format!(
            "--dim image={n}: expected a multiple of {step} from {least} to {EDGE_MAX}"
        ))),
    }
}
