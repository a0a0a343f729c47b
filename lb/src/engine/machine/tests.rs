//! The tables of the session's machine: each event in each phase.

use super::*;
use crate::engine::relay::{Fault, Over};

const IDLE: Duration = Duration::from_secs(10);
const READY: Ready = Ready {
    readable: false,
    writable: false,
    hup: false,
    error: false,
};
const WRITABLE: Ready = Ready {
    writable: true,
    ..READY
};
const ENDED: Ready = Ready {
    readable: true,
    hup: true,
    ..READY
};
const FAILED: Ready = Ready {
    readable: true,
    writable: true,
    hup: true,
    error: true,
};

fn at(millis: u64) -> Tick {
    Tick::at(Duration::from_millis(millis))
}

#[test]
fn each_event_of_one_that_waits_for_a_place() {
    for (event, action) in [
        (Event::Client(READY), Action::Wait),
        (Event::Client(ENDED), Action::Wait),
        (Event::Client(FAILED), Action::End(End::ClientAborted)),
        (Event::Server(FAILED), Action::Wait),
        (Event::Timer(at(900)), Action::Sleep(at(1000))),
        (Event::Timer(at(1000)), Action::End(End::QueueTimeout)),
        (Event::Cut(Which::All), Action::Wait),
        (Event::Kill, Action::End(End::Killed)),
        (Event::Shutdown, Action::End(End::Shutdown)),
    ] {
        let mut machine = Machine::new(at(0));
        machine.waiting(at(1000));
        assert_eq!(machine.waits(), Waits::Yes);
        assert_eq!(machine.on(event, Some(IDLE)), action, "{event:?}");
    }
    assert_eq!(dialling().waits(), Waits::No);
    assert_eq!(relaying().waits(), Waits::No);
}

#[test]
fn each_event_of_one_whose_header_is_to_come() {
    for (event, action) in [
        (Event::Client(READY), Action::LookForHeader),
        (Event::Client(ENDED), Action::LookForHeader),
        (Event::Client(FAILED), Action::End(End::ClientAborted)),
        (Event::Server(FAILED), Action::Wait),
        (Event::Timer(at(900)), Action::Sleep(at(1000))),
        (Event::Timer(at(1000)), Action::End(End::NoProxyHeader)),
        (Event::Cut(Which::All), Action::Wait),
        (Event::Kill, Action::End(End::Killed)),
        (Event::Shutdown, Action::End(End::Shutdown)),
    ] {
        let mut machine = Machine::new(at(0));
        machine.expecting_header(at(1000));
        assert_eq!(machine.on(event, Some(IDLE)), action, "{event:?}");
        assert_eq!(machine.admission(), Admission::Open);
        machine.admitted(at(500));
        assert_eq!(machine.admission(), Admission::Given);
    }
}

/// A server is dialled until 1 s; from 200 ms on a second one may be.
fn dialling() -> Machine {
    let mut machine = Machine::new(at(0));
    machine.dialling(at(200), at(1000), 0);
    machine
}

/// It was asked at 300 ms, which is looked into at 500 ms.
fn silent() -> Machine {
    let mut machine = relaying();
    machine.asked(at(300), at(500));
    machine
}

#[test]
fn each_event_of_a_hello() {
    for (event, action) in [
        (Event::Client(READY), Action::Listen),
        (Event::Client(ENDED), Action::Listen),
        (Event::Client(FAILED), Action::Listen),
        (Event::Server(WRITABLE), Action::Wait),
        (Event::Timer(at(296)), Action::Sleep(at(300))),
        (Event::Timer(at(300)), Action::Unheard),
        (Event::Cut(Which::All), Action::Wait),
        (Event::Kill, Action::End(End::Killed)),
        (Event::Shutdown, Action::End(End::Shutdown)),
    ] {
        let mut machine = Machine::new(at(0));
        machine.listening(at(300));
        assert_eq!(machine.on(event, Some(IDLE)), action, "{event:?}");
    }
}

