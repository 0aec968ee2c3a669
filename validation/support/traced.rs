//! Kernels written as Accel-Sim traces.

use std::fmt::Write as _;
use std::path::Path;

/// Writes a kernel of one CTA whose warps execute the lines of `warps`, instructions without their program counters, and
/// then end. The code is a loop of `body` instructions, or straight where that is more than there are. The path of the
/// trace.
pub fn warps_of(folder: &Path, warps: &[Vec<String>], body: usize) -> String {
    let mut text = format!(
        "-kernel name = ops\n-kernel id = 1\n-grid dim = (1,1,1)\n-block dim = ({},1,1)\n\
         -shmem = 0\n-nregs = 64\n-binary version = 80\n-cuda stream id = 0\n\
         -shmem base_addr = 0x00007f0000000000\n-local mem base_addr = 0x00007f0001000000\n\
         -nvbit version = 1.5.5\n-accelsim tracer version = 4\n-enable lineinfo = 0\n\n\
         #traces format = [line_num] PC mask dest_num [reg_dests] opcode src_num [reg_srcs] \
         mem_width [adrrescompress?] [mem_addresses]\n\n#BEGIN_TB\n\nthread block = 0,0,0\n\n",
        32 * warps.len()
    );
    for (number, ops) in warps.iter().enumerate() {
        writeln!(text, "warp = {number}\ninsts = {}", ops.len() + 1).unwrap();
        for (at, op) in ops.iter().enumerate() {
            writeln!(text, "{:04x} {op}", at % body * 16).unwrap();
        }
        let end = ops.len().min(body) * 16;
        writeln!(text, "{end:04x} ffffffff 0 EXIT 0 0\n").unwrap();
    }
    text.push_str("#END_TB\n");
    let path = folder.join("kernel-1.traceg");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}
