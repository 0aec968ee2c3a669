//! Parameters and operations of every network against those that were published.

use super::NETWORKS;
use crate::model::graph::{Graph, Kind, Node};
use crate::model::options::Bindings;

fn bound(name: &str, dims: &[(&str, u64)]) -> crate::error::Result<Graph> {
    let network = NETWORKS.iter().find(|network| network.name == name);
    let bindings = Bindings {
        dims: dims.iter().map(|&(name, n)| (name.into(), n)).collect(),
        ..Bindings::default()
    };
    network.unwrap_or_else(|| panic!("{name}")).graph(&bindings)
}

fn build(name: &str) -> Graph {
    bound(name, &[]).unwrap()
}

/// The window of a convolution that has a second one beside it in training, and that of the second.
fn branches(graph: &Graph) -> impl Iterator<Item = (&Node, u64, u64)> {
    graph.nodes.iter().filter_map(|node| match &node.kind {
        Kind::Conv(window) if node.name.ends_with(".rep") => Some(match window.kernel[0] {
            3 => (node, 9, 1),
            7 => (node, 49, 9),
            other => panic!("{}: {other}", node.name),
        }),
        _ => None,
    })
}

/// Parameters as the library counts them that trains the network: with second branches, with the second head of
/// YOLOv10, and with what RT-DETR learns from noisy boxes and from its inner layers.
fn trained(graph: &Graph) -> u64 {
    let more = branches(graph).map(|(node, window, second)| {
        let weight = &graph.tensors[node.inputs[1]];
        weight.elements() / window * second + 2 * weight.shape[0]
    });
    let mut count = graph.parameters() + more.sum::<u64>();
    if graph.name.starts_with("yolov10") {
        let head = graph
            .weights()
            .filter(|t| t.name.starts_with("detect.") && !t.name.starts_with("detect.dfl"));
        count += head.map(|t| t.elements()).sum::<u64>();
    }
    if graph.name.starts_with("rtdetr") {
        let last = |name: &str| {
            graph
                .nodes
                .iter()
                .filter(|n| n.name.ends_with(name))
                .count() as u64
        };
        let layers = last("moved");
        // The library of the paper has a class for nothing among those of noisy boxes.
        let classes = if graph.name.starts_with("rtdetr-r") {
            81
        } else {
            80
        };
        count += classes * 256 + (layers - 1) * (256 + 1) * 80;
    }
    count
}

/// Parameters of the first convolutions, which training does not touch where normalisation is kept.
fn stem(graph: &Graph) -> u64 {
    let weights = graph
        .weights()
        .filter(|t| t.name.starts_with("backbone.conv1."));
    weights.map(|t| t.elements()).sum()
}

/// What the library of the paper has when it begins to train, as its logs say it: what is trained.
#[test]
fn parameters_of_rtdetr_with_residual_networks_are_those_that_are_trained() {
    for (name, parameters) in [("rtdetr-r18", 20_184_464), ("rtdetr-r34", 31_441_668)] {
        assert_eq!(trained(&build(name)), parameters, "{name}");
    }
    let graph = build("rtdetr-r50");
    assert_eq!(trained(&graph) - stem(&graph), 42_862_860);
    // Of this one there is no more than what the paper says: 76 million.
    let graph = build("rtdetr-r101");
    assert_eq!((trained(&graph) - stem(&graph)) / 1_000_000, 76);
}

/// Torchvision counts the first, timm DeiT and two of ResNeXt, Ultralytics YOLO and RT-DETR, Transformers DETR; MobileNet v1 is
/// Keras' without the statistics of normalisation. YOLO and RT-DETR as their summaries give them before convolutions
/// are fused.
const PARAMETERS: &[(&str, u64)] = &[
    ("resnet18", 11_689_512),
    ("resnet34", 21_797_672),
    ("resnet50", 25_557_032),
    ("resnet101", 44_549_160),
    ("resnet152", 60_192_808),
    ("resnext50-32x4d", 25_028_904),
    ("resnext101-32x4d", 44_177_704),
    ("resnext101-32x8d", 88_791_336),
    ("resnext101-64x4d", 83_455_272),
    ("se-resnext101-32x4d", 48_955_416),
    ("vgg16", 138_357_544),
    ("squeezenet-1.1", 1_235_496),
    ("mobilenet-v1", 4_231_976),
    ("mobilenet-v2", 3_504_872),
    ("efficientnet-b0", 5_288_548),
    ("deit-base", 86_567_656),
    ("deit-large", 304_374_760),
    ("yolov8n", 3_157_200),
    ("yolov8s", 11_166_560),
    ("yolov8m", 25_902_640),
    ("yolov8l", 43_691_520),
    ("yolov8x", 68_229_648),
    ("yolov9t", 2_128_720),
    ("yolov9s", 7_318_368),
    ("yolov9m", 20_216_160),
    ("yolov9c", 25_590_912),
    ("yolov9e", 58_206_592),
    ("yolov10n", 2_775_520),
    ("yolov10s", 8_128_272),
    ("yolov10m", 16_576_768),
    // A summary for two classes has 20,414,236, fused.
    ("yolov10b", 20_574_384),
    ("yolov10l", 25_888_688),
    ("yolov10x", 31_808_960),
    ("detr-resnet-50", 41_524_768),
    ("rtdetr-l", 32_970_476),
    ("rtdetr-x", 67_467_852),
];

