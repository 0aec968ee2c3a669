//! Stable Diffusion: the network that removes noise, the encoders of texts, and the encoder and decoder of images.
//!
//! Each part is a model of its own, because each runs a different number of times for an image; the whole has all that an
//! image of a text needs, the network as often as there are steps.

mod blocks;
#[cfg(test)]
mod tests;
mod unet;
mod vae;

use super::graph::{Dtype, Graph, Steps, TensorId};
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

/// Steps for an image where the user does not say.
const STEPS: u64 = 50;

/// What guidance means, and what is left out.
const GUIDED: &str = "the network runs on two latents for each image, with its text and with an empty one; the few functions \
                      of elements by which a scheduler moves the latents are not part of the graph";

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
    /// All that an image of a text needs.
    Whole,
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
    part("stable-diffusion", Version::One, Kind::Whole),
    part("stable-diffusion-step", Version::One, Kind::Step),
    part("stable-diffusion-unet", Version::One, Kind::Unet),
    part("stable-diffusion-vae-decoder", Version::One, Kind::Decoder),
    part("stable-diffusion-vae-encoder", Version::One, Kind::Encoder),
    part("stable-diffusion-text-encoder", Version::One, Kind::Text),
    part("sdxl", Version::Xl, Kind::Whole),
    part("sdxl-step", Version::Xl, Kind::Step),
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
                self.image(&mut b, batch, image, bindings.steps.unwrap_or(STEPS))
            }
        };
        Ok(b.finish(&outputs))
    }

    fn text(&self, b: &mut Builder, batch: u64) -> Vec<TensorId> {
        b.graph
            .note("77 tokens; guidance encodes an empty text, too: twice as many texts as images");
        let text = match self.kind {
            Kind::SecondText => second_text(b, batch),
            _ => first_text(b, batch),
        };
        [text.tokens].into_iter().chain(text.whole).collect()
    }

    fn image(&self, b: &mut Builder, batch: u64, image: [u64; 2], steps: u64) -> Vec<TensorId> {
        let latent = image.map(|n| n / vae::FACTOR);
        let size = self.version.unet();
        vec![match self.kind {
            Kind::Encoder => vae::encode(b, batch, image),
            Kind::Decoder => {
                let x = unet::latents(b, batch, latent);
                vae::decode(b, x)
            }
            Kind::Unet => {
                let x = unet::latents(b, batch, latent);
                let text = unet::texts(b, batch, size);
                b.graph.note(
                    "one run of the network; with guidance it runs on two latents for each image",
                );
                unet::unet(b, x, text, size)
            }
            Kind::Step => {
                b.graph.note(format!(
                    "one step of removing noise, with classifier-free guidance: {GUIDED}; the model without -step is a whole \
                     image"
                ));
                let x = unet::latents(b, batch, latent);
                let text = unet::texts(b, batch.saturating_mul(2), size);
                unet::guided(b, x, text, size)
            }
            _ => {
                b.graph.note(format!(
                    "texts to images: encoders of texts once, {steps} steps of removing noise (--steps N changes that) with \
                     classifier-free guidance, every one as the first, the decoder once; {GUIDED}"
                ));
                self.whole(b, batch, latent, steps)
            }
        }]
    }

    /// Encoders of texts, `steps` steps, decoder.
    fn whole(&self, b: &mut Builder, batch: u64, latent: [u64; 2], steps: u64) -> TensorId {
        let x = unet::latents(b, batch, latent);
        let texts = batch.saturating_mul(2);
        let first = b.within("text_encoder", |b| first_text(b, texts));
        let text = match self.version {
            Version::One => first,
            Version::Xl => {
                let second = b.within("text_encoder_2", |b| second_text(b, texts));
                let both = [first.tokens, second.tokens];
                unet::Text {
                    tokens: b.concat("text", &both, 2),
                    ..second
                }
            }
        };
        let begin = b.graph.nodes.len();
        let x = b.within("unet", |b| unet::guided(b, x, text, self.version.unet()));
        b.graph.steps = Some(Steps {
            nodes: begin..b.graph.nodes.len(),
            count: steps,
        });
        b.within("vae", |b| vae::decode(b, x))
    }
}

/// The encoder that both versions have.
fn first_text(b: &mut Builder, batch: u64) -> unet::Text {
    unet::Text {
        tokens: Texts::usual(768, 12).tokens(b, batch),
        whole: None,
    }
}

/// The encoder that XL has besides.
fn second_text(b: &mut Builder, batch: u64) -> unet::Text {
    let texts = Texts::usual(1280, 32);
    let tokens = texts.tokens(b, batch);
    unet::Text {
        tokens,
        whole: Some(texts.whole(b, tokens, 1280)),
    }
}
