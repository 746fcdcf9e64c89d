//! The one thread that writes, and the group commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Result, TransactionBehavior};
use tokio::sync::oneshot;

use super::BUSY_TIMEOUT;
use super::books;
use super::damage::Damage;
#[cfg(feature = "flaws")]
use super::flaws::{self, Flaw};
use super::lock::Lock;
use crate::store::Observer;
use crate::store::contract::StoreError;
use crate::submission::StateCounts;

/// Most commands that share one sync; bounds how long the first of them waits.
const GROUP_MAX: usize = 256;

/// How often a ledger that refused a write is tried again without being asked to.
const RECOVERY_EVERY: Duration = Duration::from_secs(1);

/// How long after a log that somebody was reading could not be folded back that is tried again.
const FOLDED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What a ledger that refused a write must take before it is believed in again, in bytes.
const BALLAST_BYTES: u32 = 1024 * 1024;

/// Takes commands and commits them in groups: a lone command never waits for company, what arrives
/// while a group is being synced shares the next sync, and nobody is answered before it.
pub(super) struct Writer {
    commands: Sender<Box<dyn Command>>,
    healthy: Arc<AtomicBool>,
}

/// What a command may use while it runs.
pub(super) struct Work<'a> {
    pub connection: &'a Connection,
    /// Changed along with the rows, written with them.
    pub totals: &'a mut StateCounts,
    /// Something was erased: the log, where it still lies, has to be folded back.
    pub erased: &'a mut bool,
}

/// Something to be written. It may run twice: once in a group and, where the group failed, again
/// by itself, so that one command's fault is not another's.
trait Command: Send {
    fn run(&mut self, work: &mut Work<'_>) -> Result<()>;
    /// The result of the last run, or why it could not be kept.
    fn answer(self: Box<Self>, kept: Result<(), StoreError>);
}

struct Job<T, F> {
    work: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl Writer {
    /// The lock is held until the last command is kept and the file is closed.
    pub fn start(
        connection: Connection,
        totals: StateCounts,
        observer: Arc<dyn Observer>,
        damage: Damage,
        lock: Lock,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (commands, queue) = channel();
        let healthy = Arc::new(AtomicBool::new(true));
        let desk = Desk {
            connection,
            totals,
            observer,
            healthy: healthy.clone(),
            log_tells: None,
            damage,
            _lock: lock,
        };
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || desk.serve(queue))?;
        Ok((Self { commands, healthy }, thread))
    }

    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Runs `work` in the writer's next transaction and answers after its sync.
    pub async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Work<'_>) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(Box::new(Job { work, result: None, reply }));
        let answered = match sent {
            Ok(()) => answer.await.ok(),
            Err(_) => None,
        };
        answered.unwrap_or_else(|| {
            // The writer died of a fault of ours: readiness has to tell.
            self.healthy.store(false, Ordering::Relaxed);
            Err(StoreError::Closed)
        })
    }
}

impl<T, F> Command for Job<T, F>
where
    T: Send,
    F: FnMut(&mut Work<'_>) -> Result<T> + Send,
{
    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        self.result = Some((self.work)(work)?);
        Ok(())
    }

    fn answer(self: Box<Self>, kept: Result<(), StoreError>) {
        let Job { work, result, reply } = *self;
        // What the command held, its place in the queue, is free before anyone is told.
        drop(work);
        // Whoever asked may be gone: a client that hung up, a courier that was stopped.
        let _ = reply.send(kept.map(|()| result.expect("what was kept was run")));
    }
}

/// The writer's side of the queue.
struct Desk {
    connection: Connection,
    totals: StateCounts,
    observer: Arc<dyn Observer>,
    healthy: Arc<AtomicBool>,
    damage: Damage,
    /// What was erased may still lie in the log, which may be folded back from then on.
    log_tells: Option<Instant>,
    /// Let go last, after the connection: fields are dropped in this order.
    _lock: Lock,
}

