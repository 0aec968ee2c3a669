//! Mixtures of experts, and recurrent layers.

use super::context::{Lie, Lowering};
use super::plan::{Runtime, Spread};
use super::{Content, Place};
use crate::kernels::operator::{
    DataType, EmbeddingOp, Function, GemmOp, Operands, RowFunction, RowsOp, TOP_MAX,
};
use crate::model::graph::{Kind, Product, Rule};

/// Most networks that are looked for: as many as the largest Switch Transformer has.
const LOOKED_FOR: u64 = 2048;

/// Most steps of a recurrence that are launched one by one.
const STEPS_MAX: u64 = 1 << 14;

/// Feed-forward networks of which each token takes some; tokens are spread evenly. A framework runs one network after the
/// other, each on the tokens that take it; elsewhere those that are taken are a batch of products.
pub fn lower(l: &mut Lowering<'_>, node: usize, [experts, chosen]: [u64; 2]) {
    let of = l.node(node);
    let matrices = matrices(l, &of.inputs);
    let (&[x, choice, ..], &[up, down, ..], [first, second]) =
        (&of.inputs[..], &matrices[..], &of.products[..])
    else {
        return l.refuse(node, "experts without two matrices");
    };
    let y = of.outputs[0];
    let tokens = l.tensor(x).elements() / second.m.max(1);
    let taken = tokens * chosen;
    let rule = l.maker(choice).and_then(|maker| match l.node(maker).kind {
        Kind::Router { rule, .. } => Some(rule),
        _ => None,
    });
    if taken == 0 || experts == 0 {
        return;
    }
    if rule.is_none() && chosen > TOP_MAX {
        return l.refuse(
            node,
            format!("no kernel selects more than {TOP_MAX} of a row"),
        );
    }
    let [active, rows] = spread(l, rule, x, [experts, chosen, taken]);
    let [x, choice, up, down, y] = [x, choice, up, down, y].map(|id| l.place(id));
    // An operator that is given scores chooses by itself.
    let choice = match rule {
        Some(_) => choice,
        None => super::router::choose(l, choice, [tokens, experts, chosen]),
    };
    let mut networks = Networks {
        products: [*first, *second],
        rows,
        batch: active,
        tokens: tokens.max(1),
        x,
        choice,
        weights: [up, down],
        y,
    };
    match l.plan.runtime {
        // The way back is written for networks that run together, and so is an operator that does all.
        Runtime::Eager if l.plan.training.is_none() && rule.is_some() => {
            let which = match l.plan.spread {
                Spread::Even => "tokens are spread evenly over experts",
                Spread::Alike => "tokens are all alike and take the same experts",
            };
            l.assume(format!(
                "{which}, which run one after the other; the host waits for how many tokens an expert has"
            ));
            networks.batch = 1;
            match rule {
                Some(Rule::Capacity { .. }) => {
                    networks.by_masks(l, [active, experts.clamp(active, LOOKED_FOR.max(active))])
                }
                _ => networks.one_by_one(l, active),
            }
        }
        _ => {
            l.assume(
                "tokens are spread evenly over experts, each with a part of a batch of products",
            );
            networks.together(l, chosen);
        }
    }
}

/// The matrices of all networks among the operands of a node, between which there may be biases.
fn matrices(l: &Lowering<'_>, inputs: &[usize]) -> Vec<usize> {
    let behind = inputs.iter().skip(2).copied();
    behind.filter(|&id| l.tensor(id).shape.len() == 3).collect()
}

/// The networks that take some of `taken` tokens, and how many each takes.
fn spread(
    l: &Lowering<'_>,
    rule: Option<Rule>,
    x: usize,
    [experts, chosen, taken]: [u64; 3],
) -> [u64; 2] {
    let most = match l.plan.spread {
        Spread::Even => experts,
        Spread::Alike => chosen,
    };
    let active = most.min(taken).max(1);
    let rows = taken.div_ceil(active);
    // Of each sequence an expert takes no more than it has room for; the rest goes by all experts.
    let room = match (rule, &l.tensor(x).shape[..]) {
        (Some(Rule::Capacity { tokens }), &[sequences, ..]) => sequences.saturating_mul(tokens),
        _ => rows,
    };
    [active, rows.min(room).max(1)]
}

