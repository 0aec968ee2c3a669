//! Parameters and operations of every part against those that were published.

use super::PARTS;
use crate::model::graph::{Graph, Kind};
use crate::model::options::Bindings;

fn build(name: &str, batch: u64, image: Option<u64>) -> Graph {
    let part = PARTS.iter().find(|part| part.name == name);
    let bindings = Bindings {
        batch: Some(batch),
        dims: image.map(|n| ("image".into(), n)).into_iter().collect(),
        ..Bindings::default()
    };
    let graph = part.unwrap().graph(&bindings).unwrap();
    graph.check(name).unwrap();
    graph
}

/// As Diffusers and Transformers count them.
const PARAMETERS: &[(&str, u64)] = &[
    // The sum of encoder of texts, network and decoder.
    ("stable-diffusion", 1_032_071_643),
    ("stable-diffusion-step", 859_520_964),
    ("stable-diffusion-unet", 859_520_964),
    ("stable-diffusion-vae-decoder", 49_490_199),
    ("stable-diffusion-vae-encoder", 34_163_664),
    ("stable-diffusion-text-encoder", 123_060_480),
    // The sum of both encoders of texts, network and decoder.
    ("sdxl", 3_434_674_203),
    ("sdxl-step", 2_567_463_684),
    ("sdxl-unet", 2_567_463_684),
    ("sdxl-vae-decoder", 49_490_199),
    ("sdxl-vae-encoder", 34_163_664),
    ("sdxl-text-encoder", 123_060_480),
    ("sdxl-text-encoder-2", 694_659_840),
];

#[test]
fn parameters_are_those_that_were_published() {
    assert_eq!(PARAMETERS.len(), PARTS.len());
    for (name, parameters) in PARAMETERS {
        assert_eq!(build(name, 1, None).parameters(), *parameters, "{name}");
    }
}

/// Operations without the products of attention, which the tool of the publication does not see.
fn without_attention(graph: &Graph) -> f64 {
    let seen = graph
        .nodes
        .iter()
        .filter(|node| !matches!(node.kind, Kind::Attention(_)));
    seen.flat_map(|node| &node.products)
        .map(|product| product.flops() as f64)
        .sum()
}

/// 16.938 and 149.438 * 10^12 multiplications with additions for 25 guided steps (T-GATE, arXiv 2404.02747, and its README).
#[test]
fn operations_of_steps_are_those_that_were_published() {
    for (name, published) in [
        ("stable-diffusion-step", 16.938e12),
        ("sdxl-step", 149.438e12),
    ] {
        let counted = 25.0 * without_attention(&build(name, 1, None)) / 2.0;
        assert!(
            (counted / published - 1.0).abs() < 0.001,
            "{name}: {counted}"
        );
    }
}

/// Multiplications with additions that onnx-tool has for version 1.4. It counts functions of elements, too: up to
/// 2 % of the coders and of the encoder of texts.
#[test]
fn operations_of_coders_are_those_that_were_published() {
    let published = [
        ("stable-diffusion-vae-decoder", 1_271_959e6),
        ("stable-diffusion-vae-encoder", 566_371e6),
        ("stable-diffusion-text-encoder", 6_782e6),
    ];
    for (name, published) in published {
        let counted = build(name, 1, None).flops() as f64 / 2.0;
        let share = counted / published;
        assert!((0.98..=1.0).contains(&share), "{name}: {counted}");
    }
}

#[test]
fn a_step_is_two_runs_for_each_image() {
    for name in ["stable-diffusion", "sdxl"] {
        let one = build(&format!("{name}-unet"), 1, None);
        let step = build(&format!("{name}-step"), 3, None);
        assert_eq!(step.flops(), 6 * one.flops(), "{name}");
        assert_eq!(step.parameters(), one.parameters(), "{name}");
        assert!(step.notes.iter().any(|note| note.contains("guidance")));
    }
}

/// A whole image is its parts, the step as often as there are steps, with twice as many texts as images.
#[test]
fn a_whole_image_is_its_parts() {
    for (name, texts) in [
        ("stable-diffusion", &["-text-encoder"][..]),
        ("sdxl", &["-text-encoder", "-text-encoder-2"]),
    ] {
        let part = |part: &str, batch| build(&format!("{name}{part}"), batch, None);
        let texts = || texts.iter().map(|text| part(text, 2));
        let [step, decoder] = ["-step", "-vae-decoder"].map(|name| part(name, 1));
        for steps in [None, Some(1), Some(20)] {
            let bindings = Bindings {
                steps,
                ..Bindings::default()
            };
            let model = PARTS.iter().find(|part| part.name == name).unwrap();
            let whole = model.graph(&bindings).unwrap();
            whole.check(name).unwrap();
            let count = steps.unwrap_or(50);
            let flops = texts().map(|text| text.flops()).sum::<u64>() + decoder.flops();
            assert_eq!(
                whole.flops(),
                flops + count * step.flops(),
                "{name} {count}"
            );
            let parameters = texts().map(|text| text.parameters()).sum::<u64>();
            let rest = step.parameters() + decoder.parameters();
            assert_eq!(whole.parameters(), parameters + rest, "{name}");
            let once: usize = texts().map(|text| text.nodes.len()).sum();
            let unet = whole.steps.as_ref().unwrap().nodes.clone();
            assert_eq!(unet.len(), step.nodes.len(), "{name}");
            assert!(unet.start >= once && unet.end + decoder.nodes.len() == whole.nodes.len());
        }
        assert!(step.steps.is_none());
    }
}

#[test]
fn images_are_as_large_as_they_are_bound() {
    let graph = build("stable-diffusion-vae-decoder", 1, Some(768));
    let [image] = graph.outputs[..] else {
        panic!("{:?}", graph.outputs);
    };
    assert_eq!(graph.tensors[image].shape, [1, 3, 768, 768]);
    let graph = build("stable-diffusion-vae-encoder", 2, Some(768));
    assert_eq!(graph.tensors[graph.outputs[0]].shape, [2, 8, 96, 96]);
    let graph = build("sdxl-step", 1, Some(512));
    assert_eq!(graph.tensors[graph.outputs[0]].shape, [1, 4, 64, 64]);
    let wrong = Bindings {
        dims: vec![("image".into(), 500)],
        ..Bindings::default()
    };
    assert!(PARTS[0].graph(&wrong).is_err());
}

#[test]
fn a_batch_beyond_reason_is_refused() {
    for part in PARTS {
        let bindings = Bindings {
            batch: Some(1 << 32),
            ..Bindings::default()
        };
        let graph = part.graph(&bindings).unwrap();
        assert!(graph.check(part.name).is_err(), "{}", part.name);
    }
}
