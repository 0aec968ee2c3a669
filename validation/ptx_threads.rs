//! CTAs on several threads: the memory, the trace, the fault and the count of one thread.

use phantom_gpu::internals::ptx::exec::observe::{Observer, Parallel};
use phantom_gpu::internals::ptx::exec::regs::Lanes;
use phantom_gpu::internals::ptx::launch::{Application, run};
use phantom_gpu::internals::ptx::parse;
use phantom_gpu::internals::ptx::record::record;
use phantom_gpu::trace::pgt::write_pgt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const THREADS: [usize; 4] = [1, 2, 3, 8];

/// CTAs of the small kernels.
const CTAS: u64 = 200;

/// Counts how many CTAs run in their turn.
#[derive(Clone, Default)]
struct Turns {
    forked: bool,
    count: Arc<AtomicU64>,
}

impl Observer for Turns {
    fn step(&mut self, _: u32, _: u32, _: u32) {}
    fn access(&mut self, _: u32, _: u32, _: u32, _: &Lanes<u64>) {}
}

impl Parallel for Turns {
    type Out = ();
    fn fork(&self) -> Self {
        Turns {
            forked: true,
            ..self.clone()
        }
    }
    fn begin(&mut self) {
        let one = u64::from(!self.forked);
        self.count.fetch_add(one, Ordering::Relaxed);
    }
    fn finish(&mut self) -> ((), bool) {
        ((), true)
    }
}

/// What a run leaves behind.
#[derive(PartialEq)]
struct Left {
    memory: Vec<Vec<u8>>,
    trace: Vec<u8>,
    executed: u64,
}

/// Runs and records, and says how many CTAs ran in their turn.
fn outcome(ptx: &Path, launch: &Path, threads: usize) -> (Result<Left, String>, u64) {
    let text = std::fs::read_to_string(ptx).expect("a readable file");
    let module = parse(&text).expect("PTX");
    let loaded = Application::load(launch).expect("a launch file");
    let memory = run::Memory::of(&loaded).expect("buffers");
    let only = loaded.launches.first().expect("a kernel");
    let mut prepared = run::prepare("k.ptx", &module, only, memory).expect("a kernel");
    let mut turns = Turns::default();
    let ran = prepared.run("k.ptx", (false, threads), &mut turns, |()| Ok(()));
    let count = turns.count.load(Ordering::Relaxed);
    let buffers = 0..prepared.global.allocations().len();
    let memory = buffers.map(|b| prepared.global.content(b).to_vec());
    let memory = memory.collect();
    let trace = match record(ptx, launch, false, threads) {
        Ok((workload, report)) => {
            assert_eq!(ran.as_ref().ok(), Some(&report.executed));
            let file = tempfile::NamedTempFile::new().expect("a temporary file");
            write_pgt(&workload, file.path()).expect("a writable folder");
            Ok(std::fs::read(file.path()).expect("a file"))
        }
        Err(error) => Err(error.to_string()),
    };
    let left = trace.map(|trace| Left {
        memory,
        trace,
        executed: ran.unwrap_or_default(),
    });
    (left, count)
}

/// A kernel of one pointer `%rd1` to words, run by CTAs of 64 threads with CTA `%r1`,
/// thread `%r2`, both in one number `%r3`, and the address `%rd2` of the word of that number.
struct Small {
    folder: tempfile::TempDir,
}

