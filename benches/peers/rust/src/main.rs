//! The rows of benches/ that candle and burn have, on the CPU, under the same ids. The command that runs the sides
//! in turn, benches/peers/compare.py, builds this and asks it for rows; benches/rows/measure.rs says what else it
//! takes. Neither the workspace nor `.ci/run` knows of it: its first build takes more than ten minutes of one core.

mod burn;
mod candle;
#[path = "../../../rows/measure.rs"]
mod measure;
#[path = "../../../rows/shape.rs"]
mod shape;

fn main() {
    measure::measure([candle::rows(), burn::rows()]);
}
