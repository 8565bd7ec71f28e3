//! Random sequences of what people, agents and strangers do, run against the server and against a model
//! of who may do what, which shares no code with it.

#![allow(dead_code, reason = "each test uses a part")]

mod act;
mod change;
mod model;
mod office;
mod steps;
mod watch;

pub(crate) use model::{Holder, Wanted};
pub(crate) use office::Office;
pub(crate) use steps::steps;