#[test]
fn parameters_are_those_that_were_published() {
    for (name, parameters) in PARAMETERS {
        assert_eq!(trained(&build(name)), *parameters, "{name}");
    }
}

/// 10^9 operations, two for a multiplication with its addition, and half a unit of the last digit that was published:
/// by torchvision and timm as multiplications with additions, by the papers of MobileNet v1 (569 million) and
/// of MLPerf Inference (2.47 for SSD), by Ultralytics for YOLOv8.
const OPERATIONS: &[(&str, f64, f64)] = &[
    ("resnet34", 2.0 * 3.664, 0.001),
    ("resnet101", 2.0 * 7.801, 0.001),
    ("resnet152", 2.0 * 11.514, 0.001),
    ("resnext50-32x4d", 2.0 * 4.230, 0.001),
    ("resnext101-32x4d", 2.0 * 8.0, 0.1),
    ("resnext101-32x8d", 2.0 * 16.414, 0.001),
    ("resnext101-64x4d", 2.0 * 15.46, 0.01),
    ("se-resnext101-32x4d", 2.0 * 8.0, 0.1),
    ("mobilenet-v1", 2.0 * 0.569, 0.001),
    ("mobilenet-v2", 2.0 * 0.301, 0.001),
    ("efficientnet-b0", 2.0 * 0.386, 0.001),
    // As ViT-L/16 of torchvision, the same network up to vectors.
    ("deit-large", 2.0 * 61.555, 0.001),
    ("ssd-mobilenet-v1", 2.47, 0.005),
    ("yolov8n", 8.7, 0.05),
    ("yolov8s", 28.6, 0.05),
    ("yolov8m", 78.9, 0.05),
    ("yolov8l", 165.2, 0.06),
    ("yolov8x", 257.8, 0.05),
];

/// What the counter of PyTorch has for the networks of torchvision; DeiT-B is its ViT-B/16.
const COUNTED: &[(&str, u64)] = &[
    ("resnet18", 3_628_146_688),
    ("resnet50", 8_178_368_512),
    ("vgg16", 30_940_528_640),
    ("squeezenet-1.1", 698_303_872),
    ("deit-base", 35_127_656_448),
];

fn near(name: &str, flops: u64, published: f64, within: f64) {
    let flops = flops as f64 / 1e9;
    assert!(
        (flops - published).abs() <= within,
        "{name}: {flops} instead of {published}"
    );
}

#[test]
fn operations_are_those_that_were_published() {
    for &(name, published, within) in OPERATIONS {
        near(name, build(name).flops(), published, within);
    }
    for &(name, counted) in COUNTED {
        assert_eq!(build(name).flops(), counted, "{name}");
    }
}

fn flops_of(node: &Node) -> u64 {
    node.products.iter().map(|p| p.flops() as u64).sum()
}

fn sum(graph: &Graph, part: impl Fn(&Node) -> bool) -> u64 {
    graph.nodes.iter().filter(|n| part(n)).map(flops_of).sum()
}

/// The paper counts four groups of channels in two convolutions of each head of boxes; the library whose
/// parameters are above has one group.
#[test]
fn operations_of_yolov9_are_those_of_the_paper_but_for_groups_of_its_heads() {
    let published = [
        ("yolov9t", 7.7),
        ("yolov9s", 26.4),
        ("yolov9m", 76.3),
        ("yolov9c", 102.1),
        ("yolov9e", 189.0),
    ];
    for (name, published) in published {
        let graph = build(name);
        let grouped = |node: &Node| {
            node.name.starts_with("detect.")
                && (node.name.ends_with("box.1") || node.name.ends_with("box.2"))
        };
        let saved = sum(&graph, grouped) / 4 * 3;
        assert!(saved > 0, "{name}");
        near(name, graph.flops() - saved, published, 0.06);
    }
}

