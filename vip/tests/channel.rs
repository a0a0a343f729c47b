//! The channel's sessions under a network that loses, repeats and reorders, and nodes that
//! start again: an order is heard at most once, and only from the run that gave it, and when
//! the network is whole two rounds of Hellos are enough for the next one.

#![cfg(test)]

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use vip_daemon::channel::message::{Body, Boot, Id, Key, Message, Name, Nonce};
use vip_daemon::channel::session::{Heard, Sessions};

#[derive(Debug, Clone)]
enum Step {
    /// Node 0 or 1 says Hello to the other.
    Hello(usize),
    /// It gives an order, if it may.
    Order(usize),
    /// One of the messages that were ever sent arrives, perhaps again.
    Deliver(prop::sample::Index),
    /// It starts again.
    Restart(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = 0..2_usize;
    let step = prop_oneof![
        3 => node.clone().prop_map(Step::Hello),
        3 => node.clone().prop_map(Step::Order),
        12 => any::<prop::sample::Index>().prop_map(Step::Deliver),
        1 => node.prop_map(Step::Restart),
    ];
    vec(step, 0..120)
}

struct World {
    nodes: [Sessions; 2],
    boots: [u64; 2],
    /// Everything that was ever on the wire.
    wire: Vec<Vec<u8>>,
    heard: BTreeSet<u64>,
    drawn: u64,
}

fn name(node: usize) -> Name {
    Name::new(["a", "b"][node]).unwrap()
}

fn key() -> Key {
    Key::new(&[7; 32]).unwrap()
}

impl World {
    fn new() -> Self {
        let node =
            |node: usize, boot| Sessions::new(name(node), Boot(boot), [name(1 - node)]);
        Self {
            nodes: [node(0, 1), node(1, 2)],
            boots: [1, 2],
            wire: Vec::new(),
            heard: BTreeSet::new(),
            drawn: 2,
        }
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.drawn
    }

    /// Its place on the wire, if it may be said.
    fn say(&mut self, node: usize, body: Body) -> Option<usize> {
        let message = self.nodes[node].write(&name(1 - node), body)?;
        self.wire.push(message.emit(&key()));
        Some(self.wire.len() - 1)
    }

    /// Delivers what is at this place; the place of the answer.
    fn deliver(&mut self, place: usize) -> Option<usize> {
        let message = Message::parse(&self.wire[place], &key()).unwrap();
        let to = usize::from(message.to == name(1));
        let (sender, receiver) = (message.boot, message.to_boot);
        let nonce = Nonce([(self.draw() % 251) as u8; 16]);
        match self.nodes[to].hear(message, nonce) {
            Ok(Heard::Answer(body)) => self.say(to, body),
            Ok(Heard::Fresh(Body::Go(id))) => {
                assert!(self.heard.insert(id.0), "order {} is heard twice", id.0);
                assert_eq!(receiver, Some(Boot(self.boots[to])), "for another run");
                // The identity of an order is that of the run that gave it.
                assert_eq!(sender.0, id.0 >> 32, "from another run");
                None
            }
            Ok(Heard::Fresh(_) | Heard::Proved) | Err(_) => None,
        }
    }

    fn order(&mut self, node: usize) -> Option<usize> {
        let id = self.boots[node] << 32 | self.draw();
        self.say(node, Body::Go(Id(id)))
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Hello(node) => drop(self.say(*node, Body::Hello(Vec::new()))),
            Step::Order(node) => drop(self.order(*node)),
            Step::Deliver(index) if !self.wire.is_empty() => {
                let place = index.index(self.wire.len());
                self.deliver(place);
            }
            Step::Deliver(_) => {}
            Step::Restart(node) => {
                let boot = self.draw();
                self.boots[*node] = boot;
                let other = [name(1 - *node)];
                self.nodes[*node] = Sessions::new(name(*node), Boot(boot), other);
            }
        }
    }

    /// Says Hello, and lets every answer through.
    fn greet(&mut self, node: usize) {
        let mut next = self.say(node, Body::Hello(Vec::new()));
        while let Some(place) = next {
            next = self.deliver(place);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn an_order_is_heard_at_most_once_and_again_when_the_network_is_whole(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        for _ in 0..2 {
            world.greet(0);
            world.greet(1);
        }
        let place = world.order(0);
        let before = world.heard.len();
        world.deliver(place.expect("an order may be given"));
        prop_assert_eq!(world.heard.len(), before + 1);
    }
}
