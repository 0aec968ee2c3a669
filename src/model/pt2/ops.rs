//! What the operators of PyTorch do, whose shapes are known already.

use super::schema::Node;
use crate::model::check::{elements, show};
use crate::model::einsum;
use crate::model::graph::{AttentionShape, Kind, Product, Role, Tensor, Window};

/// A node with the tensors that it reads and makes.
pub struct Shapes<'a> {
    /// The node.
    pub node: &'a Node,
    /// What it reads.
    pub inputs: Vec<&'a Tensor>,
    /// What it makes.
    pub outputs: Vec<&'a Tensor>,
}

type Found = Result<(Kind, Vec<Product>), String>;

// Operators by class, as words.
const FREE: &str = "\
    _assert_tensor_metadata _assert_scalar _assert_async alias chunk detach detach_ diagonal dropout dropout_ \
    expand expand_as flatten lift_fresh_copy narrow permute reshape select slice split split_with_sizes squeeze \
    sym_size t transpose unbind unflatten unsqueeze view view_as feature_dropout lift_fresh \
    sym_constrain_range_for_size sym_constrain_range movedim numpy_T mT unsafe_split tensor_split item numel";
const ELEMENTWISE: &str = "\
    __and__ __or__ __xor__ abs acos add addcdiv addcmul and arange asin atan atan2 bernoulli bitwise_and \
    bitwise_not bitwise_or bitwise_xor ceil celu clamp clamp_max clamp_min copysign cos cosh cumsum div elu eq \
    erf exp expm1 fill floor floor_divide fmod full_like ge gelu gt hardsigmoid hardswish hardtanh isinf isnan \
    le leaky_relu lerp log log10 log1p log2 log_sigmoid logical_and logical_not logical_or logical_xor lt \
    masked_fill maximum minimum mish mul nan_to_num ne neg ones_like pow prelu rand_like randn_like reciprocal \
    relu relu6 remainder round rsqrt rsub selu sigmoid sign silu sin sinh softplus sqrt square sub tan tanh \
    threshold to _to_copy tril triu trunc type_as where zeros_like glu true_divide new_ones new_zeros new_full \
    erfinv zero rrelu softsign hardshrink softshrink float_power";
const NORMS: &str = "\
    _native_batch_norm_legit_no_training batch_norm group_norm instance_norm layer_norm native_group_norm \
    native_layer_norm normalize rms_norm _fused_rms_norm native_batch_norm";
const REDUCTIONS: &str = "\
    adaptive_avg_pool1d adaptive_avg_pool2d _adaptive_avg_pool2d adaptive_max_pool2d all amax amin any argmax \
    argmin linalg_vector_norm logsumexp max mean min norm prod std sum var var_mean";
const LOOKUPS: &str = "\
    embedding gather grid_sampler index index_add index_copy index_put index_select scatter scatter_add \
    slice_scatter select_scatter take_along_dim embedding_bag";
const MOVES: &str = "\
    _reshape_alias cat clone concat concatenate constant_pad_nd contiguous copy flip pad pixel_shuffle \
    pixel_unshuffle repeat repeat_interleave roll stack tile unfold hstack upsample_bicubic2d \
    upsample_bilinear2d upsample_nearest2d interpolate channel_shuffle vstack im2col meshgrid reflection_pad2d \
    replication_pad2d upsample_nearest1d reflection_pad1d unsafe_view _unsafe_view";

/// The class of `op`, and its matrix products.
///
/// # Errors
/// Shapes that do not fit.
pub fn rule(op: &str, shapes: &Shapes<'_>) -> Found {
    // `relu_` is `relu` in place.
    let plain = match op.strip_suffix('_') {
        Some(plain) if !op.starts_with("__") => plain,
        _ => op,
    };
    let listed = |list: &str| list.split(' ').any(|known| known == plain);
    let kind = if listed(FREE) {
        Kind::Free
    } else if listed(ELEMENTWISE) {
        Kind::Elementwise
    } else if listed(NORMS) {
        Kind::Norm
    } else if listed(REDUCTIONS) {
        Kind::Reduce
    } else if listed(LOOKUPS) {
        Kind::Lookup
    } else if listed(MOVES) {
        Kind::Move
    } else {
        return multiply(plain, shapes);
    };
    Ok((kind, Vec::new()))
}

