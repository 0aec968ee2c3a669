//! One behaviour of the opcode table each.

use super::*;
use crate::isa::{CacheOp, MemKind, MemSpace, TensorType};

fn inst(text: &str, dst: &[u16], src: &[u16]) -> StaticInst {
    let dst: Vec<_> = dst.iter().map(|&n| Operand::r(n)).collect();
    let src: Vec<_> = src.iter().map(|&n| Operand::r(n)).collect();
    decode(
        &Raw {
            pc: 0,
            text,
            dst: &dst,
            src: &src,
            imm: 0,
            addressed: true,
        },
        0,
    )
}

fn widths(text: &str, dst: &[u16], src: &[u16]) -> (u8, Vec<u8>) {
    let i = inst(text, dst, src);
    let src = i.src.iter().map(|r| r.count).take_while(|&c| c > 0);
    (i.dst[0].count, src.collect())
}

#[test]
fn memory_operands_have_their_width() {
    assert_eq!(widths("LDG.E.SYS", &[8], &[2]), (1, vec![2]));
    assert_eq!(widths("LDG.E.64", &[8], &[2]), (2, vec![2]));
    assert_eq!(
        widths("LDG.E.LTC128B.128.CONSTANT", &[8], &[2]),
        (4, vec![2])
    );
    assert_eq!(widths("LDG", &[8], &[2]), (1, vec![1]));
    assert_eq!(widths("STG.E.128.SYS", &[], &[2, 8]), (0, vec![2, 4]));
    assert_eq!(widths("STG.E.64", &[], &[8]), (0, vec![2]));
    assert_eq!(widths("LDS.U.64", &[8], &[2]), (2, vec![1]));
    assert_eq!(widths("LDSM.16.M88.4", &[8], &[2]), (4, vec![1]));
    assert_eq!(widths("LDGSTS.E.BYPASS.128", &[], &[9, 2]), (0, vec![1, 2]));
    assert_eq!(
        widths("ATOMG.E.CAS.64", &[4], &[2, 6, 8]),
        (2, vec![2, 2, 2])
    );
    assert_eq!(
        widths("RED.E.ADD.F32.FTZ.RN", &[], &[2, 6]),
        (0, vec![2, 1])
    );
    assert_eq!(widths("LDC.64", &[2], &[]), (2, vec![]));
}

#[test]
fn fragments_follow_the_shape() {
    let hmma = |t| widths(t, &[64], &[16, 32, 64]);
    assert_eq!(hmma("HMMA.884.F32.F32.STEP0"), (2, vec![2, 2, 2]));
    assert_eq!(hmma("HMMA.1688.F32"), (4, vec![2, 1, 4]));
    assert_eq!(hmma("HMMA.1688.F16"), (2, vec![2, 1, 2]));
    assert_eq!(hmma("HMMA.16816.F32"), (4, vec![4, 2, 4]));
    assert_eq!(hmma("HMMA.16816.F32.BF16"), (4, vec![4, 2, 4]));
    assert_eq!(hmma("HMMA.16816.F16"), (2, vec![4, 2, 2]));
    assert_eq!(hmma("HMMA.1684.F32.TF32"), (4, vec![2, 1, 4]));
    assert_eq!(hmma("HMMA.1688.F32.TF32"), (4, vec![4, 2, 4]));
    assert_eq!(hmma("IMMA.16816.S8.S8"), (4, vec![2, 1, 4]));
    assert_eq!(hmma("IMMA.8816.S8.S8"), (2, vec![1, 1, 2]));
    assert_eq!(hmma("DMMA.884"), (4, vec![2, 2, 4]));
    assert_eq!(hmma("BMMA.168256.XOR.POPC"), (4, vec![4, 2, 4]));
    let sparse = widths("HMMA.SP.16832.F32", &[64], &[16, 32, 64, 5]);
    assert_eq!(sparse, (4, vec![4, 4, 4, 1]));
    let step = inst("HMMA.884.F32.F32.STEP1", &[64], &[16, 32, 64]);
    let shape = step.tensor.map(|t| (t.m, t.n, t.k, t.input));
    assert_eq!(shape, Some((8, 8, 4, TensorType::F16)));
}

