use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::cast::Sending;
use crate::process::Line;

/// A crowd that stands still fails a test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Senders who do not stop when the far end dies: what got no answer is sent again, as Plivo does.
pub struct LoadSenders {
    state: Mutex<State>,
    changed: Condvar,
    /// How long a sender waits before it sends again what was not kept; `None` is until the service
    /// lives again, and says that nothing else may keep it from answering 200.
    pause: Option<Duration>,
}

struct State {
    /// Where to send, and how often that has changed.
    address: Option<SocketAddr>,
    life: usize,
    to_send: VecDeque<Sending>,
    answered: Vec<Promise>,
    webhooks: usize,
    /// Sends of which no one knows what became.
    left_unanswered: usize,
    /// Sends that were answered with no promise: 503, or 408.
    put_off: usize,
    /// Senders that have nothing to send or no one to send to.
    waiting: usize,
    senders: usize,
    /// How long a sender waits before the next webhook.
    rest: Duration,
    dismissed: bool,
}

/// What a sender was promised.
#[derive(Clone)]
pub struct Promise {
    pub submission: String,
    pub call: String,
    pub question: &'static str,
    pub answer: Option<String>,
    pub asked_at: Instant,
    /// How long the answer took.
    pub took: Duration,
}

impl LoadSenders {
    pub fn new(webhooks: Vec<Sending>, pause: Option<Duration>) -> Self {
        let state = State {
            address: None,
            life: 0,
            webhooks: webhooks.len(),
            to_send: webhooks.into(),
            answered: Vec::new(),
            left_unanswered: 0,
            put_off: 0,
            waiting: 0,
            senders: 0,
            rest: Duration::ZERO,
            dismissed: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), pause }
    }

    /// How long each sender waits before its next webhook, from here on.
    pub fn rest_for(&self, rest: Duration) {
        self.state().rest = rest;
        self.changed.notify_all();
    }

    pub fn gather(load_senders: &Arc<Self>, senders: usize) -> Vec<JoinHandle<()>> {
        load_senders.state().senders = senders;
        let sender = |_| {
            let load_senders = load_senders.clone();
            thread::spawn(move || load_senders.send())
        };
        (0..senders).map(sender).collect()
    }

    /// The service lives, here.
    pub fn send_to(&self, address: SocketAddr) {
        let mut state = self.state();
        state.address = Some(address);
        state.life += 1;
        state.waiting = 0;
        self.changed.notify_all();
    }

    /// Until so many more are answered, or no sender has anything left to do.
    pub fn wait_for_answers(&self, more: usize) {
        let enough = self.state().answered.len() + more;
        self.wait_while(|state| state.answered.len() < enough && state.waiting < state.senders);
    }

    /// As [`wait_for_answers`](Self::wait_for_answers), and not for ever.
    pub fn wait_a_while_for_answers(&self, more: usize, at_most: Duration) {
        let state = self.state();
        let enough = state.answered.len() + more;
        let waited = self.changed.wait_timeout_while(state, at_most, |state| {
            state.answered.len() < enough.min(state.webhooks)
        });
        drop(waited.expect("no sender panics"));
    }

    /// Until so many more are put off, or everything is answered, and not for ever.
    pub fn wait_a_while_for_refusals(&self, more: usize, at_most: Duration) {
        let state = self.state();
        let enough = state.put_off + more;
        let waited = self.changed.wait_timeout_while(state, at_most, |state| {
            state.put_off < enough && state.answered.len() < state.webhooks
        });
        drop(waited.expect("no sender panics"));
    }

    pub fn wait_until_all_are_answered(&self) {
        self.wait_while(|state| state.answered.len() < state.webhooks);
    }

    /// Until no one sends: all that was answered has been counted.
    pub fn wait_until_all_noticed(&self) {
        self.wait_while(|state| state.waiting < state.senders);
    }

    pub fn answered(&self) -> Vec<Promise> {
        self.state().answered.clone()
    }

    pub fn unanswered(&self) -> usize {
        let state = self.state();
        state.webhooks - state.answered.len()
    }

    pub fn left_unanswered(&self) -> usize {
        self.state().left_unanswered
    }

    /// Whether a webhook got no answer whose sender waits for another service.
    pub fn has_failed(&self) -> bool {
        self.pause.is_none() && self.left_unanswered() > 0
    }

    pub fn put_off(&self) -> usize {
        self.state().put_off
    }

    /// Everything is answered.
    pub fn dismiss(&self) {
        self.state().dismissed = true;
        self.changed.notify_all();
    }

    /// One sender, from life to life of the service.
    fn send(&self) {
        let mut life = 0;
        while let Some(address) = self.next_try(&mut life) {
            let Ok(mut line) = Line::open(address) else { continue };
            while let Some(sending) = self.take() {
                let asked_at = Instant::now();
                match line.exchange(&sending.request) {
                    Ok(reply) if reply.status == 200 => {
                        let promise = reply.header("postcall-submission").expect("a promise");
                        self.note_promise(promise, sending, asked_at);
                        // As it is said that its sender may: another connection is made.
                        if reply.header("connection").is_some_and(|it| it == "close") {
                            let Ok(another) = Line::open(address) else { break };
                            line = another;
                        }
                    }
                    Ok(reply) => {
                        // 408 is what a process says that stood still while a request came.
                        let may_refuse = self.pause.is_some() && [503, 408].contains(&reply.status);
                        assert!(may_refuse, "{}: {}", reply.status, reply.body);
                        assert_eq!(
                            reply.header("postcall-submission"),
                            None,
                            "a promise after all"
                        );
                        self.note_refusal(sending);
                        break;
                    }
                    Err(_) => {
                        self.give_back(sending);
                        break;
                    }
                }
            }
        }
    }

    /// Waits until the service lives again, or it is time to try again; `None` when the sender may
    /// go home.
    fn next_try(&self, life: &mut usize) -> Option<SocketAddr> {
        let mut state = self.state();
        if state.life == *life {
            state.waiting += 1;
            self.changed.notify_all();
        }
        let is_the_same = |state: &mut State| state.life == *life && !state.dismissed;
        if let Some(pause) = self.pause {
            state = self.changed.wait_timeout_while(state, pause, is_the_same).unwrap().0;
        }
        let may_try = |state: &State| {
            self.pause.is_some() && state.address.is_some() && !state.to_send.is_empty()
        };
        let waits = |state: &mut State| is_the_same(state) && !may_try(state);
        state = self.changed.wait_while(state, waits).unwrap();
        if state.life == *life {
            state.waiting -= 1;
        }
        *life = state.life;
        state.address.filter(|_| !state.dismissed)
    }

    /// The next webhook, once the sender has rested.
    fn take(&self) -> Option<Sending> {
        let state = self.state();
        let (rest, life) = (state.rest, state.life);
        let rests =
            |state: &mut State| state.rest == rest && state.life == life && !state.dismissed;
        let mut state = match rest {
            Duration::ZERO => state,
            _ => self.changed.wait_timeout_while(state, rest, rests).unwrap().0,
        };
        state.to_send.pop_front()
    }

    fn note_promise(&self, submission: &str, sending: Sending, asked_at: Instant) {
        let Sending { call, question, answer, .. } = sending;
        let (submission, took) = (submission.to_owned(), asked_at.elapsed());
        let promise = Promise { submission, call, question, answer, asked_at, took };
        self.state().answered.push(promise);
        self.changed.notify_all();
    }

    fn give_back(&self, sending: Sending) {
        let mut state = self.state();
        state.to_send.push_front(sending);
        state.left_unanswered += 1;
        self.changed.notify_all();
    }

    fn note_refusal(&self, sending: Sending) {
        let mut state = self.state();
        state.to_send.push_front(sending);
        state.put_off += 1;
        self.changed.notify_all();
    }

    fn wait_while(&self, condition: impl FnMut(&mut State) -> bool) {
        let waited = self.changed.wait_timeout_while(self.state(), PATIENCE, condition);
        assert!(!waited.expect("no sender panics").1.timed_out(), "the crowd stands still");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no sender panics")
    }
}
