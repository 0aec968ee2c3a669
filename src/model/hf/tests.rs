//! Families of configurations whose dimensions are small enough to count by hand, and keys that make no sense.

use crate::model::graph::Graph;
use crate::model::options::Bindings;
use serde_json::{Value, json};

fn read(config: &Value, batch: u64, seq: u64) -> Result<Graph, String> {
    let bindings = Bindings {
        batch: Some(batch),
        seq: Some(seq),
        ..Bindings::default()
    };
    let graph = super::read(&config.to_string(), "config.json", "small", &bindings);
    let graph = graph.map_err(|e| e.to_string())?;
    graph.check("config.json").map_err(|e| e.to_string())?;
    Ok(graph)
}

fn llama() -> Value {
    json!({"model_type": "llama", "hidden_size": 8, "intermediate_size": 12, "num_attention_heads": 4,
           "num_key_value_heads": 2, "num_hidden_layers": 3, "vocab_size": 10, "torch_dtype": "bfloat16"})
}

#[test]
fn a_decoder_is_counted_as_by_hand() {
    let graph = read(&llama(), 2, 5).unwrap();
    let layer = 8 * (8 + 4 + 4 + 8) + 3 * 8 * 12 + 2 * 8;
    assert_eq!(graph.parameters(), 3 * layer + 2 * 10 * 8 + 8);
    let tokens = 2 * 5;
    let dense = 8 * (8 + 4 + 4 + 8) + 3 * 8 * 12;
    let attention = 2 * 4 * (5 * 5 * 2) * 2;
    assert_eq!(
        graph.flops(),
        2 * (3 * (tokens * dense + attention) + tokens * 80)
    );
    assert_eq!(graph.memory().kv_cache_bytes, 2 * 2 * 2 * 3 * tokens * 2);
}

#[test]
fn families_differ_where_their_definitions_do() {
    let change = |key: &str, value: Value| {
        let mut config = llama();
        config[key] = value;
        read(&config, 1, 4).unwrap().parameters()
    };
    let usual = change("unused", json!(1));
    assert_eq!(change("tie_word_embeddings", json!(true)), usual - 80);
    assert_eq!(
        change("attention_bias", json!(true)),
        usual + 3 * (8 + 4 + 4 + 8)
    );
    assert_eq!(
        change("model_type", json!("qwen2")),
        usual + 3 * (8 + 4 + 4)
    );
    assert_eq!(change("model_type", json!("phi3")), usual);
    // LayerNorm has a bias, one of two norms is gone, and so is the gate; every matrix has a bias.
    let phi = usual as i64 - 3 * 8 * 12 + 3 * (8 + 4 + 4 + 8 + 12 + 8) + 8 + 10;
    assert_eq!(change("model_type", json!("phi")) as i64, phi);
}

/// Norms of heads and of what parts add, and a network that every token takes beside its experts.
#[test]
fn later_families_add_norms_and_shared_networks() {
    let of = |changes: Value| {
        let mut config = llama();
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        read(&config, 1, 4).map(|graph| graph.parameters())
    };
    let usual = of(json!({})).unwrap();
    let qwen3 = of(json!({"model_type": "qwen3", "head_dim": 2}));
    assert_eq!(qwen3, Ok(usual + 3 * (2 + 2)));
    let gemma2 = of(json!({"model_type": "gemma2", "head_dim": 2}));
    assert_eq!(gemma2, Ok(usual - 80 + 3 * 2 * 8));
    let mut mixture = json!({"model_type": "qwen2_moe", "num_experts": 5, "num_experts_per_tok": 2,
        "moe_intermediate_size": 6, "shared_expert_intermediate_size": 10});
    let layer = 8 * 5 + 5 * 3 * 8 * 6 + 3 * 8 * 10 + 8 + (8 + 4 + 4);
    assert_eq!(of(mixture.clone()), Ok(usual + 3 * layer - 3 * 3 * 8 * 12));
    mixture["mlp_only_layers"] = json!([1]);
    assert!(of(mixture).unwrap_err().contains("decoder_sparse_step"));
    // What would be counted wrong is refused by its key.
    let twice = llama()
        .to_string()
        .replacen('{', "{\"vocab_size\": 11, ", 1);
    let refused = super::read(&twice, "config.json", "small", &Bindings::default());
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("vocab_size is there twice")
    );
    let gpt2 = json!({"model_type": "gpt2", "n_embd": 8, "n_head": 2, "n_layer": 1, "vocab_size": 10,
        "n_positions": 16, "add_cross_attention": true});
    assert!(
        read(&gpt2, 1, 4)
            .unwrap_err()
            .contains("add_cross_attention")
    );
    let opt = json!({"model_type": "opt", "hidden_size": 8, "ffn_dim": 12, "num_attention_heads": 2,
        "num_hidden_layers": 1, "vocab_size": 10, "max_position_embeddings": 16,
        "layer_norm_elementwise_affine": false});
    assert!(
        read(&opt, 1, 4)
            .unwrap_err()
            .contains("layer_norm_elementwise_affine")
    );
}

