//! Golden digests: no number of a report moves unseen.
//!
//! Every trace of `traces/`, every kernel of the PTX corpus and every generator runs on three GPUs, on one and on
//! three threads, with and without skipping; the reports are equal, and their digest is the one in
//! `golden.toml`. A digest covers the leaves that the file lists, so that a report may grow without it.
//! `scripts/golden` makes the file again, and refuses while a number moved under an unchanged `MODEL_VERSION`.

#[path = "support/leaves.rs"]
mod leaves;

use leaves::{leaves, name_of};
use phantom_gpu::internals::hash::ContentHash;
use phantom_gpu::internals::kernels::synth;
use phantom_gpu::internals::ptx::record::record;
use phantom_gpu::internals::simulation::Options;
use phantom_gpu::session::{MODEL_VERSION, Session};
use phantom_gpu::trace::Workload;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const FILE: &str = "validation/golden.toml";
/// GPUs, and the compute capability whose PTX each runs.
const GPUS: &[(&str, &str)] = &[
    ("v100", "sm_70"),
    ("a100-80", "sm_80"),
    ("h100-sxm", "sm_90"),
];

const INPUTS: &[&str] = &[
    "traces/alu/kernelslist.g",
    "traces/sgemm/kernelslist.g",
    "traces/sgemm.pgt",
    "traces/hgemm/kernelslist.g",
    "traces/stream/kernelslist.g",
    "traces/tiny_list/kernelslist.g",
    "traces/tiny_delta/kernelslist.g",
    "traces/tiny.pgt",
    "synth:empty?grid=300&block=96",
    "synth:ffma?grid=40&block=128&iters=2",
    "synth:ffma?grid=200&block=256&iters=2&control=on&launches=3",
    "synth:ffma_ilp?grid=90&iters=3&ilp=6",
    "synth:barrier?grid=90&block=512&iters=4",
    "synth:stream?bytes=1MiB&launches=2&streams=2",
    "synth:copy?bytes=1MiB&width=16",
    "synth:scale?bytes=1MiB&elements=4",
    "synth:triad?bytes=512KiB&width=16&control=on",
    "synth:read?bytes=1MiB&width=8",
    "synth:init?bytes=2MiB",
    "synth:sgemm?m=192&n=260&k=64",
    "synth:hgemm?m=192&n=264&k=64&control=on",
    "synth:hgemm?m=512&n=512&k=128",
    "synth:gemm?m=300&n=500&k=640&type=f16",
    "synth:splitk_reduce?rows=64&cols=96&parts=5&out=f16",
    "synth:splitk_reduce?rows=64&cols=96&parts=5&beta=1",
    "synth:sgemm?m=130&n=132&k=64&beta=1",
    "synth:hgemm?m=130&n=136&k=64&batch=2&pointers=1",
    "synth:gemm?m=1&n=2048&k=1024&layout=nt&type=f16",
    "synth:gemm?m=1&n=2048&k=1024",
    "synth:gemv_kernel?rows=500&k=1024&small=7&warps=4",
    "synth:gemv_columns_kernel?cols=1030&k=600&small=3",
    "synth:gather?per=4&grid=64",
    "synth:gather?per=2&grid=64&width=16&span=4MiB&seed=7",
    "synth:pchase?bytes=64KiB&iters=300",
    "synth:pchase?bytes=1MiB&iters=100&cache=l2",
    "synth:smem?grid=8&ways=4&block=128",
    "synth:smem?grid=8&width=16&op=store&chain=off",
    "synth:atomics?grid=90&iters=2&block=64",
    "synth:atomics?grid=8&iters=2&address=line&op=cas&result=on",
    "synth:atomics?grid=8&iters=2&address=lane&space=shared",
    "synth:local?grid=8&block=288&words=130&iters=2",
    "synth:local?grid=90&words=8&width=16",
    "synth:ops?op=dfma&block=128",
    "synth:ops?op=mufu_fmul&chains=4&with=iadd3",
    "synth:ops?op=hfma2_pipes&block=256",
    "synth:wmma?iters=2&unroll=16&block=64",
    "synth:ring?bytes=1MiB&loads=200&warm=1",
    "synth:lap?bytes=256KiB",
    "synth:doubles?kernel=add&ctas=400&per_sm=2",
    "synth:sweep?grid=100",
    "synth:chunks?grid=20&steps=4",
    "synth:strides?param=33",
    "synth:code?bytes=64KiB",
    "synth:constant?bytes=16KiB",
    "synth:barriers?block=512",
    "synth:pointwise?n=100000&fn=gelu",
    "synth:strided?n=98304&cols=64&rows=128&heads=4&strides=heads&fn=copy&type=f16",
    "synth:softmax_kernel?rows=200&cols=1541&form=block",
    "synth:layer_norm_kernel?rows=200&cols=1024&type=f16",
    "synth:rms_norm_kernel?rows=200&cols=4096&type=f16",
    "synth:silu_and_mul_kernel?rows=200&cols=1728&type=f16",
    "synth:rotary_kernel?rows=100&heads=8&kv_heads=2&type=f16",
    "synth:reduce_kernel?rows=300&cols=1000",
    "synth:gather_rows?rows=300&cols=1024&type=f16",
    "synth:combine_splits_kernel?rows=256&splits=4&type=f16",
    "synth:softmax?rows=100&cols=300",
    "synth:layernorm?rows=100&cols=1000",
    "synth:layernorm?rows=100&cols=1001&type=f16",
    "synth:sum?rows=2&cols=300000",
    "synth:row_moments_kernel?rows=50&cols=1023",
    "synth:normalize_rows_kernel?rows=50&cols=1023",
    "synth:cat?rows=100&cols=100&tensors=3",
    "synth:cat_kernel?rows=100&cols=101&ctas=3&type=f16",
    "synth:topk?rows=200&cols=8",
    "synth:top_k_kernel?rows=100&cols=300&k=6&type=f16",
    "synth:small_sort_kernel?rows=100&k=8",
    "synth:cumsum?rows=30",
    "synth:scan_rows_kernel?matrices=3&rows=20&cols=64",
    "synth:paged_kernel?b=3&h=8&kvh=2&sk=300&type=f16",
    "synth:paged_reduce_kernel?rows=24&parts=3&type=f16",
    "synth:rmsnorm?rows=64&cols=512&type=f16",
    "synth:add_rmsnorm?rows=64&cols=1024&type=f16&style=vllm",
    "synth:sum?rows=100&cols=100",
    "synth:max?rows=10&cols=9000",
    "synth:rope?rows=64&type=f16",
    "synth:embedding?rows=100",
    "synth:elementwise?n=10000&fn=silu",
    "synth:relayout_kernel?batch=2&rows=33&cols=100",
    "synth:conv_offsets_kernel?n=1&c=16&h=14&w=14&k=32&r=3&s=3&pad=1",
    "synth:conv_implicit_kernel?n=2&c=16&h=14&w=13&k=40&r=3&s=3&pad=1",
    "synth:conv_tensor_kernel?n=2&c=32&h=14&w=13&k=64&r=3&s=3&pad=1&type=f16&layout=nhwc",
    "synth:winograd_transform_kernel?n=2&c=16&h=14&w=13&k=32&r=3&s=3&pad=1",
    "synth:winograd_fused_kernel?n=2&c=16&h=14&w=13&k=32&r=3&s=3&pad=1",
    "synth:conv_depthwise_kernel?n=2&c=32&h=14&w=13&k=32&r=3&s=3&pad=1&groups=32",
    "synth:conv?n=2&c=32&h=14&w=14&k=32&r=3&s=3&pad=1",
];

