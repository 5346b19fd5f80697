//! Programs read over numbers, over blocks of them, and as the text of a kernel.

use super::program::{Action, CHOOSE, Program};
use crate::function::NONE;
use smallvec::SmallVec;
use tensor_core::{Code, EachFloat, Elements, Float, ForFloat, Formula, Slice, SliceMut};

/// Elements that go through the whole program at a time: few enough for the first-level cache.
const BLOCK: usize = 256;

impl<T: Float> Formula<Elements<T>, T> for Program {
    fn one(&self, x: Elements<T>) -> T {
        (T::of_floats(&READINGS).one)(self, &x)
    }

    fn block(&self, out: SliceMut<'_>, x: &[Slice<'_>]) {
        (T::of_floats(&READINGS).block)(self, out, x);
    }

    fn text(&self, x: &[Code]) -> Option<Code> {
        let mut values: Vec<Code> = Vec::with_capacity(self.statements().len());
        for s in self.statements() {
            let args: SmallVec<[Code; 3]> = s.args().map(|place| values[place]).collect();
            values.push(match s.action {
                Action::Input(k) => x[k],
                Action::Number(c) => Code::from(T::of(c)),
                Action::Constant => args[0],
                Action::One(f, parameters) => Formula::<(T,), T>::text(&f.value().with(parameters), &args)?,
                Action::Two(f) => Formula::<(T, T), T>::text(&f.value().with(NONE), &args)?,
                Action::Choose => Formula::<(T, T, T), T>::text(&CHOOSE.with(NONE), &args)?,
            });
        }
        values.pop()
    }
}

/// The readings over numbers of one type, compiled here.
struct Readings<T> {
    one: fn(&Program, &[T]) -> T,
    block: fn(&Program, SliceMut<'_>, &[Slice<'_>]),
}

struct ReadingsOf;

impl ForFloat for ReadingsOf {
    type Of<T: Float> = Readings<T>;
}

static READINGS: EachFloat<ReadingsOf> =
    EachFloat { f32: Readings { one, block: blocks::<f32> }, f64: Readings { one, block: blocks::<f64> } };

fn one<T: Float>(program: &Program, x: &[T]) -> T {
    let mut values: SmallVec<[T; 16]> = SmallVec::new();
    for s in program.statements() {
        let args: SmallVec<[T; 3]> = s.args().map(|place| values[place]).collect();
        values.push(match s.action {
            Action::Input(k) => x[k],
            Action::Number(c) => T::of(c),
            Action::Constant => args[0],
            Action::One(f, parameters) => f.value().with(parameters).one((args[0],)),
            Action::Two(f) => f.value().with(NONE).one((args[0], args[1])),
            Action::Choose => CHOOSE.with(NONE).one((args[0], args[1], args[2])),
        });
    }
    values.pop().unwrap_or(T::ZERO)
}

/// Where a value of a block is.
#[derive(Clone, Copy)]
enum Place {
    Input(usize),
    Register(usize),
}

/// A place for each value: registers serve again when what they hold is not needed any more; those of numbers keep
/// them. And how many registers there are.
fn places(program: &Program) -> (Vec<Place>, usize) {
    let statements = program.statements();
    let mut last_use = vec![0; statements.len()];
    for (k, s) in statements.iter().enumerate() {
        s.args().for_each(|place| last_use[place] = k);
    }
    let (mut places, mut free, mut count) = (Vec::with_capacity(statements.len()), Vec::new(), 0);
    for (k, s) in statements.iter().enumerate() {
        // A register is written while what is read from others is still there.
        let kept = matches!(s.action, Action::Number(_));
        let place = match s.action {
            Action::Input(input) => Place::Input(input),
            Action::Constant => places[s.args().next().unwrap_or(0)],
            _ => Place::Register(if kept { None } else { free.pop() }.unwrap_or_else(|| {
                count += 1;
                count - 1
            })),
        };
        places.push(place);
        for arg in s.args().filter(|&arg| last_use[arg] == k && !matches!(s.action, Action::Constant)) {
            let computed =
                matches!(statements[arg].action, Action::One(..) | Action::Two(_) | Action::Choose);
            if let Place::Register(r) = places[arg]
                && computed
                && !free.contains(&r)
            {
                free.push(r);
            }
        }
    }
    (places, count)
}

/// out = f(x..), block by block.
fn blocks<T: Float>(program: &Program, out: SliceMut<'_>, x: &[Slice<'_>]) {
    let (statements, out) = (program.statements(), T::typed_mut(out));
    let x: SmallVec<[&[T]; 4]> = x.iter().map(|x| T::typed(*x)).collect();
    let (places, count) = places(program);
    let width = BLOCK.min(out.len());
    let mut registers: Vec<Vec<T>> = vec![vec![T::ZERO; width]; count];
    for (s, place) in statements.iter().zip(&places) {
        if let (Action::Number(c), Place::Register(r)) = (s.action, *place) {
            registers[r].fill(T::of(c));
        }
    }
    for from in (0..out.len()).step_by(BLOCK) {
        let n = BLOCK.min(out.len() - from);
        for (k, s) in statements.iter().enumerate() {
            let Place::Register(r) = places[k] else { continue };
            let mut result = std::mem::take(&mut registers[r]);
            {
                let args: SmallVec<[Slice<'_>; 3]> = s
                    .args()
                    .map(|place| match places[place] {
                        Place::Input(i) => T::slice(&x[i][from..from + n]),
                        Place::Register(r) => T::slice(&registers[r][..n]),
                    })
                    .collect();
                let result = T::slice_mut(&mut result[..n]);
                match s.action {
                    Action::Input(_) | Action::Number(_) | Action::Constant => {}
                    Action::One(f, parameters) => {
                        Formula::<(T,), T>::block(&f.value().with(parameters), result, &args);
                    }
                    Action::Two(f) => Formula::<(T, T), T>::block(&f.value().with(NONE), result, &args),
                    Action::Choose => Formula::<(T, T, T), T>::block(&CHOOSE.with(NONE), result, &args),
                }
            }
            registers[r] = result;
        }
        let value: &[T] = match places[statements.len() - 1] {
            Place::Input(i) => &x[i][from..from + n],
            Place::Register(r) => &registers[r][..n],
        };
        out[from..from + n].copy_from_slice(value);
    }
}