#[test]
fn doubles_and_wide_integers_are_pairs() {
    assert_eq!(widths("DFMA", &[4], &[6, 8, 10]), (2, vec![2, 2, 2]));
    assert_eq!(widths("IMAD.WIDE", &[4], &[6, 8]), (2, vec![1, 1]));
    assert_eq!(
        widths("IMAD.WIDE.U32", &[4], &[6, 8, 10]),
        (2, vec![1, 1, 2])
    );
    assert_eq!(widths("F2F.F64.F32", &[4], &[6]), (2, vec![1]));
    assert_eq!(widths("F2F.F32.F64", &[4], &[6]), (1, vec![2]));
    assert_eq!(widths("F2I.F64.TRUNC", &[4], &[6]), (1, vec![2]));
    assert_eq!(widths("F2I.S64.TRUNC", &[4], &[6]), (2, vec![1]));
    assert_eq!(widths("I2F.F64", &[4], &[6]), (2, vec![1]));
    assert_eq!(widths("I2F.U64", &[4], &[6]), (1, vec![2]));
    assert_eq!(widths("CS2R", &[4], &[]), (2, vec![]));
    assert_eq!(widths("CS2R.32", &[4], &[]), (1, vec![]));
}

#[test]
fn zero_registers_are_dropped_but_keep_their_position() {
    let i = inst("STG.E.128", &[], &[255, 8]);
    assert_eq!(i.src[0], RegRange::r(8, 4));
    assert_eq!(i.src[1], RegRange::NONE);
    assert!(!i.mem.is_some_and(|m| m.uniform_address));
    assert_eq!(inst("SHFL.IDX", &[255], &[255, 255]).dst[0], RegRange::NONE);
}

#[test]
fn classes() {
    let class = |t: &str| inst(t, &[2], &[4]).class;
    assert_eq!(class("HFMA2.MMA"), OpClass::Fp16Mma);
    assert_eq!(class("HFMA2"), OpClass::Fp16);
    assert_eq!(class("IMAD.MOV.U32"), OpClass::Imad);
    assert_eq!(class("IMAD.HI.U32"), OpClass::ImadHi);
    assert_eq!(class("ISETP.GE.AND"), OpClass::SetPredicate);
    assert_eq!(class("UTMALDG.2D"), OpClass::Async);
    assert_eq!(class("HGMMA.64x256x16.F32"), OpClass::Async);
    assert_eq!(class("XMAD.PSL"), OpClass::Imad);
    assert_eq!(class("SSY"), OpClass::Converge);
    assert_eq!(class("FROBNICATE.X"), OpClass::Unknown);
    assert_eq!(class(""), OpClass::Unknown);
}

#[test]
fn memory_operations() {
    let mem = |t: &str| inst(t, &[], &[2, 4]).mem.unwrap();
    assert_eq!(mem("LDG.E.STRONG.GPU").cache, CacheOp::Global);
    assert_eq!(mem("LDG.E.SYS").cache, CacheOp::All);
    assert_eq!(mem("LDG.E.EF").cache, CacheOp::Streaming);
    assert_eq!(mem("LDG.E.U8").width_bytes, 1);
    assert_eq!(mem("LDS.S16").width_bytes, 2);
    assert_eq!(mem("RED.E.ADD.F16x2.RN").width_bytes, 4);
    assert_eq!(mem("LDGSTS.E.BYPASS.LTC128B.128").kind, MemKind::CpAsync);
    for (text, bytes) in [
        ("LDG.E.LTC64B.CONSTANT", 64),
        ("LDGSTS.E.BYPASS.LTC128B.128", 128),
        ("LDG.E.LTC256B.128", 256),
        ("LDG.E.128", 0),
    ] {
        assert_eq!(prefetch_hint(text).bytes(), bytes, "{text}");
    }
    assert_eq!(mem("ATOMS.CAST.SPIN.64").space, MemSpace::Shared);
    assert!(mem("ATOMS.CAST.SPIN.64").cas);
    assert_eq!(mem("LD.E").space, MemSpace::Generic);
    assert!(inst("LDG.E", &[4], &[]).mem.unwrap().uniform_address);
}

#[test]
fn a_memory_line_without_addresses_claims_no_access() {
    let raw = Raw {
        pc: 0,
        text: "LDG.E",
        dst: &[Operand::r(1)],
        src: &[Operand::r(2)],
        imm: 0,
        addressed: false,
    };
    let i = decode(&raw, 0);
    assert_eq!((i.class, i.mem), (OpClass::CacheControl, None));
    let ldc = decode(&Raw { text: "LDC", ..raw }, 0);
    assert_eq!(ldc.mem.map(|m| m.space), Some(MemSpace::Constant));
}

