//! Stable Diffusion: the network that removes noise, the encoders of texts, and the encoder and decoder of images.
//!
//! Each part is a model of its own, because each runs a different number of times for an image.

mod blocks;
#[cfg(test)]
mod tests;
mod unet;
mod vae;

use super::graph::{Dtype, Graph};
use super::hf::{Builder, Texts};
use super::options::Bindings;
use super::vision::edges;
use crate::error::Result;

/// A part of a pipeline.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    version: Version,
    kind: Kind,
}

/// A version of Stable Diffusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// 1.5, for images of 512 x 512.
    One,
    /// XL, for images of 1024 x 1024.
    Xl,
}

/// What a part does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A step of removing noise, guided by the text: two runs of the network as one batch.
    Step,
    /// One run of the network.
    Unet,
    /// Latents to images.
    Decoder,
    /// Images to latents.
    Encoder,
    /// Tokens to what the network sees of a text.
    Text,
    /// The second encoder of texts.
    SecondText,
}

const fn part(name: &'static str, version: Version, kind: Kind) -> Part {
    Part {
        name,
        version,
        kind,
    }
}

/// Every part.
pub const PARTS: &[Part] = &[
    part("stable-diffusion", Version::One, Kind::Step),
    part("stable-diffusion-unet", Version::One, Kind::Unet),
    part("stable-diffusion-vae-decoder", Version::One, Kind::Decoder),
    part("stable-diffusion-vae-encoder", Version::One, Kind::Encoder),
    part("stable-diffusion-text-encoder", Version::One, Kind::Text),
    part("sdxl", Version::Xl, Kind::Step),
    part("sdxl-unet", Version::Xl, Kind::Unet),
    part("sdxl-vae-decoder", Version::Xl, Kind::Decoder),
    part("sdxl-vae-encoder", Version::Xl, Kind::Encoder),
    part("sdxl-text-encoder", Version::Xl, Kind::Text),
    part("sdxl-text-encoder-2", Version::Xl, Kind::SecondText),
];

impl Version {
    fn unet(self) -> unet::Size {
        match self {
            Version::One => unet::ONE,
            Version::Xl => unet::XL,
        }
    }

    /// Edge of an image, if the user does not say.
    fn edge(self) -> u64 {
        match self {
            Version::One => 512,
            Version::Xl => 1024,
        }
    }
}

impl Part {
    /// The part's graph for a batch of images or texts.
    ///
    /// # Errors
    /// Bindings that mean nothing to it, and edges that it cannot have.
    pub fn graph(&self, bindings: &Bindings) -> Result<Graph> {
        let batch = bindings.batch.unwrap_or(1);
        let mut b = Builder::new(self.name, Dtype::Float32);
        let outputs = match self.kind {
            Kind::Text | Kind::SecondText => {
                bindings.all_used(&[], &[])?;
                self.text(&mut b, batch)
            }
            _ => {
                let usual = [self.version.edge(); 2];
                let image = edges(bindings, usual, [64, 64])?;
                b.graph.note(format!(
                    "batch of {batch}, images of {} x {} (--batch-size and --dim image=N change that)",
                    image[0], image[1]
                ));
                self.image(&mut b, batch, image)
            }
        };
        Ok(b.finish(&outputs))
    }

    fn text(&self, b: &mut Builder, batch: u64) -> Vec<usize> {
        let texts = match self.kind {
            Kind::SecondText => Texts::usual(1280, 32),
            _ => Texts::usual(768, 12),
        };
        let x = texts.tokens(b, batch);
        b.graph
            .note("77 tokens; guidance encodes an empty text, too: twice as many texts as images");
        match self.kind {
            Kind::SecondText => vec![x, texts.whole(b, x, 1280)],
            _ => vec![x],
        }
    }

    fn image(&self, b: &mut Builder, batch: u64, image: [u64; 2]) -> Vec<usize> {
        let latent = image.map(|n| n / vae::FACTOR);
        let size = self.version.unet();
        vec![match self.kind {
            Kind::Encoder => vae::encode(b, batch, image),
            Kind::Decoder => vae::decode(b, batch, latent),
            Kind::Unet => {
                let x = unet::latents(b, batch, latent);
                b.graph.note(
                    "one run of the network; with guidance it runs on two latents for each image",
                );
                unet::unet(b, x, size)
            }
            _ => {
                b.graph.note(
                    "one step of removing noise, with classifier-free guidance: the network runs on two latents for each \
                     image. An image takes 20 to 50 steps, then the decoder (the model of the same name with -vae-decoder) \
                     once, and the encoders of texts (-text-encoder) once; the few functions of elements by which a \
                     scheduler moves the latents are not part of the graph",
                );
                unet::guided(b, batch, latent, size)
            }
        }]
    }
}
