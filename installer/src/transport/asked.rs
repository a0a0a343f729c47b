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
    if let Answer::Failed { error, .. } = answer {
        return Err(AskedError::Refused(error));
    }
    Ok(answer)
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
