//! Which experts tokens take: the operators that a framework's definition of a router spells out.

use super::Place;
use super::context::{Lie, Lowering};
use super::plan::Runtime;
use crate::kernels::operator::{
    Function, Operands, RowFunction, RowsOp, ScanOp, SelectOp, TOP_MAX,
};
use crate::model::graph::Rule;

/// The scores of all experts become the weights of those that each token takes.
pub fn lower(l: &mut Lowering<'_>, node: usize, chosen: u64, rule: Rule) {
    let of = l.node(node);
    let (scores, y) = (of.inputs[0], of.outputs[0]);
    let shape = &l.tensor(scores).shape;
    let experts = shape.last().copied().unwrap_or(1);
    let tokens = l.tensor(scores).elements() / experts.max(1);
    if tokens == 0 || experts == 0 {
        return;
    }
    if chosen > TOP_MAX {
        let why = format!("no kernel selects more than {TOP_MAX} of a row");
        return l.refuse(node, why);
    }
    let sequences = match shape.len() {
        0..=2 => 1,
        _ => shape[0],
    };
    let (scores, y) = (l.place(scores), l.place(y));
    let router = Router {
        tokens,
        experts,
        chosen,
    };
    match rule {
        Rule::Capacity { .. } => router.capacity(l, [scores, y], sequences),
        Rule::Softmax { shared } => {
            let weights = router.weights(l, scores);
            router.greatest(l, [weights, weights, y], shared);
        }
        Rule::Sigmoid => {
            l.assume("a router picks the greatest of all experts, not group by group");
            router.sigmoid(l, scores, y);
        }
    }
}

/// The weights of the networks that each token takes, for its `scores` of all, and their places.
pub fn choose(l: &mut Lowering<'_>, scores: Place, [tokens, experts, chosen]: [u64; 3]) -> Place {
    let router = Router {
        tokens,
        experts,
        chosen,
    };
    let y = l.buffer(tokens * chosen * 8, super::Content::Activation);
    let weights = router.weights(l, scores);
    router.greatest(l, [weights, weights, y], true);
    y
}

/// How many there are.
struct Router {
    tokens: u64,
    experts: u64,
    chosen: u64,
}

impl Router {
    fn all(&self) -> u64 {
        self.tokens * self.experts
    }

    /// A number of each row.
    fn reduce(&self, l: &mut Lowering<'_>, function: RowFunction, cols: u64, [x, y]: [Place; 2]) {
        let op = RowsOp {
            rows: self.tokens,
            cols,
            data: l.data(),
            style: l.plan.style(),
            ..RowsOp::usual(function)
        };
        l.call(op, vec![x], vec![y]);
    }

    /// Scores that sum to 1.
    fn weights(&self, l: &mut Lowering<'_>, scores: Place) -> Place {
        let weights = l.temporary(self.all(), l.data());
        self.reduce(l, RowFunction::Softmax, self.experts, [scores, weights]);
        weights
    }

    /// Integers of 64 bits for each token and expert: 1 where it takes it.
    fn marked(&self, l: &mut Lowering<'_>, marks: Place, places: Place) {
        let data = l.data();
        let words = self.all() * 8 / data.bytes();
        l.assume(
            "clearing memory takes as long as a copy of its half, and a scatter as long as a copy",
        );
        l.each(
            Function::Copy,
            data,
            words / 2,
            Lie::SAME,
            (&[marks], marks),
        );
        let taken = self.tokens * self.chosen;
        l.each(Function::Copy, data, taken, Lie::SAME, (&[places], marks));
    }

    fn marks(&self, l: &mut Lowering<'_>) -> Place {
        l.buffer(self.all() * 8, super::Content::Activation)
    }

    /// The experts with the greatest of `by`, and their weights of `weights`; `shared`: these are made to sum to 1.
    fn greatest(&self, l: &mut Lowering<'_>, [by, weights, y]: [Place; 3], shared: bool) {
        let data = l.data();
        let taken = self.tokens * self.chosen;
        let places = l.buffer(taken * 8, super::Content::Activation);
        let op = SelectOp {
            rows: self.tokens,
            cols: self.experts,
            k: self.chosen,
            data,
        };
        let divided = shared && self.chosen > 1;
        let picked = match divided {
            true => l.temporary(taken, data),
            false => y,
        };
        l.call(op, vec![by], vec![picked, places]);
        if by != weights {
            // Weights of those that were picked by other numbers.
            l.each(Function::Copy, data, taken, Lie::SAME, (&[weights], picked));
        }
        if divided {
            let sums = l.temporary(self.tokens, data);
            self.reduce(l, RowFunction::Sum, self.chosen, [picked, sums]);
            let column = Lie::rows_of(Operands::Column, self.chosen);
            l.each(Function::Div, data, taken, column, (&[picked, sums], y));
        }
        if l.plan.runtime == Runtime::Eager && l.plan.training.is_none() {
            let marks = self.marks(l);
            self.marked(l, marks, places);
        }
    }

    /// DeepSeek V3: picked with a bias, weighted without.
    fn sigmoid(&self, l: &mut Lowering<'_>, scores: Place, y: Place) {
        let data = l.data();
        let [weights, moved] = [0; 2].map(|_| l.temporary(self.all(), data));
        let bias = l.shared(
            "bias of experts",
            self.experts * data.bytes(),
            super::Content::Weights,
        );
        l.each(
            Function::Sigmoid,
            data,
            self.all(),
            Lie::SAME,
            (&[scores], weights),
        );
        let row = Lie::rows_of(Operands::Row, self.experts);
        l.each(
            Function::Add,
            data,
            self.all(),
            row,
            (&[weights, bias], moved),
        );
        self.greatest(l, [moved, weights, y], true);
    }

    /// Switch Transformers: the greatest one; a running sum over the tokens of a sequence numbers those of each expert, and
    /// numbers beyond what an expert takes are masked.
    fn capacity(&self, l: &mut Lowering<'_>, [scores, y]: [Place; 2], sequences: u64) {
        let data = l.data();
        let weights = self.weights(l, scores);
        let [marks, numbers, masks] = [0; 3].map(|_| self.marks(l));
        let places = l.buffer(self.tokens * 8, super::Content::Activation);
        self.reduce(l, RowFunction::Max, self.experts, [weights, places]);
        self.marked(l, marks, places);
        let sums = ScanOp {
            matrices: sequences,
            rows: self.tokens / sequences.max(1),
            cols: self.experts,
        };
        l.call(sums, vec![marks], vec![numbers]);
        let words = self.all() * 8 / data.bytes();
        match l.plan.fuses() {
            // A comparison and a product in one.
            true => l.each(
                Function::Mul,
                data,
                words,
                Lie::SAME,
                (&[numbers, marks], masks),
            ),
            false => {
                l.each(
                    Function::AddScalar,
                    data,
                    words,
                    Lie::SAME,
                    (&[numbers], numbers),
                );
                l.each(
                    Function::Mul,
                    data,
                    words,
                    Lie::SAME,
                    (&[numbers, marks], masks),
                );
            }
        }
        self.reduce(l, RowFunction::Max, self.experts, [weights, y]);
    }
}