impl Small {
    fn new(words: u64, body: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ptx = format!(
            ".version 8.1\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 p)\n{{\n\
             .reg .pred %p<9>; .reg .b32 %r<99>; .reg .b64 %rd<99>; .reg .f32 %f<9>;\n\
             .reg .f64 %fd<9>; .reg .b16 %h<9>;\n\
             ld.param.u64 %rd1, [p]; mov.u32 %r1, %ctaid.x; mov.u32 %r2, %tid.x;\n\
             mad.lo.u32 %r3, %r1, 64, %r2; mul.wide.u32 %rd2, %r3, 4; add.s64 %rd2, %rd1, %rd2;\n\
             {body}\nret;\n}}\n"
        );
        let launch = format!(
            "grid = {CTAS}\nblock = 64\n[[args]]\nname = \"p\"\ntype = \"u32\"\ncount = {words}\n\
             init = \"zeros\"\n"
        );
        let small = Small { folder };
        std::fs::write(small.file("k.ptx"), ptx).expect("a writable folder");
        std::fs::write(small.file("k.toml"), launch).expect("a writable folder");
        small
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Any number of threads leaves the same; returns that, and the turns on three threads.
    fn same(&self) -> (Result<Left, String>, u64) {
        let outcomes = THREADS.map(|n| outcome(&self.file("k.ptx"), &self.file("k.toml"), n));
        let [one, two, three, eight] = outcomes;
        for (other, threads) in [(&two, 2), (&three, 3), (&eight, 8)] {
            assert_eq!(one.0.as_ref().err(), other.0.as_ref().err());
            assert!(one.0 == other.0, "{threads} threads differ");
        }
        (one.0, three.1)
    }

    /// The words of memory after a run without fault.
    fn words(&self) -> (Vec<u32>, u64) {
        let (left, turns) = self.same();
        let left = left.unwrap_or_else(|e| panic!("{e}"));
        let words = left.memory[0].chunks_exact(4);
        let words = words.map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]));
        (words.collect(), turns)
    }
}

/// A number of the thread whose sums depend on their order, in `%r4` and `%f1`.
const NUMBER: &str = "mul.lo.u32 %r4, %r3, 2654435761; cvt.rn.f32.u32 %f1, %r4; \
    and.b32 %r5, %r2, 3; mul.wide.u32 %rd3, %r5, 4; add.s64 %rd4, %rd1, %rd3;";

#[test]
fn sums_of_floats_have_the_bits_of_the_order() {
    let body = format!(
        "{NUMBER}\nred.global.add.f32 [%rd4], %f1;\n\
         cvt.f64.f32 %fd1, %f1; div.rn.f64 %fd1, %fd1, 0d4008000000000000;\n\
         mul.wide.u32 %rd5, %r5, 8; add.s64 %rd6, %rd1, %rd5; red.add.f64 [%rd6+32], %fd1;\n\
         and.b32 %r6, %r4, 0x3fff3fff; red.global.add.noftz.f16x2 [%rd4+64], %r6;\n\
         atom.global.add.f32 %f2, [%rd4+80], %f1; atom.global.add.f32 _, [%rd4+96], %f1;\n\
         mul.wide.u32 %rd7, %r5, 8; add.s64 %rd8, %rd1, %rd7;\n\
         red.global.v2.f32.add [%rd8+128], {{%f1, %f1}};"
    );
    let (words, turns) = Small::new(64, &body).words();
    assert_eq!(turns, 1, "only the first CTA runs in its turn");
    // Another order must not give the same, else this tests nothing.
    let number = |i: u32| i.wrapping_mul(2_654_435_761) as f32;
    let ctas = CTAS as u32;
    let all = (0..64 * ctas).filter(|i| i % 4 == 0);
    let sum: f32 = all.clone().fold(0.0, |sum, i| sum + number(i));
    let backwards: f32 = all.rev().fold(0.0, |sum, i| sum + number(i));
    assert_eq!(words[0], sum.to_bits());
    assert_ne!(sum, backwards);
    assert_eq!([words[20], words[24]], [words[0]; 2]);
}

#[test]
fn all_operations_are_kept() {
    let body = format!(
        "{NUMBER}\nred.global.add.u32 [%rd4], %r4; red.global.min.s32 [%rd4+16], %r4;\n\
         red.global.max.u32 [%rd4+32], %r4; or.b32 %r6, %r4, 0xff00; red.global.and.b32 [%rd4+48], %r6;\n\
         and.b32 %r7, %r4, 0xff; red.global.or.b32 [%rd4+64], %r7; red.global.xor.b32 [%rd4+80], %r4;\n\
         red.global.inc.u32 [%rd4+96], 1000; red.global.dec.u32 [%rd4+112], 77;\n\
         atom.global.exch.b32 %r8, [%rd4+128], %r4; cvt.u64.u32 %rd7, %r4;\n\
         red.global.add.u64 [%rd1+144], %rd7; red.global.add.u32 [%rd1+148], %r7;\n\
         red.global.max.s64 [%rd1+152], %rd7; atom.global.min.u32 _, [%rd4+160], 5;"
    );
    let (words, turns) = Small::new(64, &body).words();
    assert_eq!(turns, 1);
    let numbers = || (0..64 * CTAS as u32).map(|i| i.wrapping_mul(2_654_435_761));
    let fourth = || numbers().step_by(4);
    assert_eq!(words[0], fourth().fold(0, u32::wrapping_add));
    assert_eq!(
        words[4] as i32,
        fourth().map(|n| n as i32).min().unwrap_or(0).min(0)
    );
    assert_eq!(words[8], fourth().max().unwrap_or(0));
    assert_eq!(words[20], fourth().fold(0, |a, b| a ^ b));
    assert_eq!(words[24], (16 * CTAS as u32) % 1001);
    assert_eq!(Some(words[32]), fourth().next_back());
}

