//! One instruction line; the first byte chooses the layout. What is accepted must decode.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phantom_gpu::trace::accelsim::code::CodeBuilder;
use phantom_gpu::trace::accelsim::line::Layout;
use phantom_gpu::trace::{CtaEncoder, WarpStream};

fuzz_target!(|data: &[u8]| {
    let Some((&kind, lines)) = data.split_first() else {
        return;
    };
    let layout = Layout {
        version: u32::from(kind % 8),
        lineinfo: kind & 0x80 != 0,
    };
    let mut code = CodeBuilder::new(layout, 0);
    let mut encoder = CtaEncoder::default();
    encoder.clear();
    encoder.begin_warp();
    let mut rest = lines;
    while !rest.is_empty() {
        if let Some(used) = code.expected(rest, &mut encoder) {
            rest = &rest[used..];
            continue;
        }
        let end = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
        let _ = code.line(&rest[..end], &mut encoder);
        rest = rest.get(end + 1..).unwrap_or(&[]);
    }
    code.end_warp(&mut encoder);
    let cta = encoder.finish().clone();
    let code = code.finish();
    let mut stream = WarpStream::default();
    for chunk in 0..cta.warp_chunks(0).len() as u32 {
        cta.load_chunk(0, chunk, &mut stream);
        stream
            .validate(&code.insts, &code.patterns)
            .expect("what the importer wrote is valid");
    }
});
