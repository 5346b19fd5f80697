//! A network with long short-term memory whose weight matrices are diagonal, over a text of characters as bits: the mean
//! loss of its predictions.

use crate::protocol::{Answer, Input, Outcome, nested, unknown};
use tapegrad::prelude::*;

struct Text {
    /// Hidden state and cell of each layer, `[2 layers, bits]`.
    state: Tensor,
    /// Characters `[count, bits]`.
    sequence: Tensor,
}

/// Hidden state and cell after one more input; weight and bias have the gates one after another.
fn layer(
    weight: &Tensor,
    bias: &Tensor,
    hidden: &Tensor,
    cell: &Tensor,
    input: &Tensor,
) -> Result<(Tensor, Tensor)> {
    let bits = input.numel();
    let gates = Tensor::cat([input, hidden, input, hidden], 0)? * weight + bias;
    let open = gates.narrow(0, 0, 3 * bits)?.sigmoid();
    let (forget, ingate, outgate) =
        (open.narrow(0, 0, bits)?, open.narrow(0, bits, bits)?, open.narrow(0, 2 * bits, bits)?);
    let change = gates.narrow(0, 3 * bits, bits)?.tanh();
    let cell = cell * forget + ingate * change;
    Ok((outgate * cell.tanh(), cell))
}

impl Text {
    /// main `[2 layers, 4 bits]` has weight and bias of each layer, extra `[3, bits]` the weights of input and output, and the
    /// output's bias.
    fn loss(&self, main: &Tensor, extra: &Tensor) -> Result<Tensor> {
        let count = self.sequence.shape()[0] - 1;
        let main = main.unbind(0)?;
        let (into, out, bias) = (extra.row(0)?, extra.row(1)?, extra.row(2)?);
        let inputs = (self.sequence.narrow(0, 0, count)? * into).unbind(0)?;
        let mut state = self.state.unbind(0)?;
        let mut outputs = Vec::with_capacity(count);
        for mut x in inputs {
            for (parameters, state) in main.chunks_exact(2).zip(state.chunks_exact_mut(2)) {
                let (hidden, cell) = layer(&parameters[0], &parameters[1], &state[0], &state[1], &x)?;
                x = hidden.clone();
                state.clone_from_slice(&[hidden, cell]);
            }
            outputs.push(x);
        }
        let predicted = Tensor::stack(&outputs, 0)? * out + bias;
        let wanted = self.sequence.narrow(0, 1, count)?;
        let normalised = &predicted - (predicted.exp().sum_dim(1, true)? + 2.0).log();
        Ok(-(wanted * normalised).mean())
    }
}

pub fn evaluate(function: &str, input: &Input) -> Outcome<Answer> {
    let text = Text { state: input.tensor("state")?, sequence: input.tensor("sequence")? };
    let parameters = (input.tensor("main_params")?, input.tensor("extra_params")?);
    let loss = |(main, extra): &(Tensor, Tensor)| text.loss(main, extra);
    match function {
        "objective" => input.timed(|| loss(&parameters), nested),
        "jacobian" => input.timed(
            || {
                let (_, (main, extra)) = value_and_grad(loss, &parameters)?;
                Tensor::cat([main.flatten(), extra.flatten()], 0)
            },
            nested,
        ),
        _ => unknown(function),
    }
}