#[test]
fn reading_what_one_updates_is_reading() {
    // Two CTAs share a counter; each leaves what it sees.
    let body = "shr.u32 %r4, %r1, 1; mul.wide.u32 %rd3, %r4, 4; add.s64 %rd4, %rd1, %rd3;\n\
        red.global.add.u32 [%rd4], 1; bar.sync 0; ld.global.u32 %r5, [%rd4];\n\
        mul.wide.u32 %rd5, %r1, 4; add.s64 %rd6, %rd1, %rd5; st.global.u32 [%rd6+1024], %r5;";
    let (words, turns) = Small::new(512, body).words();
    let seen: Vec<u32> = (0..CTAS as u32).map(|cta| 64 + 64 * (cta % 2)).collect();
    assert_eq!(words[256..256 + seen.len()], seen);
    assert!(turns >= CTAS / 4, "{turns}");
}

#[test]
fn writing_what_one_updates_is_writing() {
    // Updates, a store by one thread, updates: of words that eight CTAs in a row do not share.
    let body = "and.b32 %r4, %r1, 7; mul.wide.u32 %rd3, %r4, 8; add.s64 %rd4, %rd1, %rd3;\n\
        red.global.add.u32 [%rd4], 1; red.global.add.u32 [%rd4+4], 1; bar.sync 0;\n\
        setp.ne.u32 %p1, %r2, 0; @%p1 bra L; st.global.u32 [%rd4], %r1; L: bar.sync 0;\n\
        red.global.add.u32 [%rd4], 3; red.global.add.u64 [%rd4], 1;";
    let (words, _) = Small::new(64, body).words();
    let last = |k: u32| {
        (0..CTAS as u32)
            .filter(|cta| cta % 8 == k)
            .max()
            .unwrap_or(0)
    };
    for k in 0..8 {
        assert_eq!(words[2 * k as usize], last(k) + 3 * 64 + 64);
        assert_eq!(words[2 * k as usize + 1], 64 * CTAS as u32 / 8);
    }
}

#[test]
fn tickets_and_locks_are_those_of_the_order() {
    let ticket = "atom.global.add.u32 %r4, [%rd1], 1; mul.wide.u32 %rd3, %r4, 4;\n\
        add.s64 %rd4, %rd1, %rd3; st.global.u32 [%rd4+4], %r3;";
    let (words, turns) = Small::new(64 * CTAS + 1, ticket).words();
    let order: Vec<u32> = (0..64 * CTAS as u32).collect();
    assert_eq!(words[1..], order);
    // Trying now and then whether CTAs got independent does not cost much.
    assert!((CTAS - 60..=CTAS).contains(&turns), "{turns}");
    let lock = "setp.ne.u32 %p1, %r2, 0; @%p1 bra E;\n\
        W: atom.global.cas.b32 %r4, [%rd1], 0, 1; setp.ne.u32 %p2, %r4, 0; @%p2 bra W;\n\
        ld.global.u32 %r5, [%rd1+4]; mad.lo.u32 %r5, %r5, 3, %r1; st.global.u32 [%rd1+4], %r5;\n\
        atom.global.exch.b32 %r6, [%rd1], 0;\nE:";
    let (words, _) = Small::new(2, lock).words();
    let value = (0..CTAS as u32).fold(0u32, |v, cta| v.wrapping_mul(3).wrapping_add(cta));
    assert_eq!(words, [0, value]);
}

