//! What controllers go by beside objects: what nodes say that they and their pods use, and what sources of metrics answer. Both come from outside, and the
//! engine takes them in as it takes in changes of objects: plans read them in the view, and the same view gives the same plan.
use super::queue::{Task, later};
use jiff::{SignedDuration, Timestamp};
use state_client::metrics::{MetricAnswer, MetricQuery};
use state_client::usage::UsageTable;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// An answer that nobody asked for again in this time is forgotten.
const REMEMBERED: SignedDuration = SignedDuration::from_secs(120);

/// What is known from outside.
#[derive(Default)]
pub struct Outside {
    /// What nodes and pods use.
    pub usage: UsageTable,
    answers: HashMap<MetricQuery, (Timestamp, MetricAnswer)>,
}

impl Outside {
    /// What a source answered, if that is no older than `since`.
    pub fn answer(&self, question: &MetricQuery, since: Timestamp) -> Option<&MetricAnswer> {
        self.answers.get(question).filter(|(at, _)| *at >= since).map(|(_, answer)| answer)
    }

    pub(super) fn set(&mut self, question: MetricQuery, answer: MetricAnswer, now: Timestamp) {
        self.answers.retain(|_, (at, _)| later(*at, REMEMBERED) >= now);
        self.answers.insert(question, (now, answer));
    }
}

/// Questions that plans have, each asked once at a time however many have it.
#[derive(Default)]
pub(super) struct Questions {
    waiting: HashMap<MetricQuery, BTreeSet<Task>>,
    unasked: VecDeque<MetricQuery>,
}

impl Questions {
    /// `task` is to be planned again when this is answered.
    pub(super) fn put(&mut self, question: MetricQuery, task: &Task) {
        let waiting = self.waiting.entry(question.clone()).or_insert_with(|| {
            self.unasked.push_back(question);
            BTreeSet::new()
        });
        waiting.insert(task.clone());
    }

    /// The next question that is to be asked.
    pub(super) fn next(&mut self) -> Option<MetricQuery> {
        self.unasked.pop_front()
    }

    /// Who waited for the answer.
    pub(super) fn answered(&mut self, question: &MetricQuery) -> BTreeSet<Task> {
        self.waiting.remove(question).unwrap_or_default()
    }
}
