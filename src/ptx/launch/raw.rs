//! The TOML of a launch file, and its check.

use super::check::{NAMES, TOLERANCE};
use super::data::{Element, Init};
use super::{Argument, Check, Operand, Value};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One to three dimensions.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Dims {
    One(u32),
    More(Vec<u32>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    kernel: Option<String>,
    grid: Dims,
    block: Dims,
    #[serde(default)]
    dynamic_shared_bytes: u64,
    #[serde(default)]
    args: Vec<Arg>,
    #[serde(default)]
    variables: Vec<Arg>,
    check: Option<RawCheck>,
    ptxas_v: Option<PathBuf>,
    registers: Option<u16>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arg {
    name: Option<String>,
    #[serde(rename = "type")]
    ty: Option<String>,
    fields: Option<Vec<Arg>>,
    value: Option<toml::Value>,
    count: Option<u64>,
    init: Option<String>,
    seed: Option<u64>,
    min: Option<f64>,
    max: Option<f64>,
    start: Option<f64>,
    step: Option<f64>,
    stride: Option<u64>,
    path: Option<PathBuf>,
    values: Option<Vec<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCheck {
    name: Option<String>,
    buffer: Option<String>,
    path: Option<PathBuf>,
    tolerance: Option<f64>,
    #[serde(default)]
    operands: BTreeMap<String, toml::Value>,
}

/// The most bytes of one buffer.
const BUFFER_BYTES_MAX: u64 = 8 << 30;

impl Launch {
    pub fn check(self, path: &Path, faults: &mut Vec<String>) -> Option<super::Launch> {
        let grid = dims("grid", &self.grid, [0x7fff_ffff, 65535, 65535], faults);
        let block = dims("block", &self.block, [1024, 1024, 64], faults);
        if block.iter().map(|&d| u64::from(d)).product::<u64>() > 1024 {
            faults.push(format!("block = {block:?}: more than 1024 threads"));
        }
        if self.dynamic_shared_bytes > 256 << 10 {
            faults.push("dynamic_shared_bytes: more than 256 KiB".to_owned());
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let (args, parameters) = arguments("args", &self.args, folder, faults);
        let (variables, _) = arguments("variables", &self.variables, folder, faults);
        let check = self.check.and_then(|c| c.check(folder, faults));
        if let Some(Check::Named { operands, .. }) = &check {
            for (operand, what) in operands {
                if let Operand::Argument(name) = what
                    && !args.iter().any(|a| a.name == *name)
                {
                    faults.push(format!("check.operands.{operand}: no argument `{name}`"));
                }
            }
        }
        if self.registers.is_some_and(|r| !(1..=255).contains(&r)) {
            faults.push("registers: 1 to 255".to_owned());
        }
        Some(super::Launch {
            path: path.to_path_buf(),
            kernel: self.kernel,
            grid,
            block,
            dynamic_shared_bytes: self.dynamic_shared_bytes,
            args,
            parameters,
            variables,
            check,
            ptxas_v: self.ptxas_v,
            registers: self.registers,
        })
    }
}

fn dims(key: &str, dims: &Dims, most: [u32; 3], faults: &mut Vec<String>) -> [u32; 3] {
    let list = match dims {
        Dims::One(x) => vec![*x],
        Dims::More(list) => list.clone(),
    };
    if !(1..=3).contains(&list.len()) {
        faults.push(format!("{key}: one to three numbers, not {}", list.len()));
    }
    let mut out = [1; 3];
    for (i, (o, value)) in out.iter_mut().zip(&list).enumerate() {
        if *value == 0 || *value > most[i] {
            faults.push(format!("{key}: {value} is not in 1..={}", most[i]));
        }
        *o = (*value).max(1);
    }
    out
}

/// Arguments under construction.
struct Arguments<'a> {
    folder: &'a Path,
    faults: &'a mut Vec<String>,
    leaves: Vec<Argument>,
    parameters: Vec<u64>,
}

fn arguments(
    key: &str,
    list: &[Arg],
    folder: &Path,
    faults: &mut Vec<String>,
) -> (Vec<Argument>, Vec<u64>) {
    let mut out = Arguments {
        folder,
        faults,
        leaves: Vec::new(),
        parameters: Vec::new(),
    };
    for (i, arg) in list.iter().enumerate() {
        let name = arg.name.clone().unwrap_or_else(|| format!("{i}"));
        let mut end = 0;
        let align = out.add(arg, &name, &format!("{key}[{i}] ({name})"), &mut end, 0);
        out.parameters.push(end.next_multiple_of(align));
    }
    (out.leaves, out.parameters)
}

impl Arguments<'_> {
    /// Adds a leaf, or all fields of a structure, from byte `end` of the parameter on. Returns the
    /// alignment.
    fn add(&mut self, arg: &Arg, name: &str, place: &str, end: &mut u64, depth: u32) -> u64 {
        if let Some(fields) = &arg.fields {
            if depth > 8 || arg.ty.is_some() || arg.value.is_some() || arg.count.is_some() {
                self.faults
                    .push(format!("{place}: `fields` stands alone, at most 8 deep"));
                return 1;
            }
            return self.structure(fields, name, place, end, depth);
        }
        let checked = match &arg.ty {
            Some(ty) => arg.check(ty, self.folder),
            None => Err("`type`, or `fields` for a structure".to_owned()),
        };
        let (element, value) = match checked {
            Ok(checked) => checked,
            Err(what) => {
                self.faults.push(format!("{place}: {what}"));
                return 1;
            }
        };
        if self.leaves.iter().any(|a| a.name == name) {
            self.faults.push(format!("{place}: the name is used twice"));
        }
        let mut leaf = Argument {
            name: name.to_owned(),
            element,
            value,
            parameter: self.parameters.len(),
            offset: 0,
        };
        let width = leaf.width();
        leaf.offset = end.next_multiple_of(width);
        *end = leaf.offset + width;
        self.leaves.push(leaf);
        width
    }

    /// Fields as C lays them out. Those without a name are called by their number.
    fn structure(
        &mut self,
        fields: &[Arg],
        name: &str,
        place: &str,
        end: &mut u64,
        depth: u32,
    ) -> u64 {
        let (first, start) = (self.leaves.len(), *end);
        let (mut align, mut size) = (1, 0);
        for (i, field) in fields.iter().enumerate() {
            let own = match &field.name {
                Some(own) => own.clone(),
                None => format!("{name}.{i}"),
            };
            let place = format!("{place}.fields[{i}]");
            align = self
                .add(field, &own, &place, &mut size, depth + 1)
                .max(align);
        }
        let start = start.next_multiple_of(align);
        for leaf in self.leaves.iter_mut().skip(first) {
            leaf.offset += start;
        }
        *end = start + size.next_multiple_of(align);
        align
    }
}

impl Arg {
    fn check(&self, ty: &str, folder: &Path) -> Result<(Element, Value), String> {
        let element = Element::of(ty)
            .ok_or_else(|| format!("type = \"{ty}\" is none of {}", Element::names()))?;
        match (&self.value, self.count) {
            (Some(_), Some(_)) => Err("either `value` or `count`, not both".to_owned()),
            (None, None) => Err("`value` for a scalar, `count` for a buffer".to_owned()),
            (Some(value), None) => {
                if self.init.is_some() {
                    return Err("`init` is for buffers".to_owned());
                }
                Ok((element, Value::Scalar(scalar(element, value)?)))
            }
            (None, Some(count)) => {
                let bytes = count.checked_mul(u64::from(element.bytes()));
                if count == 0 || bytes.is_none_or(|b| b > BUFFER_BYTES_MAX) {
                    return Err(format!("count = {count}: 1 element to 8 GiB"));
                }
                let init = self.init(element, count, folder)?;
                Ok((element, Value::Buffer { count, init }))
            }
        }
    }

    fn init(&self, element: Element, count: u64, folder: &Path) -> Result<Init, String> {
        let seed = self.seed.unwrap_or(1);
        Ok(match self.init.as_deref() {
            None | Some("none") => Init::None,
            Some("zeros") => Init::Zeros,
            Some("iota") => {
                let (start, step) = (self.start.unwrap_or(0.0), self.step.unwrap_or(1.0));
                if !element.float() && (start.fract() != 0.0 || step.fract() != 0.0) {
                    let name = element.name();
                    return Err(format!("start = {start}, step = {step} are no {name}"));
                }
                let last = start + step * (count - 1) as f64;
                if [start, last]
                    .iter()
                    .any(|x| !x.is_finite() || !element.reaches(*x))
                {
                    let name = element.name();
                    return Err(format!("{start} to {last} is more than {name} can hold"));
                }
                Init::Iota { start, step }
            }
            Some("random") => {
                let (min, max) = (self.min.unwrap_or(-1.0), self.max.unwrap_or(1.0));
                if !(min <= max && min.is_finite() && max.is_finite()) {
                    return Err(format!("min = {min} and max = {max} are no range"));
                }
                Init::Random { seed, min, max }
            }
            Some("ring") => match self.stride {
                Some(0) => return Err("stride = 0: at least 1 element".to_owned()),
                stride => Init::Ring {
                    seed,
                    stride: stride.unwrap_or(1),
                },
            },
            Some("file") => match &self.path {
                Some(path) => Init::File(folder.join(path)),
                None => return Err("init = \"file\" needs `path`".to_owned()),
            },
            Some("values") => match &self.values {
                Some(values) => {
                    if values.len() as u64 > count {
                        return Err(format!("{} values where count = {count}", values.len()));
                    }
                    if let Some(x) = values.iter().find(|x| !element.reaches(**x)) {
                        return Err(format!("values: {x} is no {}", element.name()));
                    }
                    Init::Values(values.clone())
                }
                None => return Err("init = \"values\" needs `values`".to_owned()),
            },
            Some(other) => {
                return Err(format!(
                    "init = \"{other}\" is none of none, zeros, iota, random, ring, values, file"
                ));
            }
        })
    }
}

fn scalar(element: Element, value: &toml::Value) -> Result<u64, String> {
    match value {
        toml::Value::Integer(i) => element
            .from_integer(*i)
            .ok_or_else(|| format!("value = {i} does not fit {}", element.name())),
        toml::Value::Float(x) if element.float() && element.reaches(*x) => {
            Ok(element.from_number(*x))
        }
        other => Err(format!("value = {other} is no {}", element.name())),
    }
}

fn operands(
    raw: BTreeMap<String, toml::Value>,
    faults: &mut Vec<String>,
) -> BTreeMap<String, Operand> {
    let mut out = BTreeMap::new();
    for (name, value) in raw {
        let operand = match value {
            toml::Value::String(argument) => Operand::Argument(argument),
            toml::Value::Integer(x) => Operand::Number(x as f64),
            toml::Value::Float(x) => Operand::Number(x),
            toml::Value::Boolean(x) => Operand::Number(f64::from(u8::from(x))),
            other => {
                faults.push(format!(
                    "check.operands.{name} = {other}: the name of an argument, or a number"
                ));
                continue;
            }
        };
        out.insert(name, operand);
    }
    out
}

impl RawCheck {
    fn check(self, folder: &Path, faults: &mut Vec<String>) -> Option<Check> {
        // From 1 on a result of zeros would pass for any other.
        let tolerance = self.tolerance.unwrap_or(TOLERANCE);
        if !(0.0..1.0).contains(&tolerance) {
            faults.push(format!("check.tolerance = {tolerance}: 0 to below 1"));
        }
        let operands = operands(self.operands, faults);
        if self.path.is_some() && !operands.is_empty() {
            faults.push("check.operands: they are for a check with a `name`".to_owned());
        }
        match (self.name, self.buffer, self.path) {
            (Some(name), None, None) => {
                if !NAMES.contains(&name.as_str()) {
                    let known = NAMES.join(", ");
                    faults.push(format!("check.name = \"{name}\" is none of {known}"));
                }
                Some(Check::Named {
                    name,
                    tolerance,
                    operands,
                })
            }
            (None, Some(buffer), Some(path)) => Some(Check::File {
                buffer,
                path: folder.join(path),
                tolerance: self.tolerance,
            }),
            _ => {
                faults.push("check: either `name`, or `buffer` and `path`".to_owned());
                None
            }
        }
    }
}
