//! Mnemonic to timing class, Kepler to Blackwell.

use super::Mnemonic;
use crate::isa::OpClass;

/// The timing class of an instruction.
pub fn class_of(name: &Mnemonic<'_>) -> OpClass {
    let base = name.base;
    arithmetic(name)
        .or_else(|| data_movement(base))
        .or_else(|| uniform(base))
        .or_else(|| control(base))
        .or_else(|| memory(base))
        .or_else(|| asynchronous(base))
        .unwrap_or(OpClass::Unknown)
}

fn arithmetic(name: &Mnemonic<'_>) -> Option<OpClass> {
    Some(match name.base {
        "FADD" | "FADD32I" | "FMUL" | "FMUL32I" | "FFMA" | "FFMA32I" | "FSWZADD" | "FSWZ"
        | "FADD2" | "FMUL2" | "FFMA2" | "FHADD" | "FHFMA" => OpClass::Fp32,
        // Packed conversions run at ALU rate from Turing on, unlike F2F.
        "FMNMX" | "FMNMX3" | "FSEL" | "FSET" | "FCMP" | "RRO" | "HMNMX2" | "F2FP" | "I2FP" => {
            OpClass::Fp32Alu
        }
        "HFMA2" if name.has("MMA") => OpClass::Fp16Mma,
        "HADD2" | "HADD2_32I" | "HMUL2" | "HMUL2_32I" | "HFMA2" | "HFMA2_32I" | "HSET2" => {
            OpClass::Fp16
        }
        // DSETP writes predicates, but occupies the double-precision pipe.
        "DADD" | "DMUL" | "DFMA" | "DMNMX" | "DSET" | "DSETP" => OpClass::Fp64,
        "IMAD" | "IMUL" if name.has("WIDE") => OpClass::ImadWide,
        "IMAD" | "IMUL" if name.has("HI") => OpClass::ImadHi,
        "IMAD" | "IMUL" | "IMUL32I" | "IMADSP" | "XMAD" | "IDP" | "IDP4A" => OpClass::Imad,
        "IADD" | "IADD2" | "IADD3" | "IADD32I" | "IABS" | "INEG" | "ISUB" | "ISAD" | "LEA"
        | "LOP" | "LOP3" | "LOP32I" | "SHF" | "SHL" | "SHR" | "BMSK" | "ISCADD" | "ISCADD32I"
        | "BFE" | "BFI" | "ICMP" | "ISET" | "IMNMX" | "IMNMX3" | "VIMNMX" | "VIMNMX3" | "VIADD"
        | "VIADDMNMX" | "VABSDIFF" | "VABSDIFF4" | "VADD" | "VMNMX" | "VHMNMX" | "I2IP"
        | "VSHL" | "VSHR" | "VSEL" | "VSET" | "SUCLAMP" | "SUBFM" | "SUEAU" => OpClass::IntAlu,
        "ISETP" | "FSETP" | "HSETP2" | "PSETP" | "PLOP3" | "CSETP" | "VSETP" | "R2P" => {
            OpClass::SetPredicate
        }
        // FCHK writes a predicate, but compilers guard it with a scoreboard as they do MUFU.
        "MUFU" | "FCHK" => OpClass::Mufu,
        "F2F" | "F2I" | "I2F" | "I2I" | "FRND" | "F2IP" => OpClass::Convert,
        "POPC" | "FLO" | "BREV" => OpClass::BitCount,
        "HMMA" | "IMMA" | "BMMA" | "DMMA" | "QMMA" | "OMMA" => OpClass::Tensor,
        _ => return None,
    })
}

fn data_movement(base: &str) -> Option<OpClass> {
    Some(match base {
        "MOV" | "MOV32I" | "SEL" | "PRMT" | "SGXT" | "P2R" | "CSET" | "PSET" | "QSPC" | "LEPC"
        | "MAPA" => OpClass::IntAlu,
        "SHFL" | "MOVM" => OpClass::Shuffle,
        "VOTE" | "VOTE_VTG" | "MATCH" | "REDUX" | "CREDUX" | "VOTEU" | "ELECT" => OpClass::Vote,
        "S2R" | "S2UR" | "B2R" | "GETLMEMBASE" => OpClass::ReadSpecial,
        "CS2R" | "CS2UR" => OpClass::ReadClock,
        "NOP" | "PMTRIG" | "CSMTEST" | "SETCTAID" | "SETLMEMBASE" | "ERRBAR" | "CGAERRBAR"
        | "R2B" => OpClass::Nop,
        // Marks that tracer version 6 puts round loops that spin on a barrier.
        "REPLAY_START" | "REPLAY_END" => OpClass::Nop,
        _ => return None,
    })
}

