//! The approval inbox, and one request in it: what a person has to know to answer, and nothing that was not
//! asked.

mod answer;
mod inbox;
mod one;
mod state;

pub use answer::AnswerForm;
pub use inbox::{Inbox, Waiting};
pub use one::{Asked, Factor, OneApproval, PolicyName, Reason, Requester, Risk};
pub use state::{Answer, Answered, Demand, Ended, Progress, Released, State};