impl Desk {
    /// Serves until every [`Writer`] is gone, then leaves the ledger tidy.
    fn serve(mut self, queue: Receiver<Box<dyn Command>>) {
        loop {
            let first = if self.healthy.load(Ordering::Relaxed) {
                queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                queue.recv_timeout(RECOVERY_EVERY)
            };
            match first {
                Ok(first) => self.serve_group(first, &queue),
                Err(RecvTimeoutError::Timeout) => self.try_to_recover(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // Folding the log back is a courtesy to whoever copies the file; the next open does it too.
        let _ = self.connection.pragma_update(None, "wal_checkpoint", "TRUNCATE");
    }

    fn serve_group(&mut self, first: Box<dyn Command>, queue: &Receiver<Box<dyn Command>>) {
        if let Some(damage) = self.damage.fatal() {
            return first.answer(Err(damage));
        }
        let mut group = vec![first];
        match self.commit(&mut group, Some(queue)) {
            Ok(()) => {
                self.fold_log();
                for command in group {
                    command.answer(Ok(()));
                }
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                // Another program has the file. Whoever came meanwhile has waited as well; trying
                // each alone would make the last one wait once for everyone before it.
                group.extend(queue.try_iter());
                self.note_failure(&error);
                let error = Arc::new(error);
                for command in group {
                    command.answer(Err(StoreError::Write(error.clone())));
                }
            }
            Err(_) => {
                for command in group {
                    self.serve_alone(command);
                }
            }
        }
    }

    fn serve_alone(&mut self, command: Box<dyn Command>) {
        if let Some(damage) = self.damage.fatal() {
            return command.answer(Err(damage));
        }
        let mut group = vec![command];
        let kept = self.commit(&mut group, None);
        if kept.is_ok() {
            self.fold_log();
        }
        if let Err(error) = &kept {
            self.note_failure(error);
        }
        let command = group.pop().expect("the group is this command");
        command.answer(kept.map_err(|error| StoreError::Write(Arc::new(error))));
    }

    /// One transaction: all of the group, and what joins it from the queue meanwhile.
    fn commit(
        &mut self,
        group: &mut Vec<Box<dyn Command>>,
        queue: Option<&Receiver<Box<dyn Command>>>,
    ) -> Result<()> {
        let (mut totals, mut erased) = (self.totals, false);
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let changes_before = transaction.total_changes();
        let mut next = 0;
        while next < group.len() {
            let mut work =
                Work { connection: &transaction, totals: &mut totals, erased: &mut erased };
            group[next].run(&mut work)?;
            next += 1;
            if next == group.len() && next < GROUP_MAX {
                group.extend(queue.and_then(|queue| queue.try_recv().ok()));
            }
        }
        if totals != self.totals {
            books::write(&transaction, &totals)?;
        }
        let wrote = transaction.total_changes() > changes_before;
        let commands = group.len();
        #[cfg(feature = "flaws")]
        if queue.is_some() && flaws::has(Flaw::AnswerBeforeCommit) {
            group.drain(..).for_each(|command| command.answer(Ok(())));
        }
        let began = Instant::now();
        let committed = transaction.commit();
        #[cfg(feature = "flaws")]
        if let (Err(error), true) = (&committed, group.is_empty()) {
            self.note_failure(error);
        }
        committed?;
        self.totals = totals;
        if erased {
            self.log_tells = Some(Instant::now());
        }
        // A repeat, or a look for what is due, may write nothing. Any broken disk can do that, and
        // without a sync it says nothing of how quick the disk is.
        if wrote {
            self.observer.committed(began.elapsed(), commands, totals);
            self.note_success();
        }
        Ok(())
    }

    /// Folds the log back where it still tells what was erased. Whoever reads meanwhile keeps it
    /// as it is; then a later commit tries again.
    fn fold_log(&mut self) {
        if self.log_tells.is_none_or(|from| from > Instant::now()) {
            return;
        }
        let folded = self.connection.busy_timeout(Duration::ZERO).and_then(|()| {
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get(0).map(|is_busy: bool| !is_busy)
            })
        });
        self.connection.busy_timeout(BUSY_TIMEOUT).expect("a timeout is only noted");
        self.log_tells = match folded {
            Ok(true) => None,
            Ok(false) | Err(_) => Some(Instant::now() + FOLDED_AGAIN_AFTER),
        };
    }

    /// A disk that is full may still take a row: only what is as large as a group counts.
    fn try_to_recover(&mut self) {
        if self.damage.fatal().is_some() {
            return;
        }
        let written = self.write_ballast(BALLAST_BYTES).and_then(|()| self.write_ballast(0));
        if written.is_ok() {
            self.note_success();
        }
    }

    fn write_ballast(&mut self, bytes: u32) -> Result<()> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction
            .prepare_cached("INSERT OR REPLACE INTO ballast VALUES (1, zeroblob(?1))")?
            .execute([bytes])?;
        transaction.commit()
    }

    fn note_failure(&self, error: &rusqlite::Error) {
        self.observer.commit_failed();
        if self.damage.met_writing(error) {
            return self.healthy.store(false, Ordering::Relaxed);
        }
        if self.healthy.swap(false, Ordering::Relaxed) {
            tracing::error!(%error, "the ledger refuses writes; hooks are answered 503 until it recovers");
        }
    }

