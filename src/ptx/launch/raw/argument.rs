//! Arguments and buffers of a launch file.

use super::super::data::{Element, Init};
use super::super::{Argument, Value};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arg {
    pub name: Option<String>,
    buffer: Option<String>,
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

/// The most bytes of one buffer.
const BUFFER_BYTES_MAX: u64 = 8 << 30;

/// Arguments under construction.
struct Arguments<'a> {
    folder: &'a Path,
    // Buffers that all kernels share.
    shared: &'a [Argument],
    faults: &'a mut Vec<String>,
    leaves: Vec<Argument>,
    parameters: Vec<u64>,
}

/// The arguments of `list`, fields one by one, and the bytes of the parameters that they make up. `shared` are the
/// buffers that an argument may name.
pub fn arguments(
    key: &str,
    list: &[Arg],
    (folder, shared): (&Path, &[Argument]),
    faults: &mut Vec<String>,
) -> (Vec<Argument>, Vec<u64>) {
    let mut out = Arguments {
        folder,
        shared,
        faults,
        leaves: Vec::new(),
        parameters: Vec::new(),
    };
    for (i, arg) in list.iter().enumerate() {
        let own = arg.name.clone().or_else(|| arg.buffer.clone());
        let name = own.unwrap_or_else(|| format!("{i}"));
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
        let checked = match (&arg.buffer, &arg.ty) {
            (Some(buffer), _) => arg.shared(buffer, self.shared),
            (None, Some(ty)) => arg.check(ty, self.folder),
            (None, None) => Err("`type`, or `fields` for a structure, or `buffer`".to_owned()),
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
                None => field
                    .buffer
                    .clone()
                    .unwrap_or_else(|| format!("{name}.{i}")),
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
    /// The buffer of `shared` that is called `name`.
    fn shared(&self, name: &str, shared: &[Argument]) -> Result<(Element, Value), String> {
        let own = self.ty.is_some()
            || self.value.is_some()
            || self.count.is_some()
            || self.init.is_some();
        if own {
            return Err(
                "`buffer` stands alone, or with `name`: [[buffers]] has the rest".to_owned(),
            );
        }
        let found = shared.iter().position(|buffer| buffer.name == name);
        let Some(number) = found else {
            let known: Vec<&str> = shared.iter().map(|buffer| buffer.name.as_str()).collect();
            return Err(match known.is_empty() {
                true => format!("buffer = \"{name}\": there are no [[buffers]]"),
                false => format!("buffer = \"{name}\" is none of {}", known.join(", ")),
            });
        };
        Ok((shared[number].element, Value::Shared(number)))
    }

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