fn uniform(base: &str) -> Option<OpClass> {
    Some(match base {
        "R2UR" | "UR2R" | "UBMSK" | "UBREV" | "UCLEA" | "UF2FP" | "UF2F" | "UF2I" | "UF2IP"
        | "UFLO" | "UI2F" | "UI2FP" | "UI2I" | "UI2IP" | "UIADD3" | "UIABS" | "UIMAD"
        | "UIMNMX" | "UISETP" | "ULEA" | "ULOP" | "ULOP3" | "ULOP32I" | "UMOV" | "UMOV32I"
        | "UP2UR" | "UPLOP3" | "UPOPC" | "UPRMT" | "UPSETP" | "UR2UP" | "USEL" | "USGXT"
        | "USHF" | "USHL" | "USHR" | "UFADD" | "UFFMA" | "UFMUL" | "UFMNMX" | "UFRND" | "UFSEL"
        | "UFSET" | "UFSETP" | "UVIADD" | "UVIMNMX" | "UVIMNMX3" | "UVIADDMNMX" | "UMAPA"
        | "ULEPC" | "R2UP" => OpClass::Uniform,
        _ => return None,
    })
}

fn control(base: &str) -> Option<OpClass> {
    Some(match base {
        "BRA" | "BRX" | "BRXU" | "JMP" | "JMX" | "JMXU" | "CALL" | "RET" | "CAL" | "JCAL"
        | "BRK" | "CONT" | "RTT" | "KILL" | "BPT" | "LONGJMP" => OpClass::Branch,
        "BSSY" | "BSYNC" | "WARPSYNC" | "BREAK" | "BMOV" | "YIELD" | "RPCMOV" | "SSY" | "SYNC"
        | "PBK" | "PCNT" | "PRET" | "PEXIT" | "PLONGJMP" | "COLLECTIVE" | "ENDCOLLECTIVE" => {
            OpClass::Converge
        }
        "EXIT" => OpClass::Exit,
        "BAR" => OpClass::Barrier,
        "MEMBAR" => OpClass::Membar,
        "DEPBAR" => OpClass::DepBar,
        "LDGDEPBAR" | "ARRIVES" => OpClass::CpAsyncCommit,
        "NANOSLEEP" => OpClass::Sleep,
        _ => return None,
    })
}

fn memory(base: &str) -> Option<OpClass> {
    Some(match base {
        "LD" | "LDG" | "LDL" | "LDS" | "LDSM" | "LDGSTS" | "LDC" | "LDCU" | "ULDC" | "LDU"
        | "LDSLK" | "ST" | "STG" | "STL" | "STS" | "STSM" | "STSCUL" | "ATOM" | "ATOMG"
        | "ATOMS" | "RED" | "REDG" => OpClass::Memory,
        "CCTL" | "CCTLL" | "CCTLT" | "UCCTL" => OpClass::CacheControl,
        "TEX" | "TLD" | "TLD4" | "TMML" | "TXD" | "TXQ" | "TXA" | "TEXS" | "TLDS" | "TLD4S"
        | "SULD" | "SUST" | "SURED" | "SUATOM" | "SUQUERY" | "SULDGA" | "SUSTGA" | "FOOTPRINT" => {
            OpClass::Texture
        }
        _ => return None,
    })
}

/// Whether an instruction of the asynchronous machinery multiplies matrices or moves data, rather than
/// putting other work in order, asking for registers, or giving hints.
pub fn is_async_work(name: &Mnemonic<'_>) -> bool {
    let base = name.base;
    let copies = [
        "UTMALDG", "UTMASTG", "UTMAREDG", "UBLKCP", "UBLKRED", "UTCCP",
    ];
    let distributed = [
        "STAS", "REDAS", "ATOMAS", "REDS", "LDT", "LDTM", "STT", "STTM",
    ];
    base.ends_with("GMMA")
        || base.starts_with("UTC") && base.contains("MMA")
        || copies.contains(&base)
        || distributed.contains(&base)
}

/// Hopper and Blackwell asynchronous machinery.
fn asynchronous(base: &str) -> Option<OpClass> {
    let known = matches!(
        base,
        "HGMMA"
            | "IGMMA"
            | "QGMMA"
            | "BGMMA"
            | "DGMMA"
            | "WARPGROUP"
            | "WARPGROUPSET"
            | "SYNCS"
            | "FENCE"
            | "USETMAXREG"
            | "UCGABAR_ARV"
            | "UCGABAR_WAIT"
            | "UCGABAR_GET"
            | "UCGABAR_SET"
            | "ACQBULK"
            | "ACQSHMINIT"
            | "PREEXIT"
            | "STAS"
            | "REDAS"
            | "ATOMAS"
            | "REDS"
            | "LDT"
            | "LDTM"
            | "STT"
            | "STTM"
            | "UGETNEXTWORKID"
            | "USTGR"
            | "UVIRTCOUNT"
            | "UREDGR"
    );
    let family = ["UTMA", "UBLK", "UTC", "USYNCS"];
    (known || family.iter().any(|f| base.starts_with(f))).then_some(OpClass::Async)
}