    fn note_success(&self) {
        if !self.healthy.swap(true, Ordering::Relaxed) {
            self.observer.recovered();
            tracing::info!("the ledger takes writes again");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    type Answer = oneshot::Receiver<Result<u32, StoreError>>;

    fn desk(folder: &Path) -> Desk {
        let connection = Connection::open(folder.join("postcall.db")).unwrap();
        connection.busy_timeout(Duration::ZERO).unwrap();
        connection.execute_batch("CREATE TABLE kept (number INTEGER CHECK (number < 9))").unwrap();
        Desk {
            connection,
            totals: StateCounts::default(),
            observer: Arc::new(()),
            healthy: Arc::new(AtomicBool::new(true)),
            damage: Damage::none_yet(&folder.join("postcall.db"), Arc::new(())),
            log_tells: None,
            _lock: Lock::take(&folder.join("postcall.db")).unwrap(),
        }
    }

    fn keep(number: u32) -> (Box<dyn Command>, Answer) {
        let (reply, answer) = oneshot::channel();
        let work = move |work: &mut Work<'_>| {
            work.connection.execute("INSERT INTO kept VALUES (?1)", [number])?;
            work.connection.query_row("SELECT count(*) FROM kept", [], |row| row.get(0))
        };
        (Box::new(Job { work, result: None, reply }), answer)
    }

    /// What is answered when all of these wait for the writer.
    fn serve(desk: &mut Desk, numbers: [u32; 3]) -> [Result<u32, StoreError>; 3] {
        let (commands, queue) = channel();
        let answers = numbers.map(|number| {
            let (command, answer) = keep(number);
            commands.send(command).unwrap();
            answer
        });
        while let Ok(next) = queue.try_recv() {
            desk.serve_group(next, &queue);
        }
        answers.map(|mut answer| answer.try_recv().unwrap())
    }

    #[test]
    fn a_command_that_fails_does_not_fail_its_neighbours() {
        let folder = tempfile::tempdir().unwrap();
        let answers = serve(&mut desk(folder.path()), [1, 9, 2]);
        assert!(matches!(answers, [Ok(1), Err(StoreError::Write(_)), Ok(2)]), "{answers:?}");
    }

    #[test]
    fn all_who_wait_are_told_at_once_that_another_program_has_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut desk = desk(folder.path());
        let other = Connection::open(folder.path().join("postcall.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let answers = serve(&mut desk, [1, 2, 3]);
        assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Write(_)))));
        assert!(!desk.healthy.load(Ordering::Relaxed));
        other.execute_batch("ROLLBACK").unwrap();
        let answers = serve(&mut desk, [1, 2, 3]);
        assert!(matches!(answers, [Ok(1), Ok(2), Ok(3)]), "{answers:?}");
        assert!(desk.healthy.load(Ordering::Relaxed));
    }

    #[test]
    fn what_writes_nothing_is_no_commit_to_be_timed() {
        #[derive(Default)]
        struct Commits(std::sync::Mutex<Vec<usize>>);
        impl Observer for Commits {
            fn committed(&self, _took: Duration, group: usize, _totals: StateCounts) {
                self.0.lock().unwrap().push(group);
            }
        }

        let folder = tempfile::tempdir().unwrap();
        let commits = Arc::new(Commits::default());
        let mut desk = Desk { observer: commits.clone(), ..desk(folder.path()) };
        let (reply, mut answer) = oneshot::channel();
        let look = |work: &mut Work<'_>| {
            work.connection.query_row("SELECT count(*) FROM kept", [], |row| row.get::<_, u32>(0))
        };
        desk.serve_group(Box::new(Job { work: look, result: None, reply }), &channel().1);
        assert_eq!(answer.try_recv().unwrap().unwrap(), 0);
        let _ = serve(&mut desk, [1, 2, 3]);
        assert_eq!(*commits.0.lock().unwrap(), [3]);
    }

    #[test]
    fn a_ledger_that_refused_a_write_recovers_without_being_asked() {
        let folder = tempfile::tempdir().unwrap();
        let mut desk = desk(folder.path());
        desk.connection.execute_batch(include_str!("migrations/V1__ledger.sql")).unwrap();
        desk.connection.execute_batch("PRAGMA max_page_count = 100").unwrap();
        desk.healthy.store(false, Ordering::Relaxed);
        desk.try_to_recover();
        assert!(!desk.healthy.load(Ordering::Relaxed), "a row would fit, a group would not");
        desk.connection.execute_batch("PRAGMA max_page_count = 100000").unwrap();
        desk.try_to_recover();
        assert!(desk.healthy.load(Ordering::Relaxed));
    }
}