/// A CTA that waits for the one before it is given up ahead of its turn.
#[test]
fn waiting_for_an_earlier_cta_ends() {
    for poll in [
        "ld.acquire.gpu.global.u32 %r5, [%rd4]",
        "ld.volatile.global.u32 %r5, [%rd4]",
        "atom.global.or.b32 %r5, [%rd4], 0",
        "ld.global.u32 %r5, [%rd4]",
    ] {
        let body = format!(
            "setp.ne.u32 %p1, %r2, 0; @%p1 bra E; mul.wide.u32 %rd3, %r1, 4;\n\
             add.s64 %rd4, %rd1, %rd3; mov.u32 %r5, 1; setp.eq.u32 %p2, %r1, 0; @%p2 bra D;\n\
             add.s64 %rd4, %rd4, -4; W: {poll}; setp.eq.u32 %p3, %r5, 0; @%p3 bra W;\n\
             add.s64 %rd4, %rd4, 4;\nD: add.u32 %r6, %r5, %r1; st.global.u32 [%rd4], %r6;\nE:"
        );
        let (words, _) = Small::new(CTAS, &body).words();
        let sums = (0..CTAS as u32).scan(1, |sum, cta| {
            *sum += cta;
            Some(*sum)
        });
        assert!(words.iter().copied().eq(sums), "{poll}");
    }
}

/// The first CTAs say nothing of how long later ones are.
#[test]
fn long_ctas_are_not_given_up_for_good() {
    let body = "min.u32 %r4, %r1, 12; mul.lo.u32 %r4, %r4, 250; mov.u32 %r5, 0;\n\
        W: setp.ge.u32 %p1, %r5, %r4; @%p1 bra E; add.u32 %r5, %r5, 1; bra W;\n\
        E: red.global.add.u32 [%rd1], %r5;";
    let (words, turns) = Small::new(1, body).words();
    let sum: u32 = (0..CTAS as u32).map(|cta| 64 * 250 * cta.min(12)).sum();
    assert_eq!(words, [sum]);
    assert!((2..CTAS / 4).contains(&turns), "{turns}");
}

#[test]
fn a_fault_after_updates_is_that_of_the_order() {
    let body = "red.global.add.u32 [%rd1], 1; setp.lt.u32 %p1, %r3, 9000; @%p1 bra E;\n\
        red.global.add.u32 [%rd2], 1;\nE: red.global.add.u32 [%rd1+4], 1;";
    let (left, _) = Small::new(9600, body).same();
    let fault = left.err().unwrap_or_default();
    assert!(
        fault.contains("thread (0, 0, 0) of CTA (150, 0, 0)"),
        "{fault}"
    );
    assert!(fault.contains("right behind `p`"), "{fault}");
}

/// The kernels of the corpus, with more CTAs where they take any number.
#[test]
fn kernels_with_atomics_are_the_same_on_any_number_of_threads() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/ptx");
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, source, grid) in [
        ("hist_global", "09_histogram", 24),
        ("hist_shared", "09_histogram", 24),
        ("spinlock_inc", "09_histogram", 2),
        ("reduce_sum", "03_reduce_shfl", 40),
        ("compact_positive", "03_reduce_shfl", 8),
        ("bfs_level", "11_bfs", 2),
    ] {
        let text = std::fs::read_to_string(corpus.join(format!("launch/{name}.toml")));
        let text = text.expect("part of the corpus");
        let text: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with("ptxas_v"))
            .map(|line| match line.starts_with("grid") {
                true => format!("grid = {grid}\n"),
                false => format!("{line}\n"),
            })
            .collect();
        let launch = folder.path().join(format!("{name}.toml"));
        std::fs::write(&launch, text.concat()).expect("a writable folder");
        let ptx = corpus.join(format!("sm_80/{source}.ptx"));
        let (one, _) = outcome(&ptx, &launch, 1);
        let one = one.unwrap_or_else(|e| panic!("{name}: {e}"));
        for threads in &THREADS[1..] {
            let (other, turns) = outcome(&ptx, &launch, *threads);
            assert!(other.as_ref() == Ok(&one), "{name} on {threads} threads");
            if grid >= 24 {
                assert_eq!(turns, 1, "{name}: only the first CTA runs in its turn");
            }
        }
    }
}