#[test]
fn latent_attention_and_experts_are_counted_as_by_hand() {
    let config = json!({"model_type": "deepseek_v3", "hidden_size": 8, "intermediate_size": 12,
        "num_attention_heads": 2, "num_hidden_layers": 2, "vocab_size": 10, "q_lora_rank": 3, "kv_lora_rank": 5,
        "qk_nope_head_dim": 4, "qk_rope_head_dim": 2, "v_head_dim": 4, "n_routed_experts": 6, "n_shared_experts": 1,
        "num_experts_per_tok": 2, "moe_intermediate_size": 7, "first_k_dense_replace": 1});
    let graph = read(&config, 1, 4).unwrap();
    let attention = 8 * 3 + 3 + 3 * 12 + 8 * 7 + 5 + 5 * 16 + 8 * 8;
    let sparse = 6 * 8 + 6 * 3 * 8 * 7 + 3 * 8 * 7;
    let norms = 2 * 2 * 8 + 8;
    assert_eq!(
        graph.parameters(),
        2 * attention + 3 * 8 * 12 + sparse + norms + 160
    );
    let mut wrong = config;
    wrong["num_experts_per_tok"] = json!(7);
    assert!(read(&wrong, 1, 4).unwrap_err().contains("7 of 6 experts"));
}

#[test]
fn experts_of_switch_are_in_every_other_layer() {
    let config = |kind: &str| {
        json!({"model_type": kind, "d_model": 8, "d_ff": 16, "d_kv": 4, "num_heads": 2, "num_layers": 4,
               "vocab_size": 10, "num_experts": 3, "num_sparse_encoder_layers": 2, "num_sparse_decoder_layers": 2})
    };
    let plain = read(&config("t5"), 1, 4).unwrap().parameters();
    let switch = read(&config("switch_transformers"), 1, 4)
        .unwrap()
        .parameters();
    assert_eq!(switch - plain, 4 * (2 * 2 * 8 * 16 + 3 * 8));
}

#[test]
fn keys_that_make_no_sense_are_named() {
    let cases = [
        ("hidden_size", Value::Null, "hidden_size is missing"),
        ("num_attention_heads", json!(3), "not divisible"),
        ("num_hidden_layers", json!("3"), "num_hidden_layers"),
        ("num_hidden_layers", json!(100_000), "up to 1000"),
        ("vocab_size", json!(0), "vocab_size"),
        ("vocab_size", json!(1u64 << 40), "vocab_size"),
        ("model_type", json!("llamox"), "llamox"),
        ("torch_dtype", json!("int3"), "int3"),
        ("mlp_bias", json!(1), "mlp_bias"),
        (
            "head_dim",
            json!(u32::MAX),
            "elements that a tensor may have",
        ),
    ];
    for (key, value, message) in cases {
        let mut config = llama();
        config[key] = value;
        if key == "head_dim" {
            config["hidden_size"] = json!(u32::MAX - 3);
        }
        let refused = read(&config, 1, 4).unwrap_err();
        assert!(refused.contains(message), "{key}: {refused}");
    }
    assert!(read(&json!([1]), 1, 4).unwrap_err().contains("no object"));
}