#[test]
fn each_event_of_a_silence() {
    for (event, action) in [
        (Event::Client(READY), Action::Turn),
        (Event::Server(READY), Action::Turn),
        (Event::Server(FAILED), Action::Turn),
        (Event::Timer(at(496)), Action::Sleep(at(500))),
        (Event::Timer(at(500)), Action::Doubt(at(300))),
        (Event::Cut(Which::All), Action::Forsake),
        (Event::Cut(Which::Unanswered), Action::Forsake),
        (Event::Kill, Action::End(End::Killed)),
        (Event::Shutdown, Action::End(End::Shutdown)),
    ] {
        assert_eq!(silent().on(event, Some(IDLE)), action, "{event:?}");
    }
}

#[test]
fn a_silence_ends_with_the_first_byte_or_when_nobody_looks_any_more() {
    let mut machine = silent();
    assert_eq!(machine.silent_since(), Some(at(300)));
    machine.crossed(Flow::Up, at(400));
    assert_eq!(machine.silent_since(), Some(at(300)));
    machine.crossed(Flow::Down, at(400));
    assert_eq!(machine.silent_since(), None);
    assert_eq!(machine.on(Event::Timer(at(500)), None), Action::Settle);

    let mut machine = silent();
    machine.doubted(Some(at(2000)));
    assert_eq!(
        machine.on(Event::Timer(at(1000)), None),
        Action::Sleep(at(2000))
    );
    machine.doubted(None);
    assert_eq!(machine.silent_since(), None);
    assert_eq!(machine.on(Event::Timer(at(2000)), None), Action::Settle);
    assert_eq!(machine.on(Event::Timer(at(2000)), None), Action::Wait);
}

#[test]
fn a_second_dial_is_thought_of_once_or_again_and_never_after_the_deadline() {
    let hedge = Event::Timer(at(200));
    let mut machine = dialling();
    assert_eq!(machine.on(hedge, None), Action::Hedge);
    assert_eq!(machine.hedged(at(240)), Some(at(240)));
    assert_eq!(machine.on(hedge, None), Action::Sleep(at(240)));
    assert_eq!(machine.on(Event::Timer(at(240)), None), Action::Hedge);
    assert_eq!(machine.hedged(at(60_000)), Some(at(1000)));
    assert_eq!(machine.on(hedge, None), Action::Sleep(at(1000)));
    let late = machine.on(Event::Timer(at(1000)), None);
    assert_eq!(late, Action::Redial(Failure::TimedOut));
    // The second one took the first one's place, and has longer.
    machine.goes_on(at(1200));
    let late = machine.on(Event::Timer(at(1000)), None);
    assert_eq!(late, Action::Sleep(at(1200)));
    assert_eq!(relaying().hedged(at(240)), None);
}

fn relaying() -> Machine {
    let mut machine = dialling();
    let connected = machine.on(Event::Server(WRITABLE), None);
    assert_eq!(connected, Action::Connected);
    machine
}

/// Bytes crossed last at 2 s, in this direction; its first second is over.
fn settled(last: Flow) -> Machine {
    let mut machine = relaying();
    assert_eq!(
        machine.on(Event::Timer(at(1000)), Some(IDLE)),
        Action::Settle
    );
    machine.crossed(last, at(2000));
    machine
}

#[test]
fn each_event_of_a_dial() {
    for (event, action) in [
        (Event::Client(READY), Action::Wait),
        (Event::Client(WRITABLE), Action::Wait),
        // A half-close is the server's to hear.
        (Event::Client(ENDED), Action::Wait),
        (Event::Client(FAILED), Action::End(End::ClientAborted)),
        (Event::Server(READY), Action::Wait),
        (Event::Server(WRITABLE), Action::Connected),
        (Event::Server(FAILED), Action::Redial(Failure::Refused)),
        (Event::Timer(at(196)), Action::Sleep(at(200))),
        (Event::Timer(at(200)), Action::Hedge),
        (Event::Timer(at(1000)), Action::Redial(Failure::TimedOut)),
        (Event::Timer(at(1100)), Action::Redial(Failure::TimedOut)),
        (Event::Cut(Which::All), Action::Wait),
        (Event::Cut(Which::Unanswered), Action::Wait),
        (Event::Kill, Action::End(End::Killed)),
        (Event::Shutdown, Action::End(End::Shutdown)),
    ] {
        assert_eq!(dialling().on(event, Some(IDLE)), action, "{event:?}");
    }
}

