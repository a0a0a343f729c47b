//! One order and its answer, whatever the way: what was refused is an error, and so is an
//! answer of another kind.

use std::collections::BTreeMap;

use serde_json::Value;
use thiserror::Error;

use crate::agent::{Answer, Order, Question};
use crate::apply::{Transport, TransportError};
use crate::facts::{Facts, Machine, Wanted};
use crate::reset::Inventory;

/// Why an order has no answer that could be used.
#[derive(Debug, Error)]
pub enum AskedError {
    /// The host, or the way to it, is gone.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// It was not done.
    #[error("{0}")]
    Refused(String),
    /// The agent is of another version.
    #[error("the agent answered {0}, which was not asked")]
    Answer(String),
}

fn other<T>(answer: &Answer) -> Result<T, AskedError> {
    Err(AskedError::Answer(format!("{answer:?}")))
}

/// Gives one order.
///
/// # Errors
/// When it was refused, or the host is gone.
pub fn asked(way: &mut impl Transport, order: Order) -> Result<Answer, AskedError> {
    let answer = way.ask(order)?;
    match answer {
        Answer::Failed { error, .. } | Answer::Held(error) => {
            Err(AskedError::Refused(error))
        }
        Answer::Done
        | Answer::Facts(_)
        | Answer::Machine(_)
        | Answer::Fetched(_)
        | Answer::Inventory(_)
        | Answer::Told(_)
        | Answer::Collected(_)
        | Answer::Probed(_) => Ok(answer),
    }
}

/// Whose a host is while it is worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locked {
    /// It is this operator's.
    Ours,
    /// Another is at work; who, and what to do.
    Held(String),
}

/// Keeps other operators from a host, unless one is there already.
///
/// # Errors
/// When the lock cannot be taken, or the host is gone.
pub fn lock(way: &mut impl Transport, who: String) -> Result<Locked, AskedError> {
    let answer = way.ask(Order::Lock(who))?;
    match answer {
        Answer::Done => Ok(Locked::Ours),
        Answer::Held(holder) => Ok(Locked::Held(holder)),
        Answer::Failed { error, .. } => Err(AskedError::Refused(error)),
        Answer::Facts(_)
        | Answer::Machine(_)
        | Answer::Fetched(_)
        | Answer::Inventory(_)
        | Answer::Told(_)
        | Answer::Collected(_)
        | Answer::Probed(_) => other(&answer),
    }
}

/// Has something done.
///
/// # Errors
/// As [`asked`].
pub fn done(way: &mut impl Transport, order: Order) -> Result<(), AskedError> {
    let answer = asked(way, order)?;
    let Answer::Done = answer else {
        return other(&answer);
    };
    Ok(())
}

/// What a program of the host says.
///
/// # Errors
/// As [`asked`].
pub fn told(way: &mut impl Transport, question: Question) -> Result<Value, AskedError> {
    let answer = asked(way, Order::Ask(question))?;
    let Answer::Told(value) = answer else {
        return other(&answer);
    };
    Ok(value)
}

/// What the machine is.
///
/// # Errors
/// As [`asked`].
pub fn machine(way: &mut impl Transport) -> Result<Machine, AskedError> {
    let answer = asked(way, Order::Survey)?;
    let Answer::Machine(machine) = answer else {
        return other(&answer);
    };
    Ok(machine)
}

/// What stands on the host, of what is wanted.
///
/// # Errors
/// As [`asked`].
pub fn looked(way: &mut impl Transport, wanted: Wanted) -> Result<Facts, AskedError> {
    let answer = asked(way, Order::Look(wanted))?;
    let Answer::Facts(facts) = answer else {
        return other(&answer);
    };
    Ok(facts)
}

/// What is in these files, of those that are there.
///
/// # Errors
/// As [`asked`].
pub fn fetched(
    way: &mut impl Transport,
    paths: Vec<String>,
) -> Result<BTreeMap<String, String>, AskedError> {
    let answer = asked(way, Order::Fetch(paths))?;
    let Answer::Fetched(files) = answer else {
        return other(&answer);
    };
    Ok(files)
}

/// What the host's journal knows of, and what stands there.
///
/// # Errors
/// As [`asked`].
pub fn inventory(way: &mut impl Transport) -> Result<Inventory, AskedError> {
    let answer = asked(way, Order::Inventory)?;
    let Answer::Inventory(inventory) = answer else {
        return other(&answer);
    };
    Ok(inventory)
}
