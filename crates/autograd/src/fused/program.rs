//! Expressions written down.

use crate::function::{Elementwise, Expr, Pairwise};
use std::cell::RefCell;
use std::collections::HashMap;
use tensor_core::{Expression, Function, Parameters, function};

/// What a statement does with earlier values.
#[derive(Clone, Copy)]
pub(crate) enum Action {
    Input(usize),
    Number(f64),
    /// The value itself, without its derivative.
    Constant,
    One(&'static Elementwise, Parameters),
    Two(&'static Pairwise),
    /// The second where the first is 1, else the third.
    Choose,
}

pub(crate) static CHOOSE: Function<3> = function!(|mask, a, b| E::choose(mask.eq_number(1.0), a, b));

/// The kind of an action, its input or function, and its numbers.
type Key = (u8, usize, [u64; 2]);

impl Action {
    /// How many values it takes.
    fn arity(self) -> usize {
        match self {
            Action::Input(_) | Action::Number(_) => 0,
            Action::Constant | Action::One(..) => 1,
            Action::Two(_) => 2,
            Action::Choose => 3,
        }
    }

    /// What tells actions apart: which kind, which function, and its numbers.
    fn key(self) -> Key {
        match self {
            Action::Input(k) => (0, k, [0; 2]),
            Action::Number(c) => (1, 0, [c.to_bits(), 0]),
            Action::Constant => (2, 0, [0; 2]),
            Action::One(f, parameters) => (3, std::ptr::from_ref(f).addr(), parameters.map(f64::to_bits)),
            Action::Two(f) => (4, std::ptr::from_ref(f).addr(), [0; 2]),
            Action::Choose => (5, 0, [0; 2]),
        }
    }
}

/// A value, computed from earlier ones.
#[derive(Clone, Copy)]
pub(crate) struct Statement {
    pub action: Action,
    args: [u32; 3],
}

impl Statement {
    /// The places of what it takes.
    pub fn args(&self) -> impl Iterator<Item = usize> + '_ {
        self.args[..self.action.arity()].iter().map(|&place| place as usize)
    }
}

/// Statements, and where each is found.
#[derive(Default)]
struct Writing {
    all: Vec<Statement>,
    known: HashMap<(Key, [u32; 3]), u32>,
}

thread_local! {
    /// What is being written down.
    static STATEMENTS: RefCell<Writing> = RefCell::default();
}

/// The value of an action: what was computed before is not computed again.
pub(crate) fn write(action: Action, args: &[Expr]) -> Expr {
    let mut places = [0; 3];
    places.iter_mut().zip(args).for_each(|(place, x)| *place = x.place);
    STATEMENTS.with_borrow_mut(|Writing { all, known }| {
        let place = *known.entry((action.key(), places)).or_insert_with(|| {
            all.push(Statement { action, args: places });
            all.len() as u32 - 1
        });
        Expr { place }
    })
}

/// How many statements there are so far.
pub(crate) fn written_so_far() -> usize {
    STATEMENTS.with_borrow(|writing| writing.all.len())
}

/// The statements that `f` writes, and the places among them of the values that it gives: those alone that these need.
pub(crate) fn written(f: impl FnOnce() -> Vec<Expr>) -> (Vec<Statement>, Vec<usize>) {
    // The expression of another function may be under way, and its own call may have ended in a panic.
    let outer = STATEMENTS.take();
    let results = f();
    let statements = STATEMENTS.replace(outer).all;
    reached(&statements, &results)
}

/// An expression of its inputs: statements, of which the last is the value.
pub(crate) struct Program {
    inputs: usize,
    statements: Vec<Statement>,
}

impl Program {
    /// What `f` writes.
    pub fn of(inputs: usize, f: impl FnOnce(&[Expr]) -> Expr) -> Self {
        let (statements, _) = written(|| {
            let x: Vec<Expr> = (0..inputs).map(|k| write(Action::Input(k), &[])).collect();
            vec![f(&x)]
        });
        Program { inputs, statements }
    }

