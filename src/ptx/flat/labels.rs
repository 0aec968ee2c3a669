//! What labels mean: known once every function is walked.

use super::Arg;
use super::resolve::Flattener;

impl Flattener<'_> {
    pub(super) fn settle_labels(&mut self) {
        for (scope, number, at, _, name) in std::mem::take(&mut self.pending) {
            let Some(found) = self.target(scope, name) else {
                continue;
            };
            let inst = self.flat.insts.get_mut(number);
            if let Some(arg) = inst.and_then(|i| i.args.get_mut(at))
                && matches!(arg, Arg::Unknown(_))
            {
                *arg = found;
            }
        }
    }

    /// What a label means, looked up from `scope` outwards.
    fn target(&self, mut scope: u32, name: &str) -> Option<Arg> {
        loop {
            if let Some(&pc) = self.labels.get(&(scope, name)) {
                return Some(Arg::Label(pc));
            }
            if let Some(list) = self.targets.get(&(scope, name)) {
                let pcs = list.iter().map(|label| match self.target(scope, label) {
                    Some(Arg::Label(pc)) => Some(pc),
                    _ => None,
                });
                return pcs.collect::<Option<Vec<_>>>().map(Arg::Labels);
            }
            let parent = *self.scopes.parents.get(scope as usize)?;
            if parent == scope {
                return None;
            }
            scope = parent;
        }
    }
}