/// That two of `share` are `whole`, with what both have.
fn make_up(name: &str, share: &Graph, whole: &Graph) {
    let mut replicated = 0;
    let mut padding = 0;
    for (part, all) in share.weights().zip(whole.weights()) {
        assert_eq!(part.name, all.name);
        let (part, of_all) = (part.elements(), all.elements());
        match part == of_all {
            true => replicated += part,
            // A vocabulary is padded to a multiple of 64 rows on each.
            false => padding += 2 * part - of_all,
        }
        let rows = padding / all.shape.last().unwrap_or(&1);
        assert!(2 * part >= of_all && rows < 256, "{}: {}", name, all.name);
    }
    let both = 2 * share.parameters();
    assert_eq!(both, whole.parameters() + replicated + padding, "{}", name);
    assert!(
        replicated > 0 && replicated < whole.parameters() / 2,
        "{}",
        name
    );
    assert_eq!(2 * share.kv_cache_bytes, whole.kv_cache_bytes, "{}", name);
    for (part, all) in share.nodes.iter().zip(&whole.nodes) {
        let flops = |node: &crate::model::graph::Node| -> u128 {
            node.products.iter().map(|product| product.flops()).sum()
        };
        let (part, of_all) = (flops(part), flops(all));
        assert!(
            part == of_all || 2 * part >= of_all && part < of_all,
            "{}",
            all.name
        );
    }
}

/// On several GPUs every tensor of weights is cut into equal parts, or the same on all of them; so are operations, and
/// keys and values.
#[test]
fn shares_make_up_the_whole() {
    let mut cut = 0;
    for model in crate::model::zoo::all() {
        let build = |degree: u64| {
            let bindings = Bindings {
                tensor_parallel: Some(degree),
                ..Bindings::default()
            };
            model.build(&bindings)
        };
        let whole = build(1).unwrap();
        let share = match build(2) {
            Ok(share) if share.sharding.degree == 2 => share,
            Ok(share) => {
                assert_eq!(share.parameters(), whole.parameters(), "{}", model.name);
                continue;
            }
            Err(refused) => {
                assert_eq!(model.name, "gpt2-xl", "{refused}");
                assert!(
                    refused.to_string().contains("num_attention_heads = 25"),
                    "{refused}"
                );
                continue;
            }
        };
        cut += 1;
        share.check(model.name).unwrap();
        make_up(model.name, &share, &whole);
    }
    assert!(cut > 25, "{cut}");
}

#[test]
fn gpus_exchange_what_a_layer_adds_up() {
    use crate::model::shard::Exchange;
    let cut = |degree: u64| {
        let bindings = Bindings {
            batch: Some(2),
            seq: Some(5),
            tensor_parallel: Some(degree),
            ..Bindings::default()
        };
        super::read(&llama().to_string(), "config.json", "small", &bindings)
    };
    let graph = cut(2).unwrap();
    let collectives = &graph.sharding.collectives;
    let of = |exchange| collectives.iter().filter(move |c| c.exchange == exchange);
    // Attention and feed-forward network of three layers, and the table of tokens.
    assert_eq!(of(Exchange::AllReduce).count(), 2 * 3 + 1);
    assert!(of(Exchange::AllReduce).all(|c| c.elements == 2 * 5 * 8));
    let logits: Vec<u64> = of(Exchange::AllGather).map(|c| c.elements).collect();
    assert_eq!(logits, [2 * 5 * 10]);
    // Four GPUs share two heads of keys and values: each has a whole one.
    let kv = |graph: &Graph| {
        let own = graph.weights().filter(|t| t.name.contains("k_proj"));
        own.map(|t| t.elements()).sum::<u64>()
    };
    assert_eq!(
        (kv(&cut(1).unwrap()), kv(&cut(4).unwrap())),
        (3 * 32, 3 * 16)
    );
    for degree in [3, 5, 1_000_000_000] {
        let refused = cut(degree).unwrap_err().to_string();
        assert!(refused.contains("num_attention_heads = 4"), "{refused}");
        assert!(refused.contains("these fit: 2, 4"), "{refused}");
    }
}

