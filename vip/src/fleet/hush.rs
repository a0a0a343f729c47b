//! What the routers of a program that follows another go through on their way to where the
//! old ones stood: nobody is told of it. They begin as any router does, as Backup, and are
//! Active again a moment later; a script that stops a service on `BACKUP` must not run for that.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};
use vrrp::State;

use crate::notify::{Move, News, Subject};

/// As many as the drivers may have waiting anywhere else.
const QUEUE: usize = 256;

/// Where drivers put their transitions until all have started.
pub(super) struct Hush {
    pub(super) moves: mpsc::Sender<News>,
    settled: oneshot::Sender<()>,
}

impl Hush {
    /// `before`: how everybody stood in the old program. What is told from here on goes to
    /// `line`. Inside a tokio runtime.
    pub(super) fn begin(
        before: BTreeMap<Subject, State>,
        line: mpsc::Sender<News>,
    ) -> Self {
        let (moves, queue) = mpsc::channel(QUEUE);
        let (settled, heard) = oneshot::channel();
        tokio::spawn(hush(queue, before, heard, line));
        Self { moves, settled }
    }

    /// All have started: who stands elsewhere than before is told of, once.
    pub(super) fn settle(self) {
        // The task ends with the last driver only.
        let _ = self.settled.send(());
    }
}

async fn hush(
    mut moves: mpsc::Receiver<News>,
    before: BTreeMap<Subject, State>,
    settled: oneshot::Receiver<()>,
    line: mpsc::Sender<News>,
) {
    // Sent or dropped: both mean that nobody is on the way any more.
    let _ = settled.await;
    let mut held = Vec::new();
    while let Ok(moved) = moves.try_recv() {
        held.push(moved);
    }
    for moved in merged(held, &before) {
        // Nobody to tell at the end of the program.
        let _ = line.send(moved).await;
    }
    while let Some(moved) = moves.recv().await {
        let _ = line.send(moved).await;
    }
}

/// One transition for everybody who stood somewhere and now stands elsewhere; all of those
/// who were not there before.
fn merged(held: Vec<News>, before: &BTreeMap<Subject, State>) -> Vec<News> {
    let mut left: Vec<News> = Vec::new();
    for news in held {
        let News::Moved(moved) = news else {
            left.push(news);
            continue;
        };
        let known = before.get(&moved.subject).copied();
        let from = known.unwrap_or(moved.from);
        if known.is_some() {
            left.retain(|earlier| match earlier {
                News::Moved(earlier) => earlier.subject != moved.subject,
                News::Aside { .. } => true,
            });
        }
        left.push(News::Moved(Move { from, ..moved }));
    }
    left.retain(|news| match news {
        News::Moved(moved) => moved.from != moved.to,
        News::Aside { .. } => true,
    });
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::{Active, Backup, Fault, Initialize};
    use vrrp::Priority;
    use vrrp::fsm::Reason;

    fn moved(name: &str, from: State, to: State) -> News {
        News::Moved(Move {
            subject: Subject::Router(name.to_owned()),
            from,
            to,
            reason: Reason::Started,
            priority: Priority::DEFAULT,
        })
    }

    #[tokio::test]
    async fn only_who_stands_elsewhere_than_before_is_told_of() {
        let (line, mut told) = mpsc::channel(8);
        let before = [("held", Active), ("waited", Backup), ("lost", Active)];
        let before =
            before.map(|(name, state)| (Subject::Router(name.to_owned()), state));
        let hush = Hush::begin(BTreeMap::from(before), line);
        let moves = hush.moves.clone();
        for (name, from, to) in [
            ("held", Initialize, Backup),
            ("waited", Initialize, Backup),
            ("lost", Initialize, Backup),
            ("held", Backup, Active),
            ("lost", Backup, Fault),
            ("new", Initialize, Backup),
            ("new", Backup, Active),
        ] {
            moves.send(moved(name, from, to)).await.unwrap();
        }
        hush.settle();
        let mut next = async || {
            let News::Moved(moved) = told.recv().await.unwrap() else {
                panic!("no transition");
            };
            let Subject::Router(name) = moved.subject else {
                panic!("a group");
            };
            (name, moved.from, moved.to)
        };
        assert_eq!(next().await, ("lost".to_owned(), Active, Fault));
        assert_eq!(next().await, ("new".to_owned(), Initialize, Backup));
        assert_eq!(next().await, ("new".to_owned(), Backup, Active));
        moves.send(moved("held", Active, Backup)).await.unwrap();
        assert_eq!(next().await, ("held".to_owned(), Active, Backup));
        drop(moves);
        assert!(told.recv().await.is_none());
    }
}
