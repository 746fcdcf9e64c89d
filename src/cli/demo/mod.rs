//! Both ends on free ports of this machine, a few dozen calls between them, and what became of
//! each, by the store and by the simulator.

mod environment;
pub mod history;
mod report;
mod scenarios;

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;

use self::environment::DemoEnvironment;
use self::report::DemoSummary;
use super::Failure;

/// How long everything may take to be settled.
const PATIENCE: Duration = Duration::from_secs(25);

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// End when all is settled: with 0 if the state counts balance, else with 1 and what is open
    #[arg(long)]
    once: bool,
    /// Begin with the calls of so many days before, so that every page of the console has something to
    /// show
    #[arg(long, value_name = "DAYS", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=90))]
    days: u16,
}

impl Demo {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut environment = DemoEnvironment::set(self.days)?;
        let played = actix_web::rt::System::new().block_on(async {
            let report = play(&environment).await?;
            let mut out = std::io::stdout().lock();
            write!(out, "{report}")?;
            out.flush()?;
            if !self.once {
                writeln!(out, "{}\nCtrl-C ends the demo.", environment.signposts())?;
                out.flush()?;
                tokio::signal::ctrl_c().await.context("listening for Ctrl-C")?;
            }
            anyhow::Ok(report)
        });
        environment.shutdown()?;
        let open = played?.open();
        if open.is_empty() {
            Ok(())
        } else {
            Err(anyhow::anyhow!("not as it should be: {}", open.join(", ")).into())
        }
    }
}

/// The simulator fails twice for the first call; then all the others call, and a caller who answers a
/// second question does so after all have answered the first.
async fn play(environment: &DemoEnvironment) -> anyhow::Result<DemoSummary> {
    let scenarios = scenarios::scenarios();
    writeln!(
        std::io::stdout(),
        "Postcall demo: {} calls come in, the service keeps, maps and delivers what they said,\n\
         and a stand-in of Plivo's Feedback API hears it.\n",
        scenarios.len()
    )?;
    let mut answers = vec![Vec::new(); scenarios.len()];
    let (unlucky, others) = scenarios.split_first().context("there are scenes")?;
    environment.let_plivo_fail(2).await?;
    answers[0].push(environment.place(unlucky, &unlucky.steps[0]).await?);
    environment.until_plivo_refused(2, PATIENCE).await?;
    let longest = others.iter().map(|scenario| scenario.steps.len()).max().unwrap_or_default();
    for round in 0..longest {
        for (scenario, answers) in others.iter().zip(&mut answers[1..]) {
            if let Some(step) = scenario.steps.get(round) {
                answers.push(environment.place(scenario, step).await?);
            }
        }
    }
    let settled = environment.until_settled(PATIENCE).await?;
    let report = DemoSummary::new(
        scenarios,
        answers,
        environment.store()?,
        environment.received().await?,
        settled,
    );
    ensure!(!report.is_empty(), "nothing was played");
    Ok(report)
}