fn multiply(op: &str, shapes: &Shapes<'_>) -> Found {
    match op {
        "softmax" | "_softmax" | "log_softmax" | "_log_softmax" | "_safe_softmax" => {
            Ok((Kind::Softmax, Vec::new()))
        }
        "linear" => shapes.matrix(0, 1, true),
        "mm" | "bmm" | "matmul" | "mv" | "dot" => shapes.matrix(0, 1, false),
        "addmm" | "baddbmm" => shapes.matrix(1, 2, false),
        "conv1d" | "conv2d" | "conv3d" | "convolution" | "conv_transpose1d"
        | "conv_transpose2d" | "conv_transpose3d" => shapes.convolution(op.contains("transpose")),
        "max_pool1d"
        | "max_pool2d"
        | "max_pool2d_with_indices"
        | "max_pool3d"
        | "avg_pool1d"
        | "avg_pool2d"
        | "avg_pool3d" => shapes.pool(),
        "einsum" => shapes.einsum(),
        "lstm" => shapes.recurrent(4),
        "gru" => shapes.recurrent(3),
        "rnn_tanh" | "rnn_relu" => shapes.recurrent(1),
        "topk" | "sort" | "argsort" => shapes.select(op == "topk"),
        _ if op.contains("scaled_dot_product") => shapes.attention(),
        _ => Ok((
            Kind::Unsupported(format!(
                "no rule says what {op} computes; its products are not counted"
            )),
            Vec::new(),
        )),
    }
}

