//! All shards, asked together.

use std::sync::Arc;

use futures_channel::oneshot;

use crate::ctl::{Answer, CallLine, Query, ShardTotals};
use crate::mailbox::{Mail, Mailbox};

/// The shards of the process.
#[derive(Clone, Debug)]
pub(crate) struct Shards {
    mailboxes: Arc<[Mailbox]>,
}

impl Shards {
    /// The shards with these mailboxes.
    pub(crate) fn new(mailboxes: Arc<[Mailbox]>) -> Self {
        Self { mailboxes }
    }

    /// Asks all of them, and gives the answers in their order. One that has ended, or is too busy to take mail, has none.
    pub(crate) async fn ask_all(&self, query: &Query) -> Vec<Answer> {
        self.ask_each(|_| query.clone()).await
    }

    async fn ask_each(&self, query: impl Fn(usize) -> Query) -> Vec<Answer> {
        let waiting: Vec<_> = self
            .mailboxes
            .iter()
            .enumerate()
            .filter_map(|(at, mailbox)| {
                let (answer, waiting) = oneshot::channel();
                mailbox.post(Mail::Ctl(query(at), answer)).then_some(waiting)
            })
            .collect();
        let mut answers = Vec::with_capacity(waiting.len());
        for answer in waiting {
            answers.extend(answer.await.ok());
        }
        answers
    }

    /// The counters of all together.
    pub(crate) async fn totals(&self) -> ShardTotals {
        let mut sum = ShardTotals::default();
        for answer in self.ask_all(&Query::Totals).await {
            if let Answer::Totals(totals) = answer {
                sum.add(&totals);
            }
        }
        sum
    }

    /// The calls of all, at most `max`.
    pub(crate) async fn calls(&self, max: usize) -> Vec<CallLine> {
        let mut calls = Vec::new();
        for answer in self.ask_all(&Query::Calls(max)).await {
            if let Answer::Calls(some) = answer {
                calls.extend(some);
            }
        }
        calls.truncate(max);
        calls
    }

    /// How many calls a query has ended.
    pub(crate) async fn ended(&self, query: &Query) -> usize {
        self.ask_all(query).await.iter().map(|answer| if let Answer::Ended(n) = answer { *n } else { 0 }).sum()
    }

    /// Limits the number of calls; each shard gets its share.
    pub(crate) async fn set_sessions_max(&self, max: Option<u32>) {
        let shards = self.mailboxes.len();
        self.ask_each(|at| Query::SetSessionsMax(max.map(|max| share(max, shards, at)))).await;
    }

    /// Tells all of them.
    pub(crate) fn tell(&self, mail: impl Fn() -> Mail) {
        for mailbox in self.mailboxes.iter() {
            mailbox.post(mail());
        }
    }
}

/// What shard `at` of `shards` gets of `whole`. The shares add up.
pub(crate) fn share(whole: u32, shards: usize, at: usize) -> u32 {
    let (shards, at) = (shards.max(1) as u64, at as u64);
    let bound = |at: u64| u64::from(whole) * at / shards;
    debug_assert!(at < shards);
    u32::try_from(bound(at + 1) - bound(at)).unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_differ_by_one_at_most() {
        for whole in [0, 1, 7, 1_000, u32::MAX] {
            for shards in [1, 2, 3, 64] {
                let shares: Vec<u32> = (0..shards).map(|at| share(whole, shards, at)).collect();
                assert_eq!(shares.iter().map(|n| u64::from(*n)).sum::<u64>(), u64::from(whole));
                assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
            }
        }
    }
}
