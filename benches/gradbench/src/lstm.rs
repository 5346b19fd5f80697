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

impl Text {
    /// main `[2 layers, 4 bits]` has weight and bias of each layer, their gates one after another, extra `[3, bits]` the weights
    /// of input and output, and the output's bias.
    fn loss(&self, main: &Tensor, extra: &Tensor) -> Result<Tensor> {
        let (count, bits) = (self.sequence.shape()[0] - 1, self.sequence.shape()[1]);
        let mut x = self.sequence.narrow(0, 0, count)? * extra.row(0)?;
        let (main, state) = (main.unbind(0)?, self.state.unbind(0)?);
        // A layer goes over the whole text before the next one does: what depends on its input alone is known at once.
        for (parameters, state) in main.chunks_exact(2).zip(state.chunks_exact(2)) {
            let (w, b) = (parameters[0].split(bits, 0)?, parameters[1].split(bits, 0)?);
            let open = ((&x * &w[0] + &b[0]).sigmoid(), (&x * &w[2] + &b[2]).sigmoid());
            let step = |(hidden, cell): &(Tensor, Tensor), (forget, outgate): (Tensor, Tensor)| {
                let ingate = (hidden * &w[1] + &b[1]).sigmoid();
                let change = (hidden * &w[3] + &b[3]).tanh();
                let cell = cell * forget + ingate * change;
                let hidden = outgate * cell.tanh();
                Ok(((hidden.clone(), cell), hidden))
            };
            (_, x) = scan(step, &(state[0].clone(), state[1].clone()), &open)?;
        }
        let predicted = x * extra.row(1)? + extra.row(2)?;
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
