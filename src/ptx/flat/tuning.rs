//! What a kernel's directives ask of its launch.

use super::resolve::Flattener;
use crate::ptx::ast::Function;

impl<'a> Flattener<'a> {
    pub(super) fn tuning(&mut self, function: &Function<'a>) {
        for tuning in &function.tuning {
            let mut dims = [1u32; 3];
            for (dim, value) in dims.iter_mut().zip(&tuning.values) {
                *dim = u32::try_from(*value).unwrap_or(u32::MAX);
            }
            match tuning.name {
                "reqnctapercluster" if !tuning.values.is_empty() => {
                    self.flat.cluster = Some(dims);
                }
                "reqntid" => self.flat.threads_required = Some(dims),
                "maxntid" => {
                    self.flat.threads_max = Some(dims.iter().map(|&d| u64::from(d)).product());
                }
                _ => {}
            }
        }
    }
}