/// Inputs that need cp.async, or that are only one kernel with it.
const FROM_AMPERE: &[&str] = &[
    "synth:flash_kernel?b=1&h=4&kvh=2&sq=256&sk=256&causal=1&type=f16",
    "synth:flash1_kernel?b=1&h=4&sq=128&sk=512&d=64&type=f16",
    "synth:attention?b=1&h=8&sq=1&sk=2048&type=f16",
    "synth:efficient_kernel?b=1&h=4&kvh=2&sq=200&sk=256&causal=1&type=f16",
    "synth:flash_backward_kernel?b=1&h=2&sq=128&sk=256&type=f16",
    "synth:flash_backward_dot_kernel?b=1&h=2&sq=256&sk=256&type=f16",
    "synth:flash_backward_convert_kernel?b=1&h=2&sq=256&sk=256&type=f16",
    "synth:attention?b=1&h=2&sq=256&d=64&causal=1&type=bf16&backward=1",
];

/// `golden.toml`.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Golden {
    /// Leaves that the digests cover, without indices.
    leaves: BTreeSet<String>,
    /// Versions of the model in rising order, each with the digest of all digests.
    history: Vec<(u32, String)>,
    /// Cycles and digest of each case.
    cases: BTreeMap<String, (u64, String)>,
}