#[test]
fn each_event_of_a_relay() {
    use Flow::{Down, Up};
    for (last, idle, event, action) in [
        (Up, None, Event::Client(READY), Action::Turn),
        (Up, None, Event::Client(FAILED), Action::Turn),
        (Up, None, Event::Server(READY), Action::Turn),
        (Up, None, Event::Server(FAILED), Action::Turn),
        (Up, None, Event::Timer(at(99_000)), Action::Wait),
        (
            Up,
            Some(IDLE),
            Event::Timer(at(11_900)),
            Action::Sleep(at(2000).after(IDLE)),
        ),
        (
            Up,
            Some(IDLE),
            Event::Timer(at(2000).after(IDLE)),
            Action::End(End::Idle),
        ),
        (Down, None, Event::Cut(Which::Unanswered), Action::Wait),
        (
            Up,
            None,
            Event::Cut(Which::Unanswered),
            Action::End(End::ServerHung),
        ),
        (
            Down,
            None,
            Event::Cut(Which::All),
            Action::End(End::ServerUnreachable),
        ),
        (Down, None, Event::Kill, Action::End(End::Killed)),
        (Down, None, Event::Shutdown, Action::End(End::Shutdown)),
    ] {
        let got = settled(last).on(event, idle);
        assert_eq!(got, action, "{last:?} {event:?}");
    }
}

#[test]
fn what_is_owed_counts_as_unanswered() {
    let mut machine = settled(Flow::Down);
    machine.owed();
    let cut = machine.on(Event::Cut(Which::Unanswered), None);
    assert_eq!(cut, Action::End(End::ServerHung));
}

#[test]
fn options_of_a_lasting_session_are_set_once() {
    let mut machine = relaying();
    assert_eq!(machine.on(Event::Timer(at(1000)), None), Action::Settle);
    assert_eq!(machine.on(Event::Timer(at(1000)), None), Action::Wait);
}

#[test]
fn only_an_orderly_end_is_no_reset() {
    use Side::{Client, Server};
    let broken = |by, fault| end_of(Over::Broken { by, fault });
    for (end, expected) in [
        (end_of(Over::Closed { first: Client }), End::ClientClosed),
        (end_of(Over::Closed { first: Server }), End::ServerClosed),
        (broken(Client, Fault::Reset), End::ClientReset),
        (broken(Client, Fault::TimedOut), End::ClientGone),
        (broken(Server, Fault::Other), End::ServerReset),
        (broken(Server, Fault::Unreachable), End::ServerGone),
    ] {
        assert_eq!(end, expected);
        assert_eq!(resets(end), !end.is_orderly());
    }
}

/// A deadline of what is waited for again; none where it goes on with something else.
#[test]
fn who_stands_again_where_it_stood_has_the_time_that_was_left() {
    let begun = |begin: fn(&mut Machine, Tick), deadline| {
        let mut machine = Machine::new(at(0));
        begin(&mut machine, at(deadline));
        machine
    };
    let phases: [fn(&mut Machine, Tick); 3] = [
        Machine::expecting_header,
        Machine::listening,
        Machine::waiting,
    ];
    for (n, now) in phases.into_iter().enumerate() {
        for (m, was) in phases.into_iter().enumerate() {
            let mut machine = begun(now, 2000);
            let expected = (n == m).then(|| at(1000));
            assert_eq!(machine.waits_since(&begun(was, 1000)), expected);
            let due = expected.unwrap_or(at(2000));
            let action = machine.on(Event::Timer(at(0)), Some(IDLE));
            assert_eq!(action, Action::Sleep(due), "{n} after {m}");
        }
        assert_eq!(begun(now, 2000).waits_since(&dialling()), None);
    }
    assert_eq!(dialling().waits_since(&begun(Machine::waiting, 1000)), None);
}
