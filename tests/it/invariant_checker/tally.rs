use std::collections::BTreeMap;
use std::fmt;

use postcall::submission::StateCounts;

/// What happened in rounds, and what became of it.
#[derive(Default)]
pub struct Tally {
    pub troubles: BTreeMap<&'static str, usize>,
    pub webhooks: usize,
    pub calls: usize,
    /// Exchanges that the network harmed.
    pub harmed: usize,
    pub sent_again: usize,
    pub put_off: usize,
    pub delivered_again: usize,
    pub unknown_results: usize,
    pub ended: StateCounts,
}

impl Tally {
    pub fn add(&mut self, round: &Self) {
        for (trouble, times) in &round.troubles {
            *self.troubles.entry(trouble).or_default() += times;
        }
        self.webhooks += round.webhooks;
        self.calls += round.calls;
        self.harmed += round.harmed;
        self.sent_again += round.sent_again;
        self.put_off += round.put_off;
        self.delivered_again += round.delivered_again;
        self.unknown_results += round.unknown_results;
        self.ended.accepted += round.ended.accepted;
        self.ended.delivered += round.ended.delivered;
        self.ended.ignored += round.ended.ignored;
        self.ended.dead += round.ended.dead;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let troubles = self.troubles.iter().map(|(trouble, times)| format!("{times} {trouble}"));
        write!(f, "{}", troubles.collect::<Vec<_>>().join(", "))?;
        if self.harmed > 0 {
            write!(f, "; {} exchanges harmed", self.harmed)?;
        }
        let StateCounts { accepted, delivered, ignored, dead, .. } = self.ended;
        write!(
            f,
            ". {} webhooks about {} calls, {} sent again without an answer and {} after a 503 or 408. \
             Nothing lost, nothing delivered wrongly: {accepted} accepted = {delivered} delivered + {ignored} \
             ignored + {dead} dead; {} unknown results, {} calls delivered again",
            self.webhooks,
            self.calls,
            self.sent_again,
            self.put_off,
            self.unknown_results,
            self.delivered_again,
        )
    }
}