impl Golden {
    fn load() -> Self {
        let text = std::fs::read_to_string(FILE).unwrap_or_default();
        toml::from_str(&text).expect("golden.toml is made by scripts/golden")
    }

    fn summary(&self) -> String {
        let text = serde_json::to_string(&self.cases).expect("plain data");
        ContentHash::of(text.as_bytes()).hex()
    }

    /// This file with `runs` in the place of its cases, made by model `version`.
    ///
    /// # Errors
    /// The cases that moved, when `version` is not above the last one.
    fn renewed(&self, runs: &Runs, version: u32) -> Result<Golden, Vec<String>> {
        let last = self.history.last().map_or(0, |h| h.0);
        let moved = self.moved(runs);
        if version < last || version == last && !moved.is_empty() {
            return Err(moved);
        }
        let mut new = Golden {
            leaves: runs
                .values()
                .flat_map(|r| r.keys().map(|p| name_of(p)))
                .collect(),
            history: self.history.clone(),
            cases: BTreeMap::new(),
        };
        new.cases = runs
            .iter()
            .map(|(case, run)| (case.clone(), digest(run, &new.leaves)))
            .collect();
        new.history.retain(|h| h.0 < version);
        new.history.push((version, new.summary()));
        Ok(new)
    }

    /// Cases of the file that are gone or have another digest.
    fn moved(&self, runs: &Runs) -> Vec<String> {
        let moved = self.cases.iter().filter_map(|(case, was)| {
            let is = runs.get(case).map(|run| digest(run, &self.leaves));
            match is {
                None => Some(format!("{case}: gone")),
                Some(is) if is != *was => Some(format!("{case}: cycles {} -> {}", was.0, is.0)),
                Some(_) => None,
            }
        });
        moved.collect()
    }
}

/// Leaves of each case.
type Runs = BTreeMap<String, BTreeMap<String, String>>;

/// Cycles of the run, and the digest of those of its leaves that `names` lists.
fn digest(run: &BTreeMap<String, String>, names: &BTreeSet<String>) -> (u64, String) {
    let mut hash = ContentHash::default();
    for (path, value) in run
        .iter()
        .filter(|(path, _)| names.contains(&name_of(path)))
    {
        hash.bytes(path.as_bytes());
        hash.bytes(value.as_bytes());
    }
    let cycles = run.get("totals.cycles").and_then(|c| c.parse().ok());
    (cycles.unwrap_or(0), hash.hex())
}

/// One case: its name, its GPU, and how to open it there.
struct Case {
    name: String,
    gpu: &'static str,
    open: Box<dyn Fn(&Session) -> Workload + Send + Sync>,
}

