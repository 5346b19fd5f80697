//! Expressions written down.

use crate::function::{Elementwise, Expr, Pairwise};
use std::cell::RefCell;
use tensor_core::{Expression, Function, Parameters, function};

/// What a statement does with earlier values.
#[derive(Clone, Copy)]
pub(super) enum Action {
    Input(usize),
    Number(f64),
    /// The value itself, without its derivative.
    Constant,
    One(&'static Elementwise, Parameters),
    Two(&'static Pairwise),
    /// The second where the first is 1, else the third.
    Choose,
}

pub(super) static CHOOSE: Function<3> = function!(|mask, a, b| E::choose(mask.eq_number(1.0), a, b));

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

    fn same(self, other: Self) -> bool {
        let bits = |p: Parameters| p.map(f64::to_bits);
        match (self, other) {
            (Action::Input(a), Action::Input(b)) => a == b,
            (Action::Number(a), Action::Number(b)) => a.to_bits() == b.to_bits(),
            (Action::Constant, Action::Constant) | (Action::Choose, Action::Choose) => true,
            (Action::One(f, p), Action::One(g, q)) => std::ptr::eq(f, g) && bits(p) == bits(q),
            (Action::Two(f), Action::Two(g)) => std::ptr::eq(f, g),
            _ => false,
        }
    }
}

/// A value, computed from earlier ones.
#[derive(Clone, Copy)]
pub(super) struct Statement {
    pub action: Action,
    args: [u32; 3],
}

impl Statement {
    /// The places of what it takes.
    pub fn args(&self) -> impl Iterator<Item = usize> + '_ {
        self.args[..self.action.arity()].iter().map(|&place| place as usize)
    }
}

thread_local! {
    /// What is being written down.
    static STATEMENTS: RefCell<Vec<Statement>> = const { RefCell::new(Vec::new()) };
}

/// The value of an action: what was computed before is not computed again.
pub(super) fn write(action: Action, args: &[Expr]) -> Expr {
    let mut places = [0; 3];
    places.iter_mut().zip(args).for_each(|(place, x)| *place = x.place);
    STATEMENTS.with_borrow_mut(|all| {
        let known = all.iter().position(|s| s.args == places && s.action.same(action));
        let place = known.unwrap_or_else(|| {
            all.push(Statement { action, args: places });
            all.len() - 1
        });
        Expr { place: place as u32 }
    })
}

/// An expression of its inputs: statements, of which the last is the value.
pub(super) struct Program {
    inputs: usize,
    statements: Vec<Statement>,
}

impl Program {
    /// What `f` writes.
    pub fn of(inputs: usize, f: impl FnOnce(&[Expr]) -> Expr) -> Self {
        // The expression of another function may be under way, and its own call may have ended in a panic.
        let outer = STATEMENTS.take();
        let x: Vec<Expr> = (0..inputs).map(|k| write(Action::Input(k), &[])).collect();
        let result = f(&x);
        let statements = STATEMENTS.replace(outer);
        Program { inputs, statements: reached(&statements, result) }
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
            let mut values: Vec<Expr> = Vec::with_capacity(self.statements.len());
            // Whether a value depends on the input.
            let mut depends: Vec<bool> = Vec::with_capacity(self.statements.len());
            for s in &self.statements {
                let args: Vec<Expr> = s.args().map(|place| values[place]).collect();
                values.push(write(s.action, &args));
                depends.push(match s.action {
                    Action::Input(k) => k == i,
                    Action::Constant => false,
                    _ => s.args().any(|place| depends[place]),
                });
            }
            let mut cotangents: Vec<Option<Expr>> = vec![None; self.statements.len()];
            if let Some(last) = cotangents.last_mut() {
                *last = Some(x[self.inputs]);
            }
            for (k, s) in self.statements.iter().enumerate().rev() {
                let Some(g) = cotangents[k].filter(|_| depends[k]) else { continue };
                if let Action::Input(_) = s.action {
                    return g;
                }
                let args: Vec<Expr> = s.args().map(|place| values[place]).collect();
                for (n, place) in s.args().enumerate().filter(|&(_, place)| depends[place]) {
                    let Some(more) = cotangent(s.action, n, g, &args, values[k]) else { continue };
                    cotangents[place] = Some(cotangents[place].map_or(more, |sum| sum + more));
                }
            }
            x[self.inputs].nothing()
        })
    }
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

/// What a value is computed from, and last that itself.
fn reached(all: &[Statement], result: Expr) -> Vec<Statement> {
    let mut wanted = vec![false; all.len()];
    wanted[result.place as usize] = true;
    for k in (0..all.len()).rev().filter(|&k| k <= result.place as usize) {
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
    reached
}
