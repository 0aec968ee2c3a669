//! Models that are built in, by the names that people type.

use super::graph::Graph;
use super::options::Bindings;
use super::{diffusion, hf, vision};
use crate::error::Result;
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// Dimensions of the transformers, in the keys of their families.
static CONFIGURATIONS: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("zoo.json")).expect("sound data"));

/// A model that is built in.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its name.
    pub name: &'static str,
    /// What it is: the family of a transformer, or of a network of images.
    pub family: &'static str,
    definition: Definition,
}

#[derive(Clone, Copy, Debug)]
enum Definition {
    Configuration(&'static Value),
    Network(vision::Network),
    Diffusion(diffusion::Part),
}

/// Further names.
const ALIASES: &[(&str, &str)] = &[
    ("gpt2-small", "gpt2"),
    ("gpt-3", "gpt3-175b"),
    ("gpt3", "gpt3-175b"),
    ("gpt-3-175b", "gpt3-175b"),
    ("gpt-3.5-turbo", "gpt3-175b"),
    ("mistral-7b-v0.1", "mistral-7b"),
    ("bert-base-uncased", "bert-base"),
    ("bert-large-uncased", "bert-large"),
    ("distilbert-base", "distilbert"),
    ("distilbert-base-uncased", "distilbert"),
    ("roberta", "roberta-base"),
    ("vit-b-16", "vit-base-16"),
    ("vit-base-patch16-224", "vit-base-16"),
    ("vit-l-16", "vit-large-16"),
    ("vit-large-patch16-224", "vit-large-16"),
    ("vit-h-14", "vit-huge-14"),
    ("whisper", "whisper-large"),
    ("resnext50", "resnext50-32x4d"),
    ("resnext101", "resnext101-32x8d"),
    ("se-resnext101", "se-resnext101-32x4d"),
    ("vgg", "vgg16"),
    ("squeezenet", "squeezenet-1.1"),
    ("squeezenet1_1", "squeezenet-1.1"),
    ("mobilenet", "mobilenet-v1"),
    ("efficientnet", "efficientnet-b0"),
    ("deit-b", "deit-base"),
    ("deit-base-patch16-224", "deit-base"),
    ("deit-l", "deit-large"),
    ("deit3-large", "deit-large"),
    ("deit3-large-patch16-224", "deit-large"),
    ("ssd-mobilenet", "ssd-mobilenet-v1"),
    ("ssd-mobilenet-v1-coco", "ssd-mobilenet-v1"),
    ("yolov8", "yolov8n"),
    ("yolov9", "yolov9c"),
    ("yolov10", "yolov10n"),
    ("detr", "detr-resnet-50"),
    ("detr-r50", "detr-resnet-50"),
    ("rtdetr", "rtdetr-l"),
    ("rtdetr-r18vd", "rtdetr-r18"),
    ("rtdetr-resnet-18", "rtdetr-r18"),
    ("rtdetr-r34vd", "rtdetr-r34"),
    ("rtdetr-resnet-34", "rtdetr-r34"),
    ("rtdetr-r50vd", "rtdetr-r50"),
    ("rtdetr-resnet-50", "rtdetr-r50"),
    ("rtdetr-r101vd", "rtdetr-r101"),
    ("rtdetr-resnet-101", "rtdetr-r101"),
    ("stable-diffusion-v1-5", "stable-diffusion"),
    ("stable-diffusion-1.5", "stable-diffusion"),
    ("stable-diffusion-v1.5", "stable-diffusion"),
    ("sd15", "stable-diffusion"),
    ("sd1.5", "stable-diffusion"),
    ("stable-diffusion-v1-5-step", "stable-diffusion-step"),
    ("stable-diffusion-xl-step", "sdxl-step"),
    ("sd15-unet", "stable-diffusion-unet"),
    ("stable-diffusion-vae", "stable-diffusion-vae-decoder"),
    ("stable-diffusion-xl", "sdxl"),
    ("stable-diffusion-xl-base-1.0", "sdxl"),
    ("stable-diffusion-xl-unet", "sdxl-unet"),
    ("sdxl-vae", "sdxl-vae-decoder"),
];

/// A name without case and marks other than points: `LLaMA-2 7B` is `llama27b`.
fn plain(name: &str) -> String {
    let kept = name
        .chars()
        .filter(|&c| c.is_ascii_alphanumeric() || c == '.');
    kept.collect::<String>().to_ascii_lowercase()
}

/// Every model that is built in.
pub fn all() -> Vec<Model> {
    let configurations = CONFIGURATIONS.iter().map(|(name, value)| Model {
        name,
        family: value["model_type"].as_str().unwrap_or_default(),
        definition: Definition::Configuration(value),
    });
    let networks = vision::NETWORKS.iter().map(|network| Model {
        name: network.name,
        family: network.family,
        definition: Definition::Network(*network),
    });
    let parts = diffusion::PARTS.iter().map(|part| Model {
        name: part.name,
        family: "stable-diffusion",
        definition: Definition::Diffusion(*part),
    });
    configurations.chain(networks).chain(parts).collect()
}

/// Other names of the model `name`.
pub fn aliases(name: &str) -> Vec<&'static str> {
    let of = ALIASES.iter().filter(|(_, known)| *known == name);
    of.map(|(alias, _)| *alias).collect()
}