#[test]
fn barrier_and_fence_numbers() {
    let imm = |text, imm| {
        decode(
            &Raw {
                pc: 0,
                text,
                dst: &[],
                src: &[],
                imm,
                addressed: true,
            },
            0,
        )
        .imm
    };
    assert_eq!(imm("BAR.SYNC.DEFER_BLOCKING", 3), 3);
    assert_eq!(imm("BAR.ARV", 2), 2 | BARRIER_ARRIVE_ONLY);
    assert_eq!(imm("BAR.SYNC", 128), 0);
    assert_eq!(imm("MEMBAR.SC.CTA", 0), 0);
    assert_eq!(imm("MEMBAR.ALL.GPU", 0), 1);
    assert_eq!(imm("MEMBAR.SC.SYS", 0), 2);
}

#[test]
fn hostile_operands_do_not_overflow() {
    let i = inst("LDG.E.128", &[254], &[300, 254]);
    assert_eq!(i.dst[0].count, 1);
}

/// Opcodes that Accel-Sim's tables list for Kepler to Hopper.
const NAMES: &str = "
    ARRIVES ATOM ATOMG ATOMS B2R BAR BFE BFI BMMA BMOV BMSK BPT BRA BREAK BREV BRK BRX BRXU BSSY
    BSYNC CAL CALL CCTL CCTLL CCTLT CGAERRBAR CONT CS2R CSET CSETP CSMTEST DADD DEPBAR DFMA DMMA
    DMNMX DMUL DSET DSETP ELECT ERRBAR EXIT F2F F2FP F2I F2IP FADD FADD32I FCHK FCMP FENCE FFMA
    FFMA32I FLO FMNMX FMUL FMUL32I FRND FSEL FSET FSETP FSWZ FSWZADD GETLMEMBASE HADD2 HADD2_32I
    HFMA2 HFMA2_32I HGMMA HMMA HMNMX2 HMUL2 HMUL2_32I HSET2 HSETP2 I2F I2FP I2I I2IP IABS IADD
    IADD3 IADD32I ICMP IDP IDP4A IMAD IMADSP IMMA IMNMX IMUL IMUL32I ISAD ISCADD ISCADD32I ISET
    ISETP ISUB JCAL JMP JMX JMXU KILL LD LDC LDG LDGDEPBAR LDGSTS LDL LDS LDSLK LDSM LEA LEPC
    LOP LOP3 LOP32I MATCH MEMBAR MOV MOV32I MOVM MUFU NANOSLEEP NOP P2R PBK PCNT PEXIT PLOP3
    PMTRIG POPC PRET PRMT PSET PSETP QGMMA QSPC R2B R2P R2UR RED REDUX RET RPCMOV RRO RTT S2R
    S2UR SEL SETCTAID SETLMEMBASE SGXT SHF SHFL SHL SHR SSY ST STG STL STS STSCUL SUATOM SUBFM
    SUCLAMP SUEAU SULD SULDGA SUQUERY SURED SUST SUSTGA SYNC SYNCS TEX TEXS TLD TLD4 TLD4S TLDS
    TMML TXD TXQ UBLKCP UBLKPF UBLKRED UBMSK UBREV UCGABAR_ARV UCGABAR_WAIT UCLEA UF2FP UFLO
    UIADD3 UIMAD UISETP ULDC ULEA ULOP ULOP3 ULOP32I UMOV UP2UR UPLOP3 UPOPC UPRMT UPSETP UR2UP
    USEL USETMAXREG USGXT USHF USHL USHR UTMACCTL UTMACMDFLUSH UTMALDG UTMAPF UTMAREDG UTMASTG
    VABSDIFF VABSDIFF4 VADD VIADD VIADDMNMX VIMNMX VIMNMX3 VMNMX VOTE VOTEU VOTE_VTG WARPGROUP
    WARPSYNC XMAD YIELD
";

#[test]
fn every_opcode_that_traces_use_is_known() {
    let mut by_class: Vec<(String, Vec<&str>)> = Vec::new();
    for name in NAMES.split_ascii_whitespace() {
        let class = format!("{:?}", class_of(&Mnemonic::new(name)));
        match by_class.iter_mut().find(|(c, _)| *c == class) {
            Some((_, names)) => names.push(name),
            None => by_class.push((class, vec![name])),
        }
    }
    by_class.sort();
    let lines: Vec<_> = by_class
        .iter()
        .map(|(class, names)| format!("{class}: {}", names.join(" ")))
        .collect();
    assert!(by_class.iter().all(|(class, _)| class != "Unknown"));
    insta::assert_snapshot!(lines.join("\n"));
}
