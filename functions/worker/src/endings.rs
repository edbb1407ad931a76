//! How the records of a batch end: each once, and none is forgotten.

use tributary_model::Outcome;

/// How each record of a batch ended, by its position. A record that nobody ended is redelivered, so that forgetting one
/// costs time and not the record.
#[derive(Debug)]
pub(crate) struct Endings {
    outcomes: Vec<Option<Outcome>>,
}

impl Endings {
    pub(crate) fn new(records: usize) -> Self {
        Self { outcomes: vec![None; records] }
    }

    /// Ends a record. The first end counts; there is no second one.
    pub(crate) fn end(&mut self, position: usize, outcome: Outcome) {
        let ended = self.outcomes.get_mut(position);
        debug_assert!(ended.as_ref().is_some_and(|ended| ended.is_none()), "record {position} ends twice or is none");
        if let Some(ended @ None) = ended {
            *ended = Some(outcome);
        }
    }

    /// The outcome of every record. `all_ended` says whether nothing kept a record from its end.
    pub(crate) fn close(self, all_ended: bool) -> Vec<Outcome> {
        debug_assert!(!all_ended || self.outcomes.iter().all(Option::is_some), "a record was forgotten: {self:?}");
        self.outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Redelivered)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_ended_is_redelivered() {
        let mut endings = Endings::new(3);
        endings.end(1, Outcome::Applied);
        assert_eq!(endings.close(false), [Outcome::Redelivered, Outcome::Applied, Outcome::Redelivered]);
    }

    #[test]
    #[should_panic(expected = "a record was forgotten")]
    fn forgetting_a_record_without_a_cause_is_noticed() {
        let _ = Endings::new(1).close(true);
    }

    #[test]
    #[should_panic(expected = "record 0 ends twice")]
    fn ending_a_record_twice_is_noticed() {
        let mut endings = Endings::new(1);
        endings.end(0, Outcome::Applied);
        endings.end(0, Outcome::DeadLettered);
    }
}