/// The model of this name.
pub fn find(name: &str) -> Option<Model> {
    let asked = plain(name);
    let alias = ALIASES.iter().find(|(alias, _)| plain(alias) == asked);
    let asked = alias.map_or(asked, |(_, name)| plain(name));
    all().into_iter().find(|model| plain(model.name) == asked)
}

impl Model {
    /// The model's graph.
    ///
    /// # Errors
    /// Bindings that mean nothing to it.
    pub fn build(&self, bindings: &Bindings) -> Result<Graph> {
        match self.definition {
            Definition::Configuration(value) => {
                hf::read(&value.to_string(), self.name, self.name, bindings)
            }
            Definition::Network(network) => network.graph(bindings),
            Definition::Diffusion(part) => part.graph(bindings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Parameters of transformers as published, counted by the library that the family comes from. Those of networks of
    /// images and of Stable Diffusion are in their own tests.
    const PUBLISHED: &[(&str, u64)] = &[
        ("gpt2", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
        ("llama2-7b", 6_738_415_616),
        ("llama2-13b", 13_015_864_320),
        ("llama2-70b", 68_976_648_192),
        ("llama3-8b", 8_030_261_248),
        ("llama3-70b", 70_553_706_496),
        ("codellama-7b", 6_738_546_688),
        ("codellama-13b", 13_016_028_160),
        ("codellama-34b", 33_743_970_304),
        ("mistral-7b", 7_241_732_096),
        ("mixtral-8x7b", 46_702_792_704),
        ("qwen2-7b", 7_615_616_512),
        ("opt-125m", 125_239_296),
        ("opt-1.3b", 1_315_758_080),
        ("opt-6.7b", 6_658_473_984),
        ("opt-13b", 12_853_473_280),
        ("bert-base", 109_482_240),
        ("bert-large", 335_141_888),
        ("distilbert", 66_362_880),
        ("roberta-base", 124_645_632),
        ("t5-base", 222_903_552),
        ("vit-base-16", 86_389_248),
        ("vit-large-16", 304_351_232),
        ("clip-vit-b-32", 151_277_313),
        ("clip-vit-b-16", 149_620_737),
        ("clip-vit-l-14", 427_616_513),
        ("whisper-tiny", 37_760_640),
        ("whisper-large", 1_543_304_960),
    ];

    #[test]
    fn parameters_are_those_that_were_published() {
        for (name, parameters) in PUBLISHED {
            let model = find(name).unwrap_or_else(|| panic!("{name}"));
            let graph = model.build(&Bindings::default()).unwrap();
            graph.check(name).unwrap();
            assert_eq!(graph.parameters(), *parameters, "{name}");
        }
    }

    #[test]
    fn every_model_is_found_and_sound() {
        for model in all() {
            assert_eq!(find(model.name).unwrap().name, model.name);
            let graph = model.build(&Bindings::default()).unwrap();
            graph.check(model.name).unwrap();
            assert!(graph.flops() > 0, "{}", model.name);
            let names: BTreeSet<&str> = graph.nodes.iter().map(|n| n.name.as_str()).collect();
            assert_eq!(
                names.len(),
                graph.nodes.len(),
                "{}: a name twice",
                model.name
            );
        }
        for (alias, name) in ALIASES {
            assert_eq!(find(alias).unwrap().name, *name);
        }
        let typed = [
            ("LLaMA-2 7B", "llama2-7b"),
            ("mobilenetv2", "mobilenet-v2"),
            ("efficientnet_b0", "efficientnet-b0"),
            ("rt-detr-x", "rtdetr-x"),
            ("SD-XL", "sdxl"),
        ];
        for (typed, name) in typed {
            assert_eq!(find(typed).unwrap().name, name);
        }
        assert!(find("llama9").is_none());
    }
}
