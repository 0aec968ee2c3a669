//! LSTM, GRU and plain recurrence.

use super::{Call, Infer, Made, Out, fault, volume};
use crate::model::check::show;
use crate::model::graph::{Kind, Product};

pub fn infer(call: &Call<'_>) -> Infer<Option<Made>> {
    let gates = match call.node.op {
        "LSTM" => 4,
        "GRU" => 3,
        "RNN" => 1,
        _ => return Ok(None),
    };
    call.same(&[0, 1, 2])?;
    layer(call, gates, false).map(Some)
}

/// A layer with `gates` matrices side by side; `turned`: with the rows of an input below one another, as quantised weights
/// lie.
pub fn layer(call: &Call<'_>, gates: u64, turned: bool) -> Infer {
    let dtype = call.arg(0)?.dtype;
    let (x, w, r) = (call.ranked(0, 3)?, call.ranked(1, 3)?, call.ranked(2, 3)?);
    let hidden = call.positive("hidden_size")?;
    let batch_first = call.int("layout", 0) != 0;
    let (steps, batch) = match batch_first {
        false => (x.shape[0], x.shape[1]),
        true => (x.shape[1], x.shape[0]),
    };
    let directions = match call.text("direction") {
        Some("bidirectional") => 2,
        _ => 1,
    };
    let rows = volume(&[gates, hidden])?;
    let matrix = |depth| match turned {
        true => [directions, depth, rows],
        false => [directions, rows, depth],
    };
    if w.shape != matrix(x.shape[2]) || r.shape != matrix(hidden) {
        return fault(format!(
            "weights {} and {} do not fit to input {} and {hidden} hidden values",
            show(&w.shape),
            show(&r.shape),
            show(&x.shape)
        ));
    }
    let product = |op, m, k, batch| Product {
        op,
        m,
        n: rows,
        k,
        batch,
        dtype,
    };
    let products = vec![
        product(
            "recurrent_input",
            volume(&[steps, batch])?,
            x.shape[2],
            directions,
        ),
        product(
            "recurrent_step",
            batch,
            hidden,
            volume(&[steps, directions])?,
        ),
    ];
    let all = match batch_first {
        false => [steps, directions, batch, hidden],
        true => [batch, steps, directions, hidden],
    };
    let last = match batch_first {
        false => [directions, batch, hidden],
        true => [batch, directions, hidden],
    };
    let outputs = vec![
        Out::new(dtype, all),
        Out::new(dtype, last),
        Out::new(dtype, last),
    ];
    Ok(Made::new(Kind::Recurrent { steps }, outputs).with(products))
}