/// The `.toml` files of a folder of the PTX corpus, in order.
fn launch_files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the corpus is part of the repository");
    let mut files: Vec<PathBuf> = entries
        .map(|e| e.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

/// The kernels of the PTX corpus that the GPU for `target` runs: those compiled for it, and what other compilers
/// made, each on one GPU.
fn kernels_of(target: &str) -> Vec<(String, PathBuf)> {
    let mut kernels = Vec::new();
    for launch in launch_files("traces/ptx/launch") {
        let text = std::fs::read_to_string(&launch).expect("a readable file");
        let stem = launch.file_stem().unwrap_or_default().to_string_lossy();
        let source = text.lines().next().and_then(|l| l.strip_prefix("# "));
        let ptx = match (stem.strip_prefix("triton_"), source) {
            (Some("matmul"), _) => "triton_sm_80/matmul_fp16_128x128x32.ptx".to_owned(),
            (Some(triton), _) => format!("triton_sm_80/{triton}.ptx"),
            (None, Some(source)) => format!("{target}/{}.ptx", source.trim_end_matches(".cu")),
            (None, None) => panic!("{}: no source in line 1", launch.display()),
        };
        let ptx = format!("traces/ptx/{ptx}");
        if ptx.contains(target) && Path::new(&ptx).is_file() {
            kernels.push((ptx, launch));
        }
    }
    for launch in launch_files("traces/ptx/dialects") {
        let name = launch
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let stem = name.split('.').next().unwrap_or_default();
        let on = if stem.ends_with("_sm_90") {
            "sm_90"
        } else {
            "sm_80"
        };
        if on == target {
            kernels.push((format!("traces/ptx/dialects/{stem}.ptx"), launch));
        }
    }
    kernels
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &(gpu, target) in GPUS {
        let later = FROM_AMPERE.iter().filter(|_| target != "sm_70");
        for &input in INPUTS.iter().chain(later) {
            let name = format!("{input} on {gpu}");
            let open =
                Box::new(move |s: &Session| s.open(&[input]).unwrap_or_else(|e| panic!("{e}")));
            cases.push(Case { name, gpu, open });
        }
        for (ptx, launch) in kernels_of(target) {
            let name = format!("{ptx} {} on {gpu}", launch.display());
            let open = Box::new(move |_: &Session| {
                let made = record(Path::new(&ptx), &launch, false, 1);
                made.unwrap_or_else(|e| panic!("{e}")).0
            });
            cases.push(Case { name, gpu, open });
        }
    }
    cases
}

/// Runs `workload` on `session` and returns the leaves of its report.
fn run(
    session: &Session,
    workload: &Workload,
    (threads, no_skip): (usize, bool),
) -> Result<BTreeMap<String, String>, String> {
    let options = Options {
        threads,
        no_skip,
        ..Options::default()
    };
    let outcome = session.run(workload, &options).map_err(|e| e.to_string())?;
    Ok(leaves(
        &serde_json::to_value(&outcome.report).expect("a report is JSON"),
    ))
}

/// How each case is run: the value of `GOLDEN`.
#[derive(Clone, Copy, PartialEq)]
enum Ways {
    /// `once`: on one thread.
    Once,
    /// On one thread with and without skipping, and on three threads.
    Three,
    /// `full`: on three threads without skipping, too.
    Four,
}

impl Ways {
    fn chosen() -> Self {
        match std::env::var("GOLDEN").as_deref() {
            Ok("once") => Ways::Once,
            Ok("full") => Ways::Four,
            _ => Ways::Three,
        }
    }

    /// `no_skip` of each of the runs on three threads.
    fn on_three_threads(self) -> &'static [bool] {
        match self {
            Ways::Once => &[],
            Ways::Three => &[false],
            Ways::Four => &[false, true],
        }
    }
}

