//! Names of kernels as tools spell them: mangled, with types and parameters, or bare.

/// The bare name: `_Z5saxpyifPfS_`, `void ns::saxpy<float>(int, float*)` and `saxpy` are `saxpy`.
pub fn bare(name: &str) -> String {
    let name = name.trim().trim_matches('"').trim();
    if let Some(mangled) = name.strip_prefix("_Z")
        && let Some(found) = demangled(mangled)
    {
        return found;
    }
    // A launch in brackets behind the name is nvprof's.
    let name = name.split(" [").next().unwrap_or(name);
    let mut depth = 0;
    let mut flat = String::new();
    for letter in name.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth -= 1,
            '(' if depth == 0 && !flat.is_empty() && !flat.ends_with("::") => break,
            other if depth == 0 => flat.push(other),
            _ => {}
        }
    }
    let last = flat.trim().rsplit("::").next().unwrap_or("");
    last.rsplit(' ').next().unwrap_or(last).to_owned()
}

/// The last name of a mangled one without its `_Z`: `N2ns5saxpyE...`.
fn demangled(mangled: &str) -> Option<String> {
    let mut rest = match mangled.strip_prefix('N') {
        Some(nested) => nested.trim_start_matches(['K', 'V', 'r']),
        None => mangled.strip_prefix('L').unwrap_or(mangled),
    };
    let mut last = None;
    while rest.starts_with(|c: char| c.is_ascii_digit()) {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let length: usize = rest[..digits].parse().ok()?;
        let name = rest.get(digits..digits.checked_add(length)?)?;
        last = Some(name.to_owned());
        rest = &rest[digits + length..];
        if !mangled.starts_with('N') {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kernel_has_one_name() {
        for name in [
            "saxpy",
            "_Z5saxpyifPfS_",
            "_ZN2ns5saxpyEifPf",
            "saxpy(int, float, float *, float *)",
            "void saxpy<float, (int)4>(int, T1 *)",
            "void ns::saxpy<std::pair<int, float>>(int)",
            "(anonymous namespace)::saxpy(int)",
            "saxpy(int, float*) [132]",
        ] {
            assert_eq!(bare(name), "saxpy", "{name}");
        }
        assert_eq!(bare("ampere_sgemm_128x64_tn"), "ampere_sgemm_128x64_tn");
        assert_eq!(bare("_Z"), "_Z");
    }
}
