//! An agent at the end of two pipes. It ends when its operator is gone, also in the middle of
//! an order: what that was about is then done or not done, as after a crash.

use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use super::{Agent, Services};

/// An operator sends one order and waits; a second is read ahead to see whether they are gone.
const AHEAD: usize = 1;

/// Serves until the orders end. `abandon` is called when they end before the last one is
/// answered; it does not come back.
///
/// # Errors
/// When the operator's end of the answers is gone.
pub fn attend<S: Services>(
    agent: &mut Agent<S>,
    orders: impl BufRead + Send + 'static,
    mut answers: impl Write,
    abandon: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let busy = Arc::new(AtomicBool::new(false));
    let lines = read(orders, Arc::clone(&busy), abandon);
    for line in lines {
        let answer = agent.answer(&line?);
        // Before the answer: whoever has it may go.
        busy.store(false, Ordering::SeqCst);
        super::reply(&mut answers, &answer)?;
    }
    agent.leave();
    Ok(())
}

fn read(
    orders: impl BufRead + Send + 'static,
    busy: Arc<AtomicBool>,
    abandon: impl FnOnce() + Send + 'static,
) -> Receiver<io::Result<String>> {
    let (sender, lines) = sync_channel(AHEAD);
    thread::spawn(move || {
        for line in orders.lines() {
            busy.store(true, Ordering::SeqCst);
            if sender.send(line).is_err() {
                return;
            }
        }
        if busy.load(Ordering::SeqCst) {
            abandon();
        }
    });
    lines
}