/// The paper counts no products of activations, which are those of attention.
#[test]
fn operations_of_yolov10_are_those_of_the_paper_without_attention() {
    let published = [
        ("yolov10n", 6.7),
        ("yolov10s", 21.6),
        ("yolov10m", 59.1),
        ("yolov10b", 92.0),
        ("yolov10l", 120.3),
        ("yolov10x", 160.4),
    ];
    for (name, published) in published {
        let graph = build(name);
        let attention = sum(&graph, |node| matches!(node.kind, Kind::Attention(_)));
        near(name, graph.flops() - attention, published, 0.05);
    }
}

/// The paper counts both branches of the convolutions that are one when the network is run. It does not say what its whole
/// numbers count besides products: with residual networks they are 0.3 to 0.7 more than these.
#[test]
fn operations_of_rtdetr_are_those_of_the_paper_with_second_branches() {
    let published = [
        ("rtdetr-l", 110.0),
        ("rtdetr-x", 234.0),
        ("rtdetr-r18", 60.0),
        ("rtdetr-r34", 92.0),
        ("rtdetr-r50", 136.0),
        ("rtdetr-r101", 259.0),
    ];
    for (name, published) in published {
        let graph = build(name);
        let more = branches(&graph).map(|(node, window, second)| flops_of(node) / window * second);
        near(name, graph.flops() + more.sum::<u64>(), published, 0.7);
    }
}

/// 86 * 10^9 multiplications with additions are a mean over the first hundred images of COCO, whose edges have
/// ratios from 1 to 2: more than an image of 4:3 needs, the default, and less than one of 2:1.
#[test]
fn operations_of_detr_are_near_the_mean_that_was_published() {
    near(
        "detr-resnet-50",
        build("detr-resnet-50").flops(),
        2.0 * 86.0,
        0.06 * 172.0,
    );
}

/// Open Model Zoo has 6.807 million parameters, normalisation folded into the convolutions: a bias for a scale and a
/// bias.
#[test]
fn parameters_of_ssd_are_those_that_were_published() {
    let graph = build("ssd-mobilenet-v1");
    let norms = graph.nodes.iter().filter(|n| n.op == "BatchNorm");
    let scales: u64 = norms.map(|n| graph.tensors[n.inputs[1]].elements()).sum();
    assert_eq!((graph.parameters() - scales) / 1000, 6807);
}

#[test]
fn images_are_as_large_as_they_are_bound() {
    for network in NETWORKS {
        let usual = network.graph(&Bindings::default()).unwrap();
        let edge = network.image[0] * 2;
        let twice = bound(network.name, &[("image", edge)]).unwrap();
        twice.check(network.name).unwrap();
        let shape = &twice.tensors[twice.inputs[0]].shape;
        assert_eq!(shape[..], [1, 3, edge, edge], "{}", network.name);
        assert!(twice.flops() > 2 * usual.flops(), "{}", network.name);
    }
    let refused = bound("yolov8n", &[("image", 650)]).unwrap_err().to_string();
    assert!(refused.contains("multiple of 32 from 32"), "{refused}");
    let refused = bound("yolov8n", &[("edge", 640)]).unwrap_err().to_string();
    assert!(refused.ends_with("it has: image"), "{refused}");
    assert!(bound("vgg16", &[("image", 1 << 20)]).is_err());
}

/// Channels for themselves are groups of one channel, and a product each.
#[test]
fn depthwise_convolutions_are_groups() {
    let graph = build("mobilenet-v1");
    let node = graph
        .nodes
        .iter()
        .find(|n| n.name == "block13.depthwise")
        .unwrap();
    let Kind::Conv(window) = &node.kind else {
        panic!("{:?}", node.kind);
    };
    assert_eq!(window.groups, 1024);
    let product = &node.products[0];
    assert_eq!(
        [product.m, product.n, product.k, product.batch],
        [49, 1, 9, 1024]
    );
}

#[test]
fn a_batch_multiplies_operations_and_no_parameters() {
    for name in ["yolov10n", "rtdetr-l", "detr-resnet-50", "efficientnet-b0"] {
        let network = NETWORKS.iter().find(|n| n.name == name).unwrap();
        let eight = Bindings {
            batch: Some(8),
            ..Bindings::default()
        };
        let (one, eight) = (build(name), network.graph(&eight).unwrap());
        eight.check(name).unwrap();
        assert_eq!(eight.parameters(), one.parameters(), "{name}");
        assert_eq!(eight.flops(), 8 * one.flops(), "{name}");
    }
}

#[test]
fn a_batch_beyond_reason_is_refused() {
    for network in NETWORKS {
        let bindings = Bindings {
            dims: vec![("image".into(), super::EDGE_MAX)],
            batch: Some(1 << 32),
            ..Bindings::default()
        };
        let graph = network.graph(&bindings).unwrap();
        assert!(graph.check(network.name).is_err(), "{}", network.name);
    }
}
