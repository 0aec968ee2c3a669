//! Names to what they mean, innermost scope first.

use super::{Mask, Special};
use std::collections::HashMap;

/// What a name is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Consecutive registers from the first; more than one for vectors.
    Registers(u32, u32),
    /// A register of 128 bits: two of 64, the low one first.
    Wide(u32),
    /// A variable.
    Symbol(u32),
}

#[derive(Debug, Default)]
struct Scope<'a> {
    number: u32,
    names: HashMap<&'a str, Binding>,
    // `%r<N>`: prefix to what the first name is bound to, and count.
    ranges: HashMap<&'a str, (Binding, u32)>,
}

/// A stack of scopes. Each scope ever opened has a number, and labels belong to those.
#[derive(Debug, Default)]
pub struct Scopes<'a> {
    stack: Vec<Scope<'a>>,
    /// Parent of each scope.
    pub parents: Vec<u32>,
}

impl<'a> Scopes<'a> {
    /// Opens a scope.
    pub fn open(&mut self) {
        let number = self.parents.len() as u32;
        self.parents.push(self.current());
        self.stack.push(Scope {
            number,
            ..Scope::default()
        });
    }

    /// Closes the innermost scope.
    pub fn close(&mut self) {
        self.stack.pop();
    }

    /// Number of the innermost scope.
    pub fn current(&self) -> u32 {
        self.stack.last().map_or(0, |s| s.number)
    }

    /// Binds a name in the innermost scope.
    pub fn bind(&mut self, name: &'a str, binding: Binding) {
        if let Some(scope) = self.stack.last_mut() {
            scope.names.insert(name, binding);
        }
    }

    /// Binds a name for the whole module.
    pub fn bind_module(&mut self, name: &'a str, binding: Binding) {
        if let Some(scope) = self.stack.first_mut() {
            scope.names.insert(name, binding);
        }
    }

    /// Binds `prefix0` to `prefixN-1`.
    pub fn bind_range(&mut self, prefix: &'a str, first: Binding, count: u32) {
        if let Some(scope) = self.stack.last_mut() {
            scope.ranges.insert(prefix, (first, count));
        }
    }

    /// What `name` means here.
    pub fn find(&self, name: &str) -> Option<Binding> {
        let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
        let number = name
            .get(name.len() - digits..)
            .and_then(|d| d.parse::<u32>().ok());
        let prefix = name.get(..name.len() - digits).unwrap_or(name);
        for scope in self.stack.iter().rev() {
            if let Some(found) = scope.names.get(name) {
                return Some(*found);
            }
            if let (Some(n), Some(&(first, count))) = (number, scope.ranges.get(prefix))
                && n < count
            {
                return Some(match first {
                    Binding::Wide(first) => Binding::Wide(first + 2 * n),
                    Binding::Registers(first, each) => Binding::Registers(first + each * n, each),
                    other => other,
                });
            }
        }
        None
    }
}

/// The special register that `name` and `component` name.
pub fn special(name: &str, component: Option<&str>) -> Option<Special> {
    let axis = match component {
        None | Some("x") => 0,
        Some("y") => 1,
        Some("z") => 2,
        Some(_) => 3,
    };
    Some(match name {
        "%tid" => Special::Tid(axis),
        "%ntid" => Special::Ntid(axis),
        "%ctaid" => Special::Ctaid(axis),
        "%nctaid" => Special::Nctaid(axis),
        "%laneid" => Special::Laneid,
        "%warpid" => Special::Warpid,
        "%nwarpid" => Special::Nwarpid,
        "%smid" => Special::Smid,
        "%nsmid" => Special::Nsmid,
        "%gridid" => Special::Gridid,
        "%lanemask_eq" => Special::LaneMask(Mask::Eq),
        "%lanemask_lt" => Special::LaneMask(Mask::Lt),
        "%lanemask_le" => Special::LaneMask(Mask::Le),
        "%lanemask_gt" => Special::LaneMask(Mask::Gt),
        "%lanemask_ge" => Special::LaneMask(Mask::Ge),
        "%clock" | "%clock_lo" => Special::Clock,
        "%clock_hi" => Special::ClockHi,
        "%clock64" => Special::Clock64,
        "%globaltimer" => Special::GlobalTimer,
        "%globaltimer_lo" => Special::GlobalTimerLo,
        "%globaltimer_hi" => Special::GlobalTimerHi,
        "%dynamic_smem_size" => Special::DynamicSmem,
        "%total_smem_size" => Special::TotalSmem,
        // Without clusters each CTA is a cluster.
        "%clusterid" => Special::Ctaid(axis),
        "%nclusterid" => Special::Nctaid(axis),
        "%cluster_ctaid" | "%cluster_ctarank" | "%is_explicit_cluster" => Special::Fixed(0),
        "%cluster_nctaid" | "%cluster_nctarank" => Special::Fixed(1),
        // What the driver fills in for cooperative launches and graphs, and counters of the chip.
        "%current_graph_exec" => Special::Fixed(0),
        "%aggr_smem_size" => Special::TotalSmem,
        _ if numbered(name, "%envreg") || numbered(name, "%pm") => Special::Fixed(0),
        _ => return None,
    })
}

/// Whether `name` is `prefix` with a number.
fn numbered(name: &str, prefix: &str) -> bool {
    let number = name.strip_prefix(prefix).map(|n| n.trim_end_matches("_64"));
    number.is_some_and(|n| n.parse::<u8>().is_ok())
}
