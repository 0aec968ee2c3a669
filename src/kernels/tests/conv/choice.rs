//! Tests of the way that is chosen for a convolution, and of what sums of 16 bits change.

use super::*;
use crate::kernels::operator::Direction;

#[test]
fn few_channels_are_multiplied_as_they_are_and_many_by_winograd() {
    let chosen = |text: &str, name: &str| {
        let operator = Operator::Conv(op(text));
        choose(&operator, &gpu(name), &Algorithm::Chosen)
            .unwrap()
            .name
    };
    let first = "n=46&c=3&h=92&w=92&k=1931&pad=1";
    assert!(chosen(first, "v100").starts_with("implicit"));
    let middle = "n=56&c=171&h=22&w=22&k=662&pad=1";
    assert_eq!(chosen(middle, "v100"), "winograd_nonfused");
    assert_eq!(chosen(middle, "a100-80"), "winograd_nonfused");
    let last = "n=39&c=573&h=120&w=120&k=6&pad=1";
    assert_eq!(chosen(last, "v100"), "winograd_fused");
    assert!(chosen("n=8&c=64&h=56&w=56&k=256&r=1&s=1", "v100").starts_with("implicit"));
    // With channels side by side, filters of one pixel are a matrix.
    let pixels = op("n=8&c=64&h=56&w=56&k=256&r=1&s=1&layout=nhwc&type=f16");
    let all = candidates(&Operator::Conv(pixels), &gpu("v100")).unwrap();
    assert!(
        all.iter()
            .any(|candidate| candidate.name.contains("s884gemm"))
    );
}

/// Grids that the library launched on A100, few tiles of images in one case and few channels in the other. Volta's tiles
/// follow the shape.
#[test]
fn products_of_winograd_have_one_tile_from_ampere_on() {
    let products = |text: &str, name: &str| named(text, "winograd_nonfused", name).remove(2);
    let few_images = "n=14&c=298&h=8&w=8&k=1905&pad=1";
    assert_eq!(products(few_images, "a100-80").header.grid, [1, 15, 36]);
    let few_channels = "n=29&c=1517&h=9&w=9&k=65&pad=1";
    assert_eq!(products(few_channels, "a100-80").header.grid, [3, 1, 36]);
    let volta = products(few_images, "v100").header;
    assert!(!volta.name.contains("128x128"), "{}", volta.name);
}

#[test]
fn a_gradient_of_the_input_exchanges_the_channels() {
    let text = "n=2&c=16&h=16&w=16&k=128&pad=1";
    let backward = op(&format!("{text}&dir=dgrad"));
    assert_eq!(backward.direction, Direction::InputGradient);
    let algorithm = Algorithm::Named("implicit_precomp_gemm_128x32".into());
    let kernels = kernels(&Operator::Conv(backward), &algorithm, "v100");
    // 16 channels of the result in one tile; 128 x 9 deep.
    assert_eq!(kernels[1].header.grid, [4, 1, 1]);
    assert_eq!(generator(&kernels[1]).iterations(0), 144);
}

#[test]
fn convolutions_without_kernels_are_refused() {
    for (text, name) in [
        ("n=1&c=4&h=2&w=2&k=4", "r"),
        ("n=1&c=5&k=4&groups=2", "groups"),
        ("n=1048576&c=65536&k=4", "h"),
        ("dir=wgrad", "dir"),
    ] {
        let operator = Operator::Conv(op(text));
        let fault = choose(&operator, &gpu("v100"), &Algorithm::Chosen).err();
        let fault = fault
            .unwrap_or_else(|| panic!("{text} is accepted"))
            .to_string();
        assert!(fault.starts_with(&format!("{name}=")), "{text}: {fault}");
    }
}

/// Sums of 16 bits: half the registers, the same products, nothing to convert on the way out.
#[test]
fn narrow_sums_take_half_the_registers() {
    let text = "n=2&c=16&h=16&w=16&k=128&pad=1&type=f16";
    let of = |text: &str, gpu: &str| {
        let kernels = named(text, "implicit_precomp_tensor_128x128", gpu);
        let kernel = kernels.last().unwrap().clone();
        let converts = |kernel: &Kernel| {
            kernel
                .code
                .mnemonics
                .iter()
                .any(|text| text.starts_with("F2F"))
        };
        (
            mix(&kernel)["HMMA"],
            kernel.header.registers_per_thread,
            converts(&kernel),
        )
    };
    for (gpu, steps) in [("v100", 2), ("t4", 1), ("a100-80", 1)] {
        let (wide, narrow) = (of(text, gpu), of(&format!("{text}&acc=f16"), gpu));
        assert_eq!(wide.0, steps * narrow.0, "{gpu}");
        assert_eq!(wide.1 - narrow.1, 32, "{gpu}: 64 sums");
        assert!(wide.2 && !narrow.2, "{gpu}");
    }
}