/// Networks of one size and their tokens.
struct Networks {
    /// Into a network and out of it.
    products: [Product; 2],
    /// Tokens of a network.
    rows: u64,
    /// Networks that run at once.
    batch: u64,
    /// Tokens in all.
    tokens: u64,
    x: Place,
    choice: Place,
    weights: [Place; 2],
    y: Place,
}

impl Networks {
    fn width(&self) -> u64 {
        self.products[1].m
    }

    /// Numbers between the two products of a network's token.
    fn inner(&self) -> u64 {
        self.products[1].k
    }

    /// Tokens of the networks that run at once.
    fn rows_at_once(&self) -> u64 {
        self.rows * self.batch
    }

    /// Memory of what is in a network: its tokens, results of the first product, of the activation, of the second product.
    fn buffers(&self, l: &mut Lowering<'_>) -> [Place; 4] {
        let data = l.data();
        [self.width(), self.products[0].m, self.inner(), self.width()]
            .map(|n| l.temporary(self.rows_at_once() * n, data))
    }

    /// Rows of `from`, by index, to `to`; or back, where indices say where rows go.
    fn rows(&self, l: &mut Lowering<'_>, from: Place, to: Place) {
        let rows = EmbeddingOp {
            rows: self.rows_at_once(),
            cols: self.width(),
            table: self.tokens,
            data: l.data(),
        };
        l.call(rows, vec![from, self.choice], vec![to]);
    }

    /// The networks from number `first` on, between their buffers.
    fn run(&self, l: &mut Lowering<'_>, first: u64, [tokens, wide, inside, narrow]: [Place; 4]) {
        let data = l.data();
        let product = |l: &mut Lowering<'_>, number: usize, from: Place, to: Place| {
            let (n, k) = match number {
                0 => (self.products[0].m, self.width()),
                _ => (self.width(), self.inner()),
            };
            let op = GemmOp {
                m: self.rows,
                n,
                k,
                batch: self.batch,
                ..super::matmul::plain(l, &self.products[0])
            };
            let weight = Place {
                offset: self.weights[number].offset + first * n * k * op.data.bytes(),
                ..self.weights[number]
            };
            l.call(op, vec![from, weight], vec![to]);
        };
        product(l, 0, tokens, wide);
        let n = self.rows_at_once() * self.inner();
        match self.products[0].m == 2 * self.inner() {
            true => {
                let half = Place {
                    offset: wide.offset + n * data.bytes(),
                    ..wide
                };
                let between = (&[wide, half][..], inside);
                l.each(Function::SiluMul, data, n, Lie::SAME, between);
            }
            false => l.each(Function::Relu, data, n, Lie::SAME, (&[wide], inside)),
        }
        product(l, 1, inside, narrow);
    }

    /// The places of a network's tokens, by a mask for each (`nonzero`): their number, which the host waits for, then
    /// themselves.
    fn find(&self, l: &mut Lowering<'_>) {
        let found = l.shared("tokens of an expert", self.tokens * 8, Content::Activation);
        let op = RowsOp {
            rows: 1,
            cols: self.tokens,
            style: l.plan.style(),
            ..RowsOp::usual(RowFunction::Sum)
        };
        l.call(op, vec![self.choice], vec![found]);
        l.read_by_host();
        self.of_mask(l, found);
    }

    /// A number for each token's place in a mask.
    fn of_mask(&self, l: &mut Lowering<'_>, write: Place) {
        l.each(
            Function::Copy,
            DataType::F32,
            self.tokens,
            Lie::SAME,
            (&[self.choice], write),
        );
    }

    /// One network after the other: its tokens, what it makes of them, back to their places; tokens that no network takes
    /// stay. Networks that nobody takes are looked for as well. Then all are weighted at once.
    fn by_masks(&self, l: &mut Lowering<'_>, [active, all]: [u64; 2]) {
        let data = l.data();
        let buffers = self.buffers(l);
        let [tokens, .., narrow] = buffers;
        let n = self.tokens * self.width();
        let next = l.temporary(n, data);
        l.each(Function::Copy, data, n, Lie::SAME, (&[self.x], next));
        let mask = l.shared("mask of an expert", self.tokens * 8, Content::Activation);
        for expert in 0..all {
            self.of_mask(l, mask);
            self.find(l);
            if expert < active {
                self.rows(l, self.x, tokens);
                self.run(l, expert, buffers);
            }
            self.find(l);
            if expert < active {
                self.rows(l, narrow, next);
            }
        }
        let column = Lie::rows_of(Operands::Column, self.width());
        l.each(
            Function::Mul,
            data,
            n,
            column,
            (&[next, self.choice], self.y),
        );
    }

    /// One network after the other: its tokens, what it makes of them, weighted, back to their places.
    fn one_by_one(&self, l: &mut Lowering<'_>, active: u64) {
        let data = l.data();
        let buffers = self.buffers(l);
        let [tokens, .., narrow] = buffers;
        let column = Lie::rows_of(Operands::Column, self.width());
        let half = self.tokens * self.width() / 2;
        l.each(Function::Copy, data, half, Lie::SAME, (&[self.y], self.y));
        for expert in 0..active {
            self.find(l);
            self.rows(l, self.x, tokens);
            self.run(l, expert, buffers);
            let n = self.rows * self.width();
            l.each(
                Function::Mul,
                data,
                n,
                column,
                (&[narrow, self.choice], tokens),
            );
            self.rows(l, tokens, self.y);
        }
    }

    /// All at once; each token's results, weighted, become one.
    fn together(&self, l: &mut Lowering<'_>, chosen: u64) {
        let data = l.data();
        let buffers = self.buffers(l);
        let [tokens, .., narrow] = buffers;
        self.rows(l, self.x, tokens);
        self.run(l, 0, buffers);
        let column = Lie::rows_of(Operands::Column, self.width());
        let of_choice = (self.tokens * chosen).min(self.rows_at_once());
        for turn in 0..chosen {
            let part = of_choice / chosen.max(1) * self.width();
            let from = Place {
                offset: narrow.offset + turn * part * data.bytes(),
                ..narrow
            };
            match turn {
                0 => l.each(
                    Function::Mul,
                    data,
                    part,
                    column,
                    (&[from, self.choice], self.y),
                ),
                _ => l.each(
                    Function::Add,
                    data,
                    part,
                    Lie::SAME,
                    (&[from, self.y], self.y),
                ),
            }
        }
    }
}

