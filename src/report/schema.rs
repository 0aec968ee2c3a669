//! The report: the serde structs are the JSON schema.
//!
//! Names are a contract: fields are added freely, none is renamed or removed without a new
//! `SCHEMA_VERSION`. `energy` of a kernel has its place after `dram` and is absent until it is
//! modelled; `validity.unmodelled` says so.

use super::metrics::Metrics;
use super::record::record;
use super::sections::Sections;
use serde::Serialize;
use serde_json::Value as Json;

/// Version of the JSON form.
pub const SCHEMA_VERSION: u32 = 1;

record! {
    /// One run.
    pub struct Report {
        /// Version of this schema.
        pub schema_version: u32,
        /// What made the report.
        pub tool: Tool,
        /// How the run ended: `complete`, `unmodelled_work` (complete, but work that carries a kernel has no timing), `interrupted` or `max_cycles`.
        pub status: Status,
        /// Every resolved configuration key, by section, and their hash.
        pub config: Config,
        /// What was run.
        pub workload: WorkloadInfo,
        /// Kernels in order of start.
        pub kernels: Vec<Kernel>,
        /// Layers of a model; empty for a run of kernels.
        pub layers: Vec<Layer>,
        /// The model as a whole; absent for a run of kernels.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub model: Option<Model>,
        /// Sections of the instruments that are compiled in, by name; empty without any.
        pub research: crate::probe::Sections,
        /// The whole run.
        pub totals: Totals,
        /// What to know before believing the numbers.
        pub validity: Validity,
        /// Everything that may differ between two runs of the same input; absent where results are kept.
        #[serde(skip_serializing_if = "Simulation::is_left_out")]
        pub simulation: Simulation,
    }
}

record! {
    /// The program.
    pub struct Tool {
        /// Program name.
        pub name: &'static str,
        /// Version.
        pub version: &'static str,
        /// Features that it was built with.
        pub features: Vec<&'static str>,
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every kernel ran to its end.
    Complete,
    /// Ctrl-C.
    Interrupted,
    /// `--max-cycles`.
    MaxCycles,
    /// Every kernel ran to its end, but work that carries one of them is not modelled.
    UnmodelledWork,
}

/// The resolved configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// Hash of all keys: equal hashes, equal machines.
    pub hash: String,
    /// Keys by section.
    #[serde(flatten)]
    pub keys: Json,
}

record! {
    /// What was run.
    pub struct WorkloadInfo {
        /// The input as the user named it.
        pub source: String,
        /// Hash of its content.
        pub hash: String,
        /// Host-to-device copies that were replayed.
        pub memcpys: u64 = "copies",
    }
}

record! {
    /// One kernel. Counters are sums over the chip from the kernel's start to its end.
    pub struct Kernel {
        /// Position in `kernels`, from 0.
        pub index: usize,
        /// Function name.
        pub name: String,
        /// Layer of the model that it computes a part of; absent when no model is behind the run.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub layer: Option<String>,
        /// Why this kernel was chosen for its operator; absent for kernels that were named or recorded.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub reason: Option<String>,
        /// CTAs: x, y, z.
        pub grid: [u32; 3] = "CTAs",
        /// Threads of a CTA: x, y, z.
        pub block: [u32; 3] = "threads",
        /// CTAs of a cluster: x, y, z.
        pub cluster: [u32; 3] = "CTAs",
        /// CUDA stream.
        pub stream: u64,
        /// Registers of a thread.
        pub registers: u16 = "registers",
        /// Static plus dynamic shared memory of a CTA, bytes.
        pub smem_bytes: u32 = "bytes",
        /// Core cycle of the run at which the kernel started.
        pub start_cycle: u64 = "cycles",
        /// Core cycles from start to end, launch included.
        pub cycles: u64 = "cycles",
        /// The same in microseconds.
        pub time_us: f64 = "us", by "1000 cycles / gpu.core_clock_khz, or / power.clock_khz",
        /// Warp instructions executed.
        pub warp_instructions: u64 = "warp instructions",
        /// Thread instructions executed: active lanes of warp instructions, summed.
        pub thread_instructions: u64 = "thread instructions",
        /// Warp instructions per core cycle of the whole chip.
        pub ipc: f64 = "instructions/cycle", by "warp_instructions / cycles",
        /// What its power let it be clocked at; absent unless power.throttle.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub power: Option<PowerInfo>,
        /// Occupancy.
        pub occupancy: OccupancyInfo,
        /// Other kernels ran meanwhile: the counters below include theirs.
        pub overlapped: bool,
        /// The run ended before the kernel did: numbers are those so far.
        pub partial: bool,
        /// Core cycles that the counters cover; differs from `cycles` only when kernels overlap.
        pub counted_cycles: u64 = "cycles",
        /// Issue slots: sub-cores of the chip times `counted_cycles`.
        pub total_slots: u64 = "issue slots", by "gpu.sms x sm.sub_cores x counted_cycles",
        /// Counters of each unit, and what is derived from them.
        #[serde(flatten)]
        pub sections: Sections,
        /// The same by Nsight Compute's names.
        pub metrics: Metrics,
        /// How the numbers came about.
        pub provenance: Provenance,
    }
}