/// Dimensions of published models against their published numbers of parameters.
#[test]
fn published_models_have_their_published_parameters() {
    let bloom = json!({"model_type": "bloom", "n_embed": 1024, "n_layer": 24, "num_attention_heads": 16,
        "vocab_size": 250880});
    let falcon = |more: Value| {
        let mut config = json!({"model_type": "falcon", "vocab_size": 65024, "bias": false});
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        config
    };
    let falcon_7b = falcon(
        json!({"hidden_size": 4544, "num_attention_heads": 71, "num_hidden_layers": 32,
        "multi_query": true, "parallel_attn": true, "new_decoder_architecture": false}),
    );
    let falcon_40b = falcon(
        json!({"hidden_size": 8192, "num_attention_heads": 128, "num_hidden_layers": 60,
        "num_kv_heads": 8, "parallel_attn": true, "new_decoder_architecture": true}),
    );
    let encoder = |kind: &str, embedded: u64, more: Value| {
        let mut config = json!({"model_type": kind, "vocab_size": 30522, "embedding_size": embedded,
            "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12,
            "max_position_embeddings": 512, "type_vocab_size": 2});
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        config
    };
    let albert = encoder(
        "albert",
        128,
        json!({"vocab_size": 30000, "num_hidden_groups": 1, "inner_group_num": 1}),
    );
    let electra = encoder("electra", 768, json!({}));
    let deit = json!({"model_type": "deit", "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12,
        "num_hidden_layers": 12, "image_size": 224, "patch_size": 16});
    let published = [
        (bloom, 559_214_592),
        (falcon_7b, 6_921_720_704),
        (falcon_40b, 41_303_293_952),
        (albert, 11_683_584),
        (electra, 108_891_648),
        // Without the two heads for a thousand classes, with the pooler.
        (deit, 87_338_192 - 2 * (768 * 1000 + 1000) + 768 * 768 + 768),
    ];
    for (config, parameters) in published {
        let graph = read(&config, 1, 16).unwrap();
        assert_eq!(graph.parameters(), parameters, "{config}");
    }
}

/// Layers of a group have one set of weights, and as many nodes as if each had its own.
#[test]
fn layers_of_albert_share_weights_by_group() {
    let of = |kind: &str, groups: u64| {
        let config = json!({"model_type": kind, "vocab_size": 10, "embedding_size": 4, "hidden_size": 8,
            "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 6, "max_position_embeddings": 8,
            "type_vocab_size": 2, "num_hidden_groups": groups});
        read(&config, 1, 4)
    };
    let layer = 4 * (8 * 8 + 8) + 2 * 8 * 16 + 16 + 8 + 2 * 2 * 8;
    let counted = |groups| of("albert", groups).unwrap().parameters();
    assert_eq!(counted(2) - counted(1), layer);
    assert_eq!(counted(6) - counted(3), 3 * layer);
    let flops = |kind: &str| of(kind, 1).unwrap().flops();
    assert_eq!(flops("albert"), flops("electra") + 2 * 8 * 8);
    let refused = of("albert", 7).unwrap_err();
    assert!(refused.contains("num_hidden_groups"), "{refused}");
}

/// Falcon's first models have a norm for both parts, later ones one for each unless they say so; those of the web data
/// alone have distances and no parallel parts.
#[test]
fn falcons_differ_in_norms_and_heads() {
    let of = |more: Value| {
        let mut config = json!({"model_type": "falcon", "hidden_size": 8, "num_attention_heads": 4,
            "num_hidden_layers": 1, "vocab_size": 10});
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        read(&config, 1, 4)
    };
    let first = of(json!({})).unwrap().parameters();
    let later = json!({"new_decoder_architecture": true, "num_kv_heads": 2});
    let two_norms = of(later.clone()).unwrap().parameters();
    assert_eq!(two_norms, first + 2 * 8 + 8 * (16 - 12));
    let mut one_norm = later;
    one_norm["num_ln_in_parallel_attn"] = json!(1);
    assert_eq!(of(one_norm).unwrap().parameters(), two_norms - 2 * 8);
    let web =
        of(json!({"alibi": true, "multi_query": false, "parallel_attn": false, "bias": true}))
            .unwrap();
    assert!(web.nodes.iter().all(|node| node.op != "Rotary"));
    assert_eq!(
        web.parameters(),
        first + 2 * 8 + 8 * (24 - 12) + 24 + 8 + 32 + 8
    );
    let odd = of(json!({"new_decoder_architecture": true, "num_kv_heads": 3}));
    assert!(odd.unwrap_err().contains("num_kv_heads"));
}