    pub fn inputs(&self) -> usize {
        self.inputs
    }

    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// The program over the inputs, and over the cotangent of the value behind them, that gives the cotangent of
    /// input `i`.
    pub fn cotangent(&self, i: usize) -> Program {
        Program::of(self.inputs + 1, |x| {
            let values = again(&self.statements, x);
            let seed = self.statements.len().checked_sub(1).map(|last| (last, x[self.inputs]));
            let found = back(&self.statements, &values, seed.into_iter().collect(), &|k| k == i);
            found
                .into_iter()
                .find_map(|(k, g)| (k == i).then_some(g))
                .unwrap_or_else(|| x[self.inputs].nothing())
        })
    }
}

/// The values of statements over other inputs.
pub(crate) fn again(statements: &[Statement], inputs: &[Expr]) -> Vec<Expr> {
    let mut values: Vec<Expr> = Vec::with_capacity(statements.len());
    for s in statements {
        values.push(match s.action {
            Action::Input(k) => inputs[k],
            action => write(action, &s.args().map(|place| values[place]).collect::<Vec<_>>()),
        });
    }
    values
}

/// The cotangents of inputs, for those of some statements, which have these values: of the inputs that are wanted and take part.
pub(crate) fn back(
    statements: &[Statement],
    values: &[Expr],
    seeds: Vec<(usize, Expr)>,
    wanted: &dyn Fn(usize) -> bool,
) -> Vec<(usize, Expr)> {
    // Whether a value depends on an input that is wanted.
    let mut depends: Vec<bool> = Vec::with_capacity(statements.len());
    for s in statements {
        depends.push(match s.action {
            Action::Input(k) => wanted(k),
            Action::Constant => false,
            _ => s.args().any(|place| depends[place]),
        });
    }
    let mut cotangents: Vec<Option<Expr>> = vec![None; statements.len()];
    for (place, g) in seeds {
        cotangents[place] = Some(cotangents[place].map_or(g, |sum| sum + g));
    }
    let mut found = Vec::new();
    for (k, s) in statements.iter().enumerate().rev() {
        let Some(g) = cotangents[k].filter(|_| depends[k]) else { continue };
        if let Action::Input(input) = s.action {
            found.push((input, g));
            continue;
        }
        let args: Vec<Expr> = s.args().map(|place| values[place]).collect();
        for (n, place) in s.args().enumerate().filter(|&(_, place)| depends[place]) {
            let Some(more) = cotangent(s.action, n, g, &args, values[k]) else { continue };
            cotangents[place] = Some(cotangents[place].map_or(more, |sum| sum + more));
        }
    }
    found
}

/// The cotangent of argument `n` of an action for that of its value `y`.
fn cotangent(action: Action, n: usize, g: Expr, args: &[Expr], y: Expr) -> Option<Expr> {
    match action {
        Action::Input(_) | Action::Number(_) | Action::Constant => None,
        Action::One(f, parameters) => Some(f.cotangent_of_expr(parameters, g, args[0], y)),
        Action::Two(f) => Some(f.cotangent_of_expr(n, g, args[0], args[1])),
        Action::Choose => {
            let nothing = g.nothing();
            match n {
                1 => Some(write(Action::Choose, &[args[0], g, nothing])),
                2 => Some(write(Action::Choose, &[args[0], nothing, g])),
                _ => None,
            }
        }
    }
}

/// What values are computed from, and these, in their order; and where the values are there.
fn reached(all: &[Statement], results: &[Expr]) -> (Vec<Statement>, Vec<usize>) {
    let mut wanted = vec![false; all.len()];
    results.iter().for_each(|result| wanted[result.place as usize] = true);
    for k in (0..all.len()).rev() {
        if wanted[k] {
            all[k].args().for_each(|place| wanted[place] = true);
        }
    }
    let mut places = vec![0; all.len()];
    let mut reached = Vec::new();
    for (k, s) in all.iter().enumerate().filter(|&(k, _)| wanted[k]) {
        places[k] = reached.len() as u32;
        reached.push(Statement { action: s.action, args: s.args.map(|place| places[place as usize]) });
    }
    (reached, results.iter().map(|result| places[result.place as usize] as usize).collect())
}