/// The sections of a kernel are read as its own fields, as they stand in the JSON.
impl std::ops::Deref for Kernel {
    type Target = Sections;

    fn deref(&self) -> &Sections {
        &self.sections
    }
}

record! {
    /// Power of a kernel, and its clock.
    pub struct PowerInfo {
        /// Limit of the board.
        pub limit_w: u32 = "W",
        /// Average power at the clock below.
        pub average_w: f64 = "W",
        /// Core clock of the kernel: the highest, in whole steps, at which its average power is within the limit.
        pub clock_khz: u32 = "kHz",
        /// It is lower than that of the configuration.
        pub throttled: bool,
        /// Its power is above the limit even at the lowest clock of the board.
        pub above_limit: bool,
        /// Simulations of the kernel until its clock was found.
        pub runs: u32 = "runs",
    }
}

record! {
    /// Occupancy of the SMs.
    pub struct OccupancyInfo {
        /// Resident warps that fit, of the warp slots (0 to 1).
        pub theoretical: f64 = "ratio", by "ctas_per_sm x warps_per_cta / sm.warps_max",
        /// Resident warps on average while an SM had any, of the warp slots (0 to 1).
        pub achieved: f64 = "ratio", by "sm.warp_cycles / (sm.active_cycles x sm.warps_max)",
        /// CTAs that fit on an SM.
        pub ctas_per_sm: u32 = "CTAs",
        /// Warps of a CTA.
        pub warps_per_cta: u32 = "warps",
        /// What limits the CTAs: `warps`, `ctas`, `registers` or `shared_memory`.
        pub limit: &'static str,
        /// Shared-memory carve-out of the unified memory, bytes.
        pub carveout_bytes: u32 = "bytes",
    }
}

record! {
    /// How a kernel's numbers came about.
    pub struct Provenance {
        /// `full`: every cycle was simulated; `memo`: taken from an equal run; `sampled`: extrapolated from a part; `roofline`: a bound, not simulated.
        pub kind: &'static str,
        /// Warp instructions simulated, of those that the kernel has.
        pub simulated_fraction: f64 = "ratio",
        /// Relative half width of the confidence interval of `cycles`; 0 when nothing is estimated.
        pub ci_rel: f64 = "ratio",
        /// The kernel did not run to its end.
        pub partial: bool,
        /// What else should be known of the estimate; absent when there is nothing.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub note: Option<String>,
    }
}

record! {
    /// A layer of a model.
    pub struct Layer {
        /// Name in the model.
        pub name: String,
        /// Operator, and those that are fused to it.
        pub op: String,
        /// What it is part of: `forward`, `backward` or `optimizer`; the last two in training alone.
        pub pass: &'static str,
        /// Its kernels, as positions in `kernels`, in the order of their launches; a kernel that is launched again with the same tensors in L2 is there once.
        pub kernels: Vec<usize>,
        /// How often it runs, in a model with steps; the numbers below are of all its runs.
        pub times: u64 = "runs",
        /// Core cycles of its kernels.
        pub cycles: u64 = "cycles",
        /// The same in microseconds.
        pub time_us: f64 = "us",
        /// Microseconds that the device waited for the host in front of its kernels.
        pub wait_us: f64 = "us",
        /// Floating-point operations.
        pub flops: u64 = "operations",
        /// Bytes that it must move at least.
        pub bytes: u64 = "bytes",
        /// What bounds it: `compute`, `memory`, `latency` or `launch`.
        pub bound: &'static str,
        /// The time at peak rates of arithmetic and of DRAM, of the time that it takes.
        pub peak_fraction: f64 = "ratio",
        /// Share of DRAM's peak bandwidth that it used; 0 where nothing was simulated.
        pub dram_fraction: f64 = "ratio",
        /// How the numbers came about.
        pub provenance: Provenance,
    }
}

