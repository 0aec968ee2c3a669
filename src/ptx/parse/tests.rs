//! The traps of the language, one a test, and the property that printing and parsing are inverse.

use super::parse;
use crate::ptx::ast::*;
use proptest::prelude::*;

fn body(text: &str) -> String {
    format!(".version 8.0\n.target sm_80\n.visible .entry k(.param .u64 a)\n{{\n{text}\n}}\n")
}

fn statements(text: &str) -> Vec<Statement<'_>> {
    let module = match parse(text) {
        Ok(module) => module,
        Err(error) => panic!("{error}"),
    };
    match module.items.into_iter().last() {
        Some(Item::Function(function)) => function.body.unwrap_or_default(),
        other => panic!("not a function: {other:?}"),
    }
}

#[test]
fn loc_lines_without_semicolon_vanish() {
    let text = body(
        "$L__tmp: .loc 2 43 13, function_name $L__info_string0, inlined_at 1 29 34 // a.py:3\n\
         add.s32 %r1, %r2, 3;\n.loc\t1 1 1\n",
    );
    assert_eq!(statements(&text).len(), 2);
}

#[test]
fn every_form_of_operand_parses() {
    let text = body(
        ".reg .pred %p<4>; .reg .b32 a, b;\n\
         setp.lt.and.s32 %p|%q, %r1, -5, !%p3;\n\
         @!%p1 st.shared.v2.f32 [%r1+-8], {0f3F800000, _};\n\
         cp.async.bulk.tensor.2d.shared::cta.global.mbarrier::complete_tx::bytes [%r1], [%rd1, {%r2, %r3}], [%r4];\n\
         mov.u64 %rd1, sym+16; mov.u32 %r1, %tid.x;\n\
         { .param .b64 p0; call.uni (r0), f, (p0, 5), proto; }\n\
         ts: .branchtargets A, B; mov.f64 %fd1, 0d3FF0000000000000; mov.u32 %r2, (1 << 4) + 2;\n\
         proto: .callprototype (.param .b32 _) _ (.param .b64 _, .param .align 4 .b8 _[12]);\n\
         brx.idx %r1, ts; .pragma \"nounroll\"; ret;",
    );
    let list = statements(&text);
    assert_eq!(list.len(), 16);
    let Some(Statement::Instruction(setp)) = list.get(3) else {
        panic!("{list:?}");
    };
    assert_eq!(setp.to_string(), "setp.lt.and.s32 %p|%q, %r1, -5, !%p3");
}

#[test]
fn module_level_declarations_parse() {
    let text = ".version 9.1\n.target sm_90a, debug\n.address_size 64\n.file 1 \"a b.cu\"\n\
        .extern .shared .align 16 .b8 smem[];\n\
        .visible .global .align 8 .u64 t[2][2] = {{generic(x)+4, 0}, {0xff00(y), 1.5}};\n\
        .weak .func (.param .b32 r) f(.param .b64 .ptr .global .align 4 p) .noreturn;\n\
        .global .attribute(.managed) .b8 m = 3;\n\
        .section .debug_str { $L: .b8 1, 2\n.b8 { } }\n.alias g, f;\n\0\0";
    let module = match parse(text) {
        Ok(module) => module,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(module.items.len(), 5);
    let printed = module.to_string();
    assert_eq!(parse(&printed).as_ref(), Ok(&module), "{printed}");
}

#[test]
fn an_error_says_where_and_what() {
    let error = parse(&body("\tadd.s32 %r1, %r2 3;")).err();
    let message = error.map(|e| e.to_string()).unwrap_or_default();
    assert_eq!(
        message,
        "line 5, column 19: `3` where `,` or `;` is expected"
    );
    let error = parse("not ptx").err().map(|e| e.to_string());
    assert!(error.is_some_and(|e| e.contains("line 1, column 1")));
}

#[test]
fn deep_nesting_is_refused_not_fatal() {
    assert!(parse(&body(&"{".repeat(100_000))).is_err());
    assert!(parse(&body(&format!("mov.u32 %r1, {};", "(".repeat(100_000)))).is_err());
    assert!(parse(&body(&format!("mov.u32 %r1, {}1;", "-".repeat(100_000)))).is_err());
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i64>().prop_map(Number::Int),
        any::<u32>().prop_map(Number::F32),
        any::<u64>().prop_map(Number::F64),
    ]
}

const NAMES: [&str; 6] = ["%r1", "%tid", "$L__BB0_1", "_Z3fooPf", "_", "x$y"];

fn name() -> impl Strategy<Value = Name<'static>> {
    let component = prop::option::of(prop::sample::select(&["x", "y"][..]));
    (
        prop::sample::select(&NAMES[..]),
        component,
        -9i64..9,
        any::<bool>(),
    )
        .prop_map(|(name, component, offset, negated)| Name {
            name,
            component,
            offset,
            negated,
        })
}

fn operand() -> impl Strategy<Value = Operand<'static>> {
    let plain = || prop::sample::select(&NAMES[..]).prop_map(Name::plain);
    let leaf = prop_oneof![
        name().prop_map(Operand::Name),
        number().prop_map(Operand::Number),
        (plain(), plain()).prop_map(|(a, b)| Operand::Pair(a, b)),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let list = || prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            list().prop_map(Operand::Vector),
            list().prop_map(Operand::Address),
            list().prop_map(Operand::Parameters),
        ]
    })
}

fn statement() -> impl Strategy<Value = Statement<'static>> {
    let modifiers = prop::sample::select(&["s32", "shared::cta", "2d", "wide"][..]);
    let guard = prop::option::of(
        (prop::sample::select(&NAMES[..]), any::<bool>())
            .prop_map(|(name, negated)| Guard { name, negated }),
    );
    let instruction = (
        guard,
        prop::sample::select(&["add", "ld", "mma"][..]),
        prop::collection::vec(modifiers, 0..4),
        prop::collection::vec(operand(), 0..4),
    )
        .prop_map(|(guard, opcode, modifiers, operands)| {
            Statement::Instruction(Instruction {
                guard,
                opcode,
                modifiers,
                operands,
                place: Place::default(),
            })
        });
    let leaf = prop_oneof![
        6 => instruction,
        1 => prop::sample::select(&["A", "$B"][..]).prop_map(Statement::Label),
        1 => Just(Statement::Pragma("nounroll")),
    ];
    leaf.prop_recursive(2, 10, 4, |inner| {
        prop::collection::vec(inner, 0..4).prop_map(Statement::Block)
    })
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(body in prop::collection::vec(statement(), 0..12)) {
        let module = Module {
            version: "8.8",
            target: vec!["sm_80"],
            address_size: 64,
            items: vec![Item::Function(Function {
                linkage: Linkage::Visible,
                entry: true,
                name: "k",
                returns: Vec::new(),
                params: Vec::new(),
                tuning: Vec::new(),
                body: Some(body),
                place: Place::default(),
            })],
        };
        let text = module.to_string();
        let again = parse(&text);
        prop_assert_eq!(again.as_ref(), Ok(&module), "{}", text);
    }

    #[test]
    fn no_text_panics(text in "(\\.version 8|[ -~\n]){0,200}", cut in 0usize..400) {
        let _ = parse(&text);
        let all = body("add.s32 %r1, {%r2, 3}, [%r4+8]; @!%p bra L; L: ret; .reg .b32 %r<8>;");
        let _ = parse(all.get(..cut).unwrap_or(&all));
        let _ = parse(&format!(".version 8.0 {text}"));
        let _ = parse(&super::tests::body(&text));
    }
}