impl<'a> Shapes<'a> {
    fn input(&self, index: usize) -> Result<&'a Tensor, String> {
        let found = self.inputs.get(index).copied();
        found.ok_or_else(|| format!("tensor {index} of its arguments is missing"))
    }

    fn output(&self) -> Result<&'a Tensor, String> {
        let found = self.outputs.first().copied();
        found.ok_or_else(|| "it makes nothing".into())
    }

    /// A x B, or A x B^T.
    fn matrix(&self, a: usize, b: usize, transposed: bool) -> Found {
        let (a, b) = (self.input(a)?, self.input(b)?);
        let k = *a.shape.last().unwrap_or(&1);
        let fits_not = || {
            Err(format!(
                "matrices {} and {} cannot be multiplied",
                show(&a.shape),
                show(&b.shape)
            ))
        };
        let (depth, n, behind) = match (&b.shape[..], transposed) {
            (&[k], _) => (k, 1, 0),
            (&[n, k], true) => (k, n, 0),
            (&[.., k, n], false) => (k, n, b.shape.len() - 2),
            _ => return fits_not(),
        };
        if depth != k {
            return fits_not();
        }
        // As PyTorch runs it: a matrix with dimensions in front of it is repeated.
        let shared = behind == 0;
        let total = elements(&self.output()?.shape)?;
        let rows = total.checked_div(n).unwrap_or(0);
        let m = match shared {
            true => rows,
            false => a.shape.len().checked_sub(2).map_or(1, |at| a.shape[at]),
        };
        let product = Product {
            op: "matmul",
            m,
            n,
            k,
            batch: match shared {
                true => 1,
                false => rows.checked_div(m).unwrap_or(0),
            },
            dtype: a.dtype,
        };
        Ok((Kind::MatMul, vec![product]))
    }

    /// Numbers of an argument, one for each of `rank` dimensions.
    fn numbers(&self, name: &str, rank: usize, default: i64) -> Result<Vec<i64>, String> {
        let ints = match (self.node.ints(name), self.node.int(name)) {
            (Some(ints), _) => ints.to_vec(),
            (None, Some(n)) => vec![n],
            (None, None) => vec![default],
        };
        let ints = match ints[..] {
            [] => vec![default; rank],
            [n] => vec![n; rank],
            _ => ints,
        };
        match ints.len() == rank && ints.iter().all(|n| n.unsigned_abs() < 1 << 32) {
            true => Ok(ints),
            false => Err(format!("argument {name} is {ints:?}")),
        }
    }

    fn window(&self, kernel: &[u64]) -> Result<Window, String> {
        let rank = kernel.len();
        let positive = |name| -> Result<Vec<u64>, String> {
            let ints = self.numbers(name, rank, 1)?;
            Ok(ints.iter().map(|&n| n.max(1) as u64).collect())
        };
        let dilations = positive("dilation")?;
        let pads: Vec<i64> = match self.node.text("padding") {
            Some("same") => (0..rank)
                .map(|i| (dilations[i].saturating_mul(kernel[i].saturating_sub(1)) / 2) as i64)
                .collect(),
            Some(_) => vec![0; rank],
            None => self.numbers("padding", rank, 0)?,
        };
        Ok(Window {
            kernel: kernel.to_vec(),
            strides: positive("stride")?,
            dilations,
            pads: [&pads[..], &pads[..]].concat(),
            groups: 1,
            transposed: false,
        })
    }

    fn convolution(&self, transposed: bool) -> Found {
        let (x, w, y) = (self.input(0)?, self.input(1)?, self.output()?);
        let fits_not = || {
            Err(format!(
                "weights {} do not fit to input {} and output {}",
                show(&w.shape),
                show(&x.shape),
                show(&y.shape)
            ))
        };
        let rank = match w.shape.len().checked_sub(2) {
            // Without images in front, an input is one image.
            Some(rank) if rank > 0 && x.shape.len() > rank && y.shape.len() == x.shape.len() => {
                rank
            }
            _ => return fits_not(),
        };
        let transposed = transposed || self.node.flag("transposed");
        let groups = self.node.int("groups").unwrap_or(1);
        let Ok(groups @ 1..) = u64::try_from(groups) else {
            return Err(format!("{groups} groups"));
        };
        let (wide, narrow) = (w.shape[0], w.shape[1]);
        let channels = x.shape[x.shape.len() - rank - 1];
        let depth = match transposed {
            true => wide,
            false => narrow.saturating_mul(groups),
        };
        if depth != channels || wide % groups != 0 {
            return fits_not();
        }
        let places = |t: &Tensor| -> Result<u64, String> {
            let at = t.shape.len() - rank - 1;
            Ok(elements(&t.shape[..at])?.saturating_mul(elements(&t.shape[at + 1..])?))
        };
        let behind = elements(&w.shape[1..])?;
        let product = match transposed {
            false => Product {
                op: "conv",
                m: places(y)?,
                n: wide / groups,
                k: behind,
                batch: groups,
                dtype: x.dtype,
            },
            true => Product {
                op: "conv_transpose",
                m: places(x)?,
                n: behind,
                k: wide / groups,
                batch: groups,
                dtype: x.dtype,
            },
        };
        let mut window = self.window(&w.shape[2..])?;
        (window.groups, window.transposed) = (groups, transposed);
        Ok((Kind::Conv(window), vec![product]))
    }

    /// Layers of a recurrence, whose directions each have a matrix for what comes in and one for the state.
    fn recurrent(&self, gates: u64) -> Found {
        let x = self.input(0)?;
        let matrices = self.inputs.iter().skip(1).filter(|t| t.shape.len() == 2);
        let of_gates =
            |t: &&&Tensor| t.shape[0].is_multiple_of(gates) && t.role != Role::Activation;
        let matrices: Vec<&[u64]> = matrices.filter(of_gates).map(|t| &t.shape[..]).collect();
        let &[first, second, _] = &x.shape[..] else {
            return Err("its input should have steps, sequences and elements".into());
        };
        let (steps, batch) = match self.node.flag("batch_first") {
            true => (second, first),
            false => (first, second),
        };
        let directions = 1 + u64::from(self.node.flag("bidirectional"));
        let product = |op, matrix: &[u64], m, batch| Product {
            op,
            m,
            n: matrix[0],
            k: matrix[1],
            batch,
            dtype: x.dtype,
        };
        let mut products = Vec::new();
        for pair in matrices.chunks(2).step_by(directions as usize) {
            let &[input, state] = pair else {
                return Err("its matrices are no pairs".into());
            };
            let rows = elements(&[steps, batch])?;
            products.push(product("recurrent_input", input, rows, directions));
            let times = elements(&[steps, directions])?;
            products.push(product("recurrent_step", state, batch, times));
        }
        Ok((Kind::Recurrent { steps }, products))
    }

    fn einsum(&self) -> Found {
        let equation = self.node.text("equation").unwrap_or_default();
        let shapes: Vec<&[u64]> = self.inputs.iter().map(|t| &t.shape[..]).collect();
        let (_, products) = einsum::read(equation, &shapes, self.output()?.dtype)?;
        Ok((einsum::kind(&shapes, &products), products))
    }

    /// The greatest along a dimension, or all of it in order.
    fn select(&self, some: bool) -> Found {
        let x = self.input(0)?;
        let rank = x.shape.len() as i64;
        let dim = self.node.int("dim").unwrap_or(-1);
        let at = if dim < 0 { dim + rank } else { dim };
        let of = usize::try_from(at).ok().and_then(|at| x.shape.get(at));
        let of = of.copied().unwrap_or(1);
        let chosen = match self.node.int("k") {
            Some(k) if some => u64::try_from(k).map_err(|_| format!("the {k} greatest"))?,
            _ => of,
        };
        Ok((Kind::Select { of, chosen }, Vec::new()))
    }

    fn pool(&self) -> Found {
        let rank = self.node.ints("kernel_size").map_or(1, <[i64]>::len);
        let kernel = self.numbers("kernel_size", rank, 1)?;
        let kernel: Vec<u64> = kernel.iter().map(|&n| n.max(1) as u64).collect();
        Ok((Kind::Pool(self.window(&kernel)?), Vec::new()))
    }

    fn attention(&self) -> Found {
        let (q, k, v) = (self.input(0)?, self.input(1)?, self.input(2)?);
        let (
            &[.., heads, queries, head_dim],
            &[.., kv_heads, keys, size],
            &[.., tokens, value_dim],
        ) = (&q.shape[..], &k.shape[..], &v.shape[..])
        else {
            return Err("queries, keys and values need three dimensions or more".into());
        };
        if size != head_dim || tokens != keys {
            return Err(format!(
                "queries {}, keys {} and values {} do not fit together",
                show(&q.shape),
                show(&k.shape),
                show(&v.shape)
            ));
        }
        let shape = AttentionShape {
            batch: elements(&q.shape[..q.shape.len() - 3])?,
            heads,
            kv_heads,
            queries,
            keys,
            head_dim,
            value_dim,
            causal: self.node.flag("is_causal"),
            scaled: true,
        };
        Ok((Kind::Attention(shape), shape.products(q.dtype)))
    }
}