record! {
    /// A model on a GPU.
    pub struct Model {
        /// Name of the model.
        pub name: String,
        /// GPU as it was asked for.
        pub gpu: String,
        /// Sequences or images at a time.
        pub batch_size: u64 = "sequences",
        /// Tokens of a sequence, or of those that are kept in decoding; absent where the model has none.
        pub seq_len: Option<u64> = "tokens",
        /// Steps that a run takes; null where the model has none.
        pub steps: Option<u64> = "steps",
        /// Numbers of weights and activations.
        pub precision: &'static str,
        /// Who launches the kernels: `eager`, `graph` or `compile`.
        pub runtime: &'static str,
        /// `prefill`, `decode` or `train`.
        pub phase: &'static str,
        /// What changes the weights in training: `none`, `sgd`, `adam` or `adamw`; null in other phases.
        pub optimizer: Option<&'static str>,
        /// GPUs that share every layer; layers, parameters, operations and memory are those of one of them.
        pub tensor_parallel: u64 = "GPUs",
        /// Elements of all weights.
        pub parameters: u64 = "elements",
        /// Floating-point operations in matrix products of the forward pass.
        pub flops: u64 = "operations",
        /// Whether it has room in the memory of the GPU.
        pub fits: bool,
        /// Time of a run; null where it does not fit.
        pub latency_ms: Option<f64> = "ms",
        /// Relative half width of the confidence interval of the time, from the kernels' intervals.
        pub ci_rel: f64 = "ratio",
        /// Results a second, in `unit`; null where it does not fit.
        pub throughput: Option<f64> = "1/s", by "batch_size (x seq_len) / latency_ms x 1000",
        /// What is counted: `tokens/s`, `samples/s`, or `images/s` of a model that takes steps for an image.
        pub unit: &'static str,
        /// Time until the first token is known; null where there is none.
        pub time_to_first_token_ms: Option<f64> = "ms",
        /// Time of a further token; null in other phases than decoding.
        pub time_per_token_ms: Option<f64> = "ms",
        /// Memory.
        pub memory: ModelMemory,
        /// Time of the kernels alone.
        pub device_ms: f64 = "ms",
        /// Time in which the device did nothing: between kernels, and waiting for the host.
        pub launch_gap_ms: f64 = "ms", by "latency_ms - device_ms",
        /// Time of the host for a call of an operator.
        pub host_call_us: f64 = "us",
        /// Launches of kernels.
        pub launches: u64 = "kernels",
        /// Share of the time that no kernel was simulated for: rooflines stand in (0 to 1).
        pub unsimulated_share: f64 = "ratio",
        /// Share of the floating-point operations that were not lowered and are in no number here (0 to 1).
        pub refused_share: f64 = "ratio",
    }
}

record! {
    /// Bytes that a model needs, and those that there are.
    pub struct ModelMemory {
        /// Weights and constants.
        pub weights_bytes: u64 = "bytes",
        /// The most that inputs and activations take at one time.
        pub activations_bytes: u64 = "bytes",
        /// Keys and values that are kept.
        pub kv_cache_bytes: u64 = "bytes",
        /// Gradients of weights, in training.
        pub gradients_bytes: u64 = "bytes",
        /// What the optimizer keeps: moments, and weights of 32 bits where the model's have 16.
        pub optimizer_bytes: u64 = "bytes",
        /// All of it.
        pub total_bytes: u64 = "bytes",
        /// Memory of the GPU.
        pub capacity_bytes: u64 = "bytes",
        /// Bytes by which it is too large; 0 where it fits.
        pub missing_bytes: u64 = "bytes",
        /// What takes most: `weights`, `activations`, `keys and values`, `gradients` or `optimizer`.
        pub largest: &'static str,
        /// The largest batch that would fit; null where this one does.
        pub largest_batch: Option<u64> = "sequences",
    }
}

record! {
    /// The whole run.
    pub struct Totals {
        /// Core cycles from the first kernel's start to the last one's end.
        pub cycles: u64 = "cycles",
        /// The same in microseconds.
        pub time_us: f64 = "us",
        /// Warp instructions.
        pub warp_instructions: u64 = "warp instructions",
        /// Thread instructions.
        pub thread_instructions: u64 = "thread instructions",
        /// Kernels.
        pub kernels: usize = "kernels",
    }
}

record! {
    /// What to know before believing the numbers.
    pub struct Validity {
        /// What the machine, or this input, has and the model has not.
        pub unmodelled: Vec<String>,
        /// Share of the warp instructions whose work is not modelled or that this GPU does not have (0 to 1): where matrix products or bulk copies are among them, or from 0.01 on, `status` is `unmodelled_work`.
        pub unmodelled_share: f64 = "ratio",
        /// What was taken to hold.
        pub assumptions: Vec<String>,
    }
}

record! {
    /// Wall time, memory and rates.
    #[derive(Default)]
    pub struct Simulation {
        /// Seconds to read a foreign text format into the compact form.
        pub import_s: f64 = "s",
        /// Text parsed meanwhile, bytes after decompression.
        pub text_bytes: u64 = "bytes",
        /// Seconds of the simulation proper.
        pub wall_s: f64 = "s",
        /// Threads.
        pub threads: usize = "threads",
        /// Warp instructions per second of `wall_s`.
        pub warp_instructions_per_s: f64 = "instructions/s", by "totals.warp_instructions / wall_s",
        /// Core cycles per second of `wall_s`.
        pub cycles_per_s: f64 = "cycles/s", by "totals.cycles / wall_s",
        /// Largest resident memory of the process, bytes; 0 where the system does not say.
        pub peak_rss_bytes: u64 = "bytes",
    }
}

impl Simulation {
    /// Whether nothing was measured.
    fn is_left_out(&self) -> bool {
        *self == Simulation::default()
    }
}