/// Runs every case in the ways of `GOLDEN`, which must agree. Cases on one thread run side by side, those on three one
/// after the other: three threads that wait for each other on two cores would spin most of their time.
fn all() -> Runs {
    let cases = cases();
    let ways = Ways::chosen();
    let opened = cases.par_iter().map(|case| {
        let session = Session::new::<&str>(case.gpu, &[]).expect("a built-in GPU");
        let workload = (case.open)(&session);
        let found = run(&session, &workload, (1, false));
        let found = found.unwrap_or_else(|e| panic!("{}: {e}", case.name));
        if ways != Ways::Once {
            let ticked = run(&session, &workload, (1, true));
            assert!(
                ticked.as_ref() == Ok(&found),
                "{}: skipping shows",
                case.name
            );
        }
        (case, session, workload, found)
    });
    let opened: Vec<_> = opened.collect();
    let mut runs = Runs::new();
    for (case, session, workload, found) in opened {
        for &no_skip in ways.on_three_threads() {
            let other = run(&session, &workload, (3, no_skip));
            assert!(other.as_ref() == Ok(&found), "{}: threads show", case.name);
        }
        runs.insert(case.name.clone(), found);
    }
    runs
}

#[test]
fn no_number_of_any_report_has_moved() {
    let golden = Golden::load();
    let runs = all();
    if std::env::var_os("GOLDEN").is_some_and(|v| v == "write") {
        let new = golden
            .renewed(&runs, MODEL_VERSION)
            .unwrap_or_else(|moved| {
                panic!(
                    "numbers moved; raise MODEL_VERSION in src/session.rs above {:?}:\n{}",
                    golden.history.last(),
                    moved.join("\n")
                )
            });
        for line in golden.moved(&runs) {
            println!("{line}");
        }
        let head =
            "# Made by scripts/golden. Cases: cycles of the run, digest of the listed leaves.\n";
        let text = toml::to_string(&new).expect("plain data");
        std::fs::write(FILE, format!("{head}{text}")).expect("a writable checkout");
        return;
    }
    let moved = golden.moved(&runs);
    assert!(
        moved.is_empty(),
        "{} cases moved:\n{}",
        moved.len(),
        moved.join("\n")
    );
    let unknown: Vec<_> = runs
        .keys()
        .filter(|c| !golden.cases.contains_key(*c))
        .collect();
    assert!(
        unknown.is_empty(),
        "not in {FILE} (run scripts/golden): {unknown:?}"
    );
}

#[test]
fn the_history_ends_with_this_model_and_these_digests() {
    let golden = Golden::load();
    let versions: Vec<u32> = golden.history.iter().map(|h| h.0).collect();
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    assert_eq!(
        golden.history.last(),
        Some(&(MODEL_VERSION, golden.summary())),
        "scripts/golden makes {FILE} again; see MODEL_VERSION in src/session.rs"
    );
}

#[test]
fn every_generator_has_a_case() {
    for name in synth::catalogue().iter().map(|entry| entry.name) {
        let with = format!("synth:{name}");
        let named = |input: &&&str| input.split('?').next() == Some(with.as_str());
        assert!(
            INPUTS.iter().chain(FROM_AMPERE).any(|i| named(&i)),
            "{with} has no golden case"
        );
    }
}

#[test]
fn digests_are_renewed_only_under_a_higher_version() {
    let runs = |cycles: &str, more: &[&str]| -> Runs {
        let mut leaves = BTreeMap::from([("totals.cycles".to_owned(), cycles.to_owned())]);
        leaves.extend(more.iter().map(|&l| (l.to_owned(), "1".to_owned())));
        BTreeMap::from([("case".to_owned(), leaves)])
    };
    let first = Golden::default()
        .renewed(&runs("5", &[]), 1)
        .expect("a first file");
    assert_eq!(first.cases["case"].0, 5);
    // A report may grow under the same version; a number may not move, and a leaf may not go.
    let grown = first
        .renewed(&runs("5", &["kernels[0].ipc"]), 1)
        .expect("no number moved");
    assert_eq!(grown.history.len(), 1);
    assert!(first.renewed(&runs("6", &[]), 1).is_err());
    assert!(grown.renewed(&runs("5", &[]), 1).is_err());
    let second = grown.renewed(&runs("6", &[]), 2).expect("a higher version");
    assert_eq!(second.history.len(), 2);
    assert!(second.renewed(&runs("6", &[]), 1).is_err());
}
