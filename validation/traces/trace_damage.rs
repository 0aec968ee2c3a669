//! Damage of any kind to a trace is an error that says where.

use super::trace_text::{Style, file, sample};
use super::{drain, load, packed};
use phantom_gpu::internals::isa::RegRange;
use phantom_gpu::trace::lines::Lines;
use phantom_gpu::trace::pgt::write_pgt;
use phantom_gpu::trace::{Code, Command};
use std::path::Path;
use std::sync::Arc;

#[test]
fn a_text_cut_anywhere_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut k = sample();
    k.ctas.truncate(1);
    k.ctas[0].iter_mut().for_each(|w| w.truncate(8));
    let text = k.text(Style::default());
    let end = text.rfind("#END_TB").unwrap() + "#END_TB".len();
    for cut in 0..end {
        let path = file(dir.path(), "cut", &text[..cut]);
        let message = load(&path).err().map(|e| e.to_string());
        assert!(message.is_some(), "cut at {cut} of {end} is accepted");
    }
    for kind in ["xz", "gz", "zst"] {
        let bytes = packed(kind, &text);
        for cut in (0..bytes.len()).step_by(3) {
            assert!(
                load(&file(dir.path(), "cut", &bytes[..cut])).is_err(),
                "{kind} {cut}"
            );
        }
    }
    let bytes = k.tracez(
        Style {
            version: 5,
            ..Style::default()
        },
        b"",
    );
    for cut in 0..bytes.len() {
        assert!(
            load(&file(dir.path(), "cut", &bytes[..cut])).is_err(),
            "tracez {cut}"
        );
    }
}

#[test]
fn a_pgt_file_cut_or_changed_anywhere_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut k = sample();
    k.ctas.truncate(2);
    let workload = load(&file(dir.path(), "a", k.text(Style::default()))).unwrap();
    let whole = dir.path().join("a.pgt");
    write_pgt(&workload, &whole).unwrap();
    let bytes = std::fs::read(&whole).unwrap();
    for cut in 0..bytes.len() {
        assert!(
            drain(&file(dir.path(), "cut", &bytes[..cut])).is_err(),
            "cut at {cut}"
        );
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(
            drain(&file(dir.path(), "flip", changed)).is_err(),
            "bit {} of byte {at}",
            at % 8
        );
    }
    for (version, says) in [(2, "cannot be decoded"), (3, "version 3")] {
        let mut other = bytes.clone();
        other[8] = version;
        let error = load(&file(dir.path(), "v.pgt", other))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(says), "{error}");
    }
}

/// Lines of source come back from a file, which then has a version of its own; lines that do not fit the code are refused.
#[test]
fn lines_of_source_are_kept_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let text = file(dir.path(), "a", sample().text(Style::default()));
    let through = |change: &dyn Fn(&Code) -> Option<Lines>| {
        let mut workload = load(&text).unwrap();
        for command in &mut workload.commands {
            if let Command::Launch(kernel) = command {
                kernel.lines = change(&kernel.code).map(Arc::new);
            }
        }
        let path = dir.path().join("l.pgt");
        write_pgt(&workload, &path).unwrap();
        (std::fs::read(&path).unwrap()[8], load(&path))
    };
    let source = "one\ntwo\nthree";
    let of = |count: usize| (0..count).map(|n| n as u32 % 4).collect();
    let lines = |count| Lines::new("a.ptx".into(), of(count), source);
    let (version, read) = through(&|code| Some(lines(code.insts.len())));
    assert_eq!(version, 2);
    let read = read.unwrap();
    let kernel = read.launches().next().unwrap();
    let pc = |index: usize| kernel.code.insts[index].pc;
    assert_eq!(kernel.line(pc(1)), Some((1, "one")));
    assert_eq!(kernel.line(pc(3)), Some((3, "three")));
    assert_eq!(kernel.line(pc(0)), None);
    let (version, read) = through(&|_| None);
    assert_eq!(version, 1);
    assert_eq!(read.unwrap().launches().next().unwrap().lines, None);
    let (_, read) = through(&|code| Some(lines(code.insts.len() + 1)));
    let error = read.err().unwrap().to_string();
    assert!(error.contains("lines for"), "{error}");
}

/// What would need more room than the machine has, behind checksums that are right, is refused when the file
/// is opened.
#[test]
fn impossible_widths_in_an_index_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let text = file(dir.path(), "a", sample().text(Style::default()));
    let refusal = |change: &dyn Fn(&mut Code)| {
        let mut workload = load(&text).unwrap();
        for command in &mut workload.commands {
            if let Command::Launch(kernel) = command {
                change(Arc::make_mut(&mut kernel.code));
            }
        }
        let path = dir.path().join("a.pgt");
        write_pgt(&workload, &path).unwrap();
        load(&path).err().map(|e| e.to_string())
    };
    assert_eq!(refusal(&|_| {}), None);
    let pattern = refusal(&|code| code.patterns[0].width_bytes = 255);
    assert!(pattern.is_some_and(|e| e.contains("pattern 0: 255 bytes a lane")));
    let registers = refusal(&|code| code.insts[0].src[0] = RegRange::r(0, 200));
    assert!(registers.is_some_and(|e| e.contains("registers from 0 on: 200")));
    let architecture = {
        let mut workload = load(&text).unwrap();
        for command in &mut workload.commands {
            if let Command::Launch(kernel) = command {
                kernel.header.sm_version = 7000;
            }
        }
        let path = dir.path().join("b.pgt");
        write_pgt(&workload, &path).unwrap();
        load(&path).err().map(|e| e.to_string())
    };
    assert!(architecture.is_some_and(|e| e.contains("sm_7000 is no architecture")));
}

/// Each file of the corpus is refused with the message of the snapshot.
#[test]
fn malformed_inputs_are_refused_with_place_and_remedy() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("validation/malformed");
    let mut names: Vec<_> = std::fs::read_dir(&corpus)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() > 25);
    let prefix = format!("{}/", corpus.display());
    let mut table = String::new();
    for name in names {
        let error = drain(&corpus.join(&name)).expect_err(&name);
        table.push_str(
            &error
                .to_string()
                .replace(&prefix, "")
                .replace(prefix.trim_end_matches('/'), "its directory"),
        );
        table.push('\n');
    }
    insta::assert_snapshot!(table);
}