/// A recurrent layer: the products of inputs at once, then step after step that of the state and the gates.
pub fn recurrent(l: &mut Lowering<'_>, node: usize, steps: u64) {
    let of = l.node(node);
    let (Some(&x), Some(&y)) = (of.inputs.first(), of.outputs.first()) else {
        return l.refuse(node, "a recurrent layer without operands");
    };
    // Matrices, without the states that some frameworks give in front of them.
    let matrices = of.inputs[1..].iter().filter(|&&id| {
        let tensor = l.tensor(id);
        l.is_known(id) && tensor.shape.iter().filter(|&&n| n > 1).count() > 1
    });
    let mut weights: Vec<usize> = matrices.copied().collect();
    if weights.len() < 2 {
        weights = of.inputs[1..].iter().copied().take(2).collect();
    }
    let weights: Vec<Place> = weights.into_iter().map(|id| l.place(id)).collect();
    if steps > STEPS_MAX {
        return l.refuse(node, format!("more than {STEPS_MAX} steps in a row"));
    }
    let (x, y) = (l.place(x), l.place(y));
    let data = l.data();
    l.assume("recurrent layers: a product and an elementwise kernel for the gates in every step");
    for (product, weight) in of.products.iter().zip(weights.iter().cycle()) {
        // Both directions of a layer have a product of their own in each step.
        let stepped = product.op == "recurrent_step";
        let launches = if stepped { product.batch } else { 1 };
        let op = GemmOp {
            batch: if stepped { 1 } else { product.batch },
            ..super::matmul::plain(l, product)
        };
        let gates = l.buffer(op.m * op.n * op.batch * data.bytes(), Content::Activation);
        for _ in 0..launches {
            l.call(op.clone(), vec![x, *weight], vec![gates]);
            if stepped {
                l.each(
                    Function::SiluMul,
                    data,
                    op.m * op.n / 2,
                    Lie::SAME,
                    (&[gates, gates], y),
                );
            }
        }
    }
}
