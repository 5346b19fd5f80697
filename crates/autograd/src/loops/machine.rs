//! Steps carried out over numbers, one after another.

use super::body::{Body, Counts};
use crate::function::{Elementwise, NONE, Pairwise};
use crate::fused::expr::{ADD, DIV, MUL, NEGATE, PLUS, SUB, TIMES};
use crate::fused::program::{Action, CHOOSE};
use tensor_core::{Float, Formula, Parameters, Result, memory};

/// What is done to registers, the last of them the result's. What most programs consist of has its own kind, since a
/// call would take several times as long as the arithmetic.
#[derive(Clone, Copy)]
enum Instruction<T> {
    Add(u32, u32, u32),
    Sub(u32, u32, u32),
    Mul(u32, u32, u32),
    Div(u32, u32, u32),
    Negate(u32, u32),
    Plus(u32, T, u32),
    Times(u32, T, u32),
    One(&'static Elementwise, Parameters, u32, u32),
    Two(&'static Pairwise, u32, u32, u32),
    Choose(u32, u32, u32, u32),
}

/// A step in the form in which it is carried out: a register for each statement.
struct Machine<T> {
    code: Vec<Instruction<T>>,
    registers: Vec<T>,
    /// Which inputs go to which registers: of the state, and of the step's own.
    state: Vec<(u32, u32)>,
    xs: Vec<(u32, u32)>,
    /// Where the results are.
    results: Vec<u32>,
}

impl<T: Float> Machine<T> {
    fn new(body: &Body, constants: &[T]) -> Result<Self> {
        let Counts { state: of_state, xs: of_xs, .. } = body.counts;
        let mut registers = memory::vector("scan", body.statements.len(), T::ZERO)?;
        let (mut code, mut state, mut xs) = (Vec::new(), Vec::new(), Vec::new());
        // The same value under two names is in one register.
        let mut places: Vec<u32> = Vec::with_capacity(body.statements.len());
        for (k, s) in body.statements.iter().enumerate() {
            let mut args = [0; 3];
            s.args().zip(&mut args).for_each(|(place, arg)| *arg = places[place]);
            let ([a, b, c], to) = (args, k as u32);
            places.push(if let Action::Constant = s.action { a } else { to });
            match s.action {
                Action::Input(input) if input < of_state => state.push((input as u32, to)),
                Action::Input(input) if input < of_state + of_xs => xs.push(((input - of_state) as u32, to)),
                Action::Input(input) => registers[k] = constants[input - of_state - of_xs],
                Action::Number(number) => registers[k] = T::of(number),
                Action::Constant => {}
                Action::One(f, p) => code.push(match f {
                    f if std::ptr::eq(f, &NEGATE) => Instruction::Negate(a, to),
                    f if std::ptr::eq(f, &PLUS) => Instruction::Plus(a, T::of(p[0]), to),
                    f if std::ptr::eq(f, &TIMES) => Instruction::Times(a, T::of(p[0]), to),
                    f => Instruction::One(f, p, a, to),
                }),
                Action::Two(f) => code.push(match f {
                    f if std::ptr::eq(f, &ADD) => Instruction::Add(a, b, to),
                    f if std::ptr::eq(f, &SUB) => Instruction::Sub(a, b, to),
                    f if std::ptr::eq(f, &MUL) => Instruction::Mul(a, b, to),
                    f if std::ptr::eq(f, &DIV) => Instruction::Div(a, b, to),
                    f => Instruction::Two(f, a, b, to),
                }),
                Action::Choose => code.push(Instruction::Choose(a, b, c, to)),
            }
        }
        let results = body.results.iter().map(|&place| places[place]).collect();
        Ok(Machine { code, registers, state, xs, results })
    }

    #[inline]
    fn step(&mut self) {
        let r = &mut self.registers[..];
        for &instruction in &self.code {
            match instruction {
                Instruction::Add(a, b, to) => r[to as usize] = r[a as usize] + r[b as usize],
                Instruction::Sub(a, b, to) => r[to as usize] = r[a as usize] - r[b as usize],
                Instruction::Mul(a, b, to) => r[to as usize] = r[a as usize] * r[b as usize],
                Instruction::Div(a, b, to) => r[to as usize] = r[a as usize] / r[b as usize],
                Instruction::Negate(a, to) => r[to as usize] = -r[a as usize],
                Instruction::Plus(a, c, to) => r[to as usize] = r[a as usize] + c,
                Instruction::Times(a, c, to) => r[to as usize] = r[a as usize] * c,
                Instruction::One(f, p, a, to) => r[to as usize] = f.value().with(p).one((r[a as usize],)),
                Instruction::Two(f, a, b, to) => {
                    r[to as usize] = f.value().with(NONE).one((r[a as usize], r[b as usize]));
                }
                Instruction::Choose(a, b, c, to) => {
                    r[to as usize] = CHOOSE.with(NONE).one((r[a as usize], r[b as usize], r[c as usize]));
                }
            }
        }
    }
}

/// What a loop takes: its state at first, a row for each step, and the constants.
pub(super) struct Taken<'a, T> {
    pub state: &'a [T],
    pub xs: &'a [T],
    pub constants: &'a [T],
}

/// What a loop gives: the state before each step, if it is asked for, the state in the end, and a row for each step.
pub(super) struct Given<T> {
    pub states: Vec<T>,
    pub last: Vec<T>,
    pub ys: Vec<T>,
}

/// `steps` steps of a loop, from the last to the first where it is reversed.
pub(super) fn run<T: Float>(
    body: &Body,
    steps: usize,
    reversed: bool,
    taken: Taken<'_, T>,
    states: bool,
) -> Result<Given<T>> {
    let counts = body.counts;
    let mut machine = Machine::new(body, taken.constants)?;
    let mut given = Given {
        states: memory::vector("scan", if states { steps.saturating_mul(counts.state) } else { 0 }, T::ZERO)?,
        last: taken.state.to_vec(),
        ys: memory::vector("scan", steps.saturating_mul(counts.ys), T::ZERO)?,
    };
    let results = |machine: &Machine<T>, of: std::ops::Range<usize>, to: &mut [T]| {
        for (to, &place) in to.iter_mut().zip(&machine.results[of]) {
            *to = machine.registers[place as usize];
        }
    };
    for k in 0..steps {
        let k = if reversed { steps - 1 - k } else { k };
        if states {
            given.states[k * counts.state..][..counts.state].copy_from_slice(&given.last);
        }
        for &(from, to) in &machine.state {
            machine.registers[to as usize] = given.last[from as usize];
        }
        let row = &taken.xs[k * counts.xs..][..counts.xs];
        for &(from, to) in &machine.xs {
            machine.registers[to as usize] = row[from as usize];
        }
        machine.step();
        results(&machine, 0..counts.state, &mut given.last);
        results(
            &machine,
            counts.state..counts.state + counts.ys,
            &mut given.ys[k * counts.ys..][..counts.ys],
        );
    }
    Ok(given)
}
